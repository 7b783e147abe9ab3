"""The starters that a course hands out, as a hand-in is compared with them."""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from grader.names import NOTEBOOKS

ROOT = Path(__file__).parent.parent
STUB = re.compile(
    r"^[^#\n]*raise\s+NotImplementedError\(\s*[\"'](Task (\d+)[^\"'\n]*)", re.MULTILINE
)
QUESTION = re.compile(r"(?:^|(?<=\s))\*(?!\*|\s)([^*]+)\*(?!\*)$", re.MULTILINE)
FILE = re.compile(r"models/(\w+\.tflite)")


class Starter(NamedTuple):
    """What there is to know of a starter.

    cells: (kind, text) of each cell. questions: the places in `cells` of those that ask for an
    answer in words. makes: name of a .tflite file -> the number of the task that makes it.
    """

    cells: list
    questions: list
    makes: dict


@cache
def starters():
    """Name of a notebook -> its Starter."""
    from tools.handout import starter  # which reads the rubric

    return {
        name: starter_of(
            [
                (cell.cell_type, cell.source)
                for cell in starter(ROOT / "notebooks" / name.replace(".ipynb", ".py")).cells
            ]
        )
        for name in NOTEBOOKS
    }


def starter_of(cells):
    """The Starter of these cells, (kind, text)."""
    questions: list[int] = []
    makes: dict[str, int] = {}
    number = 0
    for place, (kind, text) in enumerate(cells):
        task = re.match(r"#+ Task (\d+)", text)
        if task:
            number = int(task[1])
            promised = text.partition("Afterwards")[2]
            makes |= {file: number for file in FILE.findall(promised)}
        elif kind == "markdown" and "?" in "".join(QUESTION.findall(text)):
            questions.append(place)
    return Starter(cells, questions, makes)


def plain_text(text):
    """A text in one line, for comparisons."""
    return " ".join(text.split())
