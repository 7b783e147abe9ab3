"""Storing the levels of an int8 file as they are."""

import numpy as np
import pytest

from toolkit.compression import convert
from toolkit.graph import OPERATORS, TYPES, as_array, read_model
from toolkit.int4 import to_levels
from toolkit.runtime import use_keras_2
from toolkit.tflite import ModelError, gzip_size, open_tflite

use_keras_2()
import tensorflow as tf

RNG = np.random.default_rng(0)
IMAGES = RNG.random((30, 16, 16, 3), np.float32)
INTEGERS = {
    "optimizations": [tf.lite.Optimize.DEFAULT],
    "representative_dataset": lambda: ([image[None]] for image in IMAGES),
    "supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8],
    "inference_input_type": tf.int8,
    "inference_output_type": tf.int8,
}


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """An int8 file whose kernels are whole multiples, up to 3, of one step a layer."""
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            layers.Input((16, 16, 3)),
            layers.Conv2D(32, 3, 2, activation="relu"),
            layers.DepthwiseConv2D(3, activation="relu"),
            layers.Conv2D(48, 1, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5),
        ]
    )
    weighted = [layer for layer in model.layers if layer.weights]
    for step, layer in zip((0.11, 0.2, 0.07, 0.05), weighted, strict=True):
        kernel, bias = layer.get_weights()
        levels = RNG.integers(-3, 4, kernel.shape)
        layer.set_weights([step * levels, 0.3 * RNG.normal(size=bias.shape)])
    path = convert(model, tmp_path_factory.mktemp("levels") / "m.tflite", **INTEGERS)
    return path.read_bytes()


def scores(content, tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    runner = open_tflite(path)
    scale, zero = runner.get_input_details()[0]["quantization"]
    found = []
    for image in IMAGES:
        values = np.clip(np.round(image / scale) + zero, -128, 127).astype(np.int8)
        runner.set_tensor(runner.get_input_details()[0]["index"], values[None])
        runner.invoke()
        found.append(runner.get_tensor(runner.get_output_details()[0]["index"])[0])
    return np.array(found, int)


@pytest.mark.parametrize("nibbles", [False, True])
def test_each_layer_has_one_scale_and_seven_values_and_the_scores_stay(content, tmp_path, nibbles):
    rewritten = to_levels(content, nibbles=nibbles)
    for op in read_model(rewritten).subgraphs[0].operators:
        if op.kind in (OPERATORS.CONV_2D, OPERATORS.DEPTHWISE_CONV_2D):
            weights = op.sources[1]
            assert len(weights.quantization.scale) == 1
            assert set(np.unique(as_array(weights))) == set(range(-3, 4))
            packed = nibbles and op.kind == OPERATORS.CONV_2D
            assert weights.type == (TYPES.INT4 if packed else TYPES.INT8)
    assert gzip_size(rewritten) < 0.7 * gzip_size(content)
    assert np.abs(scores(rewritten, tmp_path) - scores(content, tmp_path)).max() <= 4


def test_weights_on_no_grid_keep_their_values(tmp_path):
    model = tf.keras.Sequential([tf.keras.layers.Input((16, 16, 3)), tf.keras.layers.Conv2D(4, 3)])
    plain = convert(model, tmp_path / "m.tflite", **INTEGERS).read_bytes()
    before, after = (
        as_array(read_model(content).subgraphs[0].operators[0].sources[1])
        for content in (plain, to_levels(plain))
    )
    assert np.array_equal(before, after)


def test_float_weights_are_refused(tmp_path):
    model = tf.keras.Sequential([tf.keras.layers.Input((8, 8, 1)), tf.keras.layers.Conv2D(2, 3)])
    path = convert(model, tmp_path / "float.tflite")
    with pytest.raises(ModelError, match="int8"):
        to_levels(path.read_bytes())
