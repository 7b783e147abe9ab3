"""The answers that a person marks: a row for each in marking.csv, written and read back.

What a person wrote there, points, comments and columns of their own, is kept whatever happens.
"""

import csv
import io
import math
from pathlib import Path

from grader.names import plain, printable
from toolkit.files import replacing

COLUMNS = ["student", "id", "question", "line", "where", "answer", "points possible"]
COLUMNS += ["points", "comment", "note"]
KEY = "id", "question", "line"
CHANGED = "the answer has changed since it was marked"
MAX_CELL = 8_000  # characters


class TableError(Exception):
    """A table that cannot be read; the message names the file, the row and the remedy."""


def read_table(path):
    """(columns, rows as dicts) of a CSV file as spreadsheets save it. Raises TableError."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise TableError(f"{path}: {error.strerror}") from error
    if content[:2] == b"PK":
        raise TableError(f"{path}: an Excel file, save it as CSV")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    else:
        try:
            content.decode("utf-8-sig")
            encoding = "utf-8-sig"
        except UnicodeDecodeError:
            encoding = "cp1252"
    text = content.decode(encoding, "replace")
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep="):
        text, first = rest, rest.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise TableError(f"{path}: no CSV ({error}): save it as CSV") from error
    columns = [name.strip() for name in table[0]] if table else []
    rows = [dict(zip(columns, [*row, *[""] * len(columns)], strict=False)) for row in table[1:]]
    return columns, [row for row in rows if any(row.values())]


def read_marks(path, rubric):
    """(columns, {KEY of a row: the row}) of the marking.csv at `path`, empty where there is none.

    The points of a row are a float or None. Raises TableError.
    """
    if not Path(path).exists():
        return [], {}
    columns, rows = read_table(path)
    absent = [name for name in (*KEY, "points", "comment") if name not in columns]
    if absent:
        raise TableError(
            f"{path}: there is no column {absent[0]}: put it back, or move the file away"
        )
    possible = {(str(line.question), line.title): line.points for line in rubric}
    marks = {}
    for number, row in enumerate(rows, 2):
        key = tuple(row[name].removeprefix("'") for name in KEY)
        most = possible.get(key[1:], math.inf)
        row["mark"] = mark(
            row["points"], most, f"{path}: row {number}, {row.get('student', key[0])}"
        )
        marks[key] = row
    return columns, marks


def mark(text, most, where):
    """Points as a person wrote them, a float, or None where there are none. Raises TableError."""
    text = text.strip().replace(",", ".")
    if not text:
        return None
    try:
        points = float(text)
    except ValueError:
        points = math.nan
    if not 0 <= points <= most:
        asked = f"a number from 0 to {most:g}" if most < math.inf else "a number"
        raise TableError(f"{where}: points are “{printable(text)}”: write {asked}")
    return points


def marked(graded, key, marks):
    """Graded lines with a person's points and comments. key: of the student."""
    found = []
    for one in graded:
        row = marks.get((key, str(one.line.question), one.line.title))
        if row and one.line.kind == "reading":
            points = one.points if row["mark"] is None else row["mark"]
            one = one._replace(points=points, comment=row["comment"].strip())
        found.append(one)
    return found


def write_marks(path, results, columns, marks):
    """Writes marking.csv: the answers of `results`, [(key, name, graded)], then what a person
    wrote of others. columns, marks: see `read_marks`.
    """
    own = [name for name in columns if name and name not in COLUMNS]
    rows, known = [], set()
    for place in range(max((len(graded) for *_, graded in results), default=0)):
        for key, name, graded in results:
            one = graded[place]
            if one.line.kind != "reading":
                continue
            identity = (key, str(one.line.question), one.line.title)
            known.add(identity)
            before = marks.get(identity, {})
            text = "\n\n".join(f"[{where}] {quote}" for where, quote in one.quotes)
            answer = plain((text or f"({one.found})")[:MAX_CELL], lines=True)
            note = before.get("note", "")
            if before.get("points", "").strip() and not same(before.get("answer", ""), answer):
                note = CHANGED
            row = {
                "student": plain(name),
                "id": plain(key),
                "question": one.line.question,
                "line": one.line.title,
                "where": plain("; ".join(where for where, _ in one.quotes)),
                "answer": answer,
                "points possible": f"{one.line.points:g}",
                "points": before.get("points", ""),
                "comment": before.get("comment", ""),
                "note": note,
            }
            rows.append(row | {name: before.get(name, "") for name in own})
    for identity, before in marks.items():
        written = [before.get(name, "") for name in ("points", "comment", *own)]
        if identity not in known and any(text.strip() for text in written):
            rows.append({name: before.get(name, "") for name in (*COLUMNS, *own)})
    with (
        replacing(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8-sig") as file,
    ):
        table = csv.DictWriter(file, [*COLUMNS, *own], quoting=csv.QUOTE_ALL)
        table.writeheader()
        table.writerows(rows)


def same(one, other):
    """Whether two texts are the same but for line breaks and blanks."""
    return one.split() == other.split()
