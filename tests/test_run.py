"""`make run` executes notebooks into build/, each once, and leaves nothing half-done."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import speech.data
import tools.run
from signmnist.data import CANONICAL_SHA256, COLUMNS, TEST_CSV, TRAIN_CSV
from speech.sample import write_sample as write_speech_sample
from toolkit.files import DataError, file_sha256
from tools.notebooks import QUESTIONS, STUDIES, read_notebook, write_notebook
from tools.progress import Progress, minutes
from tools.run import RunError, exit_status, read_profile, remove_temporary, run
from tools.stamps import (
    SHARES,
    expected_seconds,
    forecast,
    forget_results,
    is_up_to_date,
    processor,
)

SCRIPT = """\
# %% [markdown]
# # A question

# %%
import os
from pathlib import Path

print(Path.cwd().name, os.environ["PROFILE"], os.environ["SIGN_MNIST_DIR"])

# %% [markdown]
# ## The end

# %%
with open("models/runs.txt", "a") as file:
    file.write("run\\n")
"""
QUESTION_SECTIONS = {"A question", "The end"}


@pytest.fixture
def project(tmp_path):
    """A project of one notebook; its root, its build folder and the folders of its data."""
    root, data = tmp_path / "project", tmp_path / "data"
    (root / "notebooks").mkdir(parents=True)
    (root / "notebooks" / "q1.py").write_text(SCRIPT)
    data.mkdir()
    for label, name in enumerate((TRAIN_CSV, TEST_CSV)):
        (data / name).write_text(",".join(COLUMNS) + f"\n{label}" + 784 * ",7" + "\n")
    return root, root / "build", {"signmnist": data}


def runs(build):
    return len((build / "models" / "runs.txt").read_text().splitlines())


def test_a_notebook_is_executed_into_build_once(project, capsys):
    root, build, folders = project
    run(root, build, "smoke", folders)
    notebook = read_notebook(build / "q1.ipynb")
    assert notebook.cells[1].outputs[0].text == f"build smoke {folders['signmnist']}\n"
    stamp = notebook.metadata["signmnist"]
    assert stamp["profile"] == "smoke" and stamp["canonical"] is False
    assert datetime.fromisoformat(stamp["started"]).utcoffset() == timedelta(0)
    assert stamp["processor"] == processor() and stamp["sections"].keys() == QUESTION_SECTIONS
    csvs = folders["signmnist"].iterdir()
    assert stamp["data_sha256"] == {path.name: file_sha256(path) for path in csvs}
    assert set(notebook.metadata.language_info) == {"name"}
    assert {path.name for path in root.iterdir()} == {"notebooks", "build"}
    told = capsys.readouterr().out
    assert "A question" in told and "The end" in told

    source = root / "notebooks" / "q1.py"
    source.write_text(SCRIPT.replace("The end", "Fin"))
    run(root, build, "smoke", folders)
    assert runs(build) == 1
    assert "q1  up to date" in capsys.readouterr().out
    refreshed = read_notebook(build / "q1.ipynb")
    assert refreshed.cells[2].source == "## Fin"
    assert refreshed.cells[1].outputs == notebook.cells[1].outputs

    run(root, build, "quick", folders)
    assert runs(build) == 2


def test_figures_in_the_prose_are_those_of_the_run_or_of_the_published_one(project):
    root, build, folders = project
    source = root / "notebooks" / "q1.py"
    source.write_text(
        SCRIPT + "\n# %% [markdown]\n# {{1 / 3:.1%}} and {{ 'two' }}.\n\n# %%\nlast = 1\n"
    )
    run(root, build, "smoke", folders)
    notebook = read_notebook(build / "q1.ipynb")
    assert notebook.cells[4].source == "33.3% and two."
    assert notebook.metadata["signmnist"]["figures"] == {"1 / 3:.1%": "33.3%", "'two'": "two"}
    assert notebook.cells[-1].source == "last = 1"

    write_notebook(notebook, root / "q1.ipynb")
    source.write_text(source.read_text().replace("{{ 'two' }}", "{{last}}"))
    for profile in ("smoke", "quick"):
        run(root, build, profile, folders)
        text = read_notebook(build / "q1.ipynb").cells[4].source
        assert text.startswith("published run: 33.3% and ")
    assert text == "published run: 33.3% and 1."


def test_a_figure_that_cannot_be_read_is_told(project):
    root, build, folders = project
    (root / "notebooks" / "q1.py").write_text(SCRIPT + "\n# %% [markdown]\n# {{absent:.1%}}\n")
    with pytest.raises(RunError, match="name 'absent' is not defined"):
        run(root, build, "smoke", folders)


def test_checks_run_after_the_notebook_and_leave_their_complaints_only(project):
    root, build, folders = project
    source = root / "notebooks" / "q1.py"
    aside = '# %% tags=["{}"]\nprint("✗ first" if "late" in globals() else "✓ no")\n\n'
    source.write_text(aside.format("check") + aside.format("task") + SCRIPT + "late = 1\n")
    run(root, build, "smoke", folders)
    notebook = read_notebook(build / "q1.ipynb")
    assert [cell.execution_count for cell in notebook.cells if "print" in cell.source] == [1]
    assert not [cell for cell in notebook.cells if "first" in cell.source]
    assert notebook.metadata["signmnist"]["unmet"] == ["✗ first"]


def test_a_study_is_executed_in_its_own_folder_and_alone_where_it_is_named(project, capsys):
    root, build, folders = project
    for name in ("cascades", "speech"):
        (root / "notebooks" / f"{name}.py").write_text(SCRIPT)
    run(root, build, "smoke", folders, STUDIES, ["speech"])
    assert not (build / "q1.ipynb").exists() and not (build / "studies/cascades.ipynb").exists()
    executed = read_notebook(build / "studies" / "speech.ipynb")
    assert executed.cells[1].outputs[0].text.startswith("studies smoke ")
    assert runs(build / "studies") == 1
    run(root, build, "smoke", folders, STUDIES)
    assert "speech  up to date" in capsys.readouterr().out
    assert runs(build / "studies") == 2
    with pytest.raises(RunError, match="no transfer, only cascades, speech"):
        run(root, build, "smoke", folders, STUDIES, ["transfer"])


def test_each_notebook_is_given_its_own_data_and_keeps_its_own_results(project, tmp_path, capsys):
    root, build, folders = project
    folders["speech"] = write_speech_sample(tmp_path / "clips", clips=(1, 1, 1))
    (root / "speech").mkdir()
    (root / "speech" / "words.py").write_text("WORDS = 9\n")
    cascades, listening = root / "notebooks" / "cascades.py", root / "notebooks" / "listening.py"
    cascades.write_text(SCRIPT)
    listening.write_text(
        SCRIPT.replace("SIGN_MNIST_DIR", "SPEECH_COMMANDS_DIR")
        + "\n# %%\nfrom speech.words import WORDS\n\nprint(WORDS)\n"
    )
    run(root, build, "smoke", folders, STUDIES)
    stamps = {}
    for source, package in ((cascades, "signmnist"), (listening, "speech")):
        made = read_notebook(build / "studies" / f"{source.stem}.ipynb")
        stamps[package] = made.metadata[package]
        assert not made.metadata.keys() & {"signmnist", "speech"} - {package}
        assert made.cells[1].outputs[0].text == f"studies smoke {folders[package]}\n"
        assert made.metadata[package]["canonical"] is False
    assert stamps["signmnist"]["data_sha256"].keys() == {TRAIN_CSV, TEST_CSV}
    assert stamps["speech"]["data_sha256"].keys() == speech.data.CANONICAL_SHA256.keys()

    capsys.readouterr()
    records = [
        {"id": name, "notebook": name, "profile": "smoke", "data_sha256": stamp["data_sha256"]}
        for name, stamp in zip(("cascades", "listening"), stamps.values(), strict=True)
    ]
    (build / STUDIES.results).write_text(json.dumps(records))
    write_speech_sample(folders["speech"], seed=1, clips=(1, 1, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tools.run, "results_text", str)
        run(root, build, "smoke", folders, STUDIES)
    assert "cascades  up to date" in capsys.readouterr().out
    assert runs(build / "studies") == 3
    kept = json.loads((build / STUDIES.results).read_text())
    assert [record["id"] for record in kept] == ["cascades"]


HEIR = """\
# %%
from pathlib import Path

base = Path("models/base.keras")
print(base.read_text() if base.exists() else "trained first")
"""
ANCESTOR = """\
# %%
with open("models/base.keras", "w") as file:
    file.write("of q1")
"""


def heir(build):
    return read_notebook(build / "q2.ipynb").cells[0].outputs[0].text


def test_a_notebook_starts_from_published_models_from_those_made_here_or_trains_them(
    project, monkeypatch, capsys
):
    root, build, folders = project
    (root / "notebooks" / "q1.py").write_text(ANCESTOR)
    (root / "notebooks" / "q2.py").write_text(HEIR)
    (root / "models").mkdir()
    (root / "models" / "base.keras").write_text("published")

    run(root, build, "full", folders, names=["q2"])
    assert heir(build) == "trained first\n", "published models are of other data"
    assert "q2 starts from the models of q1 (trained if needed)" in capsys.readouterr().out

    for path in folders["signmnist"].iterdir():
        monkeypatch.setitem(CANONICAL_SHA256, path.name, file_sha256(path))
    run(root, build, "smoke", folders, names=["q2"])
    assert heir(build) == "trained first\n", "published models are of the full profile"
    run(root, build, "full", folders, names=["q2"])
    assert heir(build) == "published\n"
    assert "q2 starts from the models of q1 (as published)" in capsys.readouterr().out

    (root / "notebooks" / "q2.py").write_text(HEIR + "again = 1\n")
    run(root, build, "full", folders)
    assert heir(build) == "of q1\n"
    assert "q2 starts from the models of q1 (as made here)" in capsys.readouterr().out
    q1 = root / "notebooks" / "q1.py"
    q1.write_text(q1.read_text().replace("of q1", "of another q1"))
    run(root, build, "full", folders)
    assert heir(build) == "of another q1\n", "it was made from other models, so it is made anew"
    assert (root / "models" / "base.keras").read_text() == "published"


def test_a_study_starts_from_the_models_of_a_question(project, monkeypatch, capsys):
    root, build, folders = project
    (root / "notebooks" / "q1.py").write_text(ANCESTOR)
    study = root / "notebooks" / "study.py"
    study.write_text(HEIR.replace("models/", "../models/"))
    (root / "models").mkdir()
    (root / "models" / "base.keras").write_text("published")
    for path in folders["signmnist"].iterdir():
        monkeypatch.setitem(CANONICAL_SHA256, path.name, file_sha256(path))
    run(root, build, "full", folders, STUDIES)
    path = build / "studies" / "study.ipynb"
    assert read_notebook(path).cells[0].outputs[0].text == "published\n"
    assert "study starts from the models of q1 (as published)" in capsys.readouterr().out
    given = read_notebook(path).metadata["signmnist"]
    assert is_up_to_date(study, build, given)
    (build / "models" / "base.keras").write_text("another")
    assert not is_up_to_date(study, build, given)


def test_damaged_data_stop_the_run_before_it_starts(project):
    root, build, folders = project
    path = folders["signmnist"] / TEST_CSV
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DataError, match=TEST_CSV):
        run(root, build, "smoke", folders)
    assert not build.exists()


def test_a_failing_cell_is_shown_and_spoils_nothing(project):
    root, build, folders = project
    write_notebook(new_notebook(), build / "q1.ipynb")
    before = (build / "q1.ipynb").read_bytes()
    (root / "notebooks" / "q1.py").write_text(SCRIPT + "raise ValueError('no hands')\n")
    with pytest.raises(RunError) as error:
        run(root, build, "smoke", folders)
    message = str(error.value)
    assert message.startswith("q1 failed in: The end\n")
    assert "ValueError: no hands" in message and "\x1b" not in message
    failed = read_notebook(build / "q1.failed.ipynb")
    assert failed.cells[-1].outputs[-1].output_type == "error"
    assert (build / "q1.ipynb").read_bytes() == before


def test_a_kernel_that_dies_is_an_error(project):
    root, build, folders = project
    (root / "notebooks" / "q1.py").write_text("# %%\nimport os\n\nos._exit(9)\n")
    with pytest.raises(RunError, match="q1 failed"):
        run(root, build, "smoke", folders)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_takes_its_kernel_with_it(project, number):
    root, build, folders = project
    (root / "notebooks" / "q1.py").write_text(
        "# %%\nimport os, time\n\n"
        "with open('models/pid', 'w') as file:\n    file.write(str(os.getpid()))\n"
        "time.sleep(60)\n"
    )
    program = (
        "from tools.run import exit_status, run\n"
        f"arguments = {str(root)!r}, {str(build)!r}, 'smoke'\n"
        f"folders = {{'signmnist': {str(folders['signmnist'])!r}}}\n"
        "raise SystemExit(exit_status(lambda: run(*arguments, folders)))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    pid = build / "models" / "pid"
    deadline = time.monotonic() + 60
    while not (pid.exists() and pid.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "\ninterrupted; notebooks that were through are kept in build/\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert [path.name for path in build.iterdir()] == ["models"]


def test_records_of_other_circumstances_are_forgotten(tmp_path):
    here = {"profile": "full", "data_sha256": {"a.csv": "1"}}
    records = [
        {"id": "own", "notebook": "q1", **here},
        {"id": "other notebook", "notebook": "q2", **here},
        {"id": "other profile", "notebook": "q2", **here, "profile": "smoke"},
        {"id": "other data", "notebook": "q2", **here, "data_sha256": {"a.csv": "2"}},
        {"id": "other files", "notebook": "speech", **here, "data_sha256": {"b.csv": "2"}},
    ]
    path = tmp_path / "results.json"
    forget_results(path, "q1", here)
    assert not path.exists()
    path.write_text(json.dumps(records))
    forget_results(path, "q1", here)
    kept = [record["id"] for record in json.loads(path.read_text())]
    assert kept == ["other notebook", "other files"]


def test_profiles_are_full_quick_and_smoke(monkeypatch):
    monkeypatch.delenv("PROFILE", raising=False)
    assert read_profile() == "full"
    monkeypatch.setenv("PROFILE", "quick")
    assert read_profile() == "quick"
    monkeypatch.setenv("PROFILE", "fast")
    with pytest.raises(RunError, match="PROFILE=fast.*full, quick, smoke"):
        read_profile()


def test_without_data_the_sample_runs_at_the_smoke_profile(project, monkeypatch, capsys):
    root, _, folders = project
    monkeypatch.chdir(root)
    calls = []
    monkeypatch.setattr(tools.run, "run", lambda *arguments: calls.append(arguments))
    drawn = {"signmnist": (root / "build" / "sample" / "signmnist").absolute()}
    for found, wanted, profile in (
        (drawn, "", "smoke"),
        (drawn, "full", "full"),
        (folders, "", "full"),
        (folders, "quick", "quick"),
    ):
        monkeypatch.setenv("PROFILE", wanted)
        monkeypatch.setattr(tools.run, "find_data", lambda *_, found=found: found)
        tools.run.main(["q1"])
        assert calls[-1][2:] == (profile, found, QUESTIONS, ["q1"])
    assert capsys.readouterr().out.count("The sample runs with the smoke profile") == 1


def test_a_name_may_be_that_of_a_question_or_of_a_study(project, monkeypatch):
    root, _, folders = project
    monkeypatch.chdir(root)
    monkeypatch.delenv("PROFILE", raising=False)
    (root / "notebooks" / "cascades.py").write_text(SCRIPT)
    monkeypatch.setattr(tools.run, "find_data", lambda scripts, _: folders)
    calls = []
    monkeypatch.setattr(tools.run, "run", lambda *arguments: calls.append(arguments[4:]))
    for arguments in ([], ["studies"], ["q1"], ["cascades"], ["studies", "cascades"]):
        tools.run.main(arguments)
    study = STUDIES, ["cascades"]
    assert calls == [(QUESTIONS, []), (STUDIES, []), (QUESTIONS, ["q1"]), study, study]
    with pytest.raises(RunError, match="no transfer, only q1, cascades"):
        tools.run.main(["transfer"])


@pytest.mark.parametrize(
    "words, called",
    [
        ("run", "tools.run"),
        ("run NAME=q1", "tools.run q1"),
        ("studies STUDY=cascades", "tools.run studies cascades"),
        ("studies NAME=cascades", "tools.run studies cascades"),
        ("publish NAME=q1", "tools.publish q1"),
    ],
)
def test_make_takes_the_name_of_a_notebook_but_not_that_of_the_machine(words, called):
    root = Path(__file__).parent.parent
    done = subprocess.run(
        ["make", "-n", "--no-print-directory", "-o", ".venv/.ready", *words.split()],
        cwd=root,
        env={**os.environ, "NAME": "machine", "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip().endswith(f"-m {called}"), done.stderr


def test_an_error_is_told_without_a_traceback(capsys):
    def fail():
        raise RunError("q1 failed")

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert exit_status(fail) == 1
        assert exit_status(lambda: None) == 0
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert capsys.readouterr().err == "q1 failed\n"


class Terminal:
    """A stream that says it is a terminal and keeps what is written."""

    text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def isatty(self):
        return True


def test_on_a_terminal_progress_is_one_line_that_vanishes():
    heading = new_markdown_cell("## Train\n\n```\n# not a heading\n```")
    terminal = Terminal()
    notebook = new_notebook(cells=[heading, new_code_cell("1")])
    with Progress("q1", notebook, stream=terminal) as progress:
        progress.at(1)
        assert re.fullmatch(r"q1  cell 1/1  00:0\d  Train", progress.line())
    assert "\n" not in terminal.text
    assert terminal.text.endswith("\r\x1b[K")


def test_progress_says_what_is_left_at_the_pace_of_the_sections_before(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    cells = [cell for t in "ABC" for cell in (new_markdown_cell(f"# {t}"), new_code_cell("1"))]
    expected = {"A": 20, "B": 30, "C": 40}
    progress = Progress("q1", new_notebook(cells=cells), expected, Terminal())
    progress.at(1)
    assert progress.left() == 90
    clock[0] = 40  # section A took twice what it was thought to take
    progress.at(3)
    assert progress.left() == 2 * (30 + 40)
    clock[0] = 50
    assert progress.left() == 130 and "  about 02:10 left  B" in progress.line()
    clock[0] = 120  # section B takes even longer
    assert progress.left() == 80
    assert progress.sections() == {"A": 40, "B": 80}


def test_the_time_of_a_run_is_forecast_from_the_published_notebooks(tmp_path):
    notebook = new_notebook(cells=[])
    stamp = {"seconds": 600, "processor": "EPYC, 2 cores", "sections": {"Train": 500}}
    notebook.metadata["signmnist"] = stamp
    write_notebook(notebook, tmp_path / "q1.ipynb")
    paths = [tmp_path / "q1.ipynb", tmp_path / "q2.ipynb"]
    assert forecast(paths, "full") == "about 10 min (measured on EPYC, 2 cores)"
    assert forecast(paths[1:], "full") == ""
    assert expected_seconds(paths[0], "quick") == {"Train": 500 * SHARES["quick"]}
    assert expected_seconds(paths[1], "quick") == {}


def test_durations_are_in_minutes_and_seconds():
    assert minutes(5) == "00:05"
    assert minutes(3725) == "62:05"


def test_what_a_killed_run_left_half_written_goes_and_nothing_else(tmp_path):
    for name in (".123.q1.ipynb", "models/.45.a.tflite", ".hidden", "models/a.tflite", ".12"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    remove_temporary(tmp_path)
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert left == {".hidden", "models/a.tflite", ".12"}
