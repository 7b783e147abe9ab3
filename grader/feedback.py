"""Writes what the checker found: a page for each student, and points for the gradebook."""

import contextlib
import csv
import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

import jinja2
from tabulate import tabulate

from grader.check import Checked, shown_name
from grader.names import plain, printable
from grader.originality import PUBLISHED
from toolkit.files import replacing

MADE = '<meta name="generator" content="grader">'
MAX_NAME = 50  # characters of a page's name, of up to four bytes each
# names that no file can have on Windows
PORTS = {f"{port}{number}" for port in ("com", "lpt") for number in range(10)}
DEVICES = {"con", "prn", "aux", "nul"} | PORTS


class Totals(NamedTuple):
    """Points given, those that can be had, and those that are open for a person."""

    given: float
    possible: float
    open: float


class Summary(NamedTuple):
    """The points of a hand-in: of each question, of all without extra credit, and of that."""

    questions: dict[int, Totals]
    total: Totals
    extra: Totals


def summary(graded):
    """The Summary of a hand-in's graded lines."""
    numbers = sorted({one.line.question for one in graded})
    return Summary(
        {q: totals([one for one in graded if one.line.question == q]) for q in numbers},
        totals([one for one in graded if not one.line.extra]),
        totals([one for one in graded if one.line.extra]),
    )


def totals(graded):
    """The Totals of some lines."""
    return Totals(
        sum(one.points for one in graded if one.points is not None),
        sum(one.line.points for one in graded),
        sum(one.line.points for one in graded if one.points is None),
    )


def number(points):
    """Points as text, no longer than they are."""
    return f"{round(points, 2):.10g}"


def in_words(graded):
    """The points of a hand-in in one line."""
    _, total, extra = summary(graded)

    def told(sums):
        still_open = f", {number(sums.open)} open" if sums.open else ""
        return f"{number(sums.given)} of {number(sums.possible)}{still_open}"

    return told(total) + (f"; extra {told(extra)}" if extra.possible else "")


def points(one):
    """The points of a graded line, such as "20 of 25"."""
    given = "open" if one.points is None else number(one.points)
    return f"{given} of {number(one.line.points)}"


class Told(NamedTuple):
    """A Checked with the name that its student is called by, and the name of its page."""

    name: str
    page: str
    checked: Checked


def overview(results):
    """A line for each hand-in, as text. results: a list of Told."""
    lines = []
    for told in results:
        one = told.checked
        problems = sum(bool(row["problem"]) for row in one.rows)
        notes = [f"{problems} problem{'s' if problems > 1 else ''}"] if problems else []
        notes += [f"{len(one.hints)} hint{'s' if len(one.hints) > 1 else ''}"] if one.hints else []
        notes += ["late"] if one.student.late else []
        notes += ["see above"] if one.alike else []
        read = any(row["file"] for row in one.rows)  # else one line says why there is nothing
        lines.append([
            printable(told.name),
            in_words(one.graded) if read else one.rows[0]["problem"],
            ", ".join(notes) if read else "",
        ])  # fmt: skip
    return tabulate(lines, ["hand-in", "points", "look at"], disable_numparse=True)


def likeness(results):
    """What is alike, for a person to look at first, as text."""
    lines, pairs = [], set()
    for told in results:
        for alike in told.checked.alike:
            name = shown_name(told.checked.student)
            if (alike.other, name) not in pairs:  # a pair once
                lines.append(f"  {name} and {alike.other}: {alike.what}")
                pairs.add((name, alike.other))
    if not lines:
        return ""
    return "\n".join(["Look first: alike, for which there may be a good reason", *lines, ""])


def write_points(path, results):
    """Writes the points of all hand-ins as CSV. results: a list of Told."""
    with (
        replacing(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8-sig") as file,
    ):
        table = csv.writer(file, quoting=csv.QUOTE_ALL)  # a semicolon parts cells in some lands
        for row, told in enumerate(results):
            questions, total, extra = summary(told.checked.graded)
            if row == 0:
                names = [f"question {q}" for q in questions]
                table.writerow(
                    ["hand-in", "id", "look first", *names, "total", "of", "open", "extra"]
                    + ["extra open", "late", "hints", "note"]
                )
            given = [*(one.given for one in questions.values()), total.given, total.possible]
            given += [total.open, extra.given, extra.open]
            student = told.checked.student
            alike = "; ".join(f"like {one.other}: {one.what}" for one in told.checked.alike)
            late, note = "late" if student.late else "", plain(student.note)
            cells = [plain(told.name), plain(student.id), plain(alike), *map(number, given)]
            table.writerow([*cells, late, len(told.checked.hints), note])


def page_names(names):
    """The names of the pages of these hand-ins: safe, and no two alike but for capitals."""
    made: list[str] = []
    taken = {"index", *DEVICES}
    for whole in names:
        stem = unicodedata.normalize("NFKC", Path(whole).name.removesuffix(".zip"))
        stem = re.sub(r"[^\w-]+", "_", stem)[:MAX_NAME].strip("_-") or "hand-in"
        name, count = stem, 1
        while name.casefold() in taken:
            count += 1
            name = f"{stem}-{count}"
        taken.add(name.casefold())
        made.append(f"{name}.html")
    return made


def pages(results, absent=(), rest=()):
    """name -> {"template": ..., "values": ...} of a page for each hand-in, and of index.html.

    results: a list of Told. absent: who handed in nothing. rest: files of nobody.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "points": points}
    template = environment.get_template("feedback.html.j2")
    hand_ins = [
        {
            "name": told.name,
            "page": told.page,
            "summary": summary(told.checked.graded),
            "checked": told.checked,
        }
        for told in results
    ]
    shown: dict[str, dict] = {o["page"]: {"one": o, "published": PUBLISHED} for o in hand_ins}
    shown["index.html"] = {"one": None, "hand_ins": hand_ins, "absent": absent, "rest": rest}
    return {name: {"template": template, "values": values} for name, values in shown.items()}


def remove_pages(folder, kept):
    """Removes the pages of earlier runs from a folder, those that no run of this program made and
    those named in `kept` aside."""
    for path in Path(folder).glob("*.html"):
        with contextlib.suppress(OSError):
            if path.name not in kept and MADE.encode() in path.read_bytes()[:300]:
                path.unlink()


def write_page(path, template, values):
    """Writes a page; what is no character, as a notebook may hold, becomes a question mark."""
    with replacing(path) as temporary:
        temporary.write_bytes(template.render(values).encode("utf-8", "replace"))
