"""The assignment as starters: the notebooks of the questions without their solutions.

    .venv/bin/python -m tools.handout

Writes build/handout/q1.ipynb to q4.ipynb. The scripts in notebooks/ say by tags which cells are
solutions, tasks and checks; points, and the thresholds of the checks, are those of
grader/rubric.toml.
"""

import ast
import json
import re
import sys
from pathlib import Path

import jinja2
from nbformat.v4 import new_code_cell, new_markdown_cell

from grader.grading import asked
from grader.names import MODELS_OF
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
from tools.unfold import Piece, bound_by

FOLDER = Path("build", "handout")


# What the checks of a task ask of what they are given, in words
LIMITS = {
    "check_network": "`{}` reads at least {at_least:.0%} of the test file",
    "check_file": "`{}` reads at least {at_least:.0%} of the test file",
    "check_clustered": "each kernel of `{}` has at most {at_most} values",
    "check_pruned": "at least {at_least:.0%} of the weights in the kernels of `{}` are zero",
    "check_quantizers": "the quantizers of `{}` have at most {bits} bits",
    "check_bits": "`{}` stores at most {at_most} bits a weight",
}
NOQA = re.compile(r"  # noqa: \w+$", re.MULTILINE)  # a remark to the linter alone
KERAS = {"q1": "sign_mnist_baseline.keras", "q4": "sign_mnist_qkeras_4bit.keras"}
PAPERS = {"q4": ["q4_report.docx", "q4_report.pdf"]}
TEXTS = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def starter(source, rubric=None):
    """The notebook that students get of a script: no solutions, a stub below each task.

    What there are points for stands below its title, what the checks ask in the tasks, and a cell
    that packs what is to be handed in at the end. Prose with figures of the published run is left
    out, and so is what a cell imports for the solutions only. Students name things as they like,
    so helpers are guarded against losing their names.

    rubric: a list of Line, by default that of the project.
    """
    rubric = read_rubric(RUBRIC) if rubric is None else rubric
    thresholds = {line.file: line.at_least for line in rubric if line.at_least}
    kept = [
        cell
        for cell in read_cells(source)
        if SOLUTION not in tags(cell) and not PLACEHOLDER.search(cell.source)
    ]
    for cell in kept:
        cell.source = with_thresholds(NOQA.sub("", cell.source), thresholds)
    title, *rest = with_limits(without_idle_imports(kept))
    cells = [new_code_cell("from toolkit.guard import guard"), title, front(source, rubric)]
    for cell in rest:
        cells += [cell, stub(cell)] if TASK in tags(cell) else [cell]
    made = assemble([*cells, *hand_in(source)], source)
    for cell in made.cells:
        if cell.cell_type == "code" and tags(cell) & set(HELPERS["tags"]):
            names = [node.name for node in ast.parse(cell.source).body if hasattr(node, "name")]
            cell.source += f"\n\n\nguard({', '.join(map(json.dumps, names))})"
    return made


def front(source, rubric):
    """The cell that says what there are points for and how to work with a starter."""
    lines = [line for line in rubric if f"q{line.question}" == source.stem]
    template = TEXTS.get_template("starter.md.j2")
    return new_markdown_cell(template.render(lines=lines, asked=asked, question=source.stem))


def hand_in(source):
    """The cells with which a student packs what is to be handed in."""
    name = source.stem
    models = [*filter(None, [KERAS.get(name)]), *MODELS_OF[f"{name}.ipynb"]]
    text = TEXTS.get_template("starter_hand_in.md.j2").render(question=name)
    arguments = [json.dumps(name), *(json.dumps(model) for model in models)]
    arguments += [f"papers={json.dumps(PAPERS[name])}"] if name in PAPERS else []
    call = "".join(f"    {argument},\n" for argument in arguments)
    code = f"from toolkit.bundle import pack\n\npack(\n{call})"
    return [new_markdown_cell(text), new_code_cell(code)]


def with_limits(cells):
    """The cells of a script in which each task ends with what the checks below it ask."""
    task = None
    for cell in cells:
        if TASK in tags(cell):
            task = cell
        elif task and cell.cell_type == "code":
            limits = limits_of(cell.source)
            if limits and "**Asked:**" not in task.source:
                task.source += "\n\n**Asked:**"
            task.source += "".join(f"\n- {limit}" for limit in limits)
    return cells


def limits_of(text):
    """What the checks in a code cell ask, in words."""
    found = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            call = node.value
            words = LIMITS.get(ast.unparse(call.func))
            if words:
                what = ast.unparse(call.args[0]).strip("'")
                limits = {str(key.arg): ast.literal_eval(key.value) for key in call.keywords}
                found.append(words.format(what, **limits).replace("%", " %"))
    return found


def without_idle_imports(cells):
    """The cells of a script without the names that untagged ones import for solutions alone.

    A name stays that code of the cells uses, or their prose in a code span.
    """
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    prose = " ".join(cell.source for cell in cells if cell.cell_type == "markdown")
    wanted = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`]+`", prose))))
    for node in (node for text in code for node in ast.walk(ast.parse(text))):
        if isinstance(node, ast.Name):
            wanted.add(node.id)
    for cell in cells:
        if cell.cell_type != "code" or tags(cell):
            continue
        lines = cell.source.splitlines()
        for node in reversed(ast.parse(cell.source).body):
            names = {bound_by(alias) for alias in getattr(node, "names", ())}
            if isinstance(node, ast.ImportFrom) and names - wanted:
                own = Piece(node, lines, node.lineno - 1).source(wanted) if names & wanted else []
                lines[node.lineno - 1 : node.end_lineno] = own
        cell.source = "\n".join(lines)
    return cells


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
    for source in sources(root, QUESTIONS):
        path = notebook_path(source, root / FOLDER)
        write_notebook(starter(source, rubric), path)
        print(path)


if __name__ == "__main__":
    sys.exit(exit_status(main))
