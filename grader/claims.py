"""What a notebook says: its prose, and the accuracies that its outputs speak of.

Of long texts a part is read.
"""

import re
from pathlib import Path

from grader.notebook import problems, read_notebook

MAX_CELL, MAX_PROSE = 8_000, 200_000  # characters of a cell's prose, of all
MAX_OUTPUT, MAX_OUTPUTS, MAX_LINE = 20_000, 1_000_000, 300
NAMED = re.compile(
    r"acc(?:uracy)?(?:_score)?\b(?:\s+|(?:(?!  )[^\d%-]){0,30})"
    r"(\d{1,3}(?:\.\d+)?)(?!\.?\d|e)(\s?%)?",
    re.IGNORECASE,
)
PERCENT = re.compile(r"(?<![\d.,-])(\d{1,3}(?:\.\d+)?)\s?%(?!\s*\|)")
SPEAKS = re.compile(r"accura|acc\b|correct|right|\btest\b|^\W*[\d.]+\s?%\W*$", re.IGNORECASE)
OF_OTHERS = re.compile(
    r"zero|spars|interval|confidence|smaller|compress|size|byte|reduc|drop", re.IGNORECASE
)


def facts(path):
    """What a File needs to know of the notebook at `path`. Raises Unfit."""
    cells = read_notebook(Path(path).read_bytes())
    texts = [[output.markdown for output in cell.outputs] for cell in cells]
    said = [len(cell.source) for cell in cells if cell.kind == "markdown"]
    said += [sum(map(len, text)) for text in texts]
    printed = sum(len(output.text) for cell in cells for output in cell.outputs)
    cut = max(said, default=0) > MAX_CELL or sum(said) > MAX_PROSE or printed > MAX_OUTPUTS
    return {
        "problem": ", ".join(problems(cells)),
        "prose": prose(cells),
        "claims": claims(cells),
        "note": "its text is too long to be searched whole" if cut else "",
    }


def prose(cells):
    """[(cell, text)] of what Cells say in Markdown, in their source and their outputs.

    Each text stands in one line.
    """
    texts, left = [], MAX_PROSE
    for cell in cells:
        parts = [output.markdown for output in cell.outputs]
        if cell.kind == "markdown":
            parts.append(cell.source)
        text = " ".join(" ".join(parts)[: min(MAX_CELL, left)].split())
        if text:
            left -= len(text)
            texts.append((cell.number, text))
    return texts


def claims(cells):
    """[(cell, share)] of the accuracies that the text outputs of Cells speak of.

    Of lines of one output that differ in figures only, such as those of a training's epochs,
    the last counts.
    """
    found: list[tuple[int, float]] = []
    left = MAX_OUTPUTS
    for cell in cells:
        for output in cell.outputs:
            if left <= 0:
                return found
            text = output.text[-MAX_OUTPUT:]
            left -= len(text)
            last = {}
            for line in re.split(r"[\r\n\b]+", text):
                last[re.sub(r"[^a-z_]+", "", line[:MAX_LINE].lower())] = line[:MAX_LINE]
            found += [(cell.number, share) for line in last.values() for share in shares(line)]
    return found


def shares(line):
    """The accuracies that a line of an output speaks of, shares from 0 to 1."""
    found = []
    for number, percent in NAMED.findall(line):
        value = float(number)
        if percent or "." in number:
            found.append(value / 100 if percent or value > 1 else value)
    if SPEAKS.search(line) and not OF_OTHERS.search(line):
        found += [float(number) / 100 for number in PERCENT.findall(line)]
    return [share for share in found if share <= 1]
