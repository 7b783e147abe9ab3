"""Heads, altered copies, and the loss of distillation."""

import numpy as np
import pytest

from photos.networks import build_backbone, efficientnet_blocks
from photos.training import (
    altered_copies,
    distillation,
    linear_probe,
    mixed,
    with_classes,
)
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf


def small_network(photos):
    tf.keras.utils.set_random_seed(0)
    return with_classes(build_backbone(32, efficientnet_blocks()[:2]), photos)


def test_a_probe_separates_what_can_be_separated():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 5)) * [1, 10, 0.1, 1, 1] + 3
    y = (features[:, 2] > 3).astype(int)
    kernel, bias = linear_probe(features, y, strength=100.0)
    assert np.mean((features @ kernel + bias).argmax(axis=1) == y) > 0.97


def test_copies_are_the_same_for_the_same_seed_and_keep_their_labels(photos_sample):
    photos = photos_sample.training
    teacher = small_network(photos)
    first, again, other = (altered_copies(photos, teacher, seed, 2, 0, 48) for seed in (0, 0, 1))
    count = len(photos.y)
    assert first[0].shape == (2 * count, 48, 48, 3) and first[0].dtype == np.uint8
    assert first[1].shape == (2 * count, 2)
    assert np.array_equal(first[0], again[0]) and not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[0][:count], first[0][count:])
    assert np.array_equal(first[2], np.tile(photos.y, 2))


def test_of_a_mixture_the_label_says_how_much_of_each_photo_is_in_it(photos_sample):
    dark, light = (np.full((4, 8, 8, 3), shade, np.uint8) for shade in (0, 200))
    y = np.repeat([0, 1], 4)
    pixels, labels = mixed(np.concatenate([dark, light]), y, np.random.default_rng(0))
    assert pixels.dtype == np.uint8 and np.all(np.ptp(pixels, axis=(1, 2, 3)) == 0)
    assert pixels[:, 0, 0, 0] == pytest.approx(200 * labels, abs=1)
    assert len(set(labels)) > 2

    photos = photos_sample.training
    plain, half = (altered_copies(photos, small_network(photos), 0, 2, n, 48) for n in (0, 1))
    same = len(photos.y)
    assert np.array_equal(plain[0][:same], half[0][:same])
    assert not np.array_equal(plain[0][same:], half[0][same:])
    assert set(half[2][:same]) == {0, 1} and len(set(half[2][same:])) > 2


def test_without_the_teacher_the_loss_is_cross_entropy():
    scores = tf.constant([[2.0, -1.0], [0.5, 0.0]])
    targets = tf.constant([[9.0, 9.0, 1.0], [5.0, -5.0, 0.0]])
    plain = tf.keras.losses.SparseCategoricalCrossentropy(True, reduction="none")([1, 0], scores)
    assert distillation(4.0, 0.0)(targets, scores).numpy() == pytest.approx(plain.numpy())
