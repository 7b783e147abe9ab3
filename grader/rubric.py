"""What there are points for: the lines of rubric.toml."""

import math
import re
import tomllib
from pathlib import Path
from typing import NamedTuple

from grader.names import MODELS

RUBRIC = Path(__file__).with_name("rubric.toml")
KINDS = {
    "notebook": set(),
    "accuracy": {"file", "at_least"},
    "size": {"file", "at_most"},
    "bits": {"file", "bits"},
    "rules": set(),
    "qkeras": set(),
    "paper": set(),
    "reading": {"words"},
}
OPTIONAL = {"accuracy": {"printed"}, "reading": {"paper"}}


class RubricError(Exception):
    """A rubric that cannot be used; the message names the file, the line and the remedy."""


class Line(NamedTuple):
    """A line of the rubric; which of those after `extra` are given depends on `kind`, see KINDS.

    printed: bits a weight; where the file stores more, what the notebook printed counts. paper:
    whether the Word or PDF file is read, too.
    """

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
    printed: int = 0
    paper: bool = False


def read_rubric(path):
    """The lines of the rubric at `path`, a list of Line. Raises RubricError."""
    try:
        content = tomllib.loads(Path(path).read_bytes().decode("utf-8-sig"))
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
    unknown -= OPTIONAL.get(entry["kind"], set())
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
        "printed": (lambda v: type(v) is int and v > 0, "a whole number of bits"),
        "paper": (lambda v: isinstance(v, bool), "true or false"),
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
