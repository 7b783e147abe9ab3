"""The LiteRT Quantizer on networks with random weights: types, bits, scores."""

import numpy as np
import pytest

from toolkit.compression import convert
from toolkit.graph import LAYERS, TYPES, read_model, weight_bits
from toolkit.quantizer import quantize
from toolkit.runtime import use_keras_2
from toolkit.tflite import dequantized, predict_tflite, run_micro

use_keras_2()
import tensorflow as tf

IMAGES = np.random.default_rng(0).random((64, 28, 28, 1), np.float32)


@pytest.fixture(scope="module")
def float_file(tmp_path_factory):
    tf.keras.utils.set_random_seed(0)
    layers = tf.keras.layers
    steps = [layers.Input((28, 28, 1)), layers.Conv2D(8, 5, 2, activation="relu")]
    steps += [layers.Conv2D(16, 3, 2, activation="relu"), layers.Conv2D(24, 5), layers.Flatten()]
    return convert(
        tf.keras.Sequential(steps), tmp_path_factory.mktemp("quantizer") / "float.tflite"
    )


@pytest.mark.parametrize(
    ("weights", "activations", "least"), [(8, 8, 0.99), (8, 16, 0.99), (4, 8, 0.9)]
)
def test_a_file_has_the_bits_that_were_asked_for(float_file, weights, activations, least, tmp_path):
    path = quantize(float_file, tmp_path / "small.tflite", IMAGES, weights, activations)
    assert weight_bits(path.read_bytes()) == weights
    graph = read_model(path.read_bytes()).subgraphs[0]
    for op in graph.operators:
        assert op.sources[0].type == {8: TYPES.INT8, 16: TYPES.INT16}[activations]
        if op.kind in LAYERS:  # a scale for each output channel
            assert len(op.sources[1].quantization.scale) == op.sources[1].shape[0]
    expected = predict_tflite(float_file, IMAGES)
    found = dequantized(path, predict_tflite(path, IMAGES))
    assert np.corrcoef(expected.ravel(), found.ravel())[0, 1] > least
    assert run_micro(path, IMAGES[:2]).arena_bytes


def test_without_images_only_the_weights_are_integers(float_file, tmp_path):
    path = quantize(float_file, tmp_path / "dynamic.tflite", weights=4)
    assert weight_bits(path.read_bytes()) == 4
    for op in read_model(path.read_bytes()).subgraphs[0].operators:
        assert op.sources[0].type == TYPES.FLOAT32


def test_an_image_that_stands_out_sets_the_range(float_file, tmp_path):
    ranges = []
    for factor in (1, 10):
        images = np.concatenate([IMAGES[:-1], factor * IMAGES[-1:]])
        path = quantize(float_file, tmp_path / f"{factor}.tflite", images)
        pixels = read_model(path.read_bytes()).subgraphs[0].sources[0]
        ranges.append(255 * pixels.quantization.scale[0])
        assert ranges[-1] == pytest.approx(images.max(), rel=1e-3)
    assert ranges[1] > 9 * ranges[0]


def test_nothing_is_told_on_the_way(float_file, tmp_path, capfd, recwarn):
    quantize(float_file, tmp_path / "small.tflite", IMAGES)
    assert capfd.readouterr() == ("", "") and not recwarn.list
