"""The accuracies that the outputs of a notebook speak of. Of long outputs a part is read."""

import re

MAX_OUTPUT, MAX_OUTPUTS, MAX_LINE = 20_000, 1_000_000, 300
NAMED = re.compile(
    r"acc(?:uracy)?(?:_score)?\b(?:\s+|(?:(?!  )[^\d%-]){0,30})"
    r"(\d{1,3}(?:\.\d+)?)(?!\.?\d|e)(\s?%)?",
    re.IGNORECASE,
)
PERCENT = re.compile(r"(?<![\d.,-])(\d{1,3}(?:\.\d+)?)\s?%(?!\s*\|)")
SPEAKS = re.compile(r"accura|acc\b|correct|right|\btest\b|^\W*[\d.]+\s?%\W*$", re.IGNORECASE)
CHECKED = re.compile(r"network reads (\d{1,3}(?:\.\d+)?)% of the test file")
OF_OTHERS = re.compile(
    r"zero|spars|interval|confidence|smaller|compress|size|byte|reduc|drop", re.IGNORECASE
)


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


def printed(cells):
    """The accuracy that the outputs of Cells give for a network on the test file, or None."""
    texts = [o.text[-MAX_OUTPUT:] for cell in cells for o in cell.outputs]
    checked = [float(share) / 100 for text in texts for share in CHECKED.findall(text)]
    found = checked or [share for _, share in claims(cells)]
    return found[-1] if found else None
