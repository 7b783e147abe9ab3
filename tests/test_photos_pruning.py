"""The baseline in two parts, pruned unevenly, and trained on what the lower part gives."""

import numpy as np
import pytest

from photos.pruning import (
    drawn,
    fitted_baseline,
    is_pointwise,
    joined,
    lessons,
    prune_by_cost,
    split,
    train_on,
)
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


def test_two_parts_are_one_network(parts, photos_sample):
    model, lower, upper, _ = parts
    pixels = photos_sample.testing.pixels
    whole = predict_keras(model, pixels)
    assert upper(predict_keras(lower, pixels)).numpy() == pytest.approx(whole, abs=1e-4)
    assert predict_keras(joined(model, upper), pixels) == pytest.approx(whole, abs=1e-4)


def test_the_share_of_zeros_is_that_of_all_layers_together(parts):
    _, _, upper, given = parts
    zeros, sizes = zeros_of(prune_by_cost(upper, given, 0.6)).T
    assert zeros.sum() / sizes.sum() == pytest.approx(0.6, abs=0.02)
    assert np.ptp(zeros / sizes) > 0.05


def test_training_keeps_the_zeros_and_comes_nearer_to_what_the_network_gave(
    parts, photos_sample, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    _, lower, upper, given = parts
    copies = lessons(photos_sample.training, 2, 0, lower, upper)
    assert copies[0].shape == (72, *given.shape[1:]) and copies[0].dtype == np.float16
    pruned = prune_by_cost(upper, given, 0.8)
    before = zeros_of(pruned)
    off = [np.mean((pruned(np.float32(copies[0])) - copies[1]) ** 2)]
    training = {"epochs": 3, "learning_rate": 1e-4, "batch_size": 24}
    train_on(pruned, copies, {"trained_above": "block15_add", "training": training}, "test")
    off.append(np.mean((pruned(np.float32(copies[0])) - copies[1]) ** 2))
    assert np.array_equal(zeros_of(pruned), before)
    assert off[1] < off[0]


def test_photos_are_drawn_without_repetition_and_the_same_for_the_same_seed(photos_sample):
    photos = photos_sample.training
    first, again, other = (drawn(photos, 10, seed) for seed in (0, 0, 1))
    assert len(set(first.files)) == len(first.y) == 10
    assert first.files.tolist() == again.files.tolist() != other.files.tolist()
