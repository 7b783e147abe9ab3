"""What a hand-in gets points for: the lines of rubric.toml, and what was found for each.

The program judges what can be measured; the rest it leaves open for a person, with the cells to
read. Beside it stand hints at where to look again, which change no points.
"""

import contextlib
import math
import re
import tomllib
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from grader.claims import claims, code_line
from grader.hand_in import MODELS, NOTEBOOKS
from grader.mistakes import Hint, find_mistakes

RUBRIC = Path(__file__).with_name("rubric.toml")
MODELS_OF = dict(zip(NOTEBOOKS, (MODELS[:4], *((name,) for name in MODELS[4:])), strict=True))
KINDS = {
    "notebook": set(),
    "accuracy": {"file", "at_least"},
    "size": {"file", "at_most"},
    "bits": {"file", "bits"},
    "reading": {"words"},
}
MUCH_LESS, NEAR, CHANCE = 0.2, 0.05, 0.1  # shares of the test images


class RubricError(Exception):
    """A rubric that cannot be used; the message names the file, the line and the remedy."""


class Line(NamedTuple):
    """A line of the rubric; which of the last five are given depends on `kind`, see KINDS."""

    question: int
    title: str
    points: float
    kind: str
    extra: bool = False
    file: str = ""
    at_least: float = 0
    at_most: int = 0
    bits: int = 0
    words: tuple = ()


class File(NamedTuple):
    """What is known of a file that was handed in.

    problem: what keeps it from counting, or "". correct of total: the test images that a model
    reads. bits: the most that it stores for a weight, 0 where that is not known. size: bytes
    after gzip. prose: [(cell, text)] of a notebook.
    """

    problem: str = ""
    correct: int = 0
    total: int = 0
    bits: int = 0
    size: int = 0
    prose: tuple = ()

    @property
    def share(self):
        return self.correct / max(self.total, 1)


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


def read_rubric(path):
    """The lines of the rubric at `path`, a list of Line. Raises RubricError."""
    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise RubricError(f"{path}: {error.strerror}: name another file by --rubric") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RubricError(f"{path}: no TOML: {error}: correct it there") from error
    entries = content.pop("line", [])
    if content or not isinstance(entries, list) or not entries:
        raise RubricError(f"{path}: holds nothing but lines, each under its own [[line]]")
    lines = []
    for number, entry in enumerate(entries, 1):
        wrong = wrong_with(entry)
        if wrong:
            title = entry.get("title", "") if isinstance(entry, dict) else ""
            raise RubricError(f'{path}: line {number}, "{title}": {wrong}')
        words = tuple(re.compile(word, re.IGNORECASE) for word in entry.get("words", ()))
        lines.append(Line(**{**entry, "words": words}))
    return lines


def wrong_with(entry):
    """What is wrong with an entry of the rubric and how to mend it, or ""."""
    if not isinstance(entry, dict) or entry.get("kind") not in list(KINDS):
        return f"`kind` must be one of {', '.join(KINDS)}"
    needed = {"question", "title", "points", "kind"} | KINDS[entry["kind"]]
    missing, unknown = needed - set(entry), set(entry) - needed - {"extra"}
    if missing or unknown:
        what = [f"add `{key}`" for key in sorted(missing)]
        return ", ".join(what + [f"take out `{key}`, which is not known" for key in unknown])
    tests = {
        "question": (lambda v: type(v) is int and 1 <= v <= 4, "a number from 1 to 4"),
        "title": (lambda v: isinstance(v, str) and bool(v.strip()), "a text"),
        "points": (lambda v: is_number(v) and v >= 0, "a number, 0 or more"),
        "extra": (lambda v: isinstance(v, bool), "true or false"),
        "file": (lambda v: v in MODELS, f"one of {', '.join(MODELS)}"),
        "at_least": (lambda v: is_number(v) and 0 <= v <= 1, "a share such as 0.9 for 90%"),
        "at_most": (lambda v: type(v) is int and v >= 0, "a whole number of bytes"),
        "bits": (lambda v: type(v) is int and v > 0, "a whole number of bits"),
        "words": (are_patterns, "a list of texts that are regular expressions"),
    }
    for key, (fits, form) in tests.items():
        if key in entry and not fits(entry[key]):
            return f"`{key}` must be {form}"
    return ""


def is_number(value):
    """Whether a value of the rubric is a number that can be counted with."""
    return type(value) in (int, float) and math.isfinite(value)


def are_patterns(words):
    """Whether a value of the rubric is a list of regular expressions."""
    if not isinstance(words, list) or not words:
        return False
    try:
        return all(re.compile(word) for word in words)
    except (re.error, TypeError, OverflowError, RecursionError):
        return False


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
    if len(found) == 1:
        return f"cell {found[0]}"
    return f"cells {', '.join(found)}" if found else "found no such cell: read the notebook"


def totals(graded):
    """The Totals of some lines."""
    judged = [one for one in graded if one.points is not None]
    return Totals(
        sum(one.points for one in judged),
        sum(one.line.points for one in judged),
        sum(one.line.points for one in graded if one.points is None),
    )


def is_doubtful(rubric, name, correct, total):
    """Whether a share that was counted on some images lies so near a threshold of the rubric,
    within two standard errors, that only all images can tell the side."""
    if not total:
        return False
    share = correct / total
    error = max((share * (1 - share) / total) ** 0.5, 1 / total)
    thresholds = [line.at_least for line in rubric if line.kind == "accuracy" and line.file == name]
    return any(abs(share - least) <= 2 * error + 1e-9 for least in thresholds)


def hints(name, content, files):
    """[(Hint, the code that stands there or "")] for the notebook `name`, in its order.

    files: name -> File of the hand-in. What goes wrong in the search costs its hints only.
    """
    found: list[Hint] = []
    with contextlib.suppress(Exception):
        found += find_mistakes(content)
    models = {model: files[model] for model in MODELS_OF[name] if model in files}
    with contextlib.suppress(Exception):
        found += unlike_claims(content, models)
    return [(hint, code_line(content, *hint[1:3])) for hint in sorted(found, key=itemgetter(1, 2))]


def unlike_claims(content, files):
    """[Hint] if some models read much less than the outputs of their notebook say.

    files: name -> File of the question's models. A model of which the outputs say as little is
    no surprise, unless it guesses.
    """
    spoken = claims(content)
    cell, best = max(spoken, key=lambda claim: claim[1], default=(0, 0))
    low = [
        f"{name} reads {file.share:.1%}"
        for name, file in files.items()
        if file.total
        and file.share <= best - MUCH_LESS
        and not any(s > CHANCE and abs(s - file.share) <= NEAR for _, s in spoken)
    ]
    if not low:
        return []
    text = (
        f"The outputs of cell {cell} speak of {best:.1%}, and {' and '.join(low)} of the "
        "test images here. Look whether the file gets the same pixels as the network did: the "
        "label left among the pixels, another scaling, or another file."
    )
    return [Hint("unlike_claims", cell, 0, text)]
