"""Sign Language MNIST: finds the two CSVs, checks them and loads them as arrays."""

import dataclasses
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from functools import cached_property
from glob import glob
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pyarrow.csv

from signmnist.splits import photo_groups, photo_links
from toolkit.files import DataError, inventory, naming, replacing

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
FORMAT = "a label, 0-24 without 9, and 784 values to 255 must stand below label,pixel1,...,pixel784"
REMEDY = f"""Download the data set from https://www.kaggle.com/datasets/{KAGGLE_DATASET} and put \
{TRAIN_CSV} and {TEST_CSV} (or the archive) into the folder data/, or name their folder in the \
environment variable SIGN_MNIST_DIR."""


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
        return np.isin(self.test_groups, photo_groups(self.links)[: len(self.x_train)])


def find_csvs():
    """Paths (train, test) of the CSVs: SIGN_MNIST_DIR, beside the notebook, data/ or Kaggle.

    An archive found there is unpacked. Raises DataError where they cannot be had.
    """
    named, reason = os.environ.get("SIGN_MNIST_DIR"), ""
    beside = all(map(os.path.isfile, CANONICAL_SHA256))
    folder = Path(named or ("." if beside else "data")).expanduser()
    if None in csvs_below(folder):
        for archive in sorted(glob("*.zip", root_dir=folder)):
            unpack(folder / archive, folder)
    if None in csvs_below(folder) and not named:
        try:
            download(folder)
        except (DataError, subprocess.TimeoutExpired) as error:
            reason = f"Kaggle did not answer ({error}). "
    paths = csvs_below(folder)
    if missing := [name for name, path in zip(CANONICAL_SHA256, paths, strict=True) if not path]:
        where = f"SIGN_MNIST_DIR={named}" if named else "data/"
        what = f"{' and '.join(missing)} not found: {inventory(folder, missing)}"
        raise DataError(f"{where}: {what}. {reason}{REMEDY}")
    return paths


def csvs_below(folder):
    """Paths (train, test) of the nearest CSVs up to two folders deeper, or None."""
    found = []
    for name in CANONICAL_SHA256:
        below = (sorted(glob(depth + name, root_dir=folder)) for depth in ("", "*/", "*/*/"))
        places = (folder / path for some in below for path in some)
        found.append(next(filter(os.path.isfile, places), None))
    return tuple(found)


def download(folder):
    """Fetches Kaggle's archive (no account needed) and unpacks it into `folder`, or raises."""
    print(f"downloading {KAGGLE_DATASET} from Kaggle")
    command = [sys.executable, "-m", "kaggle", "datasets", "download", KAGGLE_DATASET, "--quiet"]
    with tempfile.TemporaryDirectory() as temporary:
        command += ["--path", temporary]
        done = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600
        )
        if not (archives := glob(f"{temporary}/*.zip")):
            raise DataError((done.stderr or done.stdout).strip()[-300:])
        unpack(archives[0], folder)


def unpack(archive, folder):
    """Takes the two CSVs, wherever they are, and nothing else out of a ZIP. Raises DataError."""
    with naming(archive, REMEDY), zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            target = Path(folder, Path(member.filename).name)
            if target.name in CANONICAL_SHA256 and not target.exists():
                if member.file_size > MAX_CSV_BYTES:
                    raise ValueError(f"{target.name} would unpack to over 500 MB")
                with replacing(target) as temporary:
                    temporary.write_bytes(file.read(member))


def read_csv(path):
    """Reads one CSV: pixels uint8 (n, 784) and labels uint8 (n,), 0-24 without 9.

    Raises DataError naming the file, the line and the value at fault.
    """
    types = dict.fromkeys(COLUMNS, pyarrow.uint8())
    options = pyarrow.csv.ConvertOptions(column_types=types, null_values=[])
    with naming(path, REMEDY):
        try:
            table = pyarrow.csv.read_csv(path, convert_options=options)
            labels, *pixels = (column.to_numpy() for column in table.columns)
            sound = table.column_names == COLUMNS and len(table) and np.isin(labels, LABELS).all()
        except pyarrow.ArrowInvalid:
            sound = False
        if not sound:
            raise ValueError(find_fault(path))
    return np.stack(pixels, axis=1), labels


def find_fault(path):
    """Where a CSV is wrong first, and how it should be; slow, for error messages."""
    right = {"label": {str(label) for label in LABELS}, "nothing": ()}
    values = {str(value) for value in range(256)}
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        for line, text in enumerate(file, 1):
            row = text.strip().replace('"', "").split(",")
            for name, value in zip_longest(COLUMNS, row, fillvalue="nothing"):
                if value not in ([name] if line == 1 else right.get(name, values)):
                    return f"line {line}: {value[:30]!r} where {name} should be; {FORMAT}"
    return f"no rows below the header; {FORMAT}"


def content_sha256(pixels, labels):
    """Hex sha256 of the CSV that Kaggle would serve for `read_csv`'s pixels and labels.

    Line ends, quotes and byte order mark of the file that they were read from don't count.
    """
    table = pyarrow.table([labels, *pixels.T], COLUMNS)
    rows = pyarrow.BufferOutputStream()
    pyarrow.csv.write_csv(table, rows, pyarrow.csv.WriteOptions(include_header=False))
    return hashlib.sha256(",".join(COLUMNS).encode() + b"\n" + rows.getvalue()).hexdigest()


def read_csvs(paths):
    """Both CSVs, see `read_csv`, and name -> `content_sha256`. DataError, also if swapped."""
    contents = [read_csv(path) for path in paths]
    sha256 = {path.name: content_sha256(*c) for path, c in zip(paths, contents, strict=True)}
    names = {digest: name for name, digest in CANONICAL_SHA256.items()}
    for path in paths:
        if (name := names.get(sha256[path.name], path.name)) != path.name:
            raise DataError(f"{path}: it holds what belongs into {name}, rename it. {REMEDY}")
    return contents, sha256


def load_sign_mnist():
    """Finds, checks and loads the data, and prints what they are. Returns a SignMnist."""
    paths = find_csvs()
    contents, sha256 = read_csvs(paths)
    arrays = [(to_images(pixels), np.searchsorted(LABELS, labels)) for pixels, labels in contents]
    data = SignMnist(*arrays[0], *arrays[1], sha256)
    counts = f"{len(data.y_train):,} training and {len(data.y_test):,} test images"
    print(f"{counts} from {paths[0].absolute().parent.name}/")
    for name, digest in sha256.items():
        same = digest == CANONICAL_SHA256[name]
        print(f"  {name}  sha256 {digest[:16]}…  {'canonical' if same else 'NOT canonical'}")
    if data.banner:
        print(f"\n*** {data.banner} ***")
    return data


def to_images(pixels):
    """Pixels uint8 (n, 784) as float32 (n, 28, 28, 1) in [0, 1]."""
    return pixels.reshape(-1, 28, 28, 1).astype(np.float32) / np.float32(255)


def find():
    """The folder that holds both CSVs, maybe in folders of their own. Raises DataError."""
    return Path(os.path.commonpath([path.absolute().parent for path in find_csvs()]))


def placed():
    """Whether somebody put a CSV, an archive or what was meant as one into data/."""
    there = Path("data").glob("*")
    return any(p.suffix in (".csv", ".zip") or "sign_mnist" in p.name.lower() for p in there)


def identify(folder):
    """Name -> `content_sha256` of the CSVs in a folder. Raises DataError."""
    paths = csvs_below(Path(folder))
    if None in paths:
        raise DataError(f"{folder}: a CSV is missing. {REMEDY}")
    return read_csvs(paths)[1]
