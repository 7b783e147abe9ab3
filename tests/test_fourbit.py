"""Four bits: counted, proved and stored, on known answers and on the committed files."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest

from signmnist.baseline import build_cnn
from toolkit.compression import convert
from toolkit.fourbit import (
    bit_count,
    four_bits,
    learning_phase,
    plain_copy,
    quantized_copy,
    quantized_layers,
    quantized_weights,
    stored_numbers,
)
from toolkit.graph import LAYERS, TYPES, as_array, read_model
from toolkit.quantizer import quantize
from toolkit.results import load_records
from toolkit.runtime import use_keras_2
from toolkit.tflite import predict_tflite
from toolkit.training import predict

use_keras_2()
import tensorflow as tf
from qkeras import QActivation, QConv2D, QDense, QDepthwiseConv2D, quantized_bits
from qkeras.estimate import print_qstats
from qkeras.utils import load_qmodel

MODELS = Path(__file__).parent.parent / "models"
RNG = np.random.default_rng(0)
IMAGES = RNG.random((64, 28, 28, 1), np.float32)


@pytest.fixture(scope="module")
def network():
    """A small QKeras network with random weights, some of its normalization gains negative."""
    model = quantized_copy(build_cnn(((4,), (8,))))
    for layer in model.layers:
        shapes = [w.shape for w in layer.get_weights()]
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            spread = 0.5 + RNG.random(shapes[0])
            sign = RNG.choice([-1, 1], shapes[0])
            layer.set_weights([sign * spread, spread - 1, spread - 1, spread])
        else:
            layer.set_weights([RNG.normal(0, 0.3, shape) for shape in shapes])
    return model


def test_steps_of_a_known_layer():
    layer = QDense(2, kernel_quantizer=four_bits(), bias_quantizer=quantized_bits(4, 0, alpha=1))
    layer.build((None, 3))
    layer.set_weights([np.array([[0.7, 14], [-0.32, -7], [0.09, 1]]), np.array([0.26, -3])])
    (kernel, kernel_step), (bias, bias_step) = stored_numbers(layer)
    np.testing.assert_allclose(kernel, [[7, 7], [-3, -4], [1, 1]], atol=1e-5)
    np.testing.assert_allclose(kernel_step, [0.1, 2])
    np.testing.assert_allclose(bias, [2, -8])
    np.testing.assert_allclose(bias_step, [1 / 8])


def test_bits_of_a_known_network(network):
    bits = bit_count(network)
    weights = 9 * 4 + 9 * 4 * 8 + 8 * 24
    assert bits["weights"].sum() == 4 * weights and bits["biases"].sum() == 4 * 24
    assert bits["scales"].sum() == 32 * (4 + 8 + 24 + 1)
    assert bits["normalization"].sum() == 32 * 4 * (4 + 8)


def test_rounding_twice_changes_nothing(network):
    once = quantized_weights(network)
    copy = tf.keras.models.clone_model(network)
    copy.set_weights(once)
    for first, second in zip(once, quantized_weights(copy), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)


def test_the_plain_copy_is_the_same_function_in_ordinary_layers(network):
    plain = plain_copy(network)
    expected = network.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(plain.predict(IMAGES, verbose=0), expected, atol=1e-4)
    assert {type(layer).__module__.split(".")[0] for layer in plain.layers} == {"tf_keras"}


L = tf.keras.layers


def conv(width=4, size=3, bits=four_bits, **settings):
    return QConv2D(width, size, kernel_quantizer=bits(), **settings)


def dense(**settings):
    return QDense(
        5, kernel_quantizer=four_bits(), bias_quantizer=four_bits(), name="letters", **settings
    )


CHAINS = {
    "padding valid": lambda: [conv(padding="valid"), L.GlobalAveragePooling2D(), dense()],
    "stride 2": lambda: [conv(strides=2, padding="same"), L.GlobalAveragePooling2D(), dense()],
    "a bias": lambda: [conv(bias_quantizer=four_bits()), L.GlobalAveragePooling2D(), dense()],
    "a bias of 32 bits": lambda: [conv(), L.GlobalAveragePooling2D(), dense()],
    "dilation and groups": lambda: [
        conv(2), conv(4, dilation_rate=2, groups=2), L.GlobalAveragePooling2D(), dense()
    ],
    "an activation inside": lambda: [
        conv(activation=tf.nn.relu), L.GlobalMaxPooling2D(), dense(use_bias=False)
    ],
    "flattened": lambda: [conv(strides=3), L.MaxPooling2D(), L.Flatten(), dense()],
    "two dense layers": lambda: [
        conv(strides=3), L.GlobalAveragePooling2D(), L.Dense(7, "relu"), L.Dropout(0.5), dense()
    ],
    "no dense layer": lambda: [conv(), L.BatchNormalization(), L.GlobalAveragePooling2D()],
    "other convolutions": lambda: [
        L.DepthwiseConv2D(3), conv(), L.Conv2DTranspose(2, 3), L.GlobalAveragePooling2D(), dense()
    ],
}  # fmt: skip


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_the_plain_copy_of_other_chains_is_the_same_function(chain):
    model = tf.keras.Sequential([L.Input((28, 28, 1)), *chain()])
    model.set_weights([RNG.normal(0.2, 0.3, w.shape) ** 2 for w in model.get_weights()])
    expected = predict(model, IMAGES)
    assert np.ptp(expected, axis=0).max() > 0.01
    np.testing.assert_allclose(predict(plain_copy(model), IMAGES), expected, atol=2e-3, rtol=2e-3)


def test_the_plain_copy_refuses_what_is_no_chain_of_known_layers():
    inputs = L.Input((28, 28, 1))
    x = conv(padding="same")(inputs)
    branched = tf.keras.Model(inputs, L.Flatten()(L.Add()([x, conv(padding="same")(x)])))
    skipping = tf.keras.Model(inputs, L.Concatenate()([L.Flatten()(x), L.Flatten()(inputs)]))
    others = [
        QDepthwiseConv2D(3, depthwise_quantizer=four_bits()),
        QActivation("quantized_relu(4)"),
    ]
    sequences = [tf.keras.Sequential([inputs, other, L.Flatten()]) for other in others]
    for model in (branched, skipping, *sequences):
        with pytest.raises(ValueError, match="It knows chains of QConv2D"):
            plain_copy(model)


def numbers_in_file(content):
    """The weights of a .tflite file, in its order, as arrays (output channels, ...)."""
    operators = read_model(content).subgraphs[0].operators
    tensors = [op.sources[1] for op in operators if op.kind in LAYERS]
    assert {tensor.type for tensor in tensors} == {TYPES.INT4}
    return [as_array(tensor) for tensor in tensors]


def in_file_order(numbers):
    """A Keras kernel as .tflite keeps it; the dense one as that of a 1x1 convolution."""
    kernel = numbers if numbers.ndim == 4 else numbers[None, None]
    return np.moveaxis(np.round(kernel), -1, 0)


def assert_same_numbers(content, network):
    stored = numbers_in_file(content)
    for array, layer in zip(stored, quantized_layers(network), strict=True):
        expected = in_file_order(stored_numbers(layer)[0][0])
        # a negative gain of the folded normalization turns the sign of a channel
        same = [
            np.array_equal(a, b) or np.array_equal(a, -b)
            for a, b in zip(array, expected, strict=True)
        ]
        assert all(same)


def test_the_quantizer_finds_the_numbers_of_the_network(network, tmp_path):
    in_float = convert(plain_copy(network), tmp_path / "float.tflite")
    stored = quantize(in_float, tmp_path / "int4.tflite", IMAGES, weights=4)
    assert_same_numbers(stored.read_bytes(), network)


def test_stochastic_rounding_needs_the_learning_phase():
    quantizer = quantized_bits(4, 0, alpha=1, use_stochastic_rounding=True)
    values = tf.fill([1000], 0.3)
    assert set(quantizer(values).numpy()) == {0.25}
    with learning_phase():
        assert set(quantizer(values).numpy()) == {0.25, 0.375}
    assert set(quantizer(values).numpy()) == {0.25}


@pytest.fixture(scope="module")
def committed():
    return load_qmodel(str(MODELS / "sign_mnist_qkeras_4bit.keras"), compile=False)


def test_the_committed_network_holds_whole_numbers_of_4_bits(committed):
    layers = quantized_layers(committed)
    assert len(layers) == 6
    for layer in layers:
        for (numbers, step), stored in zip(stored_numbers(layer), layer.get_weights(), strict=True):
            whole = np.round(numbers)
            np.testing.assert_allclose(numbers, whole, atol=1e-4)
            assert whole.min() >= -8 and whole.max() <= 7
            np.testing.assert_allclose(stored, whole * step, rtol=1e-4, atol=1e-6)
            for channel in np.moveaxis(np.reshape(stored, (-1, step.size)), -1, 0):
                assert len(np.unique(np.round(channel, 6))) <= 16


def test_both_counts_of_the_committed_network_agree(committed):
    bits = bit_count(committed)
    report = io.StringIO()
    with contextlib.redirect_stdout(report):
        print_qstats(committed)
    lines = re.findall(r": +(\d+) +\((\d+)-bit unit\)", report.getvalue())
    by_qkeras = sum(int(count) * int(width) for count, width in lines)
    assert by_qkeras == bits["weights"].sum() + bits["biases"].sum() == 4 * (41_040 + 24)


def test_the_committed_file_stores_the_network_in_4_bits(committed):
    assert_same_numbers((MODELS / "sign_mnist_qkeras_4bit.tflite").read_bytes(), committed)


def test_the_committed_file_reads_as_the_network_does(committed, real):
    letters = predict(committed, real.x_test).argmax(axis=1)
    scores = predict_tflite(MODELS / "sign_mnist_qkeras_4bit.tflite", real.x_test)
    assert np.mean(scores.argmax(axis=1) == letters) >= 0.999
    assert np.mean(letters == real.y_test) >= 0.995
    record = next(r for r in load_records(MODELS / "results.json") if r["notebook"] == "q4")
    assert record["accuracy"] >= 0.995 and record["arena_bytes"]
