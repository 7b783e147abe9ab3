"""Turns the scripts of notebooks/ into notebooks that work alone.

A script imports from the package signmnist; in the notebook each of these imports has
become a folded cell with the module's source. Run as a program it brings the prose of
the notebooks in the root up to date; their code is only replaced by `make publish`,
which executes it.
"""

import ast
import hashlib
import json
import sys
from pathlib import Path

import jupytext
import nbformat
from nbformat.v4 import new_code_cell

from signmnist.data import replacing

PACKAGE = "signmnist"
# A script is taken as it stands: a comment that looks like a magic command stays one.
PERCENT = {"extension": ".py", "format_name": "percent", "comment_magics": False}
METADATA = {
    "colab": {"provenance": [], "toc_visible": True},
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class SourceError(Exception):
    """A source that cannot become a notebook; the message names the file and the line."""


def sources(root):
    """The scripts notebooks/q*.py of the project in `root`, in order."""
    return sorted(Path(root, "notebooks").glob("q*.py"))


def build(source):
    """The notebook, without outputs, of the script `source` in notebooks/.

    Raises SourceError for an import of the package in any other form than
    `from signmnist.module import name, ...` at the start of a line.
    """
    source = Path(source)
    package = source.resolve().parent.parent / PACKAGE
    text = source.read_text(encoding="utf-8")
    package_imports(text, source)  # on the whole script, for the line numbers
    cells: list[nbformat.NotebookNode] = []
    unfolded: set[str] = set()
    for number, cell in enumerate(jupytext.reads(text, fmt=PERCENT).cells, 1):
        cell.id = f"cell-{number}"
        cell.metadata.pop("lines_to_next_cell", None)
        if cell.cell_type == "code":
            cell.source, modules = without_imports(cell.source, source)
            for module in modules:
                cells += unfold(module, package, unfolded)
        if cell.source:
            cells.append(cell)
    return nbformat.from_dict(
        {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    )


def unfold(module, package, unfolded):
    """Cells with the source of a module of `package`, after those of what it imports.

    unfolded: set of the modules that have their cell already; extended.
    """
    if module in unfolded:
        return []
    unfolded.add(module)
    path = package / f"{module}.py"
    text, imports = without_imports(path.read_text(encoding="utf-8"), path)
    cells = [cell for name in imports for cell in unfold(name, package, unfolded)]
    title = f'#@title Helpers: {module} {{ display-mode: "form" }}\n'
    metadata = {"cellView": "form", "jupyter": {"source_hidden": True}}
    return [*cells, new_code_cell(title + text, id=f"helpers-{module}", metadata=metadata)]


def without_imports(text, path):
    """The source `text` without its imports of the package, and the modules they name."""
    lines = text.splitlines()
    imports = package_imports(text, path)
    for node in reversed(imports):
        start = node.lineno - 1
        while start and not lines[start - 1].strip():
            start -= 1
        del lines[start : node.end_lineno]
    return "\n".join(lines).strip(), [node.module.removeprefix(f"{PACKAGE}.") for node in imports]


def package_imports(text, path):
    """The `from signmnist.module import ...` statements of a source, as ast nodes.

    Raises SourceError where the package is imported in a form that cannot be unfolded,
    and for source that is not Python.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise SourceError(f"{path}:{error.lineno}: {error.msg}") from error
    lines, found = text.splitlines(), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            ours = any(alias.name.split(".")[0] == PACKAGE for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            ours = bool(node.level) or module.split(".")[0] == PACKAGE
        else:
            continue
        if not ours:
            continue
        plain = (
            isinstance(node, ast.ImportFrom)
            and not node.level
            and module.count(".") == 1
            and not any(alias.asname or alias.name == "*" for alias in node.names)
        )
        after = (
            lines[(node.end_lineno or node.lineno) - 1]
            .encode()[node.end_col_offset :]
            .decode()
            .strip()
        )
        if not plain or node.col_offset or (after and not after.startswith("#")):
            raise SourceError(
                f"{path}:{node.lineno}: `{ast.unparse(node)}` cannot be unfolded; write "
                f"`from {PACKAGE}.module import name, ...` on lines of its own at top level"
            )
        found.append(node)
    return found


def code(notebook):
    """The sources of the code cells, a list of str."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def code_sha256(notebook):
    """Hex sha256 of the code cells."""
    return hashlib.sha256(json.dumps(code(notebook)).encode()).hexdigest()


def same_code(one, other):
    """Whether two notebooks have the same code cells."""
    return code(one) == code(other)


def same_text(one, other):
    """Whether two notebooks have the same cells, code and prose, outputs aside."""
    cells = [[(cell.cell_type, cell.source) for cell in nb.cells] for nb in (one, other)]
    return cells[0] == cells[1]


def with_outputs(built, executed):
    """`built` with the outputs and metadata of `executed`, which has the same code cells."""
    results = iter([cell for cell in executed.cells if cell.cell_type == "code"])
    for cell in built.cells:
        if cell.cell_type == "code":
            result = next(results)
            cell.outputs, cell.execution_count = result.outputs, result.execution_count
    built.metadata = {**executed.metadata, **built.metadata}
    return built


def read_notebook(path):
    """Reads a notebook in the current format."""
    return nbformat.read(path, as_version=4)


def write_notebook(notebook, path):
    """Writes a valid notebook; whatever goes wrong, `path` is never half-written."""
    nbformat.validate(notebook)
    with replacing(path) as temporary:
        nbformat.write(notebook, temporary)


def main(root=Path()):
    """Refreshes the prose of the notebooks in `root`; 1 if the code of one has changed."""
    status = 0
    for source in sources(root):
        path = Path(root, f"{source.stem}.ipynb")
        built = build(source)
        committed = read_notebook(path) if path.exists() else None
        if committed is None:
            print(f"{path.name} has not been made yet: run `make publish`")
            status = 1
        elif not same_code(built, committed):
            print(f"{path.name} has other code than {source}: run `make publish`")
            status = 1
        elif same_text(built, committed):
            print(f"{path.name} is up to date")
        else:
            write_notebook(with_outputs(built, committed), path)
            print(f"{path.name}: prose refreshed, outputs kept")
    return status


if __name__ == "__main__":
    sys.exit(main())
