"""What a notebook says: its prose, its lines, and the accuracies that its outputs speak of.

Notebooks come from anywhere: whatever is not as nbformat has it is passed over, and of long
texts a part is read.
"""

import json
import re

MAX_CELL, MAX_PROSE = 8_000, 400_000  # characters of a cell's prose, of all
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


def read_cells(content):
    """[(number, cell)] of the bytes of a notebook, cells counted from 1; [] for other bytes."""
    try:
        cells = json.loads(content)["cells"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    cells = cells if isinstance(cells, list) else []
    return [(number, cell) for number, cell in enumerate(cells, 1) if isinstance(cell, dict)]


def joined(text):
    """The text of a cell or an output, which a notebook stores whole or in lines, as a str."""
    parts = text if isinstance(text, list) else [text]
    return "".join(part for part in parts if isinstance(part, str))


def outputs(cell):
    """The outputs of a cell and the data of each, [(output, data)], both dicts."""
    found = cell.get("outputs") or []
    for output in found if isinstance(found, list) else []:
        if isinstance(output, dict):
            data = output.get("data")
            yield output, data if isinstance(data, dict) else {}


def prose(content):
    """((cell, text), ...) of what a notebook says in Markdown, in its cells and its outputs.

    Each text stands in one line.
    """
    texts, left = [], MAX_PROSE
    for number, cell in read_cells(content):
        parts = [joined(data.get("text/markdown")) for _, data in outputs(cell)]
        if cell.get("cell_type") == "markdown":
            parts.append(joined(cell.get("source")))
        text = " ".join(" ".join(parts)[: min(MAX_CELL, left)].split())
        if text:
            left -= len(text)
            texts.append((number, text))
    return tuple(texts)


def code_line(content, cell, line):
    """A line of a cell, both counted from 1, without what is too long; "" if there is none."""
    lines = joined(dict(read_cells(content)).get(cell, {}).get("source")).split("\n")
    return lines[line - 1].strip()[:MAX_LINE] if 0 < line <= len(lines) else ""


def claims(content):
    """[(cell, share)] of the accuracies that the text outputs of a notebook speak of.

    Of lines of one output that differ in figures only, such as those of a training's epochs,
    the last counts.
    """
    found: list[tuple[int, float]] = []
    left = MAX_OUTPUTS
    for number, cell in read_cells(content):
        for output, data in outputs(cell):
            if left <= 0:
                return found
            text = joined(output.get("text") or data.get("text/plain"))[-MAX_OUTPUT:]
            left -= len(text)
            last = {}
            for line in re.split(r"[\r\n\b]+", text):
                last[re.sub(r"[^a-z_]+", "", line[:MAX_LINE].lower())] = line[:MAX_LINE]
            found += [(number, share) for line in last.values() for share in shares(line)]
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
