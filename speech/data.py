"""Nine words of Speech Commands at 8 kHz: finds the clips, checks them and loads them."""

import csv
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from speech.archives import ARCHIVES, CLIPS_CSV, COLUMNS, RATE, WORDS, build_set, download
from toolkit.files import DataError, inventory, naming

CANONICAL_SHA256 = {
    "speech-commands-8khz": "4f7acdc7569a8536356512438e70e5a74de5c7eae573b5fe788bfd61125b9dae"
}
SPLITS = "training", "validation", "testing"
FOLDER = Path("data", "speech-commands-8khz")
REMEDY = (
    f"Put the set ({CLIPS_CSV} and a <word>.flac for each word) into the folder {FOLDER}/, or "
    "name its folder in the environment variable SPEECH_COMMANDS_DIR; or put the three official "
    f"archives ({', '.join(ARCHIVES.values())}) into {FOLDER.parent}/, from which it is made."
)


class Clips(NamedTuple):
    """The clips of one split, in the order of the set.

    waves: int16 (n, 8000), one second at 8 kHz. y: int64 (n,), indices into WORDS. speakers:
    (n,), eight hexadecimal digits each. files: (n,), names in the official archives.
    """

    waves: np.ndarray
    y: np.ndarray
    speakers: np.ndarray
    files: np.ndarray


class SpeechCommands:
    """The data set in memory: `training`, `validation` and `testing` are Clips.

    sha256: {"speech-commands-8khz": that of all samples as little-endian int16}. The
    attributes that `toolkit.results` asks of a data set are those of the test clips; x_test is
    what the models take, set by `with_features`.
    """

    def __init__(self, training, validation, testing, sha256):
        self.training, self.validation, self.testing = training, validation, testing
        self.sha256 = sha256
        self.y_train, self.y_test = training.y, testing.y
        self.x_train, self.x_test = training.waves, testing.waves

    def with_features(self, features):
        """The same set with `features(waves)` in place of x_train and x_test."""
        other = SpeechCommands(self.training, self.validation, self.testing, self.sha256)
        other.x_train = features(self.training.waves)
        other.x_test = features(self.testing.waves)
        return other

    @property
    def canonical(self):
        return self.sha256 == CANONICAL_SHA256

    @property
    def banner(self):
        """What every table and plot must say of data that are not the real ones, or ""."""
        return "" if self.canonical else "NOT Speech Commands: figures from other data"

    @cached_property
    def test_groups(self):
        """The number of each test clip's speaker: int (n,)."""
        return np.unique(self.testing.speakers, return_inverse=True)[1]

    @cached_property
    def has_twin(self):
        """Whether a test clip's speaker is also heard in training: bool (n,)."""
        return np.isin(self.testing.speakers, self.training.speakers)


def find():
    """The folder of the set: SPEECH_COMMANDS_DIR, else data/, else made of the archives.

    Archives that are in data/ are used, those that are missing are downloaded. Raises DataError
    when there is nothing to be had.
    """
    if named := os.environ.get("SPEECH_COMMANDS_DIR"):
        folder = Path(os.path.expanduser(named))
        if not os.path.exists(folder / CLIPS_CSV):
            what = f"{CLIPS_CSV} not found: {inventory(folder, [CLIPS_CSV])}"
            raise DataError(f"SPEECH_COMMANDS_DIR={named}: {what}. {REMEDY}")
        return folder
    if any(FOLDER.glob("*")):  # what somebody began to put there is not built anew
        return FOLDER
    if Path(FOLDER.parent, CLIPS_CSV).exists():
        return FOLDER.parent
    try:
        build_set(download(FOLDER.parent), FOLDER)
    except DataError as error:
        raise DataError(f"{error} {REMEDY}") from error
    return FOLDER


def read_list(path):
    """The rows of a clips.csv as a list of dicts. Raises DataError, with the line, if damaged."""
    with naming(path, REMEDY), open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if missing := {"word", "file", "split"} - set(reader.fieldnames or []):
            raise ValueError(f"the column {min(missing)} is missing")
        rows: list[dict] = []
        before = "", ""
        for row in reader:
            word, name, split = row["word"], row["file"], row["split"]
            where = f"line {reader.line_num}:"
            if word not in WORDS:
                raise ValueError(f"{where} {word!r} is not among the words")
            if split not in SPLITS:
                raise ValueError(f"{where} {split!r} is not a split")
            if "_" not in (name or ""):
                raise ValueError(f"{where} {name!r} does not name a speaker")
            if (word, name) <= before:
                raise ValueError(f"{where} {word}/{name} comes twice or is not in sorted order")
            before = word, name
            rows.append(row)
    return rows


def read_word(path, count):
    """The `count` clips of a word's FLAC: int16 (count, 8000). Raises DataError."""
    with naming(path, REMEDY), soundfile.SoundFile(path) as file:
        if (file.samplerate, file.channels) != (RATE, 1):
            form = f"{file.samplerate} Hz and {file.channels} channels"
            raise ValueError(f"{form}; it must be {RATE} Hz and mono")
        if file.frames != count * RATE:
            told = f"{file.frames:,} samples, but {CLIPS_CSV} names {count:,} clips of {RATE:,}"
            raise ValueError(f"{told}: the list belongs to another set")
        samples = file.read(dtype="int16")
        if len(samples) < count * RATE:
            raise ValueError(f"truncated: {len(samples):,} of {count * RATE:,} samples can be read")
    return samples.reshape(count, RATE)


def read_clips(folder):
    """All that a folder holds: (rows of its list, int16 (n, 8000), sha256). Raises DataError."""
    rows = read_list(Path(folder, CLIPS_CSV))
    counts = {word: sum(row["word"] == word for row in rows) for word in WORDS}
    if absent := [word for word, count in counts.items() if not count]:
        raise DataError(f"{Path(folder, CLIPS_CSV)}: no clip of {absent[0]!r}. {REMEDY}")
    paths = [Path(folder, f"{word}.flac") for word in WORDS]
    with ThreadPoolExecutor() as pool:
        waves = np.concatenate(list(pool.map(read_word, paths, counts.values())))
    digest = hashlib.sha256(waves.astype("<i2").tobytes()).hexdigest()
    return rows, waves, {name: digest for name in CANONICAL_SHA256}


def placed():
    """Whether data/ holds a whole archive; where it holds the set, `find` takes it."""
    return any(Path(FOLDER.parent, name).exists() for name in ARCHIVES.values())


def identify(folder):
    """Name -> sha256 of the set in a folder. Raises DataError."""
    return read_clips(folder)[2]


def load_speech_commands():
    """Finds, checks and loads the set, and prints what it is. Returns a SpeechCommands.

    Raises DataError, naming the file and the remedy, for what is missing or damaged.
    """
    folder = find()
    rows, waves, sha256 = read_clips(folder)
    table = {name: np.array([row[name] for row in rows]) for name in COLUMNS[:3]}
    y = np.searchsorted(WORDS, table["word"])
    speakers = np.array([name.partition("_")[0] for name in table["file"]])
    parts = {}
    for split in SPLITS:
        mine = table["split"] == split
        parts[split] = Clips(waves[mine], y[mine], speakers[mine], table["file"][mine])
        if not mine.any():
            raise DataError(f"{folder / CLIPS_CSV}: no clip is for {split}. {REMEDY}")
    data = SpeechCommands(**parts, sha256=sha256)
    counts = ", ".join(f"{len(clips.y):,} for {split}" for split, clips in parts.items())
    print(f"{len(waves):,} clips of {len(WORDS)} words from {folder.name}/: {counts}")
    for name, digest in sha256.items():
        print(
            f"  {name}  sha256 {digest[:16]}…  {'canonical' if data.canonical else 'NOT canonical'}"
        )
    if data.banner:
        print(f"\n*** {data.banner} ***")
    return data
