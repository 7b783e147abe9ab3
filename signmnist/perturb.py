"""The test images as a camera might deliver them: shifted, turned, brighter, darker."""

import numpy as np
from scipy import ndimage

from toolkit.tflite import count_correct


def perturbations(images):
    """Yields (name, images) for each change; float32 (n, 28, 28, 1) in [0, 1], edges repeated."""
    yield "as they are", images
    for pixels in (1, 2):
        for name, axis, way in (("left", 2, -1), ("right", 2, 1), ("up", 1, -1), ("down", 1, 1)):
            offset = np.zeros(4)
            offset[axis] = way * pixels
            shifted = ndimage.shift(images, offset, order=0, mode="nearest")
            yield f"{pixels} px {name}", shifted
    for degrees in (-5, 5):
        turned = ndimage.rotate(
            images, degrees, axes=(2, 1), reshape=False, order=1, mode="nearest"
        )
        yield f"turned {degrees:+}°", turned
    for change in (-0.1, 0.1):
        name = f"{abs(change):.0%} {'darker' if change < 0 else 'brighter'}"
        yield name, np.clip(images + np.float32(change), 0, 1)


def survival(scores, images, labels):
    """Accuracy under each of the perturbations: name -> share of the images read right.

    scores: a function from images to scores (n, 24). labels: int (n,).
    """
    return {
        name: count_correct(scores(changed), labels) / len(labels)
        for name, changed in perturbations(images)
    }
