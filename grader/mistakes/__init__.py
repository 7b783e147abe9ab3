"""Mistakes that notebooks handed in often hold, found without running anything.

The code of the cells is followed in order, as it would run: each name stands for a `Value`, what
is known of an array, a table or a model. Functions of the notebook are followed where they are
called. What cannot be told gives no hint.
"""

from grader.mistakes.cells import python_cells
from grader.mistakes.finders import TEXTS, Finder, Hint
from grader.mistakes.follow import Follower

__all__ = ["TEXTS", "Hint", "find_mistakes"]


def find_mistakes(cells) -> tuple[list[Hint], bool]:
    """Hints at mistakes in the Cells of a notebook, in its order, and whether all was followed.

    What is too long or nested too deeply is not.
    """
    code = python_cells(cells)
    finder = Finder("\n".join(text for _, text in code))
    whole = Follower(finder).follow(code)
    return finder.found(), whole
