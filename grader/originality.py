"""Whose work it is: files and notebooks that are like others, for a person to look at.

Models are compared by the bytes of their weights, notebooks by runs of words and of code without
the names of variables, on the cells that differ from the starter.
"""

import contextlib
import keyword
import re
import zlib
from collections import Counter
from functools import cache
from itertools import permutations
from typing import NamedTuple

from grader.answers import own_cells
from grader.measures import measures
from grader.names import NOTEBOOKS
from grader.notebook import Cell, read_notebook
from grader.starters import ROOT, starters
from toolkit.tflite import ModelError

CODE, WORDS = 12, 5  # length of a run
PUBLISHED = "the published suite"
MIN_RUNS, ALIKE, COMMON, MANY = 80, 0.5, 1 / 3, 3
MAX_RUNS, MAX_TEXT = 20_000, 400_000
TOKEN = re.compile(
    r"#[^\n]*|[rbfuRBFU]{0,2}(?:'''.*?'''|\"\"\".*?\"\"\"|'[^'\n]*'|\"[^\"\n]*\")"
    r"|\.?[^\W\d]\w*(?:\s?\()?|\d[\w.]*|\S",
    re.DOTALL,
)


class Alike(NamedTuple):
    """What of a hand-in is like another, or like PUBLISHED, in words."""

    other: str
    what: str


def runs(cells):
    """The runs of Cells, as a sorted list of numbers without order."""
    found: set[int] = set()
    for cell in cells:
        text = cell.source[:MAX_TEXT]
        if cell.kind == "code":
            parts, length = list(map(general, TOKEN.findall(text))), CODE
            parts = [part for part in parts if part]
        else:
            parts, length = re.findall(r"\w+", text.lower()), WORDS
        for i in range(len(parts) - length + 1):
            found.add(zlib.crc32(" ".join(parts[i : i + length]).encode("utf-8", "replace")))
    return sorted(found)[:MAX_RUNS]


def general(token):
    """A token of Python without what a copy changes first: names, texts and comments."""
    if token[0] == "#":
        return ""
    if re.match(r"[rbfuRBFU]{0,2}['\"]", token):
        return "s"
    if token[0] == "." or token[-1] == "(" or keyword.iskeyword(token):
        return token
    return "v" if re.match(r"[^\W\d]", token) else token


@cache
def published_files():
    """sha256 of `grader.measures` -> name of the published suite's models."""
    found = {}
    for path in sorted([*ROOT.glob("models/*.tflite"), *ROOT.glob("studies/models/*.tflite")]):
        with contextlib.suppress(ModelError):  # LiteRT does not load those with codebooks
            found[measures(path.read_bytes())["sha256"]] = path.name
    return found


@cache
def published_runs():
    """Name of a notebook -> the runs of the published suite's, as a set."""
    found = {}
    for name in NOTEBOOKS:
        cells = own_cells(read_notebook((ROOT / name).read_bytes()), starters()[name])
        found[name] = set(runs(cells))
    return found


@cache
def starter_runs():
    """The runs of all starters, as a set: what nobody wrote."""
    cells = [Cell(0, kind, text, []) for one in starters().values() for kind, text in one.cells]
    return set(runs(cells))


def share(one, other):
    """The share of the smaller of two sets that is in the other; 0 where there is little."""
    least = min(len(one), len(other))
    return len(one & other) / least if least >= MIN_RUNS else 0


def likenesses(students, own=False):
    """name -> [Alike] of some hand-ins.

    students: name -> {"models": {file: sha256}, "runs": {notebook: list}}. own: whether they are
    of the published suite's authors, and not to be compared with it.
    """
    given = starter_runs()
    parts = {n: {q: set(r) - given for q, r in s["runs"].items()} for n, s in students.items()}
    told: dict[str, list] = {name: [] for name in students}
    if not own:
        files, texts = published_files(), published_runs()
        texts = {notebook: found - given for notebook, found in texts.items()}
        for name, student in students.items():
            add(told[name], PUBLISHED, parts[name], texts, student["models"], files)
    for notebook in NOTEBOOKS:
        counts = Counter(run for one in parts.values() for run in one.get(notebook, ()))
        common = {run for run, count in counts.items() if count > max(4, COMMON * len(parts))}
        for one in parts.values():
            if notebook in one:
                one[notebook] -= common
    for one, other in permutations(students, 2):
        files = {digest: file for file, digest in students[other]["models"].items()}
        add(told[one], other, parts[one], parts[other], students[one]["models"], files)
    return told


def add(told, other, own, texts, models, files):
    """Adds to `told`, [Alike], what there is of the notebooks and models of another."""
    shares = {q: share(found, texts[q]) for q, found in own.items() if q in texts}
    alike = [f"{q} is {likeness:.0%} alike" for q, likeness in shares.items() if likeness >= ALIKE]
    same = [file for file, digest in models.items() if digest in files]
    if same:
        which = f"{len(same)} models" if len(same) > MANY else ", ".join(same)
        alike.append(f"the same: {which}")
    if alike:
        told.append(Alike(other, "; ".join(alike)))
