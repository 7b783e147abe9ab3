"""cats_and_dogs_filtered, 3,000 photos: finds them, checks them and loads them."""

import hashlib
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from photos.duplicates import duplicate_groups
from toolkit.download import fetch
from toolkit.files import DataError, inventory, naming

CLASSES = "cat", "dog"
SIDE = 224
SET = "cats_and_dogs_filtered"
# Over the JPEGs alone: the official ZIP also holds entries for folders and a vectorize.py
CANONICAL_SHA256 = {SET: "30f6ed42a926224172ef3672adc659f6df48ff2bc5130035377acc615ef91f18"}
URL = f"https://storage.googleapis.com/mledu-datasets/{SET}.zip"
FOLDER = Path("data")
SUFFIXES = ".jpg", ".jpeg"
MOST_PIXELS = 25_000_000  # of a photo, and of its file in bytes; the largest here has 785,664
CLASS_FOLDERS = tuple(f"{part}/{animal}s" for part in ("train", "validation") for animal in CLASSES)
REMEDY = (
    f"Put {SET}.zip from {URL}, or the folder {SET}/ that is in it, into the folder {FOLDER}/, or "
    "name the folder that holds it in the environment variable CATS_AND_DOGS_DIR."
)


class Photos(NamedTuple):
    """The photos of one part, sorted by file.

    pixels: uint8 (n, 224, 224, 3), RGB. y: int64 (n,), indices into CLASSES. files: (n,), such as
    "train/cats/cat.0.jpg". groups: int32 (n,), the number of each photo's group of
    near-duplicates among those of all parts.
    """

    pixels: np.ndarray
    y: np.ndarray
    files: np.ndarray
    groups: np.ndarray

    def some(self, rows):
        """The Photos of these rows, an index or a mask of NumPy."""
        return Photos(*(column[rows] for column in self))


class CatsAndDogs:
    """The data set in memory: `training`, `validation` and `testing` are Photos.

    `testing` holds the photos of the folder validation/; those of train/ are split by
    `hold_out`. sha256: {"cats_and_dogs_filtered": `content_sha256` of the files}.
    """

    def __init__(self, training, validation, testing, sha256):
        self.training, self.validation, self.testing = training, validation, testing
        self.sha256 = sha256
        self.y_train, self.y_test = training.y, testing.y
        self.test_groups = testing.groups

    @property
    def canonical(self):
        return self.sha256 == CANONICAL_SHA256

    @property
    def banner(self):
        """What every table and plot must say of data that are not the real ones, or ""."""
        return "" if self.canonical else f"NOT {SET}: figures from other data"

    @cached_property
    def has_twin(self):
        """Whether a test photo shares its group with one of the folder train/: bool (n,)."""
        seen = np.concatenate([self.training.groups, self.validation.groups])
        return np.isin(self.testing.groups, seen)


def find():
    """The folder with the ZIP or the photos: CATS_AND_DOGS_DIR, else data/, else a download.

    Raises DataError when there is nothing to be had.
    """
    if named := os.environ.get("CATS_AND_DOGS_DIR"):
        folder = Path(os.path.expanduser(named))
        if not photos_in(folder):
            what = f"{SET} not found: {inventory(folder, [f'{SET}.zip'])}"
            raise DataError(f"CATS_AND_DOGS_DIR={named}: {what}. {REMEDY}")
        return folder
    if not photos_in(FOLDER):
        try:
            download(FOLDER)
        except DataError as error:
            raise DataError(f"{error} {REMEDY}") from error
    return FOLDER


def photos_in(folder):
    """What holds the photos in `folder`: the ZIP, the folder in it, or `folder` itself; or None."""
    archive, inside = Path(folder, f"{SET}.zip"), Path(folder, SET)
    if os.path.exists(archive):
        return archive
    if os.path.isdir(inside):
        return inside
    return Path(folder) if any(os.path.isdir(Path(folder, p)) for p in CLASS_FOLDERS) else None


def download(folder):
    """Fetches the official ZIP, 69 MB, into `folder`. Raises DataError.

    What an interrupted download left as <archive>.part is completed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be made ({error}).") from error
    fetch(URL, folder / f"{SET}.zip")


def is_photo(name):
    """Whether a path such as "train/cats/cat.0.jpg" is that of a photo of the set."""
    parent, _, file = name.rpartition("/")
    return parent in CLASS_FOLDERS and file[:1] != "." and Path(file).suffix.lower() in SUFFIXES


def read_zip(path):
    """The photos in a ZIP: {"train/cats/cat.0.jpg": bytes}. Raises DataError if it is damaged."""
    contents = {}
    with naming(path, REMEDY), zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            top, _, name = member.filename.partition("/")
            if top != SET or not is_photo(name):
                continue
            if name in contents:
                raise ValueError(f"{name} comes twice")
            if member.file_size > MOST_PIXELS:
                raise ValueError(f"{name} has {member.file_size:,} bytes")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError("packed neither deflated nor stored")
            contents[name] = archive.read(member)
    return contents


def read_folder(folder):
    """The photos in a folder: {"train/cats/cat.0.jpg": bytes}. Raises DataError."""
    contents = {}
    try:
        for part in CLASS_FOLDERS:
            for path in sorted(Path(folder, part).iterdir()):
                name = f"{part}/{path.name}"
                if not is_photo(name):
                    continue
                if not path.is_file() or path.stat().st_size > MOST_PIXELS:
                    raise DataError(f"{path} is no photo of the set. {REMEDY}")
                contents[name] = path.read_bytes()
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error}). {REMEDY}") from error
    return contents


def content_sha256(digests):
    """Hex sha256 of a set: over path, a zero byte and sha256 of each file, sorted by path.

    digests: {"train/cats/cat.0.jpg": 32 bytes}; the paths that count begin with
    cats_and_dogs_filtered/.
    """
    whole = hashlib.sha256()
    for name in sorted(digests):
        whole.update(os.fsencode(f"{SET}/{name}") + b"\0" + digests[name])
    return whole.hexdigest()


def decode(content, name):
    """A photo from the bytes of its JPEG, scaled to uint8 (224, 224, 3) whatever its shape was.

    Raises DataError, naming it, for what is no JPEG in RGB, truncated or overly large.
    """
    try:
        with Image.open(BytesIO(content), formats=["JPEG"]) as image:
            if image.mode != "RGB":
                raise DataError(f"{name} is of the mode {image.mode}, not RGB. {REMEDY}")
            if image.width * image.height > MOST_PIXELS:
                raise DataError(f"{name} has {image.width} x {image.height} pixels. {REMEDY}")
            return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    except Image.UnidentifiedImageError as error:
        what = f"it begins with {content[:8]!r}" if content else "it is empty"
        raise DataError(f"{name} is damaged or no JPEG: {what}. {REMEDY}") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{name} is damaged ({error}). {REMEDY}") from error


def resize(pixels, side):
    """Photos uint8 (n, s, s, 3) scaled to uint8 (n, side, side, 3) by Pillow's bilinear filter.

    Where they have that side already, they themselves are returned.
    """
    if pixels.shape[1] == side:
        return pixels

    def scaled(photo):
        return np.asarray(Image.fromarray(photo).resize((side, side), Image.Resampling.BILINEAR))

    small = np.empty((len(pixels), side, side, 3), np.uint8)
    with ThreadPoolExecutor() as pool:
        for i, photo in enumerate(pool.map(scaled, pixels)):
            small[i] = photo
    return small


def read_photos(folder):
    """All that a folder of `find` holds: (files, pixels, sha256). Raises DataError.

    files: list of str, sorted. pixels: uint8 (n, 224, 224, 3). sha256: as of CatsAndDogs.
    """
    place = photos_in(folder)
    if place is None:
        raise DataError(f"{folder}: there is no {SET}.zip and no folder {SET}/. {REMEDY}")
    contents = read_zip(place) if place.suffix == ".zip" else read_folder(place)
    for part in CLASS_FOLDERS:
        if not any(name.startswith(f"{part}/") for name in contents):
            raise DataError(f"{place}: there is no photo in {part}/. {REMEDY}")
    files = sorted(contents)
    digests = {name: hashlib.sha256(contents[name]).digest() for name in files}
    seen: dict[bytes, str] = {}
    for name, digest in digests.items():
        other = seen.setdefault(digest, name)
        if class_of(other) != class_of(name):
            raise DataError(f"{place}: {other} and {name} are the same photo. {REMEDY}")
    pixels = np.empty((len(files), SIDE, SIDE, 3), np.uint8)
    with ThreadPoolExecutor() as pool:
        decoded = pool.map(lambda name: decode(contents[name], f"{place}/{name}"), files)
        for i, photo in enumerate(decoded):
            pixels[i] = photo
    return files, pixels, {SET: content_sha256(digests)}


def placed():
    """Whether somebody put photos into data/."""
    return photos_in(FOLDER) is not None


def identify(folder):
    """Name -> sha256 of the photos in a folder. Raises DataError."""
    return read_photos(folder)[2]


def class_of(name):
    """The class of a path such as "train/cats/cat.0.jpg", an index into CLASSES."""
    return CLASSES.index(name.split("/")[1][:-1])


def held_out(name, fifth=0):
    """Whether the group whose first file has this name is for validation: a fifth of them.

    name: such as "train/cats/cat.0.jpg". Its sha256 alone decides. fifth: 0 to 4, which one; the
    notebook's is 0. Raises ValueError for another.
    """
    if fifth not in range(5):
        raise ValueError(f"there is no fifth {fifth}: they are 0 to 4")
    return int(hashlib.sha256(os.fsencode(name)).hexdigest(), 16) % 5 == fifth


def hold_out(photos, fifth=0):
    """Splits Photos into the rest and a fifth of their groups, see `held_out`: two Photos."""
    _, first, group = np.unique(photos.groups, return_index=True, return_inverse=True)
    held = np.array([held_out(name, fifth) for name in photos.files[first]])[group]
    return photos.some(~held), photos.some(held)


def load_cats_and_dogs():
    """Finds, checks and loads the set, and prints what it is. Returns a CatsAndDogs.

    Raises DataError, naming the file and the remedy, for what is missing or damaged.
    """
    folder = find()
    names, pixels, sha256 = read_photos(folder)
    y = np.array([class_of(name) for name in names])
    photos = Photos(pixels, y, np.array(names), duplicate_groups(pixels))
    test = np.char.startswith(photos.files, "validation/")
    training, validation = hold_out(photos.some(~test))
    parts = {"training": training, "validation": validation, "testing": photos.some(test)}
    for (part, mine), (i, animal) in product(parts.items(), enumerate(CLASSES)):
        if not (mine.y == i).any():
            raise DataError(f"{folder}: too few photos, no {animal} is for {part}. {REMEDY}")
    data = CatsAndDogs(**parts, sha256=sha256)
    counts = ", ".join(f"{len(mine.y):,} for {part}" for part, mine in parts.items())
    print(f"{len(names):,} photos of cats and dogs from {folder.absolute().name}/: {counts}")
    for name, digest in sha256.items():
        state = "canonical" if data.canonical else "NOT canonical"
        print(f"  {name}  sha256 {digest[:16]}…  {state}")
    if data.banner:
        print(f"\n*** {data.banner} ***")
    return data
