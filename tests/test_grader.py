"""Checking hand-ins: everything is written before it is shown, and no hand-in stops another."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest

import grader.check as checker
import grader.score_all as scoring
from grader import __main__ as program
from grader import ranking as ranks
from grader.__main__ import main
from grader.files import File
from grader.ranking import RANKED, ranking
from grader.rubric import RUBRIC, read_rubric
from grader.scoring import score
from grader.submissions import Item, Student
from toolkit.tflite import gzip_size

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "models"
STREAM = {"output_type": "stream", "text": "1"}


@pytest.fixture
def folder(sample_folder, tmp_path, monkeypatch):
    """Where `main` writes; the sample is what models are scored on."""
    monkeypatch.setenv("SIGN_MNIST_DIR", str(sample_folder))
    monkeypatch.setattr(program, "FOLDER", tmp_path / "check")
    return tmp_path / "check"


def notebook(source="1"):
    cell = {"cell_type": "code", "source": source, "outputs": [STREAM]}
    return json.dumps({"nbformat": 4, "cells": [cell]})


def write_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_ranking_of_known_scores():
    scores = {
        "a.zip": {"Q2 bytes": 1500, "Q3 bytes": 1600, "Q4 accuracy": 0.99},
        "b.zip": {"Q2 bytes": 1400, "Q3 bytes": None, "Q4 accuracy": 1.0},
        "c.zip": {"Q2 bytes": 1400, "Q3 bytes": 1500, "Q4 accuracy": 0.98, "Q4": "measured"},
    }
    table = ranking(scores)
    assert list(table.index) == ["b.zip", "c.zip", "a.zip"]
    assert table.loc["a.zip", ["Q2 rank", "Q3 rank", "Q4 rank"]].tolist() == [3, 2, 2]
    assert table.loc["b.zip", ["Q2 rank", "Q3 rank", "Q4 rank"]].tolist() == [1, 3, 1]
    assert table.loc["c.zip", ["Q2 rank", "Q3 rank", "Q4 rank"]].tolist() == [1, 1, 3]
    assert table["Q4 is"].tolist() == ["", "measured", ""]


def test_question_4_is_ranked_by_its_file_or_by_what_was_printed():
    notebook = File(said={"printed": 0.97, "stubs": []})
    for bits, against, expected in (
        (4, "", (0.99, "measured")),
        (8, "", (0.97, "printed, not measured")),
        (4, "missing", (0.97, "printed, not measured")),
    ):
        file = File("", 99, 100, measures={"bits": bits})
        assert ranks.ranked("Q4 accuracy", file, against, notebook) == expected
    for unfit in (File(), File(said={"printed": 0.97, "stubs": [(1, "Task 1")]})):
        unfit.said.setdefault("stubs", [])
        assert ranks.ranked("Q4 accuracy", File("missing"), "missing", unfit) == (None, "")
    assert ranks.ranked("Q2 bytes", File("", 90, 100, 5), "", notebook) == (5, "")
    assert ranks.ranked("Q2 bytes", File("", 89, 100, 5), "", notebook) == (None, "")
    assert ranks.ranked("Q2 bytes", File("", 90, 100, 5), "0% of the weights", notebook)[0] is None


def test_several_hand_ins_are_checked_ranked_and_one_bad_zip_stops_nothing(
    folder, tmp_path, monkeypatch, capfd
):
    models = {name: (MODELS / name).read_bytes() for name in RANKED.values()}
    good = write_zip(
        tmp_path / "good.zip", models | {f"q{i}.ipynb": notebook() for i in range(1, 5)}
    )
    (tmp_path / "bad.zip").write_text("no zip")
    monkeypatch.setattr(ranks, "GOAL", 0)  # the models were not made for the sample
    assert main([str(tmp_path / "bad.zip"), str(good)]) == 0
    printed = capfd.readouterr().out
    assert "damaged or not a zip" in printed and "Ranking" in printed
    lines = [line for line in printed.splitlines() if line.startswith(str(tmp_path))]
    assert len(lines) == 4  # one each, and again in the ranking
    table = pd.read_csv(folder / "ranking.csv", index_col="hand-in")
    assert list(table.index) == [str(good), str(tmp_path / "bad.zip")]
    assert table.loc[str(good), "Q2 bytes"] == gzip_size(models[RANKED["Q2 bytes"]])
    book = pd.read_csv(folder / "points.csv", index_col="hand-in")
    assert list(book.index) == [str(tmp_path / "bad.zip"), str(good)]
    assert list(book["total"] > 0) == [False, True]
    assert {page.name for page in folder.glob("*.html")} == {"bad.html", "good.html", "index.html"}
    page = (folder / "good.html").read_text()
    assert "q1.ipynb" in page and "missing" in page
    assert main([str(good)]) == 0
    assert {page.name for page in folder.glob("*.html")} == {"good.html", "index.html"}


def test_equal_files_are_scored_once_and_finished_scores_are_kept(folder, tmp_path, monkeypatch):
    scored: list = []
    real = scoring.call_all

    def call_all(function, jobs, *seconds):
        jobs = list(jobs)
        scored.extend(job[0] for job in jobs if function is score)
        return real(function, jobs, *seconds)

    monkeypatch.setattr(scoring, "call_all", call_all)
    content = (MODELS / "sign_mnist_clustered.tflite").read_bytes()
    members = {"sign_mnist.tflite": content, "sign_mnist_pruned.tflite": content}
    paths = [str(write_zip(tmp_path / f"{name}.zip", members)) for name in "ab"]
    assert main(paths) == 0 and len(scored) == 1
    assert main(paths) == 0 and len(scored) == 1
    page = (folder / "a.html").read_text()
    assert main([*paths, "--rubric", str(RUBRIC)]) == 0
    assert page == (folder / "a.html").read_text()


@pytest.mark.parametrize("arguments", [["absent.zip"], ["a.zip", "*.zap"], ["empty"]])
def test_what_matches_nothing_ends_with_2_and_writes_nothing(
    arguments, folder, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write_zip(tmp_path / "a.zip", {"q1.ipynb": notebook()})
    folder.mkdir()
    (folder / "gradebook.csv").write_text("hers")
    assert main(arguments) == 2
    monkeypatch.setenv("ZIP", " ".join(arguments))
    assert main([]) == 2
    told = capfd.readouterr().err
    assert arguments[-1] in told and "there is no " in told
    assert [path.name for path in folder.iterdir()] == ["gradebook.csv"]
    assert (folder / "gradebook.csv").read_text() == "hers"


def test_an_unforeseen_error_stays_with_its_hand_in(monkeypatch, tmp_path):
    monkeypatch.setattr(checker, "call_all", lambda *args: 1 / 0)
    student = Student("a", items=(Item("a.zip", whole=True),))
    (one,) = checker.check_class([student], tmp_path, read_rubric(RUBRIC), tmp_path, str)
    assert one.rows[0]["problem"] == "could not be checked (ZeroDivisionError)"
    assert not any(one.scores.values()) and not any(line.points for line in one.graded)


def test_what_a_file_makes_a_program_say_cannot_write_to_the_terminal():
    files = {"a.tflite": File(note="found as A.tflite")}
    scoring.learn(files, ["a.tflite"], [{"problem": "no op \x1b[31m\n", "note": "\r", "size": 5}])
    said = "'no op \\x1b[31m\\n'", "found as A.tflite; '\\r'", 5
    assert (files["a.tflite"].problem, files["a.tflite"].note, files["a.tflite"].size) == said


def test_a_rubric_that_cannot_be_used_stops_before_anything_is_written(folder, tmp_path, capfd):
    (tmp_path / "r.toml").write_text("[[line]]\ntitle = 'Size'\nkind = 'sise'\n")
    (tmp_path / "a.zip").write_text("no zip")
    assert main([str(tmp_path / "a.zip"), "--rubric", str(tmp_path / "r.toml")]) == 1
    assert 'r.toml: line 1, "Size": `kind` must be one of' in capfd.readouterr().err
    assert not folder.exists()


def test_a_place_that_cannot_be_written_to_is_named_and_the_rest_is_written(
    folder, tmp_path, capfd
):
    (folder / "a.html").mkdir(parents=True)
    (tmp_path / "a.zip").write_text("no zip")
    assert main([str(tmp_path / "a.zip")]) == 1
    said = capfd.readouterr()
    assert (
        said.err.splitlines()[-1]
        == f"{folder}/a.html: Is a directory: name another place by --folder"
    )
    assert "damaged or not a zip" in said.out and (folder / "index.html").exists()
    assert "0 of 330" not in said.out  # what cannot be read is not told as noughts


def test_a_full_disk_is_named_with_the_file(folder, tmp_path, monkeypatch, capfd):
    def full(self, content):
        raise OSError(28, "No space left on device")

    (tmp_path / "a.zip").write_text("no zip")
    monkeypatch.setattr(Path, "write_bytes", full)
    assert main([str(tmp_path / "a.zip")]) == 1
    said = capfd.readouterr().err.splitlines()[-2:]
    assert [line.split(": ")[:2] for line in said] == [
        [f"{folder}/{name}.html", "No space left on device"] for name in ("a", "index")
    ]


def run(arguments, folder, *, shell=False, **env):
    """What the program does when it is started with these arguments: the completed process."""
    command = [sys.executable, "-m", "grader", *arguments, "--folder", str(folder)]
    if shell:
        command = ["bash", "-o", "pipefail", "-c", f'"$@" {shell}', "bash", *command]
    return subprocess.run(command, cwd=ROOT, capture_output=True, env={**os.environ, **env})


@pytest.mark.parametrize("shell", ["2>&1 | head -n 1", ">&- 2>&-", "> /dev/full"])
def test_who_does_not_read_on_loses_nothing(shell, folder, tmp_path):
    model = (MODELS / "sign_mnist_clustered.tflite").read_bytes()
    members = {"q1.ipynb": notebook(), "model.tflite": model}
    good = write_zip(tmp_path / "good.zip", members)
    (tmp_path / "bad.zip").write_text("no zip")
    paths = [str(good), str(tmp_path / "bad.zip")]
    done = run(paths, folder, shell=shell)
    assert b"Traceback" not in done.stderr and b"Exception" not in done.stderr
    names = {path.name for path in folder.iterdir()} - {"scores"}
    assert names == {
        *("good.html", "bad.html", "index.html"),
        *("gradebook.csv", "points.csv", "marking.csv", "ranking.csv"),
    }
    assert "Question 1" in (folder / "good.html").read_text()


def test_odd_names_are_shown_escaped_and_stop_nothing(folder, tmp_path):
    names = [b"M\xfcller.zip", b"a\x1b[31m\nb.zip", "Зоя.zip".encode(), b"=1+1.zip"]
    paths = [os.path.join(os.fsencode(tmp_path), name) for name in names]
    for path in paths:
        write_zip(os.fsdecode(path), {"q1.ipynb": notebook()})
    done = run(map(os.fsdecode, paths), folder, PYTHONIOENCODING="latin-1")
    assert b"Traceback" not in done.stderr and b"\x1b" not in done.stdout
    printed = done.stdout.decode("latin-1")
    ranking = printed[printed.index("Ranking") :]
    for text in (printed, ranking, (folder / "index.html").read_text().replace("&#39;", "'")):
        assert f"'{tmp_path}/M\\udcfcller.zip'" in text
        assert f"'{tmp_path}/a\\x1b[31m\\nb.zip'" in text
    assert len(list(folder.glob("*.html"))) == 5
    book = pd.read_csv(folder / "points.csv")
    assert list(book["question 1"]) == [10] * 4
