"""Mistakes that notebooks handed in often hold, found without running anything.

The code of the cells is followed in order, as it would run: each name stands for a `Value`, what
is known of an array, a table or a model. Functions of the notebook are followed where they are
called. What cannot be told gives no hint.
"""

from grader.mistakes.cells import read_cells
from grader.mistakes.finders import TEXTS, Finder, Hint
from grader.mistakes.follow import Follower

__all__ = ["TEXTS", "Hint", "find_mistakes"]


def find_mistakes(content: bytes) -> list[Hint]:
    """Hints at mistakes in the bytes of a notebook, in its order; [] for what is no notebook."""
    cells = read_cells(content)
    finder = Finder("\n".join(text for _, text in cells))
    Follower(finder).follow(cells)
    return finder.found()
