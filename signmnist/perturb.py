"""The test images as a camera might deliver them: within what training draws, and beyond it."""

import io

import numpy as np
from PIL import Image
from scipy import ndimage

from toolkit.tflite import count_correct

WAYS = ("left", 2, -1), ("right", 2, 1), ("up", 1, -1), ("down", 1, 1)  # name, axis, sign


def perturbations(images, seed=0):
    """Yields (name, images) for each change; float32 (n, 28, 28, 1) in [0, 1], edges repeated.

    All lie within what `augment` draws in training. seed: of the Gaussian noise.
    """
    yield "as they are", images
    for pixels in (1, 2):
        for name, axis, sign in WAYS:
            yield f"{pixels} px {name}", shifted(images, axis, sign * pixels)
    for degrees in (5, 10, 20):
        for sign in (-1, 1):
            yield f"turned {sign * degrees:+}°", turned(images, sign * degrees)
    for change in (-0.1, 0.1):
        name = f"{abs(change):.0%} {'darker' if change < 0 else 'brighter'}"
        yield name, np.clip(images + np.float32(change), 0, 1)
    yield "blurred, σ 1 px", ndimage.gaussian_filter(images, (0, 1, 1, 0), mode="nearest")
    for sigma in (0.02, 0.04, 0.06, 0.08):
        yield f"noise, σ {sigma}", noisy(images, sigma, seed)


def harder_changes(images, seed=0):
    """Yields (name, images) for changes beyond those that `augment` draws in training.

    images: float32 (n, 28, 28, 1) in [0, 1], yielded in the same form. seed: of noise and patch.
    Turned by more than it turns, shifted by more than it shifts, noisier, and in four ways of
    which it has none: gamma (values to a power), a patch, motion blur, JPEG.
    """
    for degrees in (-30, 30):
        yield f"turned {degrees:+}°", turned(images, degrees)
    for name, axis, sign in WAYS:
        yield f"4 px {name}", shifted(images, axis, sign * 4)
    yield "noise, σ 0.12", noisy(images, 0.12, seed)
    for gamma in (0.5, 2):
        yield f"gamma {gamma}", images ** np.float32(gamma)
    yield "7x7 patch covered", covered(images, 7, seed)
    yield "motion blur, 5 px", ndimage.uniform_filter1d(images, 5, axis=2, mode="nearest")
    yield "JPEG, quality 20", np.stack([through_jpeg(image, 20) for image in images])


def shifted(images, axis, pixels):
    """Images moved by whole pixels along an axis (1 down, 2 to the right), edges repeated."""
    offset = np.zeros(4)
    offset[axis] = pixels
    return ndimage.shift(images, offset, order=0, mode="nearest")


def turned(images, degrees):
    """Images turned about their middle, to the left where `degrees` is positive."""
    return ndimage.rotate(images, degrees, axes=(2, 1), reshape=False, order=1, mode="nearest")


def noisy(images, sigma, seed):
    """Images with Gaussian noise of standard deviation `sigma`, clipped to [0, 1]."""
    noise = np.random.default_rng(seed).standard_normal(images.shape, np.float32)
    return np.clip(images + np.float32(sigma) * noise, 0, 1)


def covered(images, size, seed):
    """Images with a square of `size` pixels, anywhere within each, in mid-gray."""
    first = np.random.default_rng(seed).integers(0, 29 - size, (2, len(images), 1))
    rows, columns = (np.arange(28) >= first) & (np.arange(28) < first + size)
    inside = rows[:, :, None] & columns[:, None, :]
    return np.where(inside[..., None], np.float32(0.5), images)


def through_jpeg(image, quality):
    """An image (28, 28, 1) stored as a gray JPEG file and read again."""
    file = io.BytesIO()
    pixels = (image[..., 0] * 255).round().astype(np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file), np.float32)[..., None] / np.float32(255)


def survival(scores, images, labels):
    """Accuracy under each of the perturbations: name -> share of the images read right.

    scores: a function from images to scores (n, 24). labels: int (n,).
    """
    return {
        name: count_correct(scores(changed), labels) / len(labels)
        for name, changed in perturbations(images)
    }
