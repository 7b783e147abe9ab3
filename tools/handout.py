"""The assignment as starters: the notebooks of the questions without their solutions.

    .venv/bin/python -m tools.handout

Writes build/handout/q1.ipynb to q4.ipynb. The scripts in notebooks/ say by tags which cells are
solutions, tasks and checks; the thresholds of the checks are those of grader/rubric.toml.
"""

import ast
import json
import re
import sys
from pathlib import Path

from nbformat.v4 import new_code_cell

from grader.rubric import RUBRIC, RubricError, read_rubric
from tools.figures import PLACEHOLDER
from tools.notebooks import (
    HELPERS,
    QUESTIONS,
    SOLUTION,
    TASK,
    assemble,
    notebook_path,
    read_cells,
    sources,
    tags,
    write_notebook,
)
from tools.run import RunError, exit_status

FOLDER = Path("build", "handout")


def starter(source, thresholds=()):
    """The notebook that students get of a script: no solutions, a stub below each task.

    Prose with figures of the published run is left out. Students name things as they like, so
    helpers are guarded against losing their names.

    thresholds: dict from the name of a .tflite file to the share that it must read.
    """
    cells = []
    for cell in read_cells(source):
        if SOLUTION not in tags(cell) and not PLACEHOLDER.search(cell.source):
            cell.source = with_thresholds(cell.source, dict(thresholds))
            cells += [cell, stub(cell)] if TASK in tags(cell) else [cell]
    made = assemble([new_code_cell("from toolkit.guard import guard"), *cells], source)
    for cell in made.cells:
        if cell.cell_type == "code" and tags(cell) & set(HELPERS["tags"]):
            names = [node.name for node in ast.parse(cell.source).body if hasattr(node, "name")]
            cell.source += f"\n\n\nguard({', '.join(map(json.dumps, names))})"
    return made


def stub(task):
    """The code cell below a task: it stops the notebook and says what to do."""
    heading = task.source.splitlines()[0].lstrip("# ").replace("`", "")
    lines = f'    "{heading}. "', '    "Write your code in place of this."'
    return new_code_cell("\n".join(["raise NotImplementedError(", *lines, ")"]))


def with_thresholds(text, thresholds):
    """A cell in which `check_file` asks of each file what the rubric asks."""

    def asked(match):
        share = thresholds.get(match["file"], match["share"])
        return f"{match['call']}{share})"

    pattern = r'(?P<call>check_file\("models/(?P<file>[^"]+)", data, at_least=)(?P<share>[\d.]+)\)'
    return re.sub(pattern, asked, text)


def main(root=Path()):
    """Writes the starters of the project in `root`. Raises RunError for a rubric that is none."""
    try:
        rubric = read_rubric(RUBRIC)
    except RubricError as error:
        raise RunError(str(error)) from error
    thresholds = {line.file: line.at_least for line in rubric if line.at_least}
    for source in sources(root, QUESTIONS):
        path = notebook_path(source, root / FOLDER)
        write_notebook(starter(source, thresholds), path)
        print(path)


if __name__ == "__main__":
    sys.exit(exit_status(main))
