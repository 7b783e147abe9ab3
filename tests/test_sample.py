"""The drawn sample has the form of Sign Language MNIST, and its leak."""

import numpy as np
import pytest

from signmnist.data import LABELS, read_csv
from signmnist.sample import VARIANTS, write_sample


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def sample(paths):
    (train, train_labels), (test, test_labels) = (read_csv(path) for path in paths)
    return np.concatenate([train, test]), np.concatenate([train_labels, test_labels]), len(train)


@pytest.fixture(scope="module")
def correlation(sample):
    pixels = sample[0] - sample[0].mean(axis=1, keepdims=True)
    pixels /= np.linalg.norm(pixels, axis=1, keepdims=True)
    return pixels @ pixels.T


def test_there_are_3456_training_and_1152_test_images_in_equal_shares(sample):
    _, labels, training = sample
    assert training == 3456
    assert (np.bincount(labels[:training])[LABELS] == 144).all()
    assert (np.bincount(labels[training:])[LABELS] == 48).all()


def test_the_images_use_the_range_of_gray_values(sample):
    pixels = sample[0]
    assert pixels.min() < 30 and pixels.max() > 225
    assert (pixels.std(axis=1) > 10).all()


def test_every_image_has_near_duplicates_as_in_the_original(correlation):
    nearest = np.sort(correlation, axis=1)[:, -2]
    assert (nearest > 0.94).all()
    assert np.median((correlation > 0.95).sum(axis=1)) == VARIANTS


def test_no_near_duplicate_is_in_the_other_file_or_of_another_letter(sample, correlation):
    _, labels, training = sample
    assert correlation[:training, training:].max() < 0.95
    assert correlation[labels[:, None] != labels].max() < 0.95


def test_the_letter_can_be_told_from_the_pixels(sample, correlation):
    _, labels, training = sample
    nearest = correlation[training:, :training].argmax(axis=1)
    assert (labels[nearest] == labels[training:]).mean() > 0.3  # 0.04 by chance


def test_a_seed_draws_the_same_files_again(paths, tmp_path):
    for path, again in zip(paths, write_sample(tmp_path / "new"), strict=True):
        assert path.read_bytes() == again.read_bytes()
    assert write_sample(tmp_path, seed=1)[0].read_bytes() != paths[0].read_bytes()
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "sign_mnist_test.csv",
        "sign_mnist_train.csv",
    ]
