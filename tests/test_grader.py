"""Checking hand-ins: everything is written before it is shown, and no hand-in stops another."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import grader.check as checker
from grader import __main__ as program
from grader import ranking as ranks
from grader.__main__ import main, zips_named
from grader.hand_in import File
from grader.ranking import RANKED, ranking
from grader.rubric import RUBRIC, read_rubric
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


def test_names_of_zips_may_hold_spaces_and_patterns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.zip", "b c d.zip", "o'neil (1).zip"):
        (tmp_path / name).touch()
    assert zips_named('absent".zip a.zip') == ['absent".zip', "a.zip"]
    assert zips_named("b c d.zip") == ["b c d.zip"]
    assert zips_named("a.zip b c d.zip o'neil (1).zip") == ["a.zip", "b c d.zip", "o'neil (1).zip"]
    assert zips_named("'b c d.zip' a.zip") == ["b c d.zip", "a.zip"]
    assert zips_named("*.zip") == ["a.zip", "b c d.zip", "o'neil (1).zip"]
    assert zips_named("absent.zip a.zip") == ["absent.zip", "a.zip"]


def test_ranking_of_known_scores():
    scores = {
        "a.zip": {"Q2 bytes": 1500, "Q3 bytes": 1600, "Q4 accuracy": 0.99},
        "b.zip": {"Q2 bytes": 1400, "Q3 bytes": None, "Q4 accuracy": 1.0},
        "c.zip": {"Q2 bytes": 1400, "Q3 bytes": 1500, "Q4 accuracy": 0.98},
    }
    table = ranking(scores)
    assert list(table.index) == ["b.zip", "c.zip", "a.zip"]
    assert table.loc["a.zip", ["Q2 rank", "Q3 rank", "Q4 rank"]].tolist() == [3, 2, 2]
    assert table.loc["b.zip", ["Q2 rank", "Q3 rank", "Q4 rank"]].tolist() == [1, 3, 1]
    assert table.loc["c.zip", ["Q2 rank", "Q3 rank", "Q4 rank"]].tolist() == [1, 1, 3]


def test_several_hand_ins_are_checked_ranked_and_one_bad_zip_stops_nothing(
    folder, tmp_path, monkeypatch, capfd
):
    models = {name: (MODELS / name).read_bytes() for name in RANKED.values()}
    good = write_zip(
        tmp_path / "good.zip", models | {f"q{i}.ipynb": notebook() for i in range(1, 5)}
    )
    (tmp_path / "bad.zip").write_text("no zip")
    monkeypatch.setattr(ranks, "GOAL", 0)  # the models were not made for the sample
    assert main([str(tmp_path / "bad.zip"), str(good)]) == 1
    printed = capfd.readouterr().out
    assert "damaged or not a zip" in printed and "Ranking" in printed
    assert "sign_mnist.tflite" in printed and "missing" in printed
    table = pd.read_csv(folder / "ranking.csv", index_col="hand-in")
    assert list(table.index) == [str(good), str(tmp_path / "bad.zip")]
    assert table.loc[str(good), "Q2 bytes"] == gzip_size(models[RANKED["Q2 bytes"]])
    book = pd.read_csv(folder / "gradebook.csv", index_col="hand-in")
    assert list(book.index) == [str(tmp_path / "bad.zip"), str(good)]
    assert list(book["total"] > 0) == [False, True]
    assert {page.name for page in folder.glob("*.html")} == {"bad.html", "good.html", "index.html"}


def test_what_is_ranked_is_looked_at(folder, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(ranks, "GOAL", 0)
    small, large = (MODELS / f"sign_mnist_{n}.tflite" for n in ("clustered", "compact"))
    names = dict(zip(RANKED.values(), (small, small, large), strict=True))
    path = write_zip(tmp_path / "in.zip", {n: p.read_bytes() for n, p in names.items()})
    monkeypatch.setenv("ZIP", str(path))
    assert main([]) == 1
    lines = {line.split()[0]: line for line in capfd.readouterr().out.splitlines() if line}
    assert "the same file as sign_mnist_pruned.tflite" in lines["sign_mnist_clustered.tflite"]
    assert "the same file as sign_mnist_clustered.tflite" in lines["sign_mnist_pruned.tflite"]
    assert "stores 32 bits a weight, not 4" in lines["sign_mnist_qkeras_4bit.tflite"]


def test_a_model_near_a_threshold_sees_all_images(monkeypatch, tmp_path):
    np.save(tmp_path / "labels.npy", np.zeros(7172))
    shares = {"sign_mnist.tflite": 0.93, "sign_mnist_quant_dyn.tflite": 0.99}
    shares["sign_mnist_pruned.tflite"] = 0.9

    def call_all(function, jobs, seconds=0):
        for path, images, _ in jobs:
            total = 100 if "sample" in images else 7172
            yield {"correct": round(float(Path(path).read_text()) * total), "total": total}

    monkeypatch.setattr(checker, "call_all", call_all)
    files = {name: File(path=str(tmp_path / name)) for name in shares}
    for name, share in shares.items():
        (tmp_path / name).write_text(str(share))
    graded = checker.check_files(files, {}, tmp_path, read_rubric(RUBRIC)).graded
    assert [files[name].total for name in shares] == [7172, 100, 7172]
    assert graded[1].found == "6,670 of 7,172 images, 93.00%"


def test_an_unforeseen_error_stays_with_its_hand_in(monkeypatch, tmp_path):
    monkeypatch.setattr(checker, "call_all", lambda *args: 1 / 0)
    checked = checker.check(tmp_path / "a.zip", tmp_path, read_rubric(RUBRIC))
    assert checked.rows[0]["problem"] == "could not be checked (ZeroDivisionError)"
    assert set(checked.scores) == set(RANKED) and not any(checked.scores.values())
    assert not any(one.points for one in checked.graded)


def test_what_a_file_makes_a_program_say_cannot_write_to_the_terminal():
    files = {"a.tflite": File(note="found as A.tflite")}
    checker.learn(files, ["a.tflite"], [{"problem": "no op \x1b[31m\n", "note": "\r", "size": 5}])
    said = "'no op \\x1b[31m\\n'", "found as A.tflite; '\\r'", 5
    assert (files["a.tflite"].problem, files["a.tflite"].note, files["a.tflite"].size) == said


def test_a_rubric_that_cannot_be_used_stops_before_anything_is_written(folder, tmp_path, capfd):
    (tmp_path / "r.toml").write_text("[[line]]\ntitle = 'Size'\nkind = 'sise'\n")
    assert main([str(tmp_path / "a.zip"), "--rubric", str(tmp_path / "r.toml")]) == 1
    assert 'r.toml: line 1, "Size": `kind` must be one of' in capfd.readouterr().err
    assert not folder.exists()


def test_a_place_that_cannot_be_written_to_is_named_and_the_rest_is_written(
    folder, tmp_path, capfd
):
    (folder / "a.html").mkdir(parents=True)
    assert main([str(tmp_path / "a.zip")]) == 1
    said = capfd.readouterr()
    assert (
        said.err.splitlines()[-1]
        == f"{folder}/a.html: Is a directory: name another place by --folder"
    )
    assert "there is no such file" in said.out and (folder / "index.html").exists()
    assert "points:" not in said.out  # a mistyped name is not told as a page of noughts


def test_a_full_disk_is_named_with_the_file(folder, tmp_path, monkeypatch, capfd):
    def full(self, content):
        raise OSError(28, "No space left on device")

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
    paths = [str(good), str(tmp_path / "absent.zip")]
    done = run(paths, folder, shell=shell)
    assert b"Traceback" not in done.stderr and b"Exception" not in done.stderr
    names = {path.name for path in folder.iterdir()}
    assert names == {"good.html", "absent.html", "index.html", "gradebook.csv", "ranking.csv"}
    assert "of 100" in (folder / "good.html").read_text()


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
    book = pd.read_csv(folder / "gradebook.csv")
    assert list(book["question 1"]) == [20] * 4
