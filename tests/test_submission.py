"""Handing in and checking what was handed in: good files, broken ones and hostile ones."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

import grader.check as checker
import tools.submission
from grader import hand_in, scoring
from grader.check import RANKED, main, ranking, zips_named
from grader.grading import RUBRIC, read_rubric
from grader.hand_in import BadZip, asked_for, notebook_problems, read_hand_in
from grader.scoring import score_all
from signmnist.data import LABELS
from toolkit.results import load_records
from toolkit.runtime import use_keras_2
from toolkit.tflite import gzip_size, quiet
from tools.notebooks import build, write_notebook
from tools.run import RunError

use_keras_2()
import tensorflow as tf

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "models"


@pytest.fixture(autouse=True)
def pages(tmp_path, monkeypatch):
    """Where `main` writes feedback."""
    monkeypatch.setattr(checker, "PAGES", tmp_path / "check")
    return tmp_path / "check"


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
        (notebook(), ["no outputs saved: run all cells and save it"]),
        (notebook([STREAM], None), []),  # as Colab saves some
        (notebook([ERROR]), ["1 cells with an error"]),
        (b"{}", ["not a notebook"]),
        (b"\x80", ["not a notebook"]),
        (b"[" * 100_000, ["not a notebook"]),
        (b'{"cells": 5}', ["not a notebook"]),
        (b"[]", ["not a notebook"]),
        (b"\xef\xbb\xbf" + notebook([STREAM]), []),
        (
            b'{"nbformat": 3, "worksheets": [{"cells": []}]}',
            ["an old notebook format (3): open it in Jupyter or Colab and save it again"],
        ),
    ],
)
def test_what_is_wrong_with_a_notebook(content, problems):
    assert notebook_problems(content) == problems


def write_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def contents(path):
    return {name: member.content for name, member in read_hand_in(path).items()}


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
    assert contents(path) == {"q1.ipynb": b"near", "m.tflite": b"model", "evil.tflite": b"evil"}
    assert [entry.name for entry in tmp_path.rglob("*")] == ["in.zip"]


@pytest.mark.parametrize(
    "name",
    ["Q1.ipynb", "q1 (1).ipynb", "q1(2).ipynb", "Q1.IPYNB", "Copy of q1.ipynb", "q1 - Copy.ipynb"],
)
def test_capitals_and_marks_of_a_copy_are_no_other_name(name, tmp_path):
    members = read_hand_in(write_zip(tmp_path / "in.zip", {f"Anna/{name}": "x"}))
    assert list(members) == ["q1.ipynb"] and name in members["q1.ipynb"].note
    assert asked_for("my_model (1).tflite") == "my_model (1).tflite"


def test_of_two_files_of_one_name_the_line_says_which_counts(tmp_path):
    path = write_zip(tmp_path / "in.zip", {"backup/q1.ipynb": "old", "final/q1.ipynb": "new"})
    member = read_hand_in(path)["q1.ipynb"]
    assert member.content == b"new"
    assert member.note == "2 files of this name: final/q1.ipynb counts, not backup/q1.ipynb"


def test_a_zip_in_a_zip_is_looked_into_but_not_a_whole_course(tmp_path):
    inner = write_zip(tmp_path / "anna.zip", {"q1.ipynb": "x"}).read_bytes()
    models = write_zip(tmp_path / "m.zip", {"sign_mnist.tflite": "y"}).read_bytes()
    both = write_zip(tmp_path / "both.zip", {"a/anna.zip": inner, "m.zip": models})
    assert contents(both) == {"q1.ipynb": b"x", "sign_mnist.tflite": b"y"}
    deep = write_zip(tmp_path / "deep.zip", {"both.zip": both.read_bytes()})
    assert contents(deep) == contents(both)
    course = write_zip(tmp_path / "course.zip", {"anna.zip": inner, "bert.zip": inner})
    with pytest.raises(BadZip, match="2 zips with files of the same names: unpack it"):
        read_hand_in(course)


def test_a_file_that_is_too_large_or_damaged_is_named_and_the_rest_is_read(tmp_path, monkeypatch):
    monkeypatch.setitem(hand_in.MAX_BYTES, ".ipynb", 10_000)
    path = write_zip(tmp_path / "bomb.zip", {"q1.ipynb": b"0" * 10_001, "q2.ipynb": b"0"})
    members = read_hand_in(path)
    assert members["q1.ipynb"].content is None and "larger than" in members["q1.ipynb"].problem
    assert members["q2.ipynb"].content == b"0"
    content = bytearray(
        write_zip(tmp_path / "cut.zip", {"q1.ipynb": b"01" * 4_000, "q2.ipynb": b"1"}).read_bytes()
    )
    content[40:50] = bytes(10)
    (tmp_path / "cut.zip").write_bytes(content)
    members = read_hand_in(tmp_path / "cut.zip")
    assert members["q1.ipynb"].problem == "damaged: zip it again"
    assert members["q2.ipynb"].content == b"1"


def test_too_many_files_or_bytes_are_refused(tmp_path, monkeypatch):
    path = write_zip(tmp_path / "many.zip", {"q1.ipynb": b"0" * 50, "q2.ipynb": b"0"})
    monkeypatch.setattr(hand_in, "MAX_TOTAL", 40)
    assert read_hand_in(path)["q2.ipynb"].problem.startswith("not read: more than")
    monkeypatch.setattr(hand_in, "MAX_ENTRIES", 1)
    with pytest.raises(BadZip, match="2 files are more than 1"):
        read_hand_in(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_bounds_are_refused(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "b.zip", "w", method) as archive:
        archive.writestr("q1.ipynb", b"0" * 1000)
    assert "packed by another method" in read_hand_in(tmp_path / "b.zip")["q1.ipynb"].problem


def test_a_name_cannot_write_to_the_terminal(tmp_path):
    path = write_zip(tmp_path / "n.zip", {"a\n\x1b[31mq1 ok.tflite": b"0"})
    assert list(read_hand_in(path)) == ["'a\\n\\x1b[31mq1 ok.tflite'"]


def test_a_file_under_another_name_is_suggested():
    assert hand_in.missing("q1.ipynb", {"q1_final.ipynb": None}).startswith("missing (is it q1_fin")
    assert hand_in.missing("q1.ipynb", {"sign_mnist.tflite": None}) == "missing"


def test_an_unforeseen_error_stays_with_its_hand_in(monkeypatch, tmp_path):
    monkeypatch.setattr(checker, "read_hand_in", lambda path: 1 / 0)
    checked = checker.check(tmp_path / "a.zip", tmp_path, 1, read_rubric(RUBRIC))
    assert checked.rows[0]["problem"] == "could not be checked (ZeroDivisionError)"
    assert set(checked.scores) == set(RANKED) and not any(checked.scores.values())
    assert not any(one.points for one in checked.graded)


def test_what_is_no_zip_is_refused_as_what_it_is(tmp_path):
    path = write_zip(tmp_path / "cut.zip", {"q1.ipynb": b"0" * 10_000})
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(BadZip, match="damaged"):
        read_hand_in(path)
    path.write_text("no zip")
    with pytest.raises(BadZip, match="damaged or not a zip"):
        read_hand_in(path)
    path.write_bytes(b"Rar!\x1a\x07")
    with pytest.raises(BadZip, match="a RAR archive, not a zip"):
        read_hand_in(path)
    with pytest.raises(BadZip, match="a folder"):
        read_hand_in(tmp_path)
    with pytest.raises(BadZip, match="no such file"):
        read_hand_in(tmp_path / "absent.zip")


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
    assert scored(path, images, 20)[:3] == (700, 700, "")
    path = constant_model(classes, 1, tmp_path / "b.tflite")
    assert scored(path, images, 20)[:3] == (0, 700, "")
    assert list(LABELS[:10]) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]


def test_files_that_cannot_be_scored_say_why(images, tmp_path):
    assert "24" in scored(constant_model(10, 0, tmp_path / "c.tflite"), images, 20).problem
    (tmp_path / "d.tflite").write_bytes(b"TFL3" * 100)
    assert scored(str(tmp_path / "d.tflite"), images, 20).problem == "LiteRT cannot load it"
    inputs = tf.keras.layers.Input((32, 32, 1))
    large = tf.keras.Model(inputs, tf.keras.layers.Flatten()(inputs))
    problem = scored(convert(large, tmp_path / "e.tflite"), images, 20).problem
    assert problem == "takes (32, 32, 1), not 28 x 28 pixels an image"
    path = constant_model(24, 0, tmp_path / "f.tflite")
    assert scored(path, images, 0).problem == "gave no answer in time"


@pytest.fixture(scope="module")
def levels(tmp_path_factory):
    """Images of one gray level each; the label is 1 for those brighter than the middle, else 0."""
    folder = tmp_path_factory.mktemp("levels")
    grays = np.random.default_rng(0).permutation(np.r_[20:100, 155:235])
    values = np.ones((len(grays), 28, 28, 1), np.float32) * grays[:, None, None, None]
    np.save(folder / "images.npy", values / np.float32(255))
    np.save(folder / "labels.npy", (grays > 127).astype(int))
    return str(folder / "images.npy"), str(folder / "labels.npy")


def level_model(shape, top, path, kind="float32", low=0.0):
    """A .tflite file that reads `levels` if their pixels come as `low` to `top`."""
    layers = tf.keras.layers
    inputs = layers.Input(shape)
    mean = layers.Dense(1, use_bias=False)(layers.Flatten()(inputs))
    dense = layers.Dense(24)
    model = tf.keras.Model(inputs, dense(mean))
    model.layers[2].set_weights([np.full((784, 1), 1 / 784 / (top - low))])
    start = low / (top - low)
    weights, bias = np.zeros((1, 24)), np.full(24, -1.0)
    weights[0, :2], bias[:2] = (-1, 1), (0.5 + start, -0.5 - start)
    dense.set_weights([weights, bias])
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if kind != "float32":
        grays = np.linspace(low, top, 100, dtype=np.float32)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [np.full((1, *shape), gray, np.float32)] for gray in grays
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = getattr(tf, kind)
    with quiet():
        path.write_bytes(converter.convert())
    return str(path)


@pytest.mark.parametrize("shape", [(28, 28, 1), (28, 28), (784,), (1, 28, 28)])
@pytest.mark.parametrize(
    "top, low, pixels",
    [(1, 0, "pixels / 255"), (255, 0, "pixels 0 to 255"), (1, -1, "pixels -1 to 1")],
)
def test_the_form_of_the_input_is_found_and_said(shape, top, low, pixels, levels, tmp_path):
    found = scored(level_model(shape, top, tmp_path / "m.tflite", low=low), levels, 20)
    assert found.correct == found.total == 160 and found.pixels == pixels


@pytest.mark.parametrize("kind", ["int8", "uint8"])
@pytest.mark.parametrize("top, pixels", [(1, "pixels / 255"), (255, "pixels 0 to 255")])
def test_integer_inputs_are_scored_by_their_scale(kind, top, pixels, levels, tmp_path):
    found = scored(level_model((28, 28), top, tmp_path / "m.tflite", kind), levels, 20)
    assert found.correct == found.total == 160 and found.pixels == pixels


def test_integer_inputs_without_a_scale_take_raw_integers(levels, tmp_path):
    inputs = tf.keras.layers.Input((28, 28), dtype=tf.uint8)
    gray = tf.reduce_mean(tf.cast(inputs, tf.float32), axis=(1, 2))[:, None] / 255
    rest = tf.fill((tf.shape(gray)[0], 22), -1.0)
    model = tf.keras.Model(inputs, tf.concat([0.5 - gray, gray - 0.5, rest], axis=1))
    found = scored(convert(model, tmp_path / "m.tflite"), levels, 20)
    assert found.correct == found.total == 160 and found.pixels == "raw integers"


def test_a_model_that_takes_its_own_number_of_images_alone_is_scored(levels, tmp_path):
    inputs = tf.keras.layers.Input((28, 28, 1), batch_size=7)
    gray = tf.reduce_mean(tf.reshape(inputs, (7, 784)), axis=1)[:, None]
    model = tf.keras.Model(
        inputs, tf.concat([0.5 - gray, gray - 0.5, tf.fill((7, 22), -1.0)], axis=1)
    )
    found = scored(convert(model, tmp_path / "m.tflite"), levels, 20)
    assert found.correct == found.total == 160


def test_a_model_with_one_row_for_a_batch_is_reported_and_not_ranked(images, tmp_path):
    layers = tf.keras.layers
    inputs = layers.Input((28, 28, 1))
    x = layers.Dense(24)(layers.GlobalAveragePooling2D()(inputs))
    one_row = tf.keras.Model(inputs, layers.Lambda(lambda x: tf.reduce_mean(x, 0, True))(x))
    found = scored(convert(one_row, tmp_path / "o.tflite"), images, 20)
    assert (found.correct, found.total) == (0, 0)
    assert found.problem == "gives 1 x 24 scores for 32 images, not 24 for each: not ranked"


@pytest.mark.parametrize(
    "name, bits", [("qkeras_4bit", 4), ("quant_int8", 8), ("quant_float16", 16), ("compact", 32)]
)
def test_the_bits_that_a_model_stores_for_a_weight_are_known(name, bits, images):
    assert scored(str(MODELS / f"sign_mnist_{name}.tflite"), images, 60).bits == bits


def test_a_model_is_scored_where_the_system_refuses_limits_on_memory(images, tmp_path):
    code = (
        "import resource\nreal = resource.setrlimit\n"
        "def refuses(kind, limits):\n"
        "    if kind == resource.RLIMIT_AS: raise ValueError('as macOS does')\n"
        "    return real(kind, limits)\n"
        "resource.setrlimit = refuses\n"
    )
    (tmp_path / "sitecustomize.py").write_text(code)
    path = constant_model(24, 0, tmp_path / "a.tflite")
    program = f"from grader.scoring import *; print(next(score_all([{(path, *images)!r}], 20)))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert "correct=700, total=700" in done.stdout, done.stderr


def test_on_windows_the_checker_names_the_systems_it_works_on(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['resource'] = None")
    done = subprocess.run(
        [sys.executable, "-m", "grader.check", "a.zip"],
        cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.strip() == scoring.SYSTEMS
    assert "WSL" in scoring.SYSTEMS


def test_time_that_others_take_is_not_counted(images, tmp_path):
    path = constant_model(24, 0, tmp_path / "a.tflite")

    def waits(part):
        time.sleep(0.15)  # as on a busy machine
        return part

    values, labels = (np.load(name) for name in images)
    start = time.monotonic()
    found = scoring._count(path, waits, values, labels, time.process_time() + 2)
    assert found.total == 700 and time.monotonic() - start > 3


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
    sample_folder, tmp_path, pages, monkeypatch, capsys
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
    book = pd.read_csv(pages / "gradebook.csv", index_col="hand-in")
    assert list(book.index) == [str(tmp_path / "bad.zip"), str(good)]
    assert list(book["total"] > 0) == [False, True]
    assert {page.name for page in pages.glob("*.html")} == {"bad.html", "good.html", "index.html"}


def test_what_is_ranked_is_looked_at(sample_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SIGN_MNIST_DIR", str(sample_folder))
    monkeypatch.setattr(checker, "GOAL", 0)
    small, large = (MODELS / f"sign_mnist_{n}.tflite" for n in ("clustered", "compact"))
    names = dict(zip(RANKED.values(), (small, small, large), strict=True))
    path = write_zip(tmp_path / "in.zip", {n: p.read_bytes() for n, p in names.items()})
    monkeypatch.setenv("ZIP", str(path))
    assert main([]) == 1
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert "the same file as sign_mnist_pruned.tflite" in lines["sign_mnist_clustered.tflite"]
    assert "the same file as sign_mnist_clustered.tflite" in lines["sign_mnist_pruned.tflite"]
    assert "stores 32 bits a weight, not 4" in lines["sign_mnist_qkeras_4bit.tflite"]


def test_a_model_near_a_threshold_sees_all_images(monkeypatch, tmp_path):
    np.save(tmp_path / "labels.npy", np.zeros(7172))
    shares = {"sign_mnist.tflite": 0.93, "sign_mnist_quant_dyn.tflite": 0.99}
    shares["sign_mnist_pruned.tflite"] = 0.9

    def score_all(jobs, seconds):
        for path, images, _ in jobs:
            share = float(Path(path).read_text())
            total = 100 if "sample" in images else 7172
            yield scoring.Score(round(share * total), total)

    monkeypatch.setattr(scoring, "score_all", score_all)
    members = {n: hand_in.Member(n, str(share).encode()) for n, share in shares.items()}
    rubric = read_rubric(RUBRIC)
    scores = checker.score_models(members, tmp_path, 1, rubric, everything=False)
    assert [scores[name].total for name in shares] == [7172, 100, 7172]
    graded = checker.check_members(members, tmp_path, 1, rubric, everything=False).graded
    assert graded[1].found == "6,670 of 7,172 images, 93.00%"


def test_a_rubric_that_cannot_be_used_stops_before_anything_is_written(tmp_path, pages, capsys):
    (tmp_path / "r.toml").write_text("[[line]]\ntitle = 'Size'\nkind = 'sise'\n")
    assert main([str(tmp_path / "a.zip"), "--rubric", str(tmp_path / "r.toml")]) == 1
    assert 'r.toml: line 1, "Size": `kind` must be one of' in capsys.readouterr().err
    assert not pages.exists()


def test_a_place_that_cannot_be_written_to_is_named(sample_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SIGN_MNIST_DIR", str(sample_folder))
    (tmp_path / "file").touch()
    assert main([str(tmp_path / "a.zip"), "--pages", str(tmp_path / "file" / "pages")]) == 1
    assert "file: " in capsys.readouterr().err.replace("/pages", "")


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
