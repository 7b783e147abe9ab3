"""Training with weights of 4 bits, folding, equalizing: known answers on small networks."""

import numpy as np
import pytest

from signmnist.baseline import build_cnn
from toolkit.aware import clipped, in_four_bits
from toolkit.compression import clone, equalized, fold_norms, kernels
from toolkit.runtime import use_keras_2
from toolkit.training import compile_model, predict

use_keras_2()
import tensorflow as tf
import tensorflow_model_optimization as tfmot

IMAGES = np.random.default_rng(0).random((32, 28, 28, 1), np.float32)


@pytest.fixture(scope="module")
def network():
    """A network with random statistics in its batch normalizations."""
    tf.keras.utils.set_random_seed(0)
    model = build_cnn([[4, 6], [6]], dense_bias=False)
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 2, w.shape) for w in layer.get_weights()])
    return model


def test_folding_and_equalizing_change_no_score(network):
    plain = fold_norms(network)
    assert not any(isinstance(la, tf.keras.layers.BatchNormalization) for la in plain.layers)
    expected = predict(network, IMAGES)
    np.testing.assert_allclose(predict(plain, IMAGES), expected, rtol=1e-3, atol=1e-3)
    even = equalized(plain)
    np.testing.assert_allclose(predict(even, IMAGES), expected, rtol=1e-3, atol=1e-3)
    first, second, *_ = kernels(even).values()
    outgoing, incoming = np.abs(first).max((0, 1, 2)), np.abs(second).max((0, 1, 3))
    np.testing.assert_allclose(outgoing, incoming, rtol=0.05)


def test_a_channel_without_weights_is_left_as_it_is(network):
    plain = fold_norms(network)
    layer = plain.get_layer("conv1")
    kernel, bias = layer.get_weights()
    kernel[..., 0] = 0
    layer.set_weights([kernel, bias])
    expected = predict(plain, IMAGES)
    np.testing.assert_allclose(predict(equalized(plain), IMAGES), expected, rtol=1e-3, atol=1e-3)


def test_clipping_cuts_off_an_outlier_and_leaves_what_lies_on_the_steps(network):
    model = fold_norms(network)
    kernel, bias = model.get_layer("conv2").get_weights()
    on_steps = np.resize(np.arange(-7, 8) / 7, kernel.shape)
    model.get_layer("conv2").set_weights([on_steps, bias])
    with_outlier = np.random.default_rng(2).uniform(-1, 1, model.get_layer("conv3").kernel.shape)
    with_outlier[0, 0, 0, 0] = 2.5
    model.get_layer("conv3").set_weights([with_outlier, model.get_layer("conv3").bias])
    cut = kernels(clipped(model))
    np.testing.assert_allclose(cut["conv2"], on_steps, atol=1e-6)
    bound = cut["conv3"].max()
    assert 0.9 < bound < 2
    np.testing.assert_allclose(cut["conv3"], np.clip(with_outlier, -bound, bound), atol=1e-6)


@pytest.mark.parametrize("keep_zeros", [False, True])
def test_kernels_have_15_levels_and_zeros_stay_where_asked(network, keep_zeros):
    plain = equalized(fold_norms(network))
    kernel, bias = plain.get_layer("conv3").get_weights()
    kernel[np.abs(kernel) < np.median(np.abs(kernel))] = 0
    plain.get_layer("conv3").set_weights([kernel, bias])

    def train_it(aware):
        compile_model(aware, 8, 0.2)
        aware.fit(IMAGES, np.arange(32) % 24, epochs=2, batch_size=8, verbose=0)
        return {"seconds": [0]}

    four, history = in_four_bits(plain, train_it, keep_zeros)
    assert history == {"seconds": [0]}
    for name, rounded in kernels(four).items():
        steps = 7 * rounded / np.abs(rounded).max()
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
        assert not np.array_equal(rounded, kernels(plain)[name])
    stayed = kernels(four)["conv3"][kernel == 0] == 0
    assert stayed.all() == keep_zeros


def test_where_relu_is_folded_training_for_8_bits_keeps_the_zeros(network):
    """Behind a convolution a ReLU layer would switch its rounding off, and with it the mask."""
    plain = fold_norms(network)
    for layer in plain.layers:
        if hasattr(layer, "kernel"):
            size = np.abs(layer.kernel)
            layer.kernel.assign(np.where(size < np.median(size), 0, layer.kernel))
    scheme = tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme()
    quantization = tfmot.quantization.keras
    aware = quantization.quantize_apply(quantization.quantize_annotate_model(clone(plain)), scheme)
    compile_model(aware, 4, 1e-2)
    aware.fit(IMAGES, np.arange(32) % 24, batch_size=8, verbose=0)
    for name, kernel in kernels(plain).items():
        if name != "conv1":  # tfmot leaves a first convolution of one channel as it is
            (wrapper,) = (layer for layer in aware.layers if layer.name.endswith(name))
            ((weights, quantizer, ranges),) = wrapper._weight_vars
            rounded = quantizer(weights, training=False, weights=ranges)
            assert np.all(np.asarray(rounded)[kernel == 0] == 0)
