"""Reads a notebook that came from anywhere, whatever in it is not as nbformat has it."""

import json
from typing import NamedTuple

from grader.kinds import lookalike
from grader.processes import Unfit


class Output(NamedTuple):
    """An output of a cell: its type, its plain text and its Markdown."""

    kind: str
    text: str
    markdown: str


class Cell(NamedTuple):
    """A cell, counted from 1 among all: its type, its text and its outputs."""

    number: int
    kind: str
    source: str
    outputs: list[Output]


def read_notebook(content):
    """The Cells of the bytes of a notebook; what is odd in it is passed over. Raises Unfit."""
    try:
        notebook = json.loads(content)
    except RecursionError as error:
        raise Unfit("not a notebook: nested too deeply") from error
    except ValueError as error:
        what = lookalike(content, "a notebook")
        raise Unfit(what or f"not a notebook: {reason(error)}") from error
    if not isinstance(notebook, dict):
        raise Unfit("not a notebook")
    version = notebook.get("nbformat")
    if "worksheets" in notebook or (isinstance(version, int) and version < 4):
        told = f"an old notebook format ({str(version)[:5]})"
        raise Unfit(f"{told}: open it in Jupyter or Colab and save it again")
    if not isinstance(notebook.get("cells"), list):
        raise Unfit(lookalike(content, "a notebook") or "not a notebook")
    cells = enumerate(notebook["cells"], 1)
    return [read_cell(number, cell) for number, cell in cells if cell and isinstance(cell, dict)]


def reason(error):
    """Why bytes are no JSON, in words."""
    if isinstance(error, json.JSONDecodeError):
        cut = error.msg.startswith("Unterminated") or not error.doc[error.pos :].strip()
        return "it breaks off" if cut else f"damaged in line {error.lineno}"
    return "its text is no UTF-8" if isinstance(error, UnicodeDecodeError) else "damaged"


def read_cell(number, cell):
    outputs = cell.get("outputs")
    outputs = outputs if isinstance(outputs, list) else []
    return Cell(
        number,
        joined(cell.get("cell_type")),
        joined(cell.get("source")),
        [read_output(output) for output in outputs if isinstance(output, dict)],
    )


def read_output(output):
    data = output.get("data")
    data = data if isinstance(data, dict) else {}
    text = output.get("text") or data.get("text/plain")
    texts = output.get("output_type"), text, data.get("text/markdown")
    return Output(*map(joined, texts))


def joined(text):
    """A text, which a notebook stores whole or in lines, as a str."""
    parts = text if isinstance(text, list) else [text]
    return "".join(part for part in parts if isinstance(part, str))


def problems(cells):
    """What is wrong with the Cells of a notebook that was handed in, a list of str.

    Cells without a number are fine: nbformat allows it, and Colab saves such notebooks. What
    counts is that outputs are saved.
    """
    outputs = [cell.outputs for cell in cells if cell.kind == "code"]
    errors = sum(any(output.kind == "error" for output in some) for some in outputs)
    found = [] if any(outputs) else ["no outputs saved: run all cells and save it"]
    return found + ([f"{errors} cell{'s' if errors > 1 else ''} with an error"] if errors else [])
