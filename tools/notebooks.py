"""Turns the scripts of notebooks/ into notebooks that work alone.

A script imports from the project's packages; in the notebook each of these imports has become a
folded cell with what the notebook reaches of that module. Names with "in sight" in the comment
beside them have their definitions in an open cell instead. Run as a program it brings the
prose of the committed notebooks up to date; their code is only replaced by `make publish`,
which executes it.
"""

import ast
import copy
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

import jupytext
import nbformat
from nbformat.v4 import new_code_cell
from packaging.requirements import Requirement

from benchmarks.trials import load_trials
from toolkit.embedded import is_binary, matching, packed
from toolkit.files import replacing
from toolkit.results import read_records
from tools.figures import fill, fill_from_studies, fill_from_trials, placeholders, recorded_figures
from tools.unfold import SourceError, names_in_sight, package_imports, parse, reach

# A script is taken as it stands: a comment that looks like a magic command stays one.
PERCENT = {"extension": ".py", "format_name": "percent", "comment_magics": False}
METADATA = {
    "colab": {"provenance": [], "toc_visible": True},
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


HELPERS = {
    "cellView": "form",  # Colab
    "jupyter": {"source_hidden": True},
    "tags": ["hide-input"],  # nbconvert, Jupyter Book, Quarto
}


INSTALLER = "install_missing|install_beside"  # the functions that take requirements

# Tags of the cells of a script. What students write themselves is left out of the handout; tasks,
# other cells for students and checks are left out of the solved notebook.
SOLUTION, TASK, HANDOUT, CHECK = "solution", "task", "handout", "check"
ASIDE = {TASK, HANDOUT, CHECK}


class Room(NamedTuple):
    """Notebooks that are executed, published and tested together, and their places.

    folder: of the notebooks, in which they are executed, with a folder models/ for their files.
    results: the file of their records. Both below the root of the project, or below build/.
    """

    folder: str
    results: str


QUESTIONS = Room("", "models/results.json")
STUDIES = Room("studies", "studies/results.json")
ROOMS = QUESTIONS, STUDIES


def room_of(source):
    """The room of a script in notebooks/: q1.py, q2.py ... are questions, all else studies."""
    return QUESTIONS if re.fullmatch(r"q\d+", Path(source).stem) else STUDIES


def sources(root, *rooms):
    """The scripts in notebooks/ of the project in `root` that belong to `rooms`, by default all."""
    scripts = sorted(Path(root, "notebooks").glob("*.py"))
    return [script for room in rooms or ROOMS for script in scripts if room_of(script) == room]


def notebook_path(source, root):
    """The place below `root` of the notebook that is made of a script."""
    return Path(root, room_of(source).folder, f"{Path(source).stem}.ipynb")


def build(source):
    """The notebook, without outputs, of the script `source` in notebooks/.

    Cells that are only in the handout (`ASIDE`) are left out. Raises SourceError for an import of
    a package in any other form than `from package.module import name, ...` at the start of a line.
    """
    return assemble([cell for cell in read_cells(source) if not tags(cell) & ASIDE], source)


def build_checks(source):
    """The cells with which a solved notebook is checked, after it has run; see `build`."""
    return assemble([cell for cell in read_cells(source) if CHECK in tags(cell)], source).cells


def read_cells(source):
    """The cells of a script in the percent format, with the tags of their headers; see `build`."""
    text = Path(source).read_text(encoding="utf-8")
    package_imports(parse(text, source), text, source)
    return jupytext.reads(text, fmt=PERCENT).cells


def tags(cell):
    """The tags of a cell, a set of str."""
    return set(cell.metadata.get("tags", ()))


def assemble(parts, source):
    """The notebook of these cells of a script, what they import unfolded; see `build`."""
    source = Path(source)
    root = source.resolve().parent.parent
    text = "\n\n".join(cell.source for cell in parts if cell.cell_type == "code")
    imports = package_imports(parse(text, source), text, source)
    reached = reach(root, imports)
    shown: dict[str, set[str]] = {}
    for node in imports:
        shown.setdefault(node.module, set()).update(names_in_sight(node, text))
    studies = {record["id"]: record for record in read_records(root / STUDIES.results)}
    trials = load_trials(root / "benchmarks" / "trials.json")
    cells: list[nbformat.NotebookNode] = []
    unfolded: set[str] = set()
    known: set[str] = set()  # imports of earlier cells
    for number, cell in enumerate(parts, 1):
        cell.id = f"cell-{number}"
        cell.metadata = nbformat.from_dict({})
        if cell.cell_type == "code":
            cell.source, imported = without_imports(cell.source, source)
            for module, names in imported:
                for helpers in unfold(module, reached, shown, unfolded):
                    helpers.source = import_once(helpers.source, known)
                    tree = ast.parse(helpers.source)
                    if tree.body[1:] if ast.get_docstring(tree) else tree.body:
                        cells.append(helpers)
                open_source = reached[module][0].definitions(names)
                cell.source = "\n\n\n".join(filter(None, [open_source, cell.source]))
            cells += carried_files(cell.source, root)
            cell.source = pin_versions(cell.source, root)
            import_once(cell.source, known)
        else:
            cell.source = fill_from_trials(fill_from_studies(cell.source, studies), trials)
        if cell.source:
            cells.append(cell)
    return nbformat.from_dict(
        {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    )


def unfold(name, reached, shown, unfolded):
    """Cells with what is reached of a module, after those of the modules that it needs.

    reached: see `reach`. shown: module -> names that have an open cell of their own.
    unfolded: set of the modules that have their cell already; extended.
    """
    if name in unfolded:
        return []
    unfolded.add(name)
    module, names = reached[name]
    needed = dict.fromkeys(module.imports[n] for n in module.imports if n in names)
    cells = [cell for other in needed for cell in unfold(other, reached, shown, unfolded)]
    title = f'#@title Helpers: {name} {{ display-mode: "form" }}\n'
    source = module.source(names - shown.get(name, set()))
    identifier = f"helpers-{name.replace('.', '-')}"
    return [*cells, new_code_cell(title + source, id=identifier, metadata=HELPERS)]


def carried_files(text, root):
    """Folded cells with the files of the project in `root` that a cell asks for by `write_files`.

    They fill FILES of toolkit/embedded.py. Raises SourceError for a file that is not there.
    """
    cells = []
    for path in [path for pattern in placed_files(text) for path in carried(pattern, root)]:
        content = Path(root, path).read_bytes()
        text = packed(content) if is_binary(path) else content.decode()
        title = f'#@title File: {path} {{ display-mode: "form" }}\n'
        source = f'{title}FILES["{path}"] = r"""{text}"""'
        identifier = "file-" + re.sub(r"[^a-z0-9]+", "-", path.lower())
        cells.append(new_code_cell(source, id=identifier[:64], metadata=HELPERS))
    return cells


def carried(pattern, root):
    """The files that a pattern names, at least one. Raises SourceError where there is none."""
    if not (paths := matching(pattern, root)):
        raise SourceError(f"{Path(root, pattern)}: there is no such file, but a notebook needs it")
    return paths


def placed_files(text):
    """What a source names in its calls of `write_files`, after the first argument."""
    calls = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "write_files"
    ]
    return [arg.value for call in calls for arg in call.args[1:] if isinstance(arg, ast.Constant)]


def import_once(text, known):
    """The source `text` without the imports that are `known`; its own are added to them.

    known: set of the imports of earlier cells, as statements with a single name.
    """
    lines = text.splitlines()
    nodes = [node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)]
    for node in reversed(nodes):
        singly = [single_import(node, alias) for alias in node.names]
        new = [alias for alias, one in zip(node.names, singly, strict=True) if one not in known]
        if not new:
            del lines[node.lineno - 1 : node.end_lineno]
        elif len(new) < len(singly):
            node.names = new
            lines[node.lineno - 1 : node.end_lineno] = [ast.unparse(node)]
        known.update(singly)
    return re.sub(r"\n{3,}(?=\S)", "\n\n\n", "\n".join(lines))


def single_import(node, alias):
    """The statement that imports one name of an import statement."""
    if isinstance(node, ast.Import):
        return ast.unparse(ast.Import([alias]))
    return ast.unparse(ast.ImportFrom(node.module, [alias], node.level))


def without_imports(text, path):
    """The source `text` without its imports of the packages, and these.

    They are a list of (module, names whose definitions are to be shown in the cell).
    """
    lines = text.splitlines()
    imports = package_imports(parse(text, path), text, path)
    for node in reversed(imports):
        start = node.lineno - 1
        while start and not lines[start - 1].strip():
            start -= 1
        del lines[start : node.end_lineno]
    return "\n".join(lines).strip(), [(node.module, names_in_sight(node, text)) for node in imports]


def pinned_versions(root):
    """The lines of requirements.txt in `root`: dict from package to requirement."""
    lines = Path(root, "requirements.txt").read_text(encoding="utf-8").splitlines()
    return {Requirement(line).name: line for line in lines if line and not line.startswith("#")}


def pin_versions(text, root):
    """The source of a cell whose call of an INSTALLER names the versions of requirements.txt."""
    if not (found := re.search(rf"\b({INSTALLER})\(", text)):
        return text
    pins = pinned_versions(root)

    def pinned(match):
        if match[1] not in pins:
            raise SourceError(f"requirements.txt has no {match[1]}, which a notebook installs")
        return repr(pins[match[1]]) if '"' in pins[match[1]] else f'"{pins[match[1]]}"'

    start = found.start()
    call = next(
        node
        for node in ast.walk(ast.parse(text[start:]))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == found[1]
    )
    end = start + len("\n".join(text[start:].splitlines()[: call.end_lineno]))
    return text[:start] + re.sub(r'"([^"]+)"', pinned, text[start:end]) + text[end:]


def code(notebook):
    """The sources of the code cells, a list of str."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def code_sha256(notebook):
    """Hex sha256 of the code cells."""
    return hashlib.sha256(json.dumps(code(notebook)).encode()).hexdigest()


def same_code(one, other):
    """Whether two notebooks have the same code cells."""
    return code(one) == code(other)


def same_text(built, executed):
    """Whether a notebook has the cells of one that was built, code and prose, outputs aside."""
    filled = fill(copy.deepcopy(built), recorded_figures(executed))
    cells = [[(cell.cell_type, cell.source) for cell in nb.cells] for nb in (filled, executed)]
    return cells[0] == cells[1]


def with_outputs(built, executed):
    """`built` with outputs, metadata and figures of `executed`, which has the same code cells."""
    results = iter([cell for cell in executed.cells if cell.cell_type == "code"])
    for cell in built.cells:
        if cell.cell_type == "code":
            result = next(results)
            cell.outputs, cell.execution_count = result.outputs, result.execution_count
    built.metadata = {**executed.metadata, **built.metadata}
    return fill(built, recorded_figures(executed))


def read_notebook(path):
    """Reads a notebook in the current format."""
    return nbformat.read(path, as_version=4)


def write_notebook(notebook, path):
    """Writes a valid notebook; whatever goes wrong, `path` is never half-written."""
    nbformat.validate(notebook)
    with replacing(path) as temporary:
        nbformat.write(notebook, temporary)


def main(root=Path()):
    """Refreshes the prose of the notebooks of `root`; 1 if the code of one has changed."""
    status = 0
    for source in sources(root):
        path = notebook_path(source, root)
        built = build(source)
        committed = read_notebook(path) if path.exists() else None
        if committed is None:
            print(f"{path.name} has not been made yet: run `make publish`")
            status = 1
        elif not same_code(built, committed):
            print(f"{path.name} has other code than {source}: run `make publish`")
            status = 1
        elif unknown := set(placeholders(built)) - set(recorded_figures(committed)):
            print(f"{path.name} has no figure for {unknown.pop()}: run `make publish`")
            status = 1
        elif same_text(built, committed):
            print(f"{path.name} is up to date")
        else:
            write_notebook(with_outputs(built, committed), path)
            print(f"{path.name}: prose refreshed, outputs kept")
    return status


if __name__ == "__main__":
    sys.exit(main())
