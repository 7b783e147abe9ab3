"""Canvas's gradebook: who is in the class, and the points in the form that it imports."""

import csv
import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

from grader.marking import TableError, read_table
from grader.names import plain
from toolkit.files import replacing

# what comes before the assignments in an export, gradebook_exporter.rb
IDENTITY = ["Student", "ID", "SIS User ID", "SIS Login ID", "Root Account", "Integration ID"]
IDENTITY += ["Section"]
REQUIRED = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
POSSIBLE = "    Points Possible"
TEST = "Student, Test"
ASSIGNMENT = re.compile(r".+ \(\d+\)")
TITLE = "Model compression"


class Roster(NamedTuple):
    """A class as Canvas exports it: the columns that name a student, the column of the assignment,
    the points that Canvas gives for it, "" where that is not known, and a row, a dict, for each
    student."""

    columns: list
    assignment: str
    possible: str
    rows: list


def read_roster(path, assignment=""):
    """The Roster of Canvas's export at `path`. Raises TableError.

    assignment: a part of the column's name, needed where there are several.
    """
    columns, rows = read_table(path)
    absent = [name for name in ("Student", "ID") if name not in columns]
    if absent:
        raise TableError(
            f"{path}: there is no column {absent[0]}: export it in Canvas, Grades > Export"
        )
    titles = [name for name in columns if ASSIGNMENT.fullmatch(name)]
    chosen = [name for name in titles if assignment.lower() in name.lower()]
    if len(chosen) != 1 and (assignment or len(titles) > 1):
        told = ", ".join(titles[:8]) or "none"
        raise TableError(f"{path}: which assignment is it? Name one by ASSIGNMENT: there is {told}")
    column = chosen[0] if chosen else TITLE
    students = [row for row in rows if row["ID"].strip()]
    possible = [row for row in rows if row["Student"].strip() == POSSIBLE.strip()]
    return Roster(
        [name for name in columns if name in IDENTITY],
        column,
        possible[0].get(column, "").strip() if possible else "",
        [row for row in students if row["Student"] != TEST],
    )


def keys_of(row):
    """What may name the student of a row of the roster in the name of a file."""
    last, _, first = row["Student"].partition(",")
    names = [squeezed(last + first), squeezed(first + last)]
    return {*names, squeezed(row.get("SIS Login ID", "")), squeezed(row.get("SIS User ID", ""))} - {
        ""
    }


def squeezed(name):
    """The letters and digits of a name."""
    text = unicodedata.normalize("NFKD", name.casefold())
    return "".join(sign for sign in text if sign.isalnum())


def matched(roster, students):
    """Place of a Student -> its row of the roster: by the number of Canvas, else by a name."""
    by_id = {row["ID"].strip(): row for row in roster.rows}
    by_name: dict[str, list] = {}
    for row in roster.rows:
        for key in keys_of(row):
            by_name.setdefault(key, []).append(row)
    found: dict[int, dict] = {}
    for place, student in enumerate(students):
        row = by_id.get(student.id)
        if not row:
            names = by_name.get(squeezed(Path(student.name).stem), [])
            row = names[0] if len(names) == 1 else None
        if row and not any(row is other for other in found.values()):
            found[place] = row
    return found


def write_canvas(path, roster, points, possible, strangers):
    """Writes the points as CSV that Canvas imports.

    points: ID -> points, of those who handed in; others keep what they have. possible: in all.
    strangers: [(name, ID, points)] of those who are not in the roster.
    """
    columns = roster.columns if roster else REQUIRED
    title = roster.assignment if roster else TITLE
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, quoting=csv.QUOTE_MINIMAL)
        table.writerow([*columns, title])
        table.writerow([POSSIBLE, *[""] * (len(columns) - 1), possible])
        for row in roster.rows if roster else ():
            cells = [row[name] for name in columns]
            cells[columns.index("Student")] = plain(row["Student"])
            table.writerow([*cells, points.get(row["ID"].strip(), row.get(title, ""))])
        for name, number, given in strangers:
            known = {"Student": plain(name), "ID": number}
            table.writerow([*(known.get(column, "") for column in columns), given])
