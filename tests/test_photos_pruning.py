"""The baseline in two parts, pruned unevenly, and given new scores."""

import numpy as np
import pytest

from photos.pruning import (
    costs,
    drawn,
    fitted_baseline,
    is_pointwise,
    joined,
    probe_anew,
    prune_by_cost,
    split,
)
from photos.training import keras_accuracy, predict_keras, through
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf


@pytest.fixture(scope="module")
def parts(photos_sample):
    """A small baseline, its two parts, and what the lower one gives for photos."""
    model = fitted_baseline(32, photos_sample.training)
    lower, upper = split(model, "block14_add")
    return model, lower, upper, through(lower, photos_sample.training)


@pytest.fixture(scope="module")
def cost(parts):
    _, _, upper, given = parts
    return costs(upper, given.pixels)


def zeros_of(model):
    """The zeros and weights in the 1x1 convolutions of a network, by layer: int (n, 2)."""
    kernels = [layer.get_weights()[0] for layer in model.layers if is_pointwise(layer)]
    return np.array([(np.sum(kernel == 0), kernel.size) for kernel in kernels])


def test_two_parts_are_one_network(parts, photos_sample):
    model, lower, upper, _ = parts
    pixels = photos_sample.testing.pixels
    whole = predict_keras(model, pixels)
    assert predict_keras(upper, predict_keras(lower, pixels)) == pytest.approx(whole, abs=1e-4)
    assert predict_keras(joined(model, upper), pixels) == pytest.approx(whole, abs=1e-4)


def test_the_share_of_zeros_is_that_of_all_layers_together(parts, cost):
    _, _, upper, (given, *_) = parts
    zeros, sizes = zeros_of(prune_by_cost(upper, given, cost, 0.6)).T
    assert zeros.sum() / sizes.sum() == pytest.approx(0.6, abs=0.02)
    assert np.ptp(zeros / sizes) > 0.05


def test_new_scores_tell_cats_from_dogs_of_the_photos_that_they_come_from(parts, cost):
    _, _, upper, given = parts
    pruned = prune_by_cost(upper, given.pixels, cost, 0.7)
    before = zeros_of(pruned)
    pruned.get_layer("animals").set_weights([np.zeros((2560, 2)), np.zeros(2)])
    assert keras_accuracy(pruned, given) == 0.5
    probe_anew(pruned, given)
    assert keras_accuracy(pruned, given) > 0.9
    assert np.array_equal(zeros_of(pruned), before)


def test_photos_are_drawn_without_repetition_and_the_same_for_the_same_seed(photos_sample):
    photos = photos_sample.training
    first, again, other = (drawn(photos, 10, seed) for seed in (0, 0, 1))
    assert len(set(first.files)) == len(first.y) == 10
    assert first.files.tolist() == again.files.tolist() != other.files.tolist()


def test_the_cost_of_a_weight_is_the_error_that_is_left_when_the_others_make_up_for_it(monkeypatch):
    monkeypatch.setattr("photos.pruning.damp", lambda moments: None)
    inputs = tf.keras.Input((2, 2, 3))
    one = tf.keras.Model(inputs, tf.keras.layers.Conv2D(2, 1, name="head")(inputs))
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(50, 2, 2, 3)) @ rng.normal(size=(3, 3))).astype(np.float32)  # correlated
    monkeypatch.setattr("photos.surgery.ROWS", 1000)  # all positions
    found = costs(one, x)["head"][0]
    rows = x.reshape(-1, 3) - x.reshape(-1, 3).mean(axis=0)
    kernel = one.get_layer("head").get_weights()[0][0, 0]
    for i, j in np.ndindex(3, 2):
        others = np.delete(rows, i, axis=1)
        left = np.linalg.lstsq(others, rows @ kernel[:, j], rcond=None)[1][0]
        assert found[i, j] == pytest.approx(left / np.sum((rows @ kernel) ** 2), rel=1e-3)
