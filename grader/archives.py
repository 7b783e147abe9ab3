"""Reads zips, and zips in them, within bounds for all files together."""

import contextlib
import hashlib
import os
import stat
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from grader.files import File
from grader.kinds import START, kind, lookalike
from grader.names import asked_for, hidden, printable, spare
from grader.processes import Unfit

MAX_ENTRIES, MAX_TOTAL, MAX_ZIPS, MAX_DEPTH = 2000, 400 * 2**20, 20, 2
MAX_BYTES = {".ipynb": 20 * 2**20, ".tflite": 100 * 2**20, ".zip": 200 * 2**20}
MAX_BYTES |= dict.fromkeys((".keras", ".docx", ".pdf"), 50 * 2**20)
MAX_SHOWN = 120  # characters of a place
PACKED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED  # others unpack without bounds


class Member(NamedTuple):
    """A file of a hand-in before it is read: its place, date and packing, what opens it, and what
    keeps it from being opened, or "". order: the larger, the later it was handed in."""

    place: PurePosixPath
    date: tuple
    open: Callable
    problem: str = ""
    packed: bool = True
    order: int = 0


def member(archive, entry, place):
    """The Member of an entry of a zip."""
    problem = ""
    if stat.S_ISLNK(entry.external_attr >> 16):
        problem = "a link to another file: hand in that file itself"
    elif entry.compress_type not in PACKED:
        problem = "packed by another method than deflate: zip it again"
    elif entry.flag_bits & 1:
        problem = "encrypted: zip it again without a password"
    packed = entry.compress_type in PACKED
    return Member(place, entry.date_time, partial(archive.open, entry), problem, packed)


def lookalike_of(path):
    """What a file is that should be a zip, in words, or ""."""
    with open(path, "rb") as file:
        return lookalike(file.read(START), "a zip")


class Reader:
    """Reads hand-ins into a folder, within bounds for all files together."""

    def __init__(self, folder):
        self.folder, self.others = Path(folder), {}
        self.entries = self.written = self.bytes = 0

    def read_zip(self, path):
        """What `collect` finds in the zip at `path`. Raises Unfit, which says what it is."""
        try:
            if os.path.isdir(path):
                raise Unfit("a folder, not a zip: zip it first")
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise Unfit("no file, so it cannot be read")
            with open(path, "rb") as file:
                return self.collect_zip(file)
        except FileNotFoundError as error:
            raise Unfit("there is no such file") from error
        except PermissionError as error:
            raise Unfit("no permission to read it") from error
        except (Unfit, MemoryError):
            raise
        except Exception as error:  # a damaged zip may raise anything
            raise Unfit(lookalike_of(path) or f"damaged or not a zip ({error})") from error

    def collect_zip(self, file, outer="", depth=0, order=0):
        """What `collect` finds in a zip, an open binary file. outer: its own place."""
        with zipfile.ZipFile(file) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if self.entries + len(entries) > MAX_ENTRIES:
                raise Unfit(f"{len(entries):,} files are more than {MAX_ENTRIES:,}")
            places = [PurePosixPath(outer, e.filename.replace("\\", "/").strip()) for e in entries]
            members = [
                member(archive, entry, place)._replace(order=order)
                for entry, place in zip(entries, places, strict=True)
            ]
            return self.collect(members, depth)

    def collect(self, members, depth=0):
        """name -> [(rank, File)] of some Members. Raises Unfit."""
        found: dict[str, list] = {}
        zips = []
        self.entries += len(members)
        names = {one.place: asked_for(one.place.name) for one in members}
        # what is asked for comes first, before the others reach a limit
        for one in sorted(members, key=lambda one: not names[one.place]):
            place, name, suffix = one.place, names[one.place], one.place.suffix.lower()
            if hidden(place):
                if name and not place.name.startswith(".") and "__MACOSX" not in place.parts:
                    self.others[shown(place)] = "in a hidden folder"
            elif name or suffix in MAX_BYTES and suffix != ".ipynb":
                read = self.read(one, suffix)
                read.place = shown(place)
                if suffix == ".zip":
                    zips.append((one, read))
                else:
                    name = name or shown(place.name)
                    found.setdefault(name, []).append((rank_of(one, name, read), read))
            else:
                self.pass_by(one, found)
        if len(zips) > MAX_ZIPS:
            raise Unfit(f"{len(zips)} zips in one: unpack it and check them together")
        inner = [(one.order, self.look_into(one, read, depth + 1)) for one, read in zips]
        shared = [
            set(own) & set(other)
            for i, (order, own) in enumerate(inner)
            for earlier, other in inner[:i]
            if order == earlier
        ]
        if any(shared):
            raise Unfit(
                f"{len(zips)} zips with files of the same names: unpack it, check them together"
            )
        for _, own in inner:
            for name, candidates in own.items():
                found.setdefault(name, []).extend(candidates)
        return found

    def look_into(self, one, read, depth):
        """What `collect` finds in a zip that is a Member, or that zip itself with its problem."""
        problem = read.problem
        if read.path and depth > MAX_DEPTH:
            problem = "a zip in a zip in a zip, not looked into: zip the files themselves"
        elif read.path:
            try:
                with open(read.path, "rb") as file:
                    return self.collect_zip(file, one.place, depth, one.order)
            except Unfit as error:
                problem = str(error)
            except Exception:  # a damaged zip may raise anything
                problem = lookalike_of(read.path) or "damaged: zip it again"
        return {read.place: [((), File(problem, place=read.place))]}

    def read(self, one, suffix):
        """The File of a Member; its place is left for the caller."""
        limit, left = MAX_BYTES[suffix], MAX_TOTAL - self.bytes
        if one.problem:
            return File(one.problem)
        if left <= 0:
            return File(f"not read: more than {MAX_TOTAL / 2**20:.0f} MB in all")
        self.written += 1
        path = self.folder / f"{self.written}{suffix}"  # never by a name from the zip
        try:
            with one.open() as source:
                content = source.read(limit + 1)
        except Exception:  # a damaged entry may raise anything
            return File("damaged: zip it again")
        self.bytes += len(content)
        if len(content) > limit:
            return File(f"larger than {limit / 2**20:.0f} MB: hand in a smaller one")
        path.write_bytes(content)
        return File(path=str(path), sha256=hashlib.sha256(content).hexdigest())

    def pass_by(self, one, found):
        """Notes a file that is not asked for: among the others or, as found, an archive."""
        what = remedy = ""
        if one.packed:
            with contextlib.suppress(Exception), one.open() as source:
                what, remedy = kind(source.read(START))
        if what == "a zip":  # as many kinds of files are
            what = ""
        told = shown(one.place)
        if "archive" in what:
            found[told] = [((), File(f"{what}, not looked into: {remedy}", place=told))]
        else:
            self.others[told] = what


def shown(place):
    """A place as it is shown, in not too many characters."""
    name, half = printable(str(place)), MAX_SHOWN // 2
    return f"{name[:half]}…{name[-half:]}" if len(name) > MAX_SHOWN else name


def rank_of(one, name, file):
    """What a Member of a name is sorted by among those of the same name; the first counts."""
    place = one.place
    likely = place.name != name, spare(str(place.parent)), len(place.parts)
    return not file.path, -one.order, *likely, [-part for part in one.date], str(place)
