"""Places of a notebook that are worth a second look; they change no points."""

import re
from pathlib import Path

from grader.mistakes import Hint, find_mistakes
from grader.notebook import read_notebook

MUCH_LESS, NEAR, CHANCE = 0.2, 0.05, 0.1  # shares of the test images
MAX_LINE, MAX_HINTS = 300, 30
ON_PURPOSE = re.compile(r"mistaken\w* =")  # a mistake that is shown as one


def hints(path):
    """{"hints": [(Hint, the code that stands there)], "whole": whether all was followed} of the
    notebook at `path`. Raises Unfit."""
    cells = read_notebook(Path(path).read_bytes())
    sources = {cell.number: cell.source.split("\n") for cell in cells}
    found, whole = find_mistakes(cells)
    lines = [sources[hint.cell][hint.line - 1].strip()[:MAX_LINE] for hint in found[:MAX_HINTS]]
    told = [one for one in zip(found, lines, strict=False) if not ON_PURPOSE.match(one[1])]
    return {"hints": told, "whole": whole and len(found) <= MAX_HINTS}


def unlike_claims(spoken, files):
    """[Hint] if some models read much less than the outputs of their notebook say.

    spoken: its claims. files: name -> File of the question's models. A model of which the outputs
    say as little is no surprise, unless it guesses.
    """
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
        f"The outputs of this cell speak of {best:.1%}, and {' and '.join(low)} of the "
        "test images here. Look whether the file gets the same pixels as the network did: the "
        "label left among the pixels, another scaling, or another file."
    )
    return [Hint("unlike_claims", cell, 0, text)]
