"""Codebooks: an int8 network of few values, smaller raw, the same to the bit on TFLite Micro."""

import sys

import numpy as np
import pytest

from toolkit.codebook import with_codebooks
from toolkit.compression import INT8, ONE_SCALE, convert, representative_dataset
from toolkit.runtime import use_keras_2
from toolkit.tflite import ModelError, predict_tflite, run_micro

pytest.importorskip("tflite_micro", reason="TFLite Micro has no package for this machine")
use_keras_2()
import tensorflow as tf

IMAGES = np.random.default_rng(0).random((50, 28, 28, 1), np.float32)
LEVELS = np.array([-1, -0.5, 0, 0.75], np.float32)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """An int8 file whose convolution has four values and whose dense layer has any, its codebook
    file and what that stores so."""
    folder = tmp_path_factory.mktemp("codebook")
    tf.keras.utils.set_random_seed(0)
    layers = tf.keras.layers
    steps = [layers.Input((28, 28, 1)), layers.Conv2D(64, 7, 4), layers.Flatten(), layers.Dense(5)]
    model = tf.keras.Sequential(steps)
    kernel = model.layers[0].kernel
    kernel.assign(np.random.default_rng(0).choice(LEVELS, kernel.shape))
    examples = representative_dataset(IMAGES)
    settings = INT8 | ONE_SCALE | {"representative_dataset": examples}
    plain = convert(model, folder / "int8.tflite", **settings)
    return plain, folder / "codebook.tflite", with_codebooks(plain, folder / "codebook.tflite")


def test_four_values_take_two_bits_a_weight_and_many_values_their_byte(files):
    plain, small, stored = files
    assert list(stored.values()) == [(2, 64 * 7 * 7)]
    saved = plain.stat().st_size - small.stat().st_size
    assert 0.25 * 64 * 7 * 7 < saved < 0.75 * 64 * 7 * 7  # tables and the operator take some


def test_tflite_micro_gives_the_scores_of_the_int8_file(files):
    plain, small = (run_micro(path, IMAGES) for path in files[:2])
    assert len(np.unique(plain.scores)) > 50
    np.testing.assert_array_equal(plain.scores, small.scores)
    assert small.arena_bytes > plain.arena_bytes


def test_litert_refuses_the_codebook(files):
    with pytest.raises(ModelError, match=r"codebook\.tflite"):
        predict_tflite(files[1], IMAGES)


def test_a_file_that_would_not_shrink_is_copied(tmp_path):
    layers = tf.keras.layers
    model = tf.keras.Sequential([layers.Input((3,)), layers.Dense(2)])
    x = np.random.default_rng(0).random((20, 3), np.float32)
    settings = INT8 | {"representative_dataset": representative_dataset(x)}
    plain = convert(model, tmp_path / "plain.tflite", **settings)
    assert with_codebooks(plain, tmp_path / "copy.tflite") == {}
    assert (tmp_path / "copy.tflite").read_bytes() == plain.read_bytes()


def test_a_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "no.tflite").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"no\.tflite"):
        with_codebooks(tmp_path / "no.tflite", tmp_path / "target.tflite")
    assert not (tmp_path / "target.tflite").exists()


def test_without_tflite_micro_the_file_is_copied(files, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tflite_micro.tensorflow.lite.micro.compression", None)
    assert with_codebooks(files[0], tmp_path / "copy.tflite") == {}
    assert (tmp_path / "copy.tflite").read_bytes() == files[0].read_bytes()
