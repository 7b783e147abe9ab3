"""What a student hands in: what is packed of it, what is said to be missing, what is brought."""

import json
import sys
import types
import zipfile

import pytest

from toolkit import bundle
from toolkit.files import DataError


def code(source, number=None, *outputs):
    return {
        "cell_type": "code",
        "source": source,
        "execution_count": number,
        "outputs": list(outputs),
    }


def text(*lines):
    return {"cell_type": "markdown", "source": [f"{line}\n" for line in lines]}


def printed(line):
    return {"output_type": "stream", "name": "stdout", "text": [line, "\n"]}


CELLS = [
    text("# Question 1"),
    code("a = 1", 1),
    text("**Your answer to (a).** It has three layers."),
    code("check_a(a)", 2, printed("✓ a is 1")),
    code('pack(\n    "q1",\n)'),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to work in, with a kernel that has run CELLS."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    ran = ["", "a = 1", "check_a(a)", "pack"]
    shell = types.SimpleNamespace(
        user_ns={}, history_manager=types.SimpleNamespace(input_hist_raw=ran)
    )
    monkeypatch.setattr(bundle, "get_ipython", lambda: shell)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.tflite").write_bytes(b"weights")
    return tmp_path


@pytest.fixture
def colab(monkeypatch):
    """A Colab that hands over CELLS, uploads nothing and keeps what it is asked to download."""
    asked: list = []
    page = types.SimpleNamespace(
        asked=asked,
        files=types.SimpleNamespace(upload=lambda: None, download=asked.append),
        answer=lambda *_, **__: {"ipynb": {"cells": CELLS}},
    )
    message = types.SimpleNamespace(blocking_request=lambda *a, **k: page.answer(*a, **k))
    for name, module in {"_message": message, "files": page.files}.items():
        monkeypatch.setitem(sys.modules, f"google.colab.{name}", module)
    monkeypatch.setitem(sys.modules, "google.colab", types.SimpleNamespace(__path__=[]))
    return page


def save(path, cells):
    path.write_text(json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5}))


def names(path):
    with zipfile.ZipFile(path) as packed:
        return set(packed.namelist())


def test_a_notebook_that_was_saved_is_packed_with_its_models(folder, capsys):
    save(folder / "q1.ipynb", CELLS)
    bundle.pack("q1", "a.tflite")
    assert names("q1.zip") == {"q1.ipynb", "models/a.tflite"}
    assert capsys.readouterr().out.splitlines()[1:] == ["✓ nothing is missing"]


def test_a_notebook_that_is_not_saved_as_it_was_run_is_not_packed(folder, capsys):
    bundle.pack("q1", "a.tflite")
    assert "there is no such file" in capsys.readouterr().out
    for cells in (CELLS[:1] + [code("a = 2", 1)], [code("a = 1")], [code("a = 1", 9)]):
        save(folder / "q1.ipynb", cells)
        bundle.pack("q1", "a.tflite")
        assert "is not saved as it was run here (the cell “a =" in capsys.readouterr().out
    (folder / "q1.ipynb").write_text("{")
    bundle.pack("q1", "a.tflite")
    assert "it is no notebook" in capsys.readouterr().out
    assert not list(folder.glob("*.zip"))


def test_jupyter_and_vs_code_tell_the_name_of_the_notebook(folder, monkeypatch):
    save(folder / "mine.ipynb", CELLS)
    monkeypatch.setenv("JPY_SESSION_NAME", str(folder / "mine.ipynb"))
    bundle.pack("q1", "a.tflite")
    assert "q1.ipynb" in names("q1.zip")
    monkeypatch.delenv("JPY_SESSION_NAME")
    (folder / "q1.zip").unlink()
    bundle.get_ipython().user_ns["__vsc_ipynb_file__"] = str(folder / "mine.ipynb")
    bundle.pack("q1", "a.tflite")
    assert "q1.ipynb" in names("q1.zip")


def test_files_and_a_report_that_are_not_there_are_named(folder, capsys):
    save(folder / "q4.ipynb", CELLS)
    bundle.pack("q4", "a.tflite", "b.tflite", papers=["r.docx", "r.pdf"])
    told = capsys.readouterr().out
    assert "✗ models/b.tflite is not there\n" in told and "✗ r.docx or r.pdf is not there" in told
    (folder / "r.pdf").write_bytes(b"%PDF")
    bundle.pack("q4", "a.tflite", papers=["r.docx", "r.pdf"])
    assert "nothing is missing" in capsys.readouterr().out and "r.pdf" in names("q4.zip")


def test_what_is_left_to_do_in_a_notebook_is_found():
    error = {"output_type": "error", "ename": "NameError"}
    stub = 'raise NotImplementedError(\n    "Task 2: train it. "\n    "Write your code."\n)'
    cells = [
        *CELLS,
        text("**Your answer to (b).** *What was saved,", "and why?*"),
        text("*Is it asked here?* I answered below."),
        code(stub, 3, error),
        code("b", 4, error),
        code("c = 3"),
        code("check_a(a)", 5, printed("✗ a is 2")),
        code("#@title Helpers: toolkit.x { display-mode: 'form' }", None),
    ]
    assert bundle.left_to_do(CELLS) == []
    assert bundle.left_to_do(cells) == [
        "not answered: “Your answer to (b). What was saved,”",
        "no code yet: “Task 2: train it.”",
        "ended with an error: “b”",
        "not run: “c = 3”",
        "a check: a is 2",
        "not run: “Helpers: toolkit.x”",
    ]


def test_where_no_cell_has_a_number_none_is_said_not_to_be_run():
    assert bundle.left_to_do([code("a = 1"), code("b = 2")]) == []


def test_colab_hands_over_the_notebook_and_offers_the_zip(folder, colab):
    bundle.pack("q1", "a.tflite")
    assert colab.asked == ["q1.zip"]
    with zipfile.ZipFile("q1.zip") as packed:
        assert json.loads(packed.read("q1.ipynb"))["cells"] == CELLS


@pytest.mark.parametrize("answer", [lambda *_, **__: None, lambda *_, **__: 1 / 0])
def test_where_colab_does_not_answer_the_rest_is_packed(folder, colab, capsys, answer):
    colab.answer = answer
    bundle.pack("q1", "a.tflite")
    assert names("q1.zip") == {"models/a.tflite"} and colab.asked == ["q1.zip"]
    assert "✗ Colab did not hand over q1.ipynb" in capsys.readouterr().out


def zipped(path, **files):
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in files.items():
            packed.writestr(f"models/{name}.keras", content)


def test_a_model_comes_from_the_zip_of_an_earlier_question(folder, capsys):
    zipped("q1 (1).zip", base=b"network")
    bundle.bring("base.keras", "q1.zip")
    assert (folder / "models" / "base.keras").read_bytes() == b"network"
    zipped("q1.zip", base=b"another")
    bundle.bring("base.keras", "q1.zip")
    assert (folder / "models" / "base.keras").read_bytes() == b"network"
    assert capsys.readouterr().out.endswith("base.keras is here\n")


def test_without_a_zip_that_can_be_read_and_has_the_model_the_remedy_is_named(folder, colab):
    for prepare in (lambda: None, lambda: zipped("q1.zip", other=b"network")):
        prepare()
        with pytest.raises(
            DataError, match=r"q1\.zip with it; the last cell of q1\.ipynb makes it"
        ):
            bundle.bring("base.keras", "q1.zip")
    (folder / "q1.zip").write_bytes(b"PK damaged")
    with pytest.raises(DataError, match=r"^q1\.zip: .*anew"):
        bundle.bring("base.keras", "q1.zip")


def test_colab_asks_for_the_zip(folder, colab):
    colab.files.upload = lambda: zipped("q1.zip", base=b"network")
    bundle.bring("base.keras", "q1.zip")
    assert (folder / "models" / "base.keras").read_bytes() == b"network"
