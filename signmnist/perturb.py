"""The test images as a camera might deliver them: shifted, turned, relit, blurred, noisy."""

import numpy as np
from scipy import ndimage

from toolkit.tflite import count_correct


def perturbations(images, seed=0):
    """Yields (name, images) for each change; float32 (n, 28, 28, 1) in [0, 1], edges repeated.

    seed: of the Gaussian noise.
    """
    yield "as they are", images
    for pixels in (1, 2):
        for name, axis, way in (("left", 2, -1), ("right", 2, 1), ("up", 1, -1), ("down", 1, 1)):
            offset = np.zeros(4)
            offset[axis] = way * pixels
            shifted = ndimage.shift(images, offset, order=0, mode="nearest")
            yield f"{pixels} px {name}", shifted
    for degrees in (5, 10, 20):
        for sign in (-1, 1):
            turned = ndimage.rotate(
                images, sign * degrees, axes=(2, 1), reshape=False, order=1, mode="nearest"
            )
            yield f"turned {sign * degrees:+}°", turned
    for change in (-0.1, 0.1):
        name = f"{abs(change):.0%} {'darker' if change < 0 else 'brighter'}"
        yield name, np.clip(images + np.float32(change), 0, 1)
    yield "blurred, σ 1 px", ndimage.gaussian_filter(images, (0, 1, 1, 0), mode="nearest")
    noise = np.random.default_rng(seed).standard_normal(images.shape, np.float32)
    for sigma in (0.02, 0.04, 0.06, 0.08):
        yield f"noise, σ {sigma}", np.clip(images + np.float32(sigma) * noise, 0, 1)


def survival(scores, images, labels):
    """Accuracy under each of the perturbations: name -> share of the images read right.

    scores: a function from images to scores (n, 24). labels: int (n,).
    """
    return {
        name: count_correct(scores(changed), labels) / len(labels)
        for name, changed in perturbations(images)
    }
