"""Sign Language MNIST: finds the two CSVs, checks them and loads them as arrays."""

import csv
import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections import Counter
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.csv

from signmnist.splits import photo_groups, photo_links
from toolkit.files import DataError, replacing

LETTERS = "ABCDEFGHIKLMNOPQRSTUVWXY"
LABELS = np.array([label for label in range(25) if label != 9], np.uint8)
COLUMNS = ["label"] + [f"pixel{i}" for i in range(1, 785)]
TRAIN_CSV, TEST_CSV = "sign_mnist_train.csv", "sign_mnist_test.csv"
CANONICAL_SHA256 = {
    TRAIN_CSV: "b7ff39ad5f1210fa765ce11aa5f20c2e97fe467ffc22231aac923c863eef75c4",
    TEST_CSV: "178c0dd21c4b0e86d58df12f14ea1e9efa795ad19d146802b3b28094a16d56ae",
}
KAGGLE_DATASET = "datamunge/sign-language-mnist"
MAX_CSV_BYTES = 500_000_000
# how files begin that often lie where a CSV or an archive should
LOOKALIKES = {
    b"\x1f\x8b": "a gzip file, not the data. Unpack it with gunzip.",
    b"version https://git-lfs": "a Git LFS pointer, not the data. `git lfs pull` fetches them.",
    b"<": "a web page, not the data.",
}
REMEDY = (
    f"Download the data set from https://www.kaggle.com/datasets/{KAGGLE_DATASET} and put "
    f"{TRAIN_CSV} and {TEST_CSV} (or the archive) into the folder data/, or name their "
    "folder in the environment variable SIGN_MNIST_DIR."
)


@dataclasses.dataclass(frozen=True)
class SignMnist:
    """The data set in memory.

    x_train, x_test: float32 (n, 28, 28, 1), pixels / 255. y_train, y_test: int64 (n,),
    indices into LETTERS. sha256: file name -> `content_sha256` of the CSV it came from.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    sha256: dict

    @property
    def canonical(self):
        return self.sha256 == CANONICAL_SHA256

    @property
    def banner(self):
        """What every table and plot must say of data that are not the real ones, or ""."""
        return "" if self.canonical else "NOT Sign Language MNIST: figures from other data"

    @cached_property
    def links(self):
        """`photo_links` of the training images and, after them, the test images."""
        return photo_links(np.concatenate([self.x_train, self.x_test]))

    @cached_property
    def train_groups(self):
        """`photo_groups` of the training file alone: int (n,)."""
        return photo_groups(self.links[: len(self.x_train), : len(self.x_train)])

    @cached_property
    def test_groups(self):
        """The group of each test image among those of both files: int (n,)."""
        return photo_groups(self.links)[len(self.x_train) :]

    @cached_property
    def has_twin(self):
        """Whether a test image shares its group with a training image: bool (n,)."""
        training = photo_groups(self.links)[: len(self.x_train)]
        return np.isin(self.test_groups, training)


def find_csvs():
    """Paths (train, test) of the CSVs: SIGN_MNIST_DIR, else data/, else from Kaggle.

    They may lie in folders of their own, as Kaggle's archive unpacks; an archive found
    instead of them is unpacked in its place. Raises DataError when there is nothing to be had.
    """
    named = os.environ.get("SIGN_MNIST_DIR")
    folder = Path(named or "data")
    paths = csvs_below(folder)
    if None in paths:
        archives = sorted(folder.glob("*.zip"))
        for archive in archives:
            unpack(archive, folder)
        if not archives and not named:
            download(folder)
        paths = csvs_below(folder)
    missing = [name for name, path in zip(CANONICAL_SHA256, paths, strict=True) if not path]
    if missing:
        where = f"SIGN_MNIST_DIR={named}" if named else "data/"
        raise DataError(f"{where}: {' and '.join(missing)} not found. {REMEDY}")
    return paths


def csvs_below(folder):
    """Paths (train, test) of the CSVs in a folder or up to two folders deeper, the nearest ones.

    None for one that is not there.
    """
    found = []
    for name in CANONICAL_SHA256:
        places = (sorted(folder.glob(f"{depth}{name}")) for depth in ("", "*/", "*/*/"))
        found.append(next((path for some in places for path in some if path.is_file()), None))
    return tuple(found)


def download(folder):
    """Fetches the archive from Kaggle (no account needed) and unpacks it into `folder`."""
    print(f"downloading {KAGGLE_DATASET} from Kaggle")
    with tempfile.TemporaryDirectory() as temporary:
        program = Path(sys.executable).with_name("kaggle")
        command = [program if program.exists() else "kaggle", "datasets", "download"]
        try:
            done = subprocess.run(
                [*command, KAGGLE_DATASET, "--path", temporary, "--quiet"],
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=600,
            )
            reason = (done.stderr or done.stdout).strip()[-300:]
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = str(error)
        archives = list(Path(temporary).glob("*.zip"))
        if not archives:
            raise DataError(f"no data in data/, and Kaggle did not answer ({reason}). {REMEDY}")
        unpack(archives[0], folder)


def unpack(archive, folder):
    """Takes the two CSVs out of a Kaggle ZIP, wherever they are in it, and nothing else.

    Raises DataError for a damaged archive and for a member larger than MAX_CSV_BYTES.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            for member in file.infolist():
                name = Path(member.filename).name
                target = Path(folder) / name
                if name not in CANONICAL_SHA256 or target.exists():
                    continue
                if member.file_size > MAX_CSV_BYTES:
                    raise DataError(f"{archive}: {name} would unpack to over 500 MB. {REMEDY}")
                with (
                    file.open(member) as source,
                    replacing(target) as temporary,
                    open(temporary, "wb") as copy,
                ):
                    shutil.copyfileobj(source, copy)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        what = lookalike(archive) or f"damaged archive ({error})."
        raise DataError(f"{archive}: {what} {REMEDY}") from error
    except PermissionError as error:
        raise DataError(f"{archive}: cannot unpack into {folder} ({error}).") from error


def read_csv(path):
    """Reads one CSV: pixels uint8 (n, 784) and labels uint8 (n,), 0-24 without 9.

    Raises DataError naming the file, the line and the value at fault.
    """
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        header = file.readline(100_000).strip().replace('"', "").split(",")
    if header[0].startswith("PK\x03\x04"):
        raise DataError(f"{path}: a ZIP archive, not a CSV. Rename it to {Path(path).name}.zip.")
    if header != COLUMNS:
        raise DataError(f"{path}: {lookalike(path) or header_fault(header)} {REMEDY}")
    types = pyarrow.csv.ConvertOptions(column_types={name: pyarrow.uint8() for name in COLUMNS})
    try:
        table = pyarrow.csv.read_csv(path, convert_options=types)
    except pyarrow.ArrowInvalid as error:
        raise DataError(f"{path}: {find_fault(path) or error} {REMEDY}") from error
    labels = table["label"].to_numpy()
    if any(column.null_count for column in table.columns) or not np.isin(labels, LABELS).all():
        raise DataError(f"{path}: {find_fault(path)} {REMEDY}")
    if not len(labels):
        raise DataError(f"{path}: no rows below the header. {REMEDY}")
    pixels = np.stack([table[name].to_numpy() for name in COLUMNS[1:]], axis=1)
    return pixels, labels


def lookalike(path):
    """What a file is that lies where a CSV or an archive should, or None."""
    with open(path, "rb") as file:
        start = file.read(100).removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((what for sign, what in LOOKALIKES.items() if start.startswith(sign)), None)


def header_fault(header):
    """What is wrong with the names in the first line of a CSV, as a sentence."""
    if header == [""]:
        return "empty file."
    absent = [name for name in COLUMNS if name not in header]
    extra = list(Counter(header) - Counter(COLUMNS))
    if all(name.strip().isdecimal() for name in header):
        fault = "the header line is missing"
    elif len(header) == 1:
        fault = f"no commas in the first line, which begins {header[0][:20]!r}"
    elif absent:
        fault = f"column {absent[0]} is missing"
    elif extra:
        fault = f"column {extra[0]!r} is one too many"
    else:
        fault = "the columns are out of order"
    return f"{fault}; the header must be label,pixel1,...,pixel784."


def find_fault(path):
    """Says which line of a CSV is wrong and why, or None; slow, for error messages."""
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        rows = csv.reader(file)
        next(rows)
        for row in rows:
            where = f"line {rows.line_num}:"
            if len(row) != len(COLUMNS):
                return f"{where} {len(row)} values instead of 785 (a truncated file?)."
            for name, value in zip(COLUMNS, row, strict=True):
                if not value.strip().isdecimal() or int(value) > 255:
                    return f"{where} {name} is {value!r}, not an integer from 0 to 255."
            if int(row[0]) not in LABELS:
                return f"{where} label {row[0]} is not a letter of the set (0-24 without 9)."


def content_sha256(pixels, labels):
    """Hex sha256 of the CSV that Kaggle would serve for `read_csv`'s pixels and labels.

    That of Kaggle's own file for the same images in the same order, whatever the line ends,
    the quotes or the byte order mark of the file that they were read from.
    """
    digest = hashlib.sha256(",".join(COLUMNS).encode() + b"\n")
    numbers = np.array([f"{value},".encode() for value in range(256)], "S4")
    for start in range(0, len(labels), 4096):
        rows = slice(start, start + 4096)
        text = numbers[np.column_stack([labels[rows], pixels[rows]])]
        text[:, -1] = np.char.replace(text[:, -1], b",", b"\n")
        characters = text.view(np.uint8)
        digest.update(characters[characters != 0])
    return digest.hexdigest()


def load_sign_mnist():
    """Finds, checks and loads the data, and prints what they are. Returns a SignMnist."""
    paths = find_csvs()
    (train, train_labels), (test, test_labels) = contents = [read_csv(path) for path in paths]
    sha256 = dict(zip(CANONICAL_SHA256, [content_sha256(*c) for c in contents], strict=True))
    data = SignMnist(
        *(to_images(train), np.searchsorted(LABELS, train_labels)),
        *(to_images(test), np.searchsorted(LABELS, test_labels)),
        sha256,
    )
    print(f"{len(train):,} training and {len(test):,} test images from {paths[0].parent.name}/")
    for name, digest in sha256.items():
        same = digest == CANONICAL_SHA256[name]
        print(f"  {name}  sha256 {digest[:16]}…  {'canonical' if same else 'NOT canonical'}")
    if data.banner:
        print(f"\n*** {data.banner} ***")
    return data


def to_images(pixels):
    """Pixels uint8 (n, 784) as float32 (n, 28, 28, 1) in [0, 1]."""
    return pixels.reshape(-1, 28, 28, 1).astype(np.float32) / np.float32(255)
