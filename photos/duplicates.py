"""Near-duplicate photos: the same picture again, mirrored or taken a moment later."""

import numpy as np
from PIL import Image
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

THUMBNAIL = 32
THRESHOLD = 0.9


def thumbnails(pixels):
    """Gray thumbnails without their mean, scaled to length 1: float32 (n, 32, 32).

    pixels: uint8 (n, height, width, 3). A photo of one colour gives zeros.
    """
    size = THUMBNAIL, THUMBNAIL
    small = [Image.fromarray(p).convert("L").resize(size, Image.Resampling.BOX) for p in pixels]
    gray = np.array([np.asarray(image) for image in small], np.float32).reshape(-1, *size)
    gray -= gray.mean(axis=(1, 2), keepdims=True)
    return gray / np.maximum(np.linalg.norm(gray, axis=(1, 2), keepdims=True), 1e-6)


def duplicate_groups(pixels, threshold=THRESHOLD):
    """The number of each photo's group of near-duplicates: int32 (n,), from 0 in order.

    pixels: uint8 (n, height, width, 3). Two photos are linked when the correlation of their
    `thumbnails` exceeds `threshold`, or that of one with the mirrored other; the groups are the
    connected components.
    """
    small = thumbnails(pixels)
    flat, mirrored = (t.reshape(len(t), -1) for t in (small, small[:, :, ::-1]))
    links = np.maximum(flat @ flat.T, flat @ mirrored.T) > threshold
    return connected_components(csr_matrix(links), directed=False)[1]
