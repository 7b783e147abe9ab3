"""Handing in: what is ready becomes one zip, and passes its own check."""

import io
import shutil
import zipfile
from pathlib import Path

import pytest
from nbformat.v4 import new_output

import tools.submission
from grader.__main__ import main
from toolkit.results import load_records
from tools.notebooks import build, write_notebook
from tools.run import RunError

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "models"
STREAM = new_output("stream", text="1")
ERROR = new_output("error", ename="E", evalue="")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one executed notebook and the named models; documents are not written."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "q1.py").write_text("# %%\nprint(1)\n")
    shutil.copytree(MODELS, tmp_path / "models")
    made = build(tmp_path / "notebooks" / "q1.py")
    made.cells[0].outputs, made.cells[0].execution_count = [STREAM], 1
    write_notebook(made, tmp_path / "q1.ipynb")
    return tmp_path


def test_what_is_not_ready_is_not_handed_in(project):
    target = project / "out.zip"
    (project / "notebooks" / "q1.py").write_text("# %%\nprint(2)\n")
    (project / "models" / "sign_mnist.tflite").unlink()
    (project / "notebooks" / "q2.py").write_text("# %%\nprint(2)\n")
    with pytest.raises(RunError) as caught:
        tools.submission.submit(project, target)
    (project / "q3.ipynb").write_text("damaged")
    (project / "notebooks" / "q3.py").write_text("# %%\nprint(2)\n")
    with pytest.raises(RunError, match="q3.ipynb: not a notebook: damaged in line 1"):
        tools.submission.submit(project, target)
    assert "q1.ipynb is out of date" in str(caught.value)
    assert "q2.ipynb is missing" in str(caught.value)
    assert "models/sign_mnist.tflite is missing" in str(caught.value)
    assert not target.exists()


def test_a_notebook_with_an_error_is_not_handed_in(project):
    made = build(project / "notebooks" / "q1.py")
    made.cells[0].outputs, made.cells[0].execution_count = [ERROR], 1
    write_notebook(made, project / "q1.ipynb")
    with pytest.raises(RunError, match="q1.ipynb: 1 cell with an error"):
        tools.submission.submit(project, project / "out.zip")


def test_the_project_itself_can_be_handed_in_and_passes_its_own_check(tmp_path, real, capfd):
    target = tmp_path / "submission.zip"
    tools.submission.submit(ROOT, target)
    names = {Path(name).name for name in zipfile.ZipFile(target).namelist()}
    assert names >= {"q1.ipynb", "q4.ipynb", "report.docx", "report.pdf", "q4_report.docx"}
    first = target.read_bytes()
    tools.submission.submit(ROOT, target)
    assert target.read_bytes() == first
    record = next(r for r in load_records(MODELS / "results.json") if r["notebook"] == "q4")
    for name in ("report.docx", "q4_report.docx"):
        with zipfile.ZipFile(target) as archive:
            document = zipfile.ZipFile(io.BytesIO(archive.read(f"sign_mnist/{name}")))
        assert f"{record['bytes_gzip']:,}" in document.read("word/document.xml").decode()
        assert [entry for entry in document.namelist() if entry.startswith("word/media/")]
    assert main([str(target), "--own", "--folder", str(tmp_path / "check")]) == 0
    shown = capfd.readouterr().out
    assert "220 of 330, 110 open; extra 40 of 50, 10 open" in shown
    assert "hint" not in shown.split("----")[-1] and "Look first" not in shown
