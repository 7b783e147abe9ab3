"""Draws a small data set of hands in the format of Sign Language MNIST.

It stands in where the data set cannot be had, so that everything can be tried. Like the
original it holds a few near-duplicate variants of each photo.
"""

from pathlib import Path

import numpy as np

from signmnist.data import COLUMNS, LABELS, LETTERS, TEST_CSV, TRAIN_CSV
from toolkit.files import replacing

SIZE = 28
VARIANTS = 12
TRAIN_PHOTOS, TEST_PHOTOS = 12, 4  # for each letter

# The unit square, x to the right and y down: the arm and the palm of an upright right
# hand seen from the front (start, end and radius of a capsule), and the roots of its
# index, middle, ring and little finger.
ARM = ((0.53, 1.60), (0.53, 0.80), 0.12)
PALM = ((0.46, 0.66), (0.59, 0.66), 0.15)
ROOTS = ((0.40, 0.55), (0.49, 0.52), (0.58, 0.53), (0.66, 0.57))
LENGTHS = (0.36, 0.40, 0.37, 0.29)
THUMB_ROOT = (0.36, 0.74)

# What a finger does, as (turn in degrees to the right of upright, share of its length).
UP, FIST, HOOK = (0, 1.0), (0, 0.22), (0, 0.5)

# For each letter the index, middle, ring and little finger and the tip of the thumb,
# after the American manual alphabet as far as 28 x 28 pixels show it.
POSES = {
    "A": (FIST, FIST, FIST, FIST, (0.27, 0.50)),
    "B": (UP, UP, UP, UP, (0.54, 0.72)),
    "C": ((-50, 0.85), (-55, 0.8), (-60, 0.7), (-65, 0.6), (0.12, 0.76)),
    "D": (UP, (-45, 0.4), (-45, 0.35), (-40, 0.3), (0.36, 0.50)),
    "E": (HOOK, HOOK, HOOK, HOOK, (0.62, 0.76)),
    "F": ((-60, 0.5), UP, (10, 1.0), (20, 1.0), (0.22, 0.55)),
    "G": ((-85, 1.0), FIST, FIST, FIST, (0.10, 0.68)),
    "H": ((-85, 1.0), (-88, 1.0), FIST, FIST, (0.40, 0.74)),
    "I": (FIST, FIST, FIST, UP, (0.52, 0.62)),
    "K": ((-5, 1.0), (28, 0.9), FIST, FIST, (0.46, 0.42)),
    "L": (UP, FIST, FIST, FIST, (0.08, 0.70)),
    "M": ((0, 0.35), (0, 0.38), (0, 0.35), FIST, (0.66, 0.66)),
    "N": ((0, 0.4), (0, 0.42), FIST, FIST, (0.56, 0.60)),
    "O": ((-55, 0.5), (-60, 0.55), (-62, 0.5), (-65, 0.4), (0.20, 0.56)),
    "P": ((-100, 1.0), (-130, 0.8), FIST, FIST, (0.20, 0.80)),
    "Q": ((-140, 1.0), FIST, FIST, FIST, (0.20, 0.98)),
    "R": ((12, 1.0), (-8, 1.0), FIST, FIST, (0.54, 0.66)),
    "S": (FIST, FIST, FIST, FIST, (0.60, 0.60)),
    "T": ((-12, 0.42), FIST, FIST, FIST, (0.46, 0.44)),
    "U": (UP, UP, FIST, FIST, (0.56, 0.66)),
    "V": ((-16, 1.0), (14, 1.0), FIST, FIST, (0.56, 0.66)),
    "W": ((-18, 1.0), UP, (18, 1.0), FIST, (0.64, 0.68)),
    "X": ((-30, 0.6), FIST, FIST, FIST, (0.50, 0.66)),
    "Y": (FIST, FIST, FIST, (35, 1.1), (0.08, 0.56)),
}


def write_sample(folder, seed=2, photos=(TRAIN_PHOTOS, TEST_PHOTOS)):
    """Draws the sample into `folder` and returns the paths of its CSVs (train, test).

    24 letters, 12 photos each to train and 4 others to test, 12 variants of each photo;
    photos: other numbers of photos (train, test) for each letter. The same seed draws the
    same files; with the defaults, no photo correlates above 0.95 with one of another letter
    or of the other file.
    """
    rng = np.random.default_rng(seed)
    paths = Path(folder, TRAIN_CSV), Path(folder, TEST_CSV)
    for path, count in zip(paths, photos, strict=True):
        rows = [
            np.concatenate([[label], image.ravel()])
            for label, letter in zip(LABELS, LETTERS, strict=True)
            for _ in range(count)
            for image in draw_variants(letter, rng)
        ]
        with replacing(path) as temporary:
            np.savetxt(
                temporary,
                rng.permutation(rows),
                fmt="%d",
                delimiter=",",
                header=",".join(COLUMNS),
                comments="",
            )
    return paths


def draw_variants(letter, rng):
    """Variants of one new photo of a letter: uint8 (VARIANTS, 28, 28)."""
    photo = draw_photo(letter, rng)
    shifts = rng.uniform(-0.25, 0.25, (VARIANTS, 2))
    images = np.stack([photo(shift) for shift in shifts])
    images = images + rng.normal(0, 0.03, (VARIANTS, 1, 1)) + rng.normal(0, 0.005, images.shape)
    return (images.clip(0, 1) * 255).round().astype(np.uint8)


def draw_photo(letter, rng):
    """A new photo of a letter, as a function from a shift in pixels to the image.

    The image is float (28, 28), about 0 to 1. Hand, background and light are drawn once,
    so that shifts of one photo are near-duplicates.
    """
    skin, backdrop = rng.uniform(0.55, 0.85), rng.uniform(0.2, 0.95)
    if abs(skin - backdrop) < 0.2:
        backdrop = skin - 0.3
    light, slope = rng.normal(0, 0.12, 2), rng.normal(0, 0.15, 2)
    fingers = hand(letter, rng)

    def image(shift):
        grid = (np.arange(SIZE) + 0.5) / SIZE
        x, y = np.meshgrid(grid - shift[0] / SIZE, grid - shift[1] / SIZE)
        canvas = backdrop + slope[0] * (x - 0.5) + slope[1] * (y - 0.5)
        shade = skin + light[0] * (x - 0.5) + light[1] * (y - 0.5)
        for start, end, radius in fingers:
            depth = radius - capsule_distance(x, y, start, end)
            coverage = (depth * SIZE + 0.5).clip(0, 1)
            # darker towards the outline, as a round finger is under a lamp
            tone = shade - 0.3 * (1 - depth / radius).clip(0, 1) ** 3
            canvas = canvas * (1 - coverage) + tone * coverage
        return canvas

    return image


def hand(letter, rng):
    """The capsules (start, end, radius) of a hand that signs a letter, back to front.

    Posture, place, turn and size differ a little from call to call.
    """
    *fingers, thumb_tip = POSES[letter]
    parts = [ARM, PALM]
    for root, length, (turn, share) in zip(ROOTS, LENGTHS, fingers, strict=True):
        angle = np.radians(turn + rng.normal(0, 4))
        reach = length * share * rng.normal(1, 0.05)
        tip = root[0] + reach * np.sin(angle), root[1] - reach * np.cos(angle)
        parts.append((root, tip, 0.055))
    x, y = thumb_tip + rng.normal(0, 0.02, 2)
    parts.append((THUMB_ROOT, (x, y), 0.06))
    turn, size = np.radians(rng.normal(0, 5)), rng.normal(1.02, 0.05)
    cos, sin = size * np.cos(turn), size * np.sin(turn)
    shift = rng.normal(0, 0.03, 2) + 0.5

    def place(point):
        return np.array([[cos, -sin], [sin, cos]]) @ np.subtract(point, (0.5, 0.52)) + shift

    return [(place(start), place(end), radius * size) for start, end, radius in parts]


def capsule_distance(x, y, start, end):
    """Distance of the points (x, y) from the segment between two points."""
    (ax, ay), (bx, by) = start, end
    dx, dy = bx - ax, by - ay
    along = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy + 1e-9)
    along = along.clip(0, 1)
    return np.hypot(x - ax - along * dx, y - ay - along * dy)
