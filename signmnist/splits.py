"""Near-duplicate photos, and a validation split that keeps them together."""

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold


def photo_links(images, threshold=0.95):
    """Links images that are variants of one photo.

    images: float32 (n, 28, 28, 1). Two are linked when the correlation of their mean-free
    pixels exceeds `threshold`. Returns a scipy.sparse matrix of bool (n, n).
    """
    pixels = images.reshape(len(images), -1)
    pixels = pixels - pixels.mean(axis=1, keepdims=True)
    pixels /= np.linalg.norm(pixels, axis=1, keepdims=True) + 1e-12
    rows, columns = [], []
    for start in range(0, len(pixels), 2048):
        correlation = pixels[start : start + 2048] @ pixels[start:].T
        row, column = np.nonzero(correlation > threshold)
        rows.append(row + start)
        columns.append(column + start)
    rows, columns = np.concatenate(rows), np.concatenate(columns)
    return csr_matrix((np.ones(len(rows), bool), (rows, columns)), shape=(len(pixels),) * 2)


def photo_groups(links):
    """The connected components of `photo_links`: int32 (n,), the group of each image."""
    return connected_components(links, directed=False)[1]


def group_split(labels, groups, folds=5, seed=0):
    """Indices (train, validation) with whole groups on one side, letters in proportion.

    labels, groups: int (n,). The validation part is one of `folds` parts.
    """
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    return next(splitter.split(np.zeros(len(labels)), labels, groups))
