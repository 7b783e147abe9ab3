"""Pruning and rounding a small network of inverted residual blocks."""

import numpy as np
import pytest

from photos.networks import build_backbone, efficientnet_blocks
from photos.scoring import network_input
from photos.surgery import Surgery, input_rows, operate, refit
from photos.training import predict_keras
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)
INPUTS = network_input(PIXELS)
MIXED = np.array([[1, 0.8, 0], [0, 1, 0.3], [0.5, 0, 1]], np.float32)


@pytest.fixture(scope="module")
def model():
    tf.keras.utils.set_random_seed(0)
    backbone = build_backbone(32, efficientnet_blocks()[:3])  # the third adds its input
    x = tf.keras.layers.GlobalAveragePooling2D()(backbone.output)
    return tf.keras.Model(backbone.input, tf.keras.layers.Dense(2)(x))


def kernels(model):
    return {layer.name: layer.get_weights()[0] for layer in model.layers if layer.weights}


def test_without_a_plan_nothing_changes(model):
    copy = operate(model, INPUTS, lambda layer: None)
    assert all(map(np.array_equal, copy.get_weights(), model.get_weights()))
    assert copy is not model


def test_the_share_that_was_asked_for_is_pruned_and_the_mean_stays(model):
    copy = operate(model, INPUTS, lambda layer: Surgery(0.5))
    for name, kernel in kernels(copy).items():
        assert np.mean(kernel == 0) == pytest.approx(0.5, abs=0.03), name
    means = [predict_keras(m, PIXELS).mean(axis=0) for m in (copy, model)]
    assert means[0] == pytest.approx(means[1], abs=1e-3)


def test_a_layer_becomes_multiples_of_one_step_and_zeros_stay(model):
    pruned = operate(model, INPUTS, lambda layer: Surgery(0.5))
    rounded = operate(pruned, INPUTS, lambda layer: Surgery(0, 0.1, zeros_stay=True))
    before = kernels(pruned)
    for name, kernel in kernels(rounded).items():
        assert not kernel[before[name] == 0].any()
        nonzero = np.abs(kernel[kernel != 0])
        gaps = np.diff(np.unique(np.round(np.append(nonzero, 0), 6)))
        levels = nonzero / gaps.min()
        assert np.abs(levels - np.round(levels)).max() < 0.02, name


@pytest.mark.parametrize("size, stride, side", [(5, 2, 14), (3, 1, 7), (3, 2, 15), (5, 1, 4)])
def test_a_weight_s_inputs_are_those_of_tensorflow_s_patches(size, stride, side):
    x = np.random.default_rng(0).normal(size=(3, side, side, 4)).astype(np.float16)
    some = np.arange(0, 3 * (-(-side // stride)) ** 2, 5)
    ones = [1, size, size, 1], [1, stride, stride, 1], [1, 1, 1, 1]
    patches = tf.image.extract_patches(x, *ones, "SAME").numpy().reshape(-1, size * size, 4)[some]
    each = tf.keras.layers.DepthwiseConv2D(size, stride, padding="same")
    both = tf.keras.layers.Conv2D(2, size, stride, padding="same")
    assert np.array_equal(input_rows(each, x, some), patches.transpose(2, 0, 1))
    assert np.array_equal(input_rows(both, x, some), patches.reshape(1, len(some), -1))


def test_weights_that_are_left_are_moved_to_where_the_output_is_off_least():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 3)) @ MIXED
    wanted = rows @ np.array([[1.0], [-2.0], [0.5]])
    cut = np.array([[1.0], [0.0], [0.5]])
    missing = rows.T @ (wanted - rows @ cut)
    new = refit(cut[None], (rows.T @ rows)[None], missing[None])[0]
    best = np.linalg.lstsq(rows[:, [0, 2]], wanted, rcond=None)[0]
    assert new[1] == 0 and new[[0, 2]] == pytest.approx(best)
