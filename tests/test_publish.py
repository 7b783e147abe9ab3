"""`make publish` replaces committed files by those of full runs on the real data alone."""

import json

import pytest
from nbformat.v4 import new_output

import speech.data
import tools.publish
from signmnist.data import CANONICAL_SHA256, COLUMNS, TEST_CSV, TRAIN_CSV
from speech.data import read_clips
from speech.sample import write_sample as write_speech_sample
from toolkit.files import file_sha256
from toolkit.results import load_records
from tools.notebooks import (
    QUESTIONS,
    STUDIES,
    build,
    notebook_path,
    read_notebook,
    sources,
    write_notebook,
)
from tools.publish import main, problems, publish
from tools.run import RunError
from tools.stamps import fingerprint

RECORD = {
    "id": "int8",
    "notebook": "q1",
    "file": "int8.tflite",
    "canonical": True,
    "profile": "full",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with a run in build/ that can be published; its data count as the real ones."""
    root, target = tmp_path, tmp_path / "build"
    for folder in ("notebooks", "models", "data", "build/models"):
        (root / folder).mkdir(parents=True)
    (root / "notebooks" / "q1.py").write_text("# %%\nprint('base.keras', 'page.html')\n")
    (root / "models" / "old.tflite").write_text("old")
    (root / "q1.ipynb").write_text("old")
    for label, path in enumerate([root / "data" / TRAIN_CSV, root / "data" / TEST_CSV]):
        path.write_text(",".join(COLUMNS) + f"\n{label}" + 784 * ",7" + "\n")
        monkeypatch.setitem(CANONICAL_SHA256, path.name, file_sha256(path))
    (target / "models" / "results.json").write_text(json.dumps([RECORD]))
    (target / "models" / "int8.tflite").write_text("new")
    (target / "models" / "base.keras").write_text("new")
    (target / "models" / "unnamed.tflite").write_text("left over")
    for name in ("page.html", "unnamed.html"):
        (target / name).write_text("new")
    write_executed(root / "notebooks" / "q1.py", target)
    calls = []
    monkeypatch.setattr(tools.publish, "run", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(tools.publish, "refresh", lambda root: None)
    return root, target, {"signmnist": root / "data"}, calls


def write_executed(script, target, package="signmnist"):
    notebook = build(script)
    for count, cell in enumerate(notebook.cells, 1):
        cell.execution_count = count
    notebook.metadata[package] = {"profile": "full", "canonical": True}
    write_notebook(notebook, notebook_path(script, target))


def publish_all(root, target, folders):
    publish(root, target, folders, sources(root))


def names_in(folder):
    return {path.name for path in folder.iterdir()}


def test_a_good_run_replaces_the_notebook_its_models_and_its_records(project):
    root, target, folders, calls = project
    publish_all(root, target, folders)
    assert calls == [(root, target, "full", folders, QUESTIONS, ["q1"])]
    assert (root / "q1.ipynb").read_bytes() == (target / "q1.ipynb").read_bytes()
    assert names_in(root / "models") == {"base.keras", "int8.tflite", "results.json"}
    assert [path.name for path in root.glob("*.html")] == ["page.html"]
    assert [record["id"] for record in load_records(root / QUESTIONS.results)] == ["int8"]


@pytest.fixture
def two(project):
    """The project with a second question, of which another run was published before."""
    root, target, folders, calls = project
    script = root / "notebooks" / "q2.py"
    script.write_text("# %%\nprint('base.keras', 'end.keras')\n")
    theirs = RECORD | {"id": "small", "notebook": "q2", "file": "small.tflite"}
    (root / QUESTIONS.results).write_text(json.dumps([theirs, RECORD | {"bytes": 1}]))
    for name in ("small.tflite", "end.keras", "base.keras", "int8.tflite"):
        (root / "models" / name).write_text("published before")
    (root / "q2.ipynb").write_text("published before")
    return root, target, folders, script


def test_one_notebook_is_published_and_all_of_the_others_stays(two):
    root, target, folders, script = two
    (target / "models" / "end.keras").write_text("of a trial")
    publish(root, target, folders, sources(root)[:1])
    assert names_in(root / "models") == {
        *("base.keras", "int8.tflite", "small.tflite", "end.keras", "results.json")
    }
    for name in ("models/small.tflite", "models/end.keras", "q2.ipynb"):
        assert (root / name).read_text() == "published before"
    for name in ("models/int8.tflite", "models/base.keras"):
        assert (root / name).read_text() == "new"
    records = load_records(root / QUESTIONS.results)
    assert [(record["id"], record["bytes"]) for record in records] == [
        ("int8", None),
        ("small", None),
    ]

    write_executed(script, target)
    (target / "models" / "base.keras").write_text("trained in passing")
    publish(root, target, folders, [script])
    assert (root / "models" / "base.keras").read_text() == "new", "it is question 1's"
    assert (root / "models" / "end.keras").read_text() == "of a trial"
    assert names_in(root / "models") == {
        *("base.keras", "int8.tflite", "end.keras", "results.json")
    }, "its record is gone and so is its file"


def test_a_notebook_that_started_from_other_models_than_those_published_is_refused(two):
    root, target, folders, script = two
    write_executed(script, target)
    digest = fingerprint(root / "models" / "base.keras")
    stamp = {"models": {"base.keras": digest}}
    spoil_notebook(target, lambda nb: nb.metadata.signmnist.update(stamp), "q2.ipynb")
    assert problems(script, root, target) == []
    (root / "models" / "base.keras").write_text("published since")
    with pytest.raises(RunError, match="q2.ipynb started from models that are not those published"):
        publish(root, target, folders, [script])


def test_what_was_published_before_a_failure_stays(two):
    root, target, folders, script = two
    write_executed(script, target)
    spoil_notebook(target, lambda nb: nb.metadata.signmnist.update(profile="quick"), "q2.ipynb")
    with pytest.raises(RunError, match="q2.ipynb is not from a full run"):
        publish_all(root, target, folders)
    assert (root / "models" / "int8.tflite").read_text() == "new"
    assert (root / "q2.ipynb").read_text() == "published before"
    assert (root / "models" / "small.tflite").read_text() == "published before"


def test_report_and_readme_wait_for_records_of_which_they_tell(tmp_path, capsys):
    (tmp_path / "report.md").write_text("the report")
    tools.publish.refresh(tmp_path)
    assert (tmp_path / "report.md").read_text() == "the report"
    assert "report.md and README.md stay as they are" in capsys.readouterr().out


def test_a_notebook_that_fails_its_own_checks_is_refused(project):
    root, target, folders, _ = project
    notebook = read_notebook(target / "q1.ipynb")
    notebook.metadata["signmnist"]["unmet"] = ["✗ a.tflite is not there"]
    write_notebook(notebook, target / "q1.ipynb")
    with pytest.raises(RunError, match="q1.ipynb: its own check says ✗ a.tflite is not there"):
        publish_all(root, target, folders)
    assert (root / "q1.ipynb").read_text() == "old"


def test_other_data_are_refused_before_anything_is_done(project):
    root, target, folders, calls = project
    path = root / "data" / TEST_CSV
    path.write_text(path.read_text().replace(",7\n", ",8\n"))
    with pytest.raises(RunError, match=TEST_CSV):
        publish_all(root, target, folders)
    assert not calls
    assert (root / "q1.ipynb").read_text() == "old"


def test_each_data_set_that_a_notebook_uses_must_be_the_real_one(project, monkeypatch):
    root, target, folders, calls = project
    folders["speech"] = write_speech_sample(root / "clips", clips=(1, 1, 1))
    (root / "speech").mkdir()
    (root / "speech" / "words.py").write_text("WORDS = 9\n")
    script = root / "notebooks" / "listening.py"
    script.write_text("# %%\nfrom speech.words import WORDS\n\nprint(WORDS)\n")
    with pytest.raises(RunError, match="speech-commands-8khz in .*clips is not that of Speech"):
        publish_all(root, target, folders)
    assert not calls
    digest = read_clips(folders["speech"])[2]["speech-commands-8khz"]
    monkeypatch.setitem(speech.data.CANONICAL_SHA256, "speech-commands-8khz", digest)
    write_executed(script, target, "speech")
    publish_all(root, target, folders)
    assert (root / "studies" / "listening.ipynb").exists()


def test_other_profiles_are_refused(monkeypatch):
    monkeypatch.setenv("PROFILE", "smoke")
    with pytest.raises(RunError, match="PROFILE=smoke"):
        main([])


def spoil_record(target, **changes):
    (target / "models" / "results.json").write_text(json.dumps([RECORD | changes]))


def spoil_notebook(target, change, name="q1.ipynb"):
    notebook = read_notebook(target / name)
    change(notebook)
    write_notebook(notebook, target / name)


@pytest.mark.parametrize(
    "spoil, complaint",
    [
        (lambda nb: nb.metadata.signmnist.update(canonical=False), "full run on the real data"),
        (lambda nb: nb.metadata.signmnist.update(profile="quick"), "full run on the real data"),
        (lambda nb: nb.cells[0].update(execution_count=None), "not executed"),
        (lambda nb: nb.cells[0].update(execution_count=2), "not in their order"),
        (lambda nb: nb.cells[0].update(source="print(2)"), "other cells"),
        (
            lambda nb: nb.cells[0].outputs.append(new_output("error", ename="E", evalue="")),
            "failed",
        ),
        (
            lambda nb: nb.cells[0].outputs.append(new_output("stream", name="stderr", text="!")),
            "a warning",
        ),
        (
            lambda nb: nb.cells[0].outputs.append(new_output("stream", text="x" * 2_000_000)),
            "larger than 2,000,000 bytes",
        ),
    ],
)
def test_a_notebook_that_is_not_fit_is_not_published(project, spoil, complaint):
    root, target, folders, _ = project
    spoil_notebook(target, spoil)
    with pytest.raises(RunError, match=complaint):
        publish_all(root, target, folders)
    assert (root / "q1.ipynb").read_text() == "old"
    assert (root / "models" / "old.tflite").exists()


def test_a_record_that_is_not_fit_is_a_problem(project):
    root, target, _, _ = project
    script = root / "notebooks" / "q1.py"
    assert problems(script, root, target) == []
    spoil_record(target, canonical=False)
    assert problems(script, root, target) == ["int8 is not from a full run on the real data"]
    spoil_record(target, file="gone.tflite")
    assert problems(script, root, target) == ["int8: models/gone.tflite is missing"]
    spoil_record(target, file=None)
    assert problems(script, root, target) == ["int8 has neither a file nor a sha256"]
    spoil_record(target, file=None, sha256="9f")
    assert problems(script, root, target) == []
    (target / "models" / "int8.tflite").write_bytes(bytes(4_000_001))
    spoil_record(target)
    assert problems(script, root, target) == ["int8.tflite is larger than 4,000,000 bytes"]


def test_studies_are_published_with_their_files(project):
    root, target, folders, calls = project
    (root / "notebooks" / "cascades.py").write_text("# %%\nprint('m')\n")
    write_executed(root / "notebooks" / "cascades.py", target)
    (target / "studies" / "models").mkdir()
    (target / "studies" / "models" / "m.tflite").write_text("study")
    record = RECORD | {"id": "m", "notebook": "cascades", "file": "m.tflite"}
    (target / "studies" / "results.json").write_text(json.dumps([record]))
    (root / "studies" / "models").mkdir(parents=True)
    (root / "studies" / "models" / "old.tflite").write_text("old")
    publish_all(root, target, folders)
    assert [call[4] for call in calls] == [QUESTIONS, STUDIES]
    assert [record["id"] for record in load_records(root / QUESTIONS.results)] == ["int8"]
    made = {str(path.relative_to(root)) for path in (root / "studies").rglob("*.*")}
    assert made == {
        "studies/cascades.ipynb", "studies/results.json", "studies/models/m.tflite"
    }  # fmt: skip
