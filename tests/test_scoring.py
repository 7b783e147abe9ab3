"""Models that nobody vouches for: scored in the form of input that suits them, within limits."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from grader import processes, scoring
from grader.files import File
from grader.processes import call_all
from grader.scoring import score
from signmnist.data import LABELS
from toolkit.runtime import use_keras_2
from toolkit.tflite import quiet

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


def all_scored(paths, images, seconds):
    jobs = [(path, *images, seconds) for path in paths]
    return [File(**answer) for answer in call_all(score, jobs, seconds)]


def scored(path, images, seconds):
    return all_scored([path], images, seconds)[0]


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
    assert scored(path, images, 20).correct == 700
    path = constant_model(classes, 1, tmp_path / "b.tflite")
    found = scored(path, images, 20)
    assert (found.correct, found.total, found.problem) == (0, 700, "")
    assert list(LABELS[:10]) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]


def test_files_that_cannot_be_scored_say_why(images, tmp_path):
    assert "24" in scored(constant_model(10, 0, tmp_path / "c.tflite"), images, 20).problem
    (tmp_path / "d.tflite").write_bytes(b"TFL3" * 100)
    assert scored(str(tmp_path / "d.tflite"), images, 20).problem == "LiteRT cannot load it"
    (tmp_path / "h5.tflite").write_bytes(b"\x89HDF\r\n\x1a\n")
    problem = scored(str(tmp_path / "h5.tflite"), images, 20).problem
    assert problem == "a Keras model, not a .tflite file: convert it"
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
    program = "from grader.scoring import score; from grader.processes import call_all; "
    program += f"print(next(call_all(score, [{(path, *images)!r}])))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert "'correct': 700, 'total': 700" in done.stdout, done.stderr


def test_on_windows_the_checker_names_the_systems_it_works_on(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['resource'] = None")
    done = subprocess.run(
        [sys.executable, "-m", "grader", "a.zip"],
        cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.strip() == processes.SYSTEMS
    assert "WSL" in processes.SYSTEMS


def test_time_that_others_take_is_not_counted(images, tmp_path):
    path = constant_model(24, 0, tmp_path / "a.tflite")

    def waits(part):
        time.sleep(0.15)  # as on a busy machine
        return part

    values, labels = (np.load(name) for name in images)
    start = time.monotonic()
    found = scoring._count(path, waits, values, labels, time.process_time() + 2)
    assert found == (700, 700)
    assert time.monotonic() - start > 3


def test_after_a_crash_the_next_model_is_scored(images, tmp_path):
    grow = [tf.keras.layers.UpSampling2D(40) for _ in range(2)]
    good = constant_model(24, 0, tmp_path / "i.tflite")
    bad = constant_model(24, 0, tmp_path / "j.tflite", grow)
    found = all_scored((good, bad, good, bad), images, 10)
    assert [answer.total for answer in found] == [700, 0, 700, 0]
    assert found[1].problem and found[3].problem


def behaves(what):
    """Something that goes on in another process."""
    if what == "loops":
        while True:
            pass
    if what == "exits":
        os._exit(3)
    if what == "fills":
        return {"size": len(bytearray(8 * 2**30))}
    if what == "raises":
        raise ValueError("no\x1b[31m\nreason")
    return {"text": "\udcfc" * (3 * 2**20 if what == "talks" else 1)}


def test_whatever_a_call_does_the_next_one_is_made():
    whats = "loops", "good", "exits", "fills", "raises", "talks", "good"
    found = list(call_all(behaves, [(what,) for what in whats], 1))
    assert found == [
        {"problem": "took more than 1 s of processor time"},
        {"text": "\udcfc"},
        {"problem": "crashed the program that reads it (exit 3)"},
        {"problem": "needs too much memory"},
        {"problem": "cannot be used: no\x1b[31m"},
        {"problem": "tells too much"},
        {"text": "\udcfc"},
    ]
