"""Scripts become self-contained notebooks, and the committed ones equal their scripts."""

import ast
import base64
import builtins
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_output

from tools.html import page
from tools.names import clashes
from tools.notebooks import (
    HELPERS,
    QUESTIONS,
    STUDIES,
    build,
    code_sha256,
    main,
    notebook_path,
    read_notebook,
    same_code,
    same_text,
    sources,
    write_notebook,
)
from tools.stamps import executed_whole, stamp_of
from tools.unfold import SourceError, bound_names, global_names

ROOT = Path(__file__).parent.parent

SCRIPT = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Something else
#     name: something-else
# ---

# %% [markdown]
# # A question

# %%
import math

from signmnist.shapes import (
    area,
    ring,  # a comment
)

radius = 2

# %%
from toolkit.numbers import TWO

# %%
# !pip is only mentioned here
print(area(radius), TWO)
"""
SHAPES = '''\
"""Areas."""

import math
import sys

from toolkit.numbers import TWO


def area(radius):
    return math.pi * radius**TWO


# rings are thin
ring = area


def unused(radius):
    return sys.maxsize
'''


@pytest.fixture
def project(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "signmnist").mkdir()
    (tmp_path / "toolkit").mkdir()
    (tmp_path / "notebooks" / "q1.py").write_text(SCRIPT)
    (tmp_path / "signmnist" / "shapes.py").write_text(SHAPES)
    (tmp_path / "toolkit" / "numbers.py").write_text('"""Numbers."""\n\nTWO = 2\nSIX = 6\n')
    return tmp_path


def executed(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = 1
            cell.outputs = [new_output("stream", text="12.6")]
    notebook.metadata["signmnist"] = {"profile": "full"}
    return notebook


def test_imports_become_folded_cells_dependencies_first(project):
    notebook = build(project / "notebooks" / "q1.py")
    nbformat.validate(notebook)
    assert [cell.id for cell in notebook.cells] == [
        "cell-1", "helpers-toolkit-numbers", "helpers-signmnist-shapes", "cell-2", "cell-4"
    ]  # fmt: skip
    numbers, shapes = notebook.cells[1:3]
    assert numbers.source == (
        '#@title Helpers: toolkit.numbers { display-mode: "form" }\n"""Numbers."""\n\nTWO = 2'
    )
    title, docstring = shapes.source.splitlines()[:2]
    assert title == '#@title Helpers: signmnist.shapes { display-mode: "form" }'
    assert docstring == '"""Areas."""'
    assert shapes.metadata == HELPERS
    assert HELPERS["tags"] == ["hide-input"] and HELPERS["jupyter"] == {"source_hidden": True}


def test_only_what_a_notebook_reaches_is_unfolded_with_its_comments(project):
    source = build(project / "notebooks" / "q1.py").cells[2].source
    assert "import math" in source and "def area" in source and "# rings are thin" in source
    assert "unused" not in source and "import sys" not in source
    script = project / "notebooks" / "q1.py"
    script.write_text(SCRIPT.replace("    ring,  # a comment\n", ""))
    assert "ring" not in build(script).cells[2].source


def test_what_is_to_be_in_sight_stands_in_an_open_cell_where_it_is_imported(project):
    script = project / "notebooks" / "q1.py"
    script.write_text("# %%\nfrom signmnist.shapes import area, ring  # in sight\n\narea(1)\n")
    cells = build(script).cells
    assert [cell.id for cell in cells] == [
        "helpers-toolkit-numbers", "helpers-signmnist-shapes", "cell-1"
    ]  # fmt: skip
    assert cells[1].source.splitlines()[1:] == ['"""Areas."""', "", "import math"]
    assert cells[2].source.startswith("def area(radius):\n") and not cells[2].metadata
    assert cells[2].source.endswith("# rings are thin\nring = area\n\n\narea(1)")


def test_files_that_a_notebook_places_are_carried_in_folded_cells(project):
    (project / "toolkit" / "embedded.py").write_text(
        (ROOT / "toolkit" / "embedded.py").read_text().replace("from toolkit.files", "from files")
    )
    (project / "kernels.c").write_text('int zero = 0; /* "\\n" */\n')
    (project / "m.tflite").write_bytes(bytes(range(256)))
    script = project / "notebooks" / "q1.py"
    script.write_text(
        "# %%\nfrom toolkit.embedded import write_files\n\n"
        '# %%\nwrite_files("made", "kernels.c", "m.tflite")\n'
    )
    *_, source, model, _ = cells = build(script).cells
    assert [cell.id for cell in cells[-3:]] == ["file-kernels-c", "file-m-tflite", "cell-2"]
    assert source.metadata == HELPERS
    carried: dict[str, str] = {}
    for cell in (source, model):
        exec(cell.source, {"FILES": carried})
    assert carried["kernels.c"] == (project / "kernels.c").read_text()
    assert base64.b64decode(carried["m.tflite"]) == bytes(range(256))
    (project / "m.tflite").unlink()
    with pytest.raises(SourceError, match=r"m\.tflite: there is no such file"):
        build(script)


def test_a_name_that_a_module_lacks_is_told(project):
    script = project / "notebooks" / "q1.py"
    script.write_text("# %%\nfrom signmnist.shapes import volume\n")
    with pytest.raises(SourceError, match=r"shapes\.py: there is no volume"):
        build(script)


def test_the_set_up_cell_names_the_versions_of_requirements_txt(project):
    (project / "requirements.txt").write_text(
        '# a comment\nnumpy==2.1.3\nmicro==0.1; sys_platform == "linux"\n'
    )
    script = project / "notebooks" / "q1.py"
    script.write_text('# %%\ninstall_missing(\n    "numpy",\n    "micro",\n)\nprint("numpy")\n')
    assert build(script).cells[0].source.splitlines() == [
        "install_missing(",
        '    "numpy==2.1.3",',
        "    'micro==0.1; sys_platform == \"linux\"',",
        ")",
        'print("numpy")',
    ]
    script.write_text('# %%\ninstall_missing("keras")\n')
    with pytest.raises(SourceError, match="requirements.txt has no keras"):
        build(script)


def test_global_names_are_those_that_no_scope_of_their_own_binds():
    source = "def f(a, b=ONE):\n    c = a + TWO\n    return [d for d in c if THREE(d)]\n"
    assert set(global_names(source)) == {"ONE", "TWO", "THREE"}


def test_scripts_named_q_and_a_number_are_questions_and_all_others_studies(project):
    for name in ("q2", "quality"):
        (project / "notebooks" / f"{name}.py").write_text(SCRIPT)
    assert [path.stem for path in sources(project)] == ["q1", "q2", "quality"]
    assert [path.stem for path in sources(project, QUESTIONS)] == ["q1", "q2"]
    (study,) = sources(project, STUDIES)
    assert notebook_path(study, project) == project / "studies" / "quality.ipynb"
    assert notebook_path(project / "notebooks" / "q1.py", project) == project / "q1.ipynb"


def test_a_built_notebook_needs_no_other_file(project):
    notebook = build(project / "notebooks" / "q1.py")
    assert not any("from signmnist" in cell.source for cell in notebook.cells)
    namespace: dict[str, Any] = {}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            exec(cell.source, namespace)
    assert namespace["ring"](1) == namespace["math"].pi


def test_the_rest_of_a_cell_stays_as_it_was_written(project):
    cells = build(project / "notebooks" / "q1.py").cells
    assert cells[3].source == "import math\n\nradius = 2"
    assert cells[4].source == "# !pip is only mentioned here\nprint(area(radius), TWO)"


def test_the_metadata_are_those_that_jupyter_and_colab_need(project):
    notebook = build(project / "notebooks" / "q1.py")
    assert set(notebook.metadata) == {"colab", "kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"


def test_a_rebuild_makes_no_diff(project):
    source = project / "notebooks" / "q1.py"
    assert nbformat.writes(build(source)) == nbformat.writes(build(source))


@pytest.mark.parametrize(
    "statement",
    [
        "import signmnist.shapes",
        "import signmnist.shapes as shapes",
        "from signmnist import shapes",
        "from signmnist.shapes import area as surface",
        "from signmnist.shapes import *",
        "from signmnist.shapes import area; area(1)",
        "if True:\n    from signmnist.shapes import area",
        "from .shapes import area",
        "from . import shapes",
        "area =",
    ],
)
def test_an_import_that_cannot_be_unfolded_is_told_with_its_line(project, statement):
    source = project / "notebooks" / "q1.py"
    source.write_text(f"# %%\nx = 1\n\n# %%\n{statement}\n")
    line = 6 if statement.startswith("if") else 5
    with pytest.raises(SourceError, match=rf"q1\.py:{line}: "):
        build(source)


def test_a_bad_import_in_a_module_is_told_with_its_line(project):
    (project / "toolkit" / "numbers.py").write_text("import signmnist.shapes\n")
    with pytest.raises(SourceError, match=r"numbers\.py:1: "):
        build(project / "notebooks" / "q1.py")


def test_new_prose_is_taken_over_and_outputs_are_kept(project, capsys):
    source, path = project / "notebooks" / "q1.py", project / "q1.ipynb"
    write_notebook(executed(build(source)), path)
    source.write_text(SCRIPT.replace("A question", "The first question"))
    assert main(project) == 0
    notebook = read_notebook(path)
    assert notebook.cells[0].source == "# The first question"
    assert notebook.cells[-1].outputs[0].text == "12.6"
    assert notebook.metadata["signmnist"] == {"profile": "full"}
    before = path.read_bytes()
    assert main(project) == 0
    assert path.read_bytes() == before
    assert "up to date" in capsys.readouterr().out


@pytest.mark.parametrize("changed", ["notebooks/q1.py", "toolkit/numbers.py"])
def test_changed_code_leaves_the_notebook_alone_and_names_the_remedy(project, capsys, changed):
    path = project / "q1.ipynb"
    write_notebook(executed(build(project / "notebooks" / "q1.py")), path)
    before = path.read_bytes()
    text = (project / changed).read_text()
    (project / changed).write_text(text.replace("2", "3"))
    assert main(project) == 1
    assert path.read_bytes() == before
    assert "make publish" in capsys.readouterr().out


def test_a_notebook_that_was_never_executed_is_not_written(project, capsys):
    assert main(project) == 1
    assert not (project / "q1.ipynb").exists()
    assert "make publish" in capsys.readouterr().out


def test_a_name_may_mean_one_thing_only(project):
    assert clashes(project) == []
    module, script = project / "toolkit" / "numbers.py", project / "notebooks" / "q1.py"
    module.write_text(module.read_text() + "\n\ndef area():\n    return 0\n")
    script.write_text(SCRIPT + "\nfor TWO in range(3):\n    pass\n")
    assert clashes(project) == [
        "numbers.py and shapes.py both define `area`",
        "numbers.py and q1.py both define `TWO`",
    ]


def test_an_imported_name_may_not_be_assigned(project):
    script = project / "notebooks" / "q1.py"
    imports = "# %%\nfrom signmnist.shapes import ring\n"
    script.write_text(imports + "math = 5\nnames = [area for area in 'ab']\n")
    assert clashes(project) == ["shapes.py and q1.py both define `math`"]


def test_names_of_two_data_sets_never_meet(project):
    (project / "speech").mkdir()
    (project / "speech" / "sounds.py").write_text("def area():\n    return 0\n")
    assert clashes(project) == []
    script = project / "notebooks" / "listening.py"
    script.write_text("# %%\nfrom speech.sounds import area\n\nring = area\n")
    assert clashes(project) == []
    script.write_text(script.read_text() + "TWO, area = 3, 4\n")
    assert clashes(project) == ["sounds.py and listening.py both define `area`"]


def test_no_names_clash_in_this_project():
    assert clashes(ROOT) == []


@pytest.mark.parametrize("source", sources(ROOT), ids=lambda source: source.stem)
def test_every_name_that_a_notebook_uses_is_there(source):
    text = "\n".join(cell.source for cell in build(source).cells if cell.cell_type == "code")
    bound = {name for node in ast.parse(text).body for name in bound_deep(node)}
    assert set(global_names(text)) - bound - set(dir(builtins)) == set()


@pytest.mark.parametrize("source", sources(ROOT), ids=lambda path: path.stem)
def test_what_is_shown_late_is_not_needed_before(source):
    cells = [cell for cell in build(source).cells if cell.cell_type == "code"]
    statements = [node for cell in cells for node in ast.parse(cell.source).body]
    names = {name for node in statements for name in bound_deep(node)} - set(dir(builtins))
    bound: set[str] = set()
    functions: dict[str, set[str]] = {}  # the names that each needs when it is called
    for node in statements:
        needs = set(global_names(ast.unparse(node))) & names
        bound |= set(bound_deep(node))
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            functions[node.name] = needs
            continue
        waiting = list(needs)
        while waiting:
            more = functions.get(waiting.pop(), set()) - needs
            needs |= more
            waiting += more
        assert needs <= bound, ast.unparse(node)[:80]


def bound_deep(node):
    """The names that a statement binds, also inside of loops, with and except blocks."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            yield part.id
        elif isinstance(part, ast.ExceptHandler) and part.name:
            yield part.name
        else:
            yield from bound_names(part)


@pytest.mark.parametrize("source", sources(ROOT), ids=lambda source: source.stem)
def test_a_notebook_names_the_pinned_versions(source):
    pins = (ROOT / "requirements.txt").read_text().splitlines()
    text = next(c.source for c in build(source).cells if c.source.startswith("install_missing("))
    call = ast.parse(text).body[0]
    assert isinstance(call, ast.Expr) and isinstance(call.value, ast.Call)
    assert {ast.literal_eval(argument) for argument in call.value.args} <= set(pins)


@pytest.mark.parametrize("source", sources(ROOT), ids=lambda source: source.stem)
def test_the_committed_notebook_equals_its_source(source):
    path = notebook_path(source, ROOT)
    assert path.exists(), f"{path.name} is missing: run `make publish`"
    committed, built = read_notebook(path), build(source)
    assert same_code(built, committed), f"{path.name} has other code: run `make publish`"
    assert same_text(built, committed), f"{path.name} has other prose: run `make notebooks`"


@pytest.mark.parametrize("source", sources(ROOT), ids=lambda source: source.stem)
def test_the_committed_notebook_is_what_was_executed_whole(source):
    committed = read_notebook(notebook_path(source, ROOT))
    assert executed_whole(committed), f"make publish NAME={source.stem}"
    stamp = stamp_of(notebook_path(source, ROOT))
    assert stamp["code_sha256"] == code_sha256(committed)
    assert stamp.keys() >= {"started", "processor", "sections", "profile", "data_sha256"}


@pytest.mark.parametrize("source", sources(ROOT), ids=lambda source: source.stem)
def test_committed_outputs_hold_no_warning_and_no_path_of_a_machine(source):
    cells = read_notebook(notebook_path(source, ROOT)).cells
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    data = [output.get("data", {}) | {"text": output.get("text", "")} for output in outputs]
    texts = [str(text) for kinds in data for kind, text in kinds.items() if "image" not in kind]
    assert [t for t in texts if re.search(r"(^|[\s'\"(])/(home|root|tmp|usr|work)/", t)] == []


def test_a_notebook_with_a_cell_that_did_not_run_was_not_executed_whole(project):
    notebook = build(project / "notebooks" / "q1.py")
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for counts, whole in (((1, 2, 3, 4), True), ((1, None, 3, 4), False), ((1, 3, 2, 4), False)):
        for cell, count in zip(cells, counts, strict=True):
            cell.execution_count = count
        assert executed_whole(notebook) is whole


def test_a_page_shows_the_essay_and_its_outputs_without_the_helpers(project):
    path = project / "q1.ipynb"
    write_notebook(executed(build(project / "notebooks" / "q1.py")), path)
    html = page(path)
    assert "A question" in html and "12.6" in html and "radius" in html
    assert "Helpers: " not in html and "Numbers." not in html


def test_a_picture_in_a_page_has_the_alternative_text_of_its_output(tmp_path):
    cell = nbformat.v4.new_code_cell("1", execution_count=1)
    image = {"image/png": "aGVsbG8="}
    cell.outputs = [
        nbformat.v4.new_output("display_data", image, metadata={"image/png": {"alt": "Bytes"}}),
        nbformat.v4.new_output("display_data", {"image/png": "d29ybGQ="}),
    ]
    path = tmp_path / "q1.ipynb"
    write_notebook(nbformat.v4.new_notebook(cells=[cell]), path)
    html = page(path)
    assert 'alt="Bytes"' in html and html.count("No description") == 1


def test_the_table_of_an_answer_is_a_table_in_the_page(tmp_path):
    cell = nbformat.v4.new_code_cell("1", execution_count=1)
    box = "**Answer**\n\n| model | bytes |\n|--|--|\n| float | 12 |"
    cell.outputs = [nbformat.v4.new_output("display_data", {"text/markdown": box})]
    path = tmp_path / "q1.ipynb"
    write_notebook(nbformat.v4.new_notebook(cells=[cell]), path)
    assert "<td>float</td>" in page(path)
