"""The official archives of Speech Commands: downloads them and takes the set out of them."""

import base64
import csv
import gzip
import hashlib
import io
import lzma
import re
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

import numpy as np
import soundfile
from scipy.signal import resample_poly

from speech.selection import SELECTED
from toolkit.download import fetch
from toolkit.files import DataError, naming

WORDS = "down", "left", "no", "off", "on", "right", "stop", "up", "yes"
RATE = 8000  # samples a second, and in a clip
SOURCE_RATE = 16000
ARCHIVES = {
    "v0.01": "speech_commands_v0.01.tar.gz",
    "v0.02": "speech_commands_v0.02.tar.gz",
    "v0.02 test set": "speech_commands_test_set_v0.02.tar.gz",
}
SERVER = "https://storage.googleapis.com/download.tensorflow.org/data/"
FROM_V2 = "down", "no", "up", "yes"  # words whose training clips are those of v0.02, not v0.01
CLIPS_CSV = "clips.csv"
COLUMNS = "word", "file", "split", "release", "samples_16khz", "sha1_of_wav"
MOST_PER_SPLIT = 2**27 - 1  # of the rule by which the data set splits its speakers


def download(folder):
    """Fetches the archives that `folder` lacks, 4 GB in all. Returns the paths of all three.

    What an interrupted download left as <archive>.part is completed. Raises DataError.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    return [fetch(SERVER + name, Path(folder, name)) for name in ARCHIVES.values()]


def speaker_split(file):
    """The split to which the data set's own rule gives the speaker of a clip.

    file: a name such as 004ae714_nohash_0.wav. The sha1 of its first part, the speaker, gives a
    percentage: under 10 validation, under 20 testing, else training (Warden, 2018,
    `which_set` in the README of Speech Commands).
    """
    speaker = re.sub(r"_nohash_.*$", "", file)
    number = int(hashlib.sha1(speaker.encode()).hexdigest(), 16)
    percentage = (number % (MOST_PER_SPLIT + 1)) * (100 / MOST_PER_SPLIT)
    return "validation" if percentage < 10 else "testing" if percentage < 20 else "training"


def selected_clips():
    """The clips of the set as (word, file), such as ("yes", "004ae714_nohash_0.wav")."""
    planes = np.frombuffer(lzma.decompress(base64.b64decode(SELECTED)), np.uint8).reshape(4, -1)
    table = np.ascontiguousarray(planes.T).view("<u4").reshape(1 + len(WORDS), -1)
    speakers = [f"{number:08x}" for number in table[0].cumsum(dtype=np.uint32)]
    return {
        (word, f"{speaker}_nohash_{n}.wav")
        for word, taken in zip(WORDS, table[1:].tolist(), strict=True)
        for speaker, bits in zip(speakers, taken, strict=True)
        for n in range(32)
        if bits >> n & 1
    }


def read_wav(content, name):
    """The samples of a clip at 16 kHz from the bytes of its WAV: int16 (n,), n up to 16,000.

    Raises ValueError, naming it, for another rate, more than one channel or more than a second.
    """
    samples, rate = soundfile.read(io.BytesIO(content), dtype="int16", always_2d=True)
    if rate != SOURCE_RATE or samples.shape[1] != 1 or not 0 < len(samples) <= SOURCE_RATE:
        raise ValueError(
            f"{name}: {len(samples):,} samples in {samples.shape[1]} channels at {rate:,} Hz; a "
            f"clip of Speech Commands has 1 to {SOURCE_RATE:,} in one at {SOURCE_RATE:,} Hz"
        )
    return samples[:, 0]


def halve_rate(samples):
    """A clip at 16 kHz, int16 (n,), as one second at 8 kHz: int16 (8000,), zeros at the end."""
    half = np.round(resample_poly(samples.astype(np.float64), 1, 2))
    clip = np.zeros(RATE, np.int16)
    clip[: len(half)] = np.clip(half, -32768, 32767)
    return clip


def release_of(word, split):
    """The release from which the set takes a word's clips of a split, a key of ARCHIVES.

    A clip that both releases hold is so taken once.
    """
    if split == "testing":
        return "v0.02 test set"
    return "v0.02" if word in FROM_V2 else "v0.01"


def chosen_clips(archive, release, chosen):
    """Yields (row of the list, clip) for the clips of an archive that are `chosen`.

    archive: path of a .tar.gz. release: its key in ARCHIVES; `release_of` says which clips to look
    for in it. chosen: as of `selected_clips`. The row is a dict of COLUMNS, the clip int16 (8000,).
    Raises DataError for an archive that is damaged or truncated.
    """
    with (
        naming(archive, "Delete it and run again."),
        gzip.open(archive) as stream,
        tarfile.open(fileobj=stream, mode="r|") as file,
    ):
        for member in file:
            path = PurePosixPath(member.name)
            word, name = path.parent.name, path.name
            split = "testing" if "test set" in release else speaker_split(name)
            if (word, name) not in chosen or release != release_of(word, split):
                continue
            content = file.extractfile(member).read()  # type: ignore[union-attr]
            samples = read_wav(content, f"{word}/{name}")
            sha1 = hashlib.sha1(content).hexdigest()
            values = word, name, split, release, len(samples), sha1
            yield dict(zip(COLUMNS, values, strict=True)), halve_rate(samples)
        while stream.read(1 << 20):  # to the checksum at the end: damage can end a tar early
            pass


def write_set(clips, folder):
    """Writes a set into `folder`, all of it or nothing: a <word>.flac a word, and the list.

    clips: (row of the list, int16 (8000,)) each, in any order. Files of the same names are
    replaced, others stay. Raises DataError if it cannot be written.
    """
    folder = Path(folder)
    clips = sorted(clips, key=lambda pair: (pair[0]["word"], pair[0]["file"]))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            made = []
            for word in sorted({row["word"] for row, _ in clips}):
                made.append(Path(temporary, f"{word}.flac"))
                samples = np.concatenate([clip for row, clip in clips if row["word"] == word])
                packed = io.BytesIO()  # libsndfile itself may not notice a full disk
                soundfile.write(packed, samples, RATE, format="FLAC")
                made[-1].write_bytes(packed.getbuffer())
            made.append(Path(temporary, CLIPS_CSV))
            with open(made[-1], "w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(row for row, _ in clips)
            folder.mkdir(exist_ok=True)
            for path in made:
                path.replace(folder / path.name)
    except OSError as error:
        raise DataError(
            f"{folder} cannot be written ({error}). Make room and run again."
        ) from error


def build_set(archives, folder):
    """Makes the set in `folder` from the three archives, all of it or nothing.

    archives: paths in the order of ARCHIVES; those beside `folder` are deleted afterwards. Raises
    DataError, also if the disk is full.
    """
    chosen, clips = selected_clips(), []
    for archive, release in zip(archives, ARCHIVES, strict=True):
        print(f"taking the clips out of {archive}")
        clips += chosen_clips(archive, release, chosen)
    if len(clips) != len(chosen):
        raise DataError(
            f"{', '.join(map(str, archives))} hold {len(clips):,} of the {len(chosen):,} clips of "
            "the set: one of them is not the official one. Delete them and run again."
        )
    write_set(clips, folder)
    for archive in archives:
        if Path(archive).parent == Path(folder).parent:
            Path(archive).unlink()
