"""Writes what the checker found: a page for each student, and points for the gradebook."""

import csv
import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

import jinja2

from grader.grading import Totals, totals
from grader.hand_in import printable
from toolkit.files import replacing

FORMULA = tuple("=+-@\u2212")  # how a cell begins that a spreadsheet would compute
MAX_NAME = 50  # characters of a page's name, of up to four bytes each
# names that no file can have on Windows
PORTS = {f"{port}{number}" for port in ("com", "lpt") for number in range(10)}
DEVICES = {"con", "prn", "aux", "nul"} | PORTS


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


def number(points):
    """Points as text, no longer than they are."""
    return f"{round(points, 2):.10g}"


def in_words(graded):
    """The points of a hand-in in one line."""
    _, total, extra = summary(graded)

    def told(sums):
        still_open = f", {number(sums.open)} open for a person" if sums.open else ""
        return f"{number(sums.given)} of {number(sums.possible)}{still_open}"

    credit = f"; extra credit: {told(extra)}" if any(extra) else ""
    return f"points: {told(total)}{credit}"


def points(one):
    """The points of a graded line, such as "20 of 25"."""
    given = "open" if one.points is None else number(one.points)
    return f"{given} of {number(one.line.points)}"


def rubric_rows(graded):
    """The table of the graded lines, a list of dicts of text."""
    return [
        {
            "question": f"{one.line.question}{' extra' if one.line.extra else ''}",
            "line": one.line.title,
            "points": points(one),
            "found": one.found,
            "asked": one.asked,
        }
        for one in graded
    ]


def plain(name):
    """A name for a cell of a spreadsheet, which must not take it for a formula."""
    text = printable(str(name))
    # full-width signs and those after blanks count as well
    computed = unicodedata.normalize("NFKC", text).lstrip().startswith(FORMULA)
    return f"'{text}" if computed else text


def write_gradebook(path, results):
    """Writes the points of all hand-ins as CSV. results: name of the zip -> Checked."""
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, quoting=csv.QUOTE_ALL)  # a semicolon parts cells in some lands
        for row, (name, checked) in enumerate(results.items()):
            questions, total, extra = summary(checked.graded)
            if row == 0:
                names = [f"question {q}" for q in questions]
                table.writerow(["hand-in", *names, "total", "open", "extra", "extra open", "hints"])
            given = [*(one.given for one in questions.values()), total.given, total.open]
            given += [extra.given, extra.open]
            table.writerow([plain(name), *map(number, given), len(checked.hints)])


def page_names(paths):
    """path -> the name of its page: safe anywhere, and no two alike but for capitals."""
    names: dict[str, str] = {}
    taken = {"index", *DEVICES}
    for path in paths:
        stem = unicodedata.normalize("NFKC", Path(path).stem)
        stem = re.sub(r"[^\w-]+", "_", stem)[:MAX_NAME].strip("_-") or "hand-in"
        name, count = stem, 1
        while name.casefold() in taken:
            count += 1
            name = f"{stem}-{count}"
        taken.add(name.casefold())
        names[path] = f"{name}.html"
    return names


def pages(results):
    """name -> {"template": ..., "values": ...} of a page for each hand-in, and of index.html.

    results: name of the zip -> Checked.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "points": points}
    template, names = environment.get_template("feedback.html.j2"), page_names(results)
    hand_ins = [
        {
            "name": printable(Path(path).name),
            "place": printable(str(path)),
            "page": names[path],
            "summary": summary(checked.graded),
            "checked": checked,
        }
        for path, checked in results.items()
    ]
    shown: dict[str, dict] = {one["page"]: {"one": one} for one in hand_ins}
    shown["index.html"] = {"one": None, "hand_ins": hand_ins}
    return {name: {"template": template, "values": values} for name, values in shown.items()}


def write_page(path, template, values):
    """Writes a page; what is no character, as a notebook may hold, becomes a question mark."""
    with replacing(path) as temporary:
        temporary.write_bytes(template.render(values).encode("utf-8", "replace"))
