"""Handing in and checking what was handed in: good files, broken ones and hostile ones."""

import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

import tools.check_submission as checker
import tools.submission
from signmnist.data import LABELS
from toolkit.results import load_records
from toolkit.runtime import use_keras_2
from toolkit.tflite import gzip_size
from tools.check_submission import RANKED, BadZip, main, notebook_problems, ranking, read_members
from tools.notebooks import build, write_notebook
from tools.run import RunError
from tools.scoring import score_all

use_keras_2()
import tensorflow as tf

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "models"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Paths of test images and labels as .npy files; the labels are the compact model's."""
    folder = tmp_path_factory.mktemp("images")
    values = np.random.default_rng(0).random((700, 28, 28, 1), np.float32)
    np.save(folder / "images.npy", values)
    np.save(folder / "labels.npy", np.zeros(700, int))
    return str(folder / "images.npy"), str(folder / "labels.npy")


def scored(path, images, seconds):
    return next(score_all([(path, *images)], seconds))


def notebook(outputs=(), count=1):
    cell = new_code_cell("1", outputs=list(outputs), execution_count=count)
    return json.dumps(new_notebook(cells=[cell])).encode()


STREAM = new_output("stream", text="1")
ERROR = new_output("error", ename="E", evalue="")


@pytest.mark.parametrize(
    "content, problems",
    [
        (notebook([STREAM]), []),
        (notebook(), ["no outputs saved"]),
        (notebook([STREAM], None), ["1 of 1 cells not executed"]),
        (notebook([ERROR]), ["1 cells with an error"]),
        (b"{}", ["not a notebook"]),
        (b"\x80", ["not a notebook"]),
        (b"[" * 100_000, ["not a notebook"]),
        (b'{"cells": 5}', ["not a notebook"]),
    ],
)
def test_what_is_wrong_with_a_notebook(content, problems):
    assert notebook_problems(content) == problems


def write_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_members_are_found_in_any_folder_and_nothing_leaves_the_zip(tmp_path):
    path = write_zip(
        tmp_path / "in.zip",
        {
            "deep/er/q1.ipynb": "far",
            "Anna/q1.ipynb": "near",
            "__MACOSX/Anna/q1.ipynb": "not hers",
            "../../evil.tflite": "evil",
            "Anna\\models\\m.tflite": "model",
            "Anna/notes.txt": "no matter",
        },
    )
    assert read_members(path) == {"q1.ipynb": b"near", "m.tflite": b"model"}
    assert [entry.name for entry in tmp_path.rglob("*")] == ["in.zip"]


def test_a_zip_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(checker.MAX_BYTES, ".ipynb", 10_000)
    path = write_zip(tmp_path / "bomb.zip", {"q1.ipynb": b"0" * 10_001})
    with pytest.raises(BadZip, match="q1.ipynb: more than"):
        read_members(path)
    monkeypatch.setattr(checker, "MAX_ENTRIES", 1)
    path = write_zip(tmp_path / "many.zip", {"q1.ipynb": b"0", "q2.ipynb": b"0"})
    with pytest.raises(BadZip, match="2 files are more than 1"):
        read_members(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_bounds_are_refused(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "b.zip", "w", method) as archive:
        archive.writestr("q1.ipynb", b"0" * 1000)
    with pytest.raises(BadZip, match="q1.ipynb: packed by another method"):
        read_members(tmp_path / "b.zip")


def test_a_name_cannot_write_to_the_terminal(tmp_path):
    path = write_zip(tmp_path / "n.zip", {"a\n\x1b[31mq1 ok.tflite": b"0"})
    assert list(read_members(path)) == ["'a\\n\\x1b[31mq1 ok.tflite'"]


def test_an_unforeseen_error_stays_with_its_hand_in(monkeypatch, tmp_path):
    monkeypatch.setattr(checker, "read_members", lambda path: 1 / 0)
    rows, scores = checker.check(tmp_path / "a.zip", tmp_path, 1)
    assert rows[0]["problem"] == "could not be checked (ZeroDivisionError)"
    assert set(scores) == set(RANKED) and not any(scores.values())


def test_a_damaged_zip_is_refused(tmp_path):
    path = write_zip(tmp_path / "cut.zip", {"q1.ipynb": b"0" * 10_000})
    content = bytearray(path.read_bytes())
    (tmp_path / "cut.zip").write_bytes(content[:-30])
    with pytest.raises(BadZip, match="damaged"):
        read_members(path)
    content[40:50] = bytes(10)
    path.write_bytes(content)
    with pytest.raises(BadZip, match="damaged"):
        read_members(path)
    path.write_text("no zip")
    with pytest.raises(BadZip, match="damaged or not a zip"):
        read_members(path)
    with pytest.raises(BadZip, match="no such file"):
        read_members(tmp_path / "absent.zip")


def convert(outputs, path):
    converter = tf.lite.TFLiteConverter.from_keras_model(outputs)
    path.write_bytes(converter.convert())
    return str(path)


def constant_model(classes, winner, path, before=()):
    """A .tflite file that always gives class `winner`, after the layers `before`."""
    layers = tf.keras.layers
    inputs = x = layers.Input((28, 28, 1))
    for layer in before:
        x = layer(x)
    x = layers.GlobalAveragePooling2D()(x)
    dense = layers.Dense(classes, kernel_initializer="zeros")
    model = tf.keras.Model(inputs, dense(x))
    dense.set_weights([np.zeros((1, classes)), np.eye(classes)[winner]])
    return convert(model, path)


@pytest.mark.parametrize("classes", [24, 25, 26])
def test_a_model_is_scored_with_and_without_places_for_j_and_z(classes, images, tmp_path):
    path = constant_model(classes, 0, tmp_path / "a.tflite")
    assert scored(path, images, 20) == (700, 700, "")
    path = constant_model(classes, 1, tmp_path / "b.tflite")
    assert scored(path, images, 20) == (0, 700, "")
    assert list(LABELS[:10]) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]


def test_files_that_cannot_be_scored_say_why(images, tmp_path):
    assert "24" in scored(constant_model(10, 0, tmp_path / "c.tflite"), images, 20).problem
    (tmp_path / "d.tflite").write_bytes(b"TFL3" * 100)
    assert scored(str(tmp_path / "d.tflite"), images, 20).problem == "LiteRT cannot load it"
    inputs = tf.keras.layers.Input((784,))
    flat = tf.keras.Model(inputs, tf.keras.layers.Dense(24)(inputs))
    assert "784" in scored(convert(flat, tmp_path / "e.tflite"), images, 20).problem
    path = constant_model(24, 0, tmp_path / "f.tflite")
    assert scored(path, images, 0).problem == "gave no answer in time"


def test_a_model_that_eats_memory_takes_only_its_own_process_down(images, tmp_path):
    grow = [tf.keras.layers.UpSampling2D(40) for _ in range(2)]
    found = scored(constant_model(24, 0, tmp_path / "g.tflite", grow), images, 10)
    assert found.total == 0 and found.problem
    assert scored(constant_model(24, 0, tmp_path / "h.tflite"), images, 20).total == 700


def test_after_a_crash_the_next_model_is_scored(images, tmp_path):
    grow = [tf.keras.layers.UpSampling2D(40) for _ in range(2)]
    good = constant_model(24, 0, tmp_path / "i.tflite")
    bad = constant_model(24, 0, tmp_path / "j.tflite", grow)
    found = list(score_all([(path, *images) for path in (good, bad, good, bad)], 10))
    assert [answer.total for answer in found] == [700, 0, 700, 0]
    assert found[1].problem and found[3].problem


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
    sample_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("SIGN_MNIST_DIR", str(sample_folder))
    models = {name: (MODELS / name).read_bytes() for name in RANKED.values()}
    notebooks = {f"q{i}.ipynb": notebook([STREAM]) for i in range(1, 5)}
    good = write_zip(tmp_path / "good.zip", models | notebooks)
    (tmp_path / "bad.zip").write_text("no zip")
    monkeypatch.setattr(checker, "GOAL", 0)  # the models were not made for the sample
    ranks = tmp_path / "ranking.csv"
    assert main([str(tmp_path / "bad.zip"), str(good), "--csv", str(ranks)]) == 1
    printed = capsys.readouterr().out
    assert "damaged or not a zip" in printed and "Ranking" in printed
    assert "sign_mnist.tflite" in printed and "missing" in printed
    table = pd.read_csv(ranks, index_col="hand-in")
    assert list(table.index) == [str(good), str(tmp_path / "bad.zip")]
    assert table.loc[str(good), "Q2 bytes"] == gzip_size(models[RANKED["Q2 bytes"]])


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
    with pytest.raises(RunError, match="q3.ipynb: not a notebook"):
        tools.submission.submit(project, target)
    assert "q1.ipynb is out of date" in str(caught.value)
    assert "q2.ipynb is missing" in str(caught.value)
    assert "models/sign_mnist.tflite is missing" in str(caught.value)
    assert not target.exists()


def test_a_notebook_with_an_error_is_not_handed_in(project):
    made = build(project / "notebooks" / "q1.py")
    made.cells[0].outputs, made.cells[0].execution_count = [ERROR], 1
    write_notebook(made, project / "q1.ipynb")
    with pytest.raises(RunError, match="q1.ipynb: 1 cells with an error"):
        tools.submission.submit(project, project / "out.zip")


def test_the_project_itself_can_be_handed_in_and_passes_its_own_check(tmp_path, real, capsys):
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
    assert main([str(target)]) == 0
    assert "of 7,172" in capsys.readouterr().out
