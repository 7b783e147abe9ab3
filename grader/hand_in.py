"""Reads a hand-in: what is in its zip under the names that the assignment asks for.

Nothing is executed or unpacked by its own name; everything is read within bounds, whatever the
zip says of its sizes.
"""

import contextlib
import dataclasses
import os
import stat
import zipfile
from pathlib import Path, PurePosixPath

from grader.kinds import START, kind, lookalike
from grader.names import asked_for, hidden, printable, spare
from grader.processes import Unfit

MAX_ENTRIES, MAX_TOTAL, MAX_ZIPS, MAX_DEPTH = 2000, 400 * 2**20, 20, 2
MAX_BYTES = {".ipynb": 20 * 2**20, ".tflite": 100 * 2**20, ".zip": 200 * 2**20}
MAX_SHOWN = 120  # characters of a place
PACKED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED  # others unpack without bounds


@dataclasses.dataclass
class File:
    """A file that was handed in, and what was found of it.

    place: where it lies in the zip. path: where its bytes lie here, "" if they could not be read.
    problem: what keeps it from counting, or "". note: what else there is to say. size: bytes
    after gzip. correct of total: the test images that a model reads. pixels: the form of input
    that it was given. bits: the most that it stores for a weight, 0 where that is not known.
    prose: [(cell, text)] of a notebook; claims: [(cell, share)], the accuracies that it speaks of.
    """

    problem: str = ""
    correct: int = 0
    total: int = 0
    bits: int = 0
    size: int = 0
    pixels: str = ""
    prose: list = dataclasses.field(default_factory=list)
    claims: list = dataclasses.field(default_factory=list)
    place: str = ""
    path: str = ""
    note: str = ""

    @property
    def share(self):
        return self.correct / max(self.total, 1)


def read_hand_in(path, folder):
    """What lies in a zip: {"files": name -> File as a dict, "others": place -> what it is}.

    The bytes of the files are written to `folder`. The files are those that the assignment asks
    for, also where capitals or the mark of a copy make another name, other .tflite files, and,
    by their places, archives that could not be looked into; the others are all the rest, and ""
    where it is not known what they are. Zips in the zip are looked into. Of several files of one
    name one counts, and its note says which: a file that can be read before others, then a name
    spelled as asked for, one outside folders like backup/, the fewest folders, the latest date.
    Raises Unfit.
    """
    reader = Reader(folder)
    try:
        if os.path.isdir(path):
            raise Unfit("a folder, not a zip: zip it first")
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise Unfit("no file, so it cannot be read")
        with open(path, "rb") as file:
            found = reader.collect(file)
    except FileNotFoundError as error:
        raise Unfit("there is no such file") from error
    except PermissionError as error:
        raise Unfit("no permission to read it") from error
    except (Unfit, MemoryError):
        raise
    except Exception as error:  # a damaged zip may raise anything
        raise Unfit(lookalike_of(path) or f"damaged or not a zip ({error})") from error
    files = {name: dataclasses.asdict(counts(name, found[name])) for name in found}
    return {"files": files, "others": reader.others}


def lookalike_of(path):
    """What a file is that should be a zip, in words, or ""."""
    with open(path, "rb") as file:
        return lookalike(file.read(START), "a zip")


def counts(name, candidates):
    """Of the files of one name, [(rank, File)], the one that counts."""
    candidates = sorted(candidates, key=lambda candidate: candidate[0])
    chosen = candidates[0][1]
    if PurePosixPath(chosen.place).name != name and chosen.place != name:
        chosen.note = f"found as {chosen.place}"
    if len(candidates) > 1:
        others = ", ".join(file.place for _, file in candidates[1:4])
        chosen.note = f"{len(candidates)} files of this name: {chosen.place} counts, not {others}"
    return chosen


class Reader:
    """Reads zips into a folder, within bounds for all of them together."""

    def __init__(self, folder):
        self.folder, self.others = Path(folder), {}
        self.entries = self.written = self.bytes = 0

    def collect(self, file, outer="", depth=0):
        """name -> [(rank, File)] of the files in a zip, an open binary file. Raises Unfit.

        outer: the place of a zip in a zip.
        """
        found: dict[str, list] = {}
        zips = []
        with zipfile.ZipFile(file) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if self.entries + len(entries) > MAX_ENTRIES:
                raise Unfit(f"{len(entries):,} files are more than {MAX_ENTRIES:,}")
            self.entries += len(entries)
            places = [PurePosixPath(outer, e.filename.replace("\\", "/").strip()) for e in entries]
            names = [asked_for(place.name) for place in places]
            # what is asked for comes first, before the others reach a limit
            order = sorted(range(len(entries)), key=lambda index: not names[index])
            for entry, place, name in ((entries[i], places[i], names[i]) for i in order):
                suffix = place.suffix.lower()
                if hidden(place):
                    if name and not place.name.startswith(".") and "__MACOSX" not in place.parts:
                        self.others[shown(place)] = "in a hidden folder"
                elif name or suffix in (".tflite", ".zip"):
                    read = self.read(archive, entry, suffix)
                    read.place = shown(place)
                    if suffix == ".zip":
                        zips.append((place, read))
                    else:
                        name = name or shown(place.name)
                        rank = rank_of(place, name, entry.date_time, read)
                        found.setdefault(name, []).append((rank, read))
                else:
                    self.pass_by(archive, entry, place, found)
        if len(zips) > MAX_ZIPS:
            raise Unfit(f"{len(zips)} zips in one: unpack it and check them together")
        inner = [self.look_into(place, read, depth + 1) for place, read in zips]
        shared = [set(one) & set(other) for i, one in enumerate(inner) for other in inner[:i]]
        if any(shared):
            raise Unfit(
                f"{len(zips)} zips with files of the same names: unpack it, check them together"
            )
        for own in inner:
            for name, candidates in own.items():
                found.setdefault(name, []).extend(candidates)
        return found

    def look_into(self, place, read, depth):
        """What `collect` finds in a zip in the zip, or that zip itself with its problem."""
        problem = read.problem
        if read.path and depth > MAX_DEPTH:
            problem = "a zip in a zip in a zip, not looked into: zip the files themselves"
        elif read.path:
            try:
                with open(read.path, "rb") as file:
                    return self.collect(file, place, depth)
            except Unfit as error:
                problem = str(error)
            except Exception:  # a damaged zip may raise anything
                problem = lookalike_of(read.path) or "damaged: zip it again"
        return {read.place: [((), File(problem, place=read.place))]}

    def read(self, archive, entry, suffix):
        """The File of an entry of a zip; its place is left for the caller."""
        limit, left = MAX_BYTES[suffix], MAX_TOTAL - self.bytes
        if stat.S_ISLNK(entry.external_attr >> 16):
            return File("a link to another file: hand in that file itself")
        if entry.compress_type not in PACKED:
            return File("packed by another method than deflate: zip it again")
        if entry.flag_bits & 1:
            return File("encrypted: zip it again without a password")
        if left <= 0:
            return File(f"not read: more than {MAX_TOTAL / 2**20:.0f} MB in all")
        self.written += 1
        path = self.folder / f"{self.written}{suffix}"  # never by a name from the zip
        try:
            with archive.open(entry) as source:
                content = source.read(limit + 1)
        except Exception:  # a damaged entry may raise anything
            return File("damaged: zip it again")
        self.bytes += len(content)
        if len(content) > limit:
            return File(f"larger than {limit / 2**20:.0f} MB: hand in a smaller one")
        path.write_bytes(content)
        return File(path=str(path))

    def pass_by(self, archive, entry, place, found):
        """Notes a file that is not asked for: among the others or, as found, an archive."""
        what = remedy = ""
        if entry.compress_type in PACKED:
            with contextlib.suppress(Exception), archive.open(entry) as source:
                what, remedy = kind(source.read(START))
        if what == "a zip":  # as many kinds of files are
            what = "a Keras model" if place.suffix.lower() == ".keras" else ""
        told = shown(place)
        if "archive" in what:
            found[told] = [((), File(f"{what}, not looked into: {remedy}", place=told))]
        else:
            self.others[told] = what


def shown(place):
    """A place as it is shown, in not too many characters."""
    name, half = printable(str(place)), MAX_SHOWN // 2
    return f"{name[:half]}…{name[-half:]}" if len(name) > MAX_SHOWN else name


def rank_of(place, name, date, file):
    """What a file of a name is sorted by among those of the same name; the first counts."""
    likely = not file.path, place.name != name, spare(str(place.parent)), len(place.parts)
    return *likely, [-part for part in date], str(place)
