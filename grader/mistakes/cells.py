"""The code cells of a notebook as Python statements, also where a few lines are no Python."""

import ast
import re
import warnings

MAX_CODE, MAX_REPAIRED, MAX_REPAIRS = 400_000, 30_000, 5

# possessive, for lines that are long
MAGIC = re.compile(
    r"^(\s*+)(?:[\w, ]++=\s*+(?:%[a-zA-Z]|!)|%{1,2}[a-zA-Z]|!|\?|[\w.]++\?++\s*+$).*"
)
GIVEN = "#@title Helpers: "  # cells that starters come with
OTHER_CODE = re.compile(r"%%(?!time|timeit|capture|prun|python\b|python3)")


def python_cells(cells):
    """[(number, text)] of those Cells of a notebook that are Python, but for given helpers."""
    return [
        (cell.number, cell.source)
        for cell in cells
        if cell.kind == "code"
        and not cell.source.startswith(GIVEN)
        and not OTHER_CODE.match(cell.source.lstrip())
    ]


def parse(text):
    """The statements of a cell; magics and a few lines that are no Python become `pass`.

    None for what is too long or nested too deeply.
    """
    lines = text.split("\n")
    for attempt in range(MAX_REPAIRS + 1):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse("\n".join(lines)).body
        except SyntaxError as error:
            if len(text) > MAX_REPAIRED or not error.lineno:
                return None if error.lineno else []
            if attempt == 0:
                lines = [MAGIC.sub(r"\1pass", line) for line in lines]
            else:
                leave_out(lines, min(error.lineno, len(lines)) - 1)
        except (RecursionError, MemoryError):
            return None
        except ValueError:
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
