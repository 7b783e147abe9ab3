"""The code cells of a notebook as Python statements, also where a few lines are no Python."""

import ast
import json
import re
import warnings

MAX_CODE, MAX_REPAIRED, MAX_REPAIRS = 400_000, 30_000, 5

MAGIC = re.compile(r"^(\s*)(?:[\w, ]+=\s*(?:%[a-zA-Z]|!)|%{1,2}[a-zA-Z]|!|\?|[\w.]+\?+\s*$).*")
GIVEN = "#@title Helpers: "  # cells that starters come with
OTHER_CODE = re.compile(r"%%(?!time|timeit|capture|prun|python\b|python3)")


def read_cells(content):
    """[(number, text)] of the cells of Python code in the bytes of a notebook.

    The numbers count all cells from 1. Left out are helpers that were given, and what is beyond
    MAX_CODE characters in all.
    """
    try:
        cells = json.loads(content)["cells"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    found, left = [], MAX_CODE
    for number, cell in enumerate(cells if isinstance(cells, list) else [], 1):
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            lines = cell.get("source")
            lines = lines if isinstance(lines, list) else [lines]
            text = "".join(line for line in lines if isinstance(line, str))
            others = text.startswith(GIVEN) or OTHER_CODE.match(text.lstrip())
            if len(text) <= left and not others:
                found.append((number, text))
                left -= len(text)
    return found


def parse(text):
    """The statements of a cell; magics and a few lines that are no Python become `pass`."""
    lines = text.split("\n")
    for attempt in range(MAX_REPAIRS + 1):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse("\n".join(lines)).body
        except SyntaxError as error:
            if len(text) > MAX_REPAIRED or not error.lineno:
                return []
            if attempt == 0:
                lines = [MAGIC.sub(r"\1pass", line) for line in lines]
            else:
                leave_out(lines, min(error.lineno, len(lines)) - 1)
        except (ValueError, RecursionError, MemoryError):
            return []
    return []


def leave_out(lines, index):
    """Puts `pass` for a line, in place, and nothing for the block below it."""
    indents = [len(line) - len(line.lstrip()) for line in lines]
    lines[index] = " " * indents[index] + "pass"
    for below in range(index + 1, len(lines)):
        if lines[below].strip() and indents[below] <= indents[index]:
            break
        lines[below] = ""
