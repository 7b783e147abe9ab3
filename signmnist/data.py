"""Sign Language MNIST: finds the two CSVs, checks them and loads them as arrays."""

import contextlib
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
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.csv

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
REMEDY = (
    f"Download the data set from https://www.kaggle.com/datasets/{KAGGLE_DATASET} and put "
    f"{TRAIN_CSV} and {TEST_CSV} (or the archive) into the folder data/, or name their "
    "folder in the environment variable SIGN_MNIST_DIR."
)


class DataError(Exception):
    """The data are missing or damaged; the message says where and what to do."""


@dataclasses.dataclass(frozen=True)
class SignMnist:
    """The data set in memory.

    x_train, x_test: float32 (n, 28, 28, 1), pixels / 255. y_train, y_test: int64 (n,),
    indices into LETTERS. sha256: file name -> hex digest of the CSV it came from.
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


@contextlib.contextmanager
def replacing(path):
    """Yields a temporary path beside `path` that takes its name if the block succeeds.

    If the block fails, the temporary file is removed and `path` stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def file_sha256(path):
    """Hex sha256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_csvs():
    """Paths (train, test) of the CSVs: SIGN_MNIST_DIR, else data/, else from Kaggle.

    A Kaggle archive found instead of the CSVs is unpacked in its place. Raises
    DataError when there is nothing to be had.
    """
    named = os.environ.get("SIGN_MNIST_DIR")
    folder = Path(named or "data")
    paths = folder / TRAIN_CSV, folder / TEST_CSV
    if not all(path.is_file() for path in paths):
        archives = sorted(folder.glob("*.zip"))
        for archive in archives:
            unpack(archive, folder)
        if not archives and not named:
            download(folder)
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        where = f"SIGN_MNIST_DIR={named}" if named else "data/"
        raise DataError(f"{where}: {' and '.join(missing)} not found. {REMEDY}")
    return paths


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
        raise DataError(f"{archive}: damaged archive ({error}). {REMEDY}") from error
    except PermissionError as error:
        raise DataError(f"{archive}: cannot unpack into {folder} ({error}).") from error


def read_csv(path):
    """Reads one CSV: pixels uint8 (n, 784) and labels uint8 (n,), 0-24 without 9.

    Raises DataError naming the file, the line and the value at fault.
    """
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        header = file.readline().strip().replace('"', "").split(",")
    if header == [""]:
        raise DataError(f"{path}: empty file. {REMEDY}")
    if header[0].startswith("PK\x03\x04"):
        raise DataError(f"{path}: a ZIP archive, not a CSV. Rename it to {Path(path).name}.zip.")
    if header != COLUMNS:
        absent = [name for name in COLUMNS if name not in header]
        what = f"column {absent[0]} is missing" if absent else "the columns are out of order"
        raise DataError(f"{path}: {what}; the header must be label,pixel1,...,pixel784. {REMEDY}")
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


def load_sign_mnist():
    """Finds, checks and loads the data, and prints what they are. Returns a SignMnist."""
    paths = find_csvs()
    sha256 = {path.name: file_sha256(path) for path in paths}
    (train, train_labels), (test, test_labels) = (read_csv(path) for path in paths)
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
