"""The baseline in two parts, pruned unevenly, and given new scores."""

import numpy as np
import pytest

from photos.pruning import (
    drawn,
    fitted_baseline,
    is_pointwise,
    joined,
    probe_anew,
    prune_by_cost,
    share_read,
    split,
)
from photos.surgery import costs
from photos.training import predict_keras


@pytest.fixture(scope="module")
def parts(photos_sample):
    """A small baseline, its two parts, and what the lower one gives for photos."""
    model = fitted_baseline(32, photos_sample.training)
    lower, upper = split(model, "block14_add")
    return model, lower, upper, predict_keras(lower, photos_sample.training.pixels)


def zeros_of(model):
    """The zeros and weights in the 1x1 convolutions of a network, by layer: int (n, 2)."""
    kernels = [layer.get_weights()[0] for layer in model.layers if is_pointwise(layer)]
    return np.array([(np.sum(kernel == 0), kernel.size) for kernel in kernels])


def cost_of(model, given):
    """What each weight of its 1x1 convolutions costs."""
    return costs(model, given, [layer.name for layer in model.layers if is_pointwise(layer)])


def test_two_parts_are_one_network(parts, photos_sample):
    model, lower, upper, _ = parts
    pixels = photos_sample.testing.pixels
    whole = predict_keras(model, pixels)
    assert upper(predict_keras(lower, pixels)).numpy() == pytest.approx(whole, abs=1e-4)
    assert predict_keras(joined(model, upper), pixels) == pytest.approx(whole, abs=1e-4)


def test_the_share_of_zeros_is_that_of_all_layers_together(parts):
    _, _, upper, given = parts
    zeros, sizes = zeros_of(prune_by_cost(upper, given, cost_of(upper, given), 0.6)).T
    assert zeros.sum() / sizes.sum() == pytest.approx(0.6, abs=0.02)
    assert np.ptp(zeros / sizes) > 0.05


def test_new_scores_tell_cats_from_dogs_of_the_photos_that_they_come_from(parts, photos_sample):
    _, _, upper, given = parts
    y = photos_sample.training.y
    pruned = prune_by_cost(upper, given, cost_of(upper, given), 0.7)
    before = zeros_of(pruned)
    pruned.get_layer("animals").set_weights([np.zeros((2560, 2)), np.zeros(2)])
    assert share_read(pruned, given, y) == 0.5
    probe_anew(pruned, given, y)
    assert share_read(pruned, given, y) > 0.9
    assert np.array_equal(zeros_of(pruned), before)


def test_photos_are_drawn_without_repetition_and_the_same_for_the_same_seed(photos_sample):
    photos = photos_sample.training
    first, again, other = (drawn(photos, 10, seed) for seed in (0, 0, 1))
    assert len(set(first.files)) == len(first.y) == 10
    assert first.files.tolist() == again.files.tolist() != other.files.tolist()
