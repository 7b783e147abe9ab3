"""QKeras's quantizers for weights and activations, and activations of sixteen levels in a file."""

import numpy as np
import pytest

from signmnist.baseline import build_cnn
from toolkit.compression import convert
from toolkit.few_bits import (
    ACTIVATION_QUANTIZERS,
    WEIGHT_QUANTIZERS,
    in_few_bits,
    relu_outputs,
    with_16_levels,
)
from toolkit.fourbit import plain_copy
from toolkit.graph import read_model, scales
from toolkit.runtime import use_keras_2
from toolkit.tflite import dequantized, predict_tflite
from toolkit.training import predict

use_keras_2()
import tensorflow as tf

RNG = np.random.default_rng(0)
IMAGES = RNG.random((64, 28, 28, 1), np.float32)


@pytest.mark.parametrize("name", [*WEIGHT_QUANTIZERS, *ACTIVATION_QUANTIZERS])
def test_a_quantizer_has_no_more_levels_than_its_bits_allow(name):
    bits, make = (WEIGHT_QUANTIZERS | ACTIVATION_QUANTIZERS)[name]
    values = RNG.normal(0, 0.6, (4000, 1)).astype(np.float32)
    levels = np.unique(np.round(make()(tf.constant(values)).numpy(), 3))
    assert 2 <= len(levels) <= 2**bits


@pytest.fixture(scope="module")
def sixteen():
    """A small network with weights of 4 bits and activations of sixteen levels."""
    tf.keras.utils.set_random_seed(0)
    activation = ACTIVATION_QUANTIZERS["quantized_relu"][1]
    network = in_few_bits(build_cnn(((4,), (8,))), activation=activation)
    for layer in network.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            gamma, beta, *_ = layer.get_weights()
            layer.set_weights([3 * gamma, beta + 1, beta, gamma / 4])
    kernel, bias = network.layers[-1].get_weights()
    network.layers[-1].set_weights([kernel, RNG.normal(0, 1, bias.shape)])
    return network


def test_a_file_of_int8_carries_sixteen_levels_as_112_to_127(sixteen, tmp_path):
    whole = convert(plain_copy(in_few_bits(sixteen)), tmp_path / "float.tflite")
    path = with_16_levels(whole, tmp_path / "sixteen.tflite", IMAGES, 0.25)
    inside = relu_outputs(path, IMAGES)
    assert len(inside) == 2
    for values in inside.values():
        assert values.min() == 112 and 115 < values.max() <= 127
    first = next(iter(read_model(path.read_bytes()).subgraphs[0].operators))
    assert scales(first.targets[0]) == ([0.25], [112])
    scores, expected = dequantized(path, predict_tflite(path, IMAGES)), predict(sixteen, IMAGES)
    assert np.abs(scores - expected).max() <= 0.1 * np.ptp(expected)


def test_without_activations_the_weights_stay_and_relu_is_back(sixteen):
    back = in_few_bits(sixteen)
    assert sum(isinstance(layer, tf.keras.layers.ReLU) for layer in back.layers) == 2
    for one, other in zip(sixteen.get_weights(), back.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
