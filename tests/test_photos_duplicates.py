"""The same picture again is found, mirrored or not; other pictures are left alone."""

import numpy as np
import pytest
from PIL import Image

from photos.duplicates import THUMBNAIL, duplicate_groups, thumbnails


@pytest.fixture(scope="module")
def pixels():
    """Six photos without likeness, uint8 (6, 224, 224, 3): noise of a few large spots."""
    spots = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(p).resize((224, 224))) for p in spots])


def with_copy(pixels, copy):
    """The group of each photo and of a last one, made of that with the index 2."""
    return duplicate_groups(np.concatenate([pixels, copy[None].astype(np.uint8)])).tolist()


def test_photos_without_likeness_are_groups_of_their_own(pixels):
    groups = duplicate_groups(pixels)
    assert groups.tolist() == [0, 1, 2, 3, 4, 5]
    assert duplicate_groups(pixels[:1]).tolist() == [0]


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p,
        lambda p: p[:, ::-1],
        lambda p: p // 2 + 60,
        lambda p: (p + np.random.default_rng(1).normal(0, 20, p.shape)).clip(0, 255),
        lambda p: np.roll(p, (3, -3), axis=(0, 1)),
        lambda p: np.asarray(Image.fromarray(p).convert("L").convert("RGB")),
    ],
    ids=["copied", "mirrored", "paler", "noisy", "moved by 3 pixels", "gray"],
)
def test_a_photo_and_its_near_duplicate_share_a_group(pixels, change):
    assert with_copy(pixels, change(pixels[2])) == [0, 1, 2, 3, 4, 5, 2]


@pytest.mark.parametrize(
    "change",
    [lambda p: p[::-1], lambda p: 255 - p, lambda p: np.roll(p, 56, axis=1)],
    ids=["upside down", "negative", "moved by a quarter"],
)
def test_another_picture_of_the_same_parts_is_no_duplicate(pixels, change):
    assert with_copy(pixels, change(pixels[2])) == [0, 1, 2, 3, 4, 5, 6]


def test_groups_are_joined_by_what_lies_between(pixels):
    first, last = pixels[0].astype(float), pixels[1].astype(float)
    steps = [(1 - t) * first + t * last for t in np.linspace(0, 1, 9)]
    assert len(set(duplicate_groups(np.array(steps, np.uint8)))) == 1
    assert len(set(duplicate_groups(np.array([first, last], np.uint8)))) == 2


def test_photos_of_one_colour_are_like_nothing(pixels):
    plain = np.full((2, 224, 224, 3), 77, np.uint8)
    assert duplicate_groups(np.concatenate([plain, pixels])).tolist() == list(range(8))


def test_a_thumbnail_has_no_mean_and_the_length_1(pixels):
    small = thumbnails(pixels)
    assert small.shape == (6, THUMBNAIL, THUMBNAIL) and small.dtype == np.float32
    assert np.allclose(small.mean(axis=(1, 2)), 0, atol=1e-6)
    assert np.allclose(np.square(small).sum(axis=(1, 2)), 1, atol=1e-5)
    half = np.zeros((1, 224, 224, 3), np.uint8)
    half[:, :, 112:] = 200
    assert np.allclose(thumbnails(half)[0], np.repeat([[-1 / 32, 1 / 32]], 16, axis=1), atol=1e-6)


def test_of_the_real_photos_one_is_there_twice(real_photos):
    parts = real_photos.training, real_photos.validation, real_photos.testing
    groups = np.concatenate([part.groups for part in parts])
    files = np.concatenate([part.files for part in parts])
    assert np.bincount(groups).max() == 2 and len(set(groups)) == 2999
    twins = files[groups == np.bincount(groups).argmax()]
    assert set(twins) == {"train/dogs/dog.74.jpg", "train/dogs/dog.180.jpg"}
    assert not real_photos.has_twin.any()
