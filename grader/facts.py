"""What a notebook shows of the work that its title asks for."""

import re
from pathlib import Path

from grader.answers import answers, cell_names, own_cells, silent, stubs
from grader.claims import MAX_OUTPUTS, claims, printed
from grader.hints import hints
from grader.notebook import problems, read_notebook
from grader.originality import runs
from grader.starters import Starter

MAX_CELL, MAX_PROSE = 8_000, 200_000  # characters of a cell's prose, of all
QKERAS = re.compile(r"\b(?:QConv2D|QDense|QActivation|quantized_(?:bits|po2|linear)|ternary)\b")
QSTATS = re.compile(r"Number of operations in model|\(\d+-bit unit\)|Weight sparsity|Total energy")


def facts(path, starter):
    """What a File needs to know of the notebook at `path`: problem, note and what it said.

    starter: the Starter of its question, as a tuple. `said` holds `printing`, how many cells
    should print, `silent`, the names of those without output, `stubs`, [(number, title)] of the
    tasks that are left, `unmade`, file -> the task that would make it, `answers` (see there),
    `prose`, [(name of a cell, text)] of what was written, `claims`, `printed` and whether `qkeras`
    is used and `qstats` was printed, `runs` for likeness, `names` of all cells. Raises Unfit.
    """
    starter = Starter(*starter)
    cells = read_notebook(Path(path).read_bytes())
    own, names = own_cells(cells, starter), cell_names(cells)
    printing, quiet = silent(cells)
    printed_length = sum(len(output.text) for cell in cells for output in cell.outputs)
    texts, cut = prose(own, names)
    cut |= printed_length > MAX_OUTPUTS
    told, left = answers(cells, starter), stubs(cells)
    unmade = {file: first(left, task) for file, task in starter.makes.items()}
    for answer in told or ():
        answer["cell"] = names.get(answer["cell"], "")
    return {
        "problem": ", ".join(problems(cells)),
        "note": "its text is too long to be searched whole" if cut else "",
        "said": {
            "printing": printing,
            "silent": [names[number] for number in quiet[:50]],
            "stubs": left,
            "unmade": unmade,
            "answers": told,
            "prose": texts,
            "claims": claims(cells),
            "printed": printed(cells),
            "qkeras": any(QKERAS.search(c.source) for c in own if c.kind == "code"),
            "qstats": any(QSTATS.search(o.text) for cell in cells for o in cell.outputs),
            "runs": runs(own),
            "names": names,
        },
    }


def first(left, task):
    """The title of the first task that is left, up to the number `task`, or ""."""
    return next((title for number, title in left if number <= task), "")


def prose(cells, names):
    """[(name, text)] of what Cells say in Markdown, in their source and their outputs, each text
    in one line, and whether some was left out."""
    texts, left, cut = [], MAX_PROSE, False
    for cell in cells:
        parts = [output.markdown for output in cell.outputs]
        if cell.kind == "markdown":
            parts.append(cell.source)
        said = " ".join(parts)
        text = " ".join(said[: min(MAX_CELL, left)].split())
        cut |= len(said) > min(MAX_CELL, left)
        if text:
            left -= len(text)
            texts.append((names[cell.number], text))
    return texts, cut


def hints_at(path):
    """See `grader.hints`, whose result gets the names of the cells."""
    found = hints(path)
    names = cell_names(read_notebook(Path(path).read_bytes()))
    return found | {"names": {h.cell: names[h.cell] for h, _ in found["hints"]}}
