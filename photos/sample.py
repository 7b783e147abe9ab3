"""Draws a small set of cats and dogs in the format of the photos of `photos.data`.

It stands in where the data set cannot be had, so that everything can be tried.
"""

import itertools
import tempfile
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from photos.data import CLASSES, SET, held_out
from toolkit.files import DataError

FINE = 2  # drawn so many times larger, then reduced: smooth outlines
FURS = (
    *((235, 225, 210), (205, 150, 90), (150, 100, 60), (110, 105, 105), (60, 50, 48)),
    *((170, 165, 165), (225, 190, 140), (40, 38, 42), (190, 120, 60)),
)
FIRST_TEST = 2000  # the number of the first photo in validation/, as in the original


def write_sample(folder, seed=0, photos=(24, 12)):
    """Draws the sample into `folder` and returns it, a Path.

    photos: of each class in train/ and in validation/. The numbers of those in train/ are such
    that the loader takes a quarter of them for its validation part. The same seed draws the same
    files. An earlier sample in `folder` is replaced, as a whole or not at all; raises DataError
    if it cannot be written.
    """
    rng = np.random.default_rng(seed)
    names = [name for animal in CLASSES for name in draw_file_names(animal, *photos)]
    contents = {name: jpeg(draw_animal(Path(name).name[:3], rng), rng) for name in names}
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            for name, content in contents.items():
                path = Path(temporary, "new", name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            if (folder / SET).exists():
                (folder / SET).rename(Path(temporary, "old"))
            Path(temporary, "new").rename(folder / SET)
    except OSError as error:
        raise DataError(
            f"{folder} cannot be written ({error}). Make room and run again."
        ) from error
    return folder


def draw_file_names(animal, train, test):
    """Names such as "train/cats/cat.0.jpg" of `train` and `test` photos of a class.

    A quarter of those in train/, rounded up, are `held_out`.
    """
    wanted = {True: -(-train // 4), False: train - -(-train // 4)}
    names = []
    for number in itertools.count():
        name = f"train/{animal}s/{animal}.{number}.jpg"
        if not any(wanted.values()):
            break
        if wanted[held_out(name)]:
            wanted[held_out(name)] -= 1
            names.append(name)
    numbers = range(FIRST_TEST, FIRST_TEST + test)
    return names + [f"validation/{animal}s/{animal}.{number}.jpg" for number in numbers]


class Sketch:
    """A canvas with axes of its own: a head of radius 1 at (0, 0), y downwards.

    image: what is drawn on, RGB. middle: where (0, 0) lies, scale: the length of a unit, both in
    pixels. turn: of the axes, in radians. lean: by how much the head looks to the side.
    """

    def __init__(self, image, middle, scale, turn, lean):
        self.draw = ImageDraw.Draw(image)
        self.middle, self.scale, self.lean = np.array(middle), scale, lean
        cos, sin = np.cos(turn), np.sin(turn)
        self.axes = scale * np.array([[cos, sin], [-sin, cos]])

    def place(self, points):
        """Points (n, 2) in pixels, as a list of tuples."""
        return [tuple(point) for point in (self.middle + np.array(points) @ self.axes).tolist()]

    def shape(self, points, colour):
        """A filled polygon."""
        self.draw.polygon(self.place(points), fill=tuple(colour))

    def line(self, points, colour, width):
        """A line through points; width in units."""
        pixels = max(1, round(width * self.scale))
        self.draw.line(self.place(points), fill=tuple(colour), width=pixels, joint="curve")

    def oval(self, middle, radii, colour, turn=0.0):
        """A filled ellipse, turned by an angle in radians."""
        angle = np.linspace(0, 2 * np.pi, 60)
        x, y = radii[0] * np.cos(angle), radii[1] * np.sin(angle)
        cos, sin = np.cos(turn), np.sin(turn)
        self.shape(np.stack([x * cos - y * sin, x * sin + y * cos], axis=1) + middle, colour)

    def pair(self, middle, radii, colour, turn=0.0):
        """Two ellipses, one on each side of the face."""
        x, y = middle
        self.oval((self.lean - x, y), radii, colour, turn)
        self.oval((self.lean + x, y), radii, colour, -turn)


def draw_animal(animal, rng):
    """A picture of a cat or a dog in a place of its own, an RGB image of 150 to 500 pixels."""
    width, height = (int(side) for side in rng.integers(150, 500, 2))
    image = draw_background(FINE * width, FINE * height, rng)
    scale = min(image.size) * rng.uniform(0.2, 0.38)
    middle = np.array(image.size) * rng.uniform((0.3, 0.3), (0.7, 0.55))
    fur = np.array(FURS[rng.integers(len(FURS))]) + rng.integers(-15, 16, 3)
    turn, lean = rng.normal(0, 0.2), rng.normal(0, 0.12)
    sketch = Sketch(image, middle, scale, turn, lean)
    {"cat": draw_cat, "dog": draw_dog}[animal](sketch, fur.clip(20, 240), rng)
    image = image.reduce(FINE).filter(ImageFilter.GaussianBlur(rng.uniform(0, 1)))
    light = rng.uniform(0.7, 1.2) + np.linspace(0, rng.normal(0, 0.3), width)[:, None]
    noise = rng.normal(0, rng.uniform(2, 10), (height, width, 3))
    pixels = np.asarray(image) * light + noise
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def draw_background(width, height, rng):
    """A wall, a floor and some things in random colours: an RGB image."""
    image = Image.new("RGB", (width, height), tuple(rng.integers(30, 240, 3).tolist()))
    draw = ImageDraw.Draw(image)
    horizon = height * rng.uniform(0.3, 0.9)
    draw.rectangle((0, horizon, width, height), fill=tuple(rng.integers(30, 240, 3).tolist()))
    for _ in range(rng.integers(4, 12)):
        (x, y), (w, h) = rng.uniform(-0.1, 1, 2), rng.uniform(0.05, 0.5, 2)
        box = x * width, y * height, (x + w) * width, (y + h) * height
        thing = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        thing(box, fill=tuple(rng.integers(20, 240, 3).tolist()))
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 12)))


def draw_cat(sketch, fur, rng):
    """Pointed ears, slit pupils, whiskers; some have stripes."""
    dark, light, pink = fur * 0.6, fur + (255 - fur) * 0.5, (220, 150, 150)
    dark, light = dark.astype(int), light.astype(int)
    side = rng.choice([-1, 1])
    tail = [(0.7 * side, 2.6), (1.5 * side, 2.4), (1.8 * side, 1.5), (1.6 * side, 0.9)]
    sketch.line(tail, dark, 0.25)
    sketch.oval((0, 2.1), (0.95, 1.4), fur)
    sketch.oval((0, 1.7), (0.45, 0.8), light)
    height = rng.uniform(1.3, 1.6)
    for ear in (-1, 1):
        sketch.shape([(0.98 * ear, -0.2), (0.85 * ear, -height), (0.1 * ear, -0.8)], fur)
        sketch.shape([(0.85 * ear, -0.45), (0.78 * ear, 0.2 - height), (0.35 * ear, -0.75)], pink)
    sketch.oval((0, 0), (1.05, 0.88), fur)
    if rng.random() < 0.5:
        for x in (-0.3, 0, 0.3):
            sketch.line([(x, -0.82 + abs(x) / 4), (0.7 * x, -0.45)], dark, 0.09)
            sketch.line([(-0.9, 1.9 + x * 1.5), (0.9, 1.9 + x * 1.5)], dark, 0.12)
    iris = [(120, 180, 70), (220, 180, 60), (110, 170, 200)][rng.integers(3)]
    sketch.pair((0.43, -0.1), (0.25, 0.2), iris)
    sketch.pair((0.43, -0.1), (0.06, 0.18), (10, 10, 10))
    x = sketch.lean
    sketch.pair((0.16, 0.42), (0.24, 0.18), light)
    sketch.shape([(x - 0.13, 0.2), (x + 0.13, 0.2), (x, 0.34)], pink)
    for way in (-1, 1):
        for y in (0.25, 0.4, 0.55):
            root, tip = (x + 0.25 * way, 0.4 + (y - 0.4) / 3), (x + 1.35 * way, y + (y - 0.4))
            sketch.line([root, tip], (240, 240, 240), 0.03)


def draw_dog(sketch, fur, rng):
    """Floppy ears, a snout with a big nose, a collar; some show their tongue."""
    dark, light = (fur * 0.55).astype(int), (fur + (255 - fur) * 0.35).astype(int)
    collar = rng.integers(30, 230, 3)
    sketch.oval((0, 2.4), (1.25, 1.5), fur)
    sketch.oval((0, 2.2), (0.6, 0.9), light)
    sketch.oval((0, 1.05), (0.72, 0.3), collar)
    sketch.oval((0, 0), (0.88, 1.02), fur)
    length = rng.uniform(0.65, 0.95)
    sketch.pair((0.95, length - 0.6), (0.3, length), dark, rng.uniform(0, 0.4))
    if rng.random() < 0.4:
        sketch.oval((sketch.lean + 0.36, -0.2), (0.3, 0.34), dark)
    sketch.pair((0.36, -0.2), (0.14, 0.15), (35, 22, 15))
    sketch.pair((0.32, -0.25), (0.04, 0.04), (250, 250, 250))
    x = 1.5 * sketch.lean
    if rng.random() < 0.6:
        sketch.oval((x, 1.0), (0.19, rng.uniform(0.25, 0.45)), (225, 90, 110))
    sketch.oval((x, 0.5), (0.52, 0.45), light)
    sketch.oval((x, 0.28), (0.24, 0.16), (20, 18, 20))
    sketch.line([(x, 0.4), (x, 0.65)], (30, 25, 25), 0.05)
    sketch.line([(x - 0.3, 0.72), (x, 0.65), (x + 0.3, 0.72)], (30, 25, 25), 0.05)


def jpeg(image, rng):
    """The bytes of an image as a JPEG, of a quality as photos of the web have."""
    file = BytesIO()
    image.save(file, "JPEG", quality=int(rng.integers(70, 95)))
    return file.getvalue()
