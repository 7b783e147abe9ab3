"""What a hand-in gets points for: what was found for each line of the rubric.

The program judges what can be measured; the rest it leaves open for a person, with the cells to
read.
"""

from typing import NamedTuple

from grader.hand_in import File
from grader.names import NOTEBOOKS
from grader.rubric import Line

MAX_CELLS = 12  # that are listed for a line


class Graded(NamedTuple):
    """A line with its points, None where a person judges, and what was found and asked."""

    line: Line
    points: float | None
    found: str
    asked: str


class Totals(NamedTuple):
    """Points given by the program, what it could give, and what is open for a person."""

    given: float
    possible: float
    open: float


def grade(rubric, files, absent="missing"):
    """A Graded for each line. files: name -> File; absent: what to say of the others."""
    graded = []
    for line in rubric:
        file = files.get(line.file or NOTEBOOKS[line.question - 1], File(absent))
        if line.kind == "reading":
            points, found = None, where(line.words, file)
        elif line.kind == "notebook":
            points = 0 if file.problem else line.points
            found = file.problem or "with outputs, without errors"
        else:
            met, found = measured(line, file, floor(rubric, line))
            points = line.points if met else 0
        graded.append(Graded(line, points, found, asked(line)))
    return graded


def floor(rubric, line):
    """The share that a model must read before a line on it counts."""
    shares = [o.at_least for o in rubric if o.kind == "accuracy" and o.file == line.file]
    return line.at_least if line.kind == "accuracy" else min(shares, default=0)


def measured(line, file, least):
    """Whether a model meets a line, and what was found, in words. least: see `floor`."""
    if file.problem:
        return False, file.problem
    reads = f"{file.correct:,} of {file.total:,} images, {file.share:.2%}"
    if line.kind == "accuracy":
        return file.share >= least, reads
    if line.kind == "size":
        met, found = file.size <= line.at_most, f"{file.size:,} bytes"
    else:
        met, found = 0 < file.bits <= line.bits, f"{file.bits or 'unknown'} bits"
    if file.share < least:
        return False, f"{found}, but it reads {reads}"
    return met, found


def asked(line):
    """What a line asks, in words."""
    return {
        "notebook": f"q{line.question}.ipynb, with outputs, without errors",
        "accuracy": f"{line.file} reads at least {100 * line.at_least:.4g}% of the test images",
        "size": f"{line.file} has at most {line.at_most:,} bytes after gzip",
        "bits": f"{line.file} stores at most {line.bits} bits a weight",
        "reading": "a person reads this",
    }[line.kind]


def where(words, file):
    """The cells in whose text one of `words` stands, in words."""
    if file.problem and not file.prose:
        return file.problem
    found = [str(cell) for cell, text in file.prose if any(w.search(text) for w in words)]
    if not found:
        return "found no such cell: read the notebook"
    more = ["…"] if len(found) > MAX_CELLS else []
    return f"cell{'s' if len(found) > 1 else ''} {', '.join(found[:MAX_CELLS] + more)}"


def totals(graded):
    """The Totals of some lines."""
    judged = [one for one in graded if one.points is not None]
    return Totals(
        sum(one.points for one in judged),
        sum(one.line.points for one in judged),
        sum(one.line.points for one in graded if one.points is None),
    )
