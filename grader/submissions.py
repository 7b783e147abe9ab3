"""Who handed in what: zips, folders, and what Canvas or Moodle makes of a class's files."""

import contextlib
import glob
import os
import re
import shlex
import zipfile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from grader.names import hidden, printable

# as Canvas names the files of its bulk download, content_zipper.rb, and Moodle its folders
CANVAS = re.compile(
    r"(?P<name>.+?)_(?P<late>LATE_)?(?P<id>\d+)_(?:(?P<number>\d+)_(?P<file>.+)|(?P<text>text\.html))"
)
ANONYMOUS = re.compile(
    r"(?P<name>anon(?:ymous)?)_(?P<id>\w+?)_(?P<late>LATE_)?(?P<number>\d+)_(?P<file>.+)"
)
MOODLE = re.compile(
    r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_(?P<kind>file|onlinetext)(?:_(?P<file>.*))?"
)
ATTEMPT = re.compile(r"(?: ?\(\d+\)|-\d+)$")


class NothingFound(Exception):
    """A name or a pattern that matches nothing; the message says which."""


class Item(NamedTuple):
    """A file that was handed in: the file `path`, or the entry `inner` of that zip. place: as the
    student named it. order: the larger, the later. whole: whether it is a zip of a hand-in."""

    path: str
    inner: str = ""
    place: str = ""
    order: int = 0
    whole: bool = False


class Student(NamedTuple):
    """A hand-in: its name, the number that Canvas gives its student, or "", and its Items.

    note: what is to be said of the attempts.
    """

    name: str
    id: str = ""
    late: bool = False
    items: tuple = ()
    note: str = ""


class Named(NamedTuple):
    """What the name of a file in a class's download says."""

    name: str
    id: str
    late: bool
    number: int
    file: str
    moodle: bool


def paths_named(text):
    """The paths that a text names: one name, several, or patterns such as hand-ins/*.zip.

    Names may hold spaces: as many words as make the name of a file belong together. Raises
    NothingFound.
    """
    with contextlib.suppress(ValueError):  # a quote that is part of a name
        quoted = shlex.split(text) if set(text) & set("'\"") else []
        if quoted and all(os.path.lexists(name) for name in quoted):
            return quoted
    names, words, missing = [], text.split(), []
    while words:
        for count in range(len(words), 0, -1):
            name = os.path.expanduser(" ".join(words[:count]))
            matches = [name] if os.path.lexists(name) else sorted(glob.glob(name))
            if matches or count == 1:
                names += matches
                missing += [] if matches else [words[0]]
                words = words[count:]
                break
    require(missing)
    return names


def require(missing):
    """Raises NothingFound if there are names that match nothing."""
    if missing:
        told = ", ".join(map(printable, missing[:3]))
        raise NothingFound(f"{told}: there is no such file, and no file of that pattern")


def named(place):
    """What the place of a file says of who handed it in, a Named, or None."""
    parts = PurePosixPath(place.replace("\\", "/")).parts
    for depth, part in enumerate(parts):
        if match := MOODLE.fullmatch(part):
            rest = [match["file"] or "", *parts[depth + 1 :]]
            file = "/".join(filter(None, rest)) if match["kind"] == "file" else ""
            return Named(match["name"], match["id"], False, 0, file, True)
        if depth == len(parts) - 1:
            match = ANONYMOUS.fullmatch(part) or CANVAS.fullmatch(part)
            if match:
                found = match.groupdict()
                file = found["file"] or ""
                late, number = bool(found["late"]), int(found["number"] or 0)
                return Named(found["name"], found["id"], late, number, file, False)
    return None


def students(paths):
    """The Students of some paths, and the places of files that belong to none of them."""
    alone, items, rest = [], [], []
    for path in paths:
        path = str(path)
        if os.path.isdir(path):
            places = [
                (Item(str(file)), file.relative_to(path).as_posix())
                for file in sorted(Path(path).rglob("*"))
                if file.is_file() and not hidden(PurePosixPath(file.relative_to(path).as_posix()))
            ]
            zips = [item for item, place in places if place.lower().endswith(".zip")]
            if any(named(place) for _, place in places):
                items += places
            elif any(place.lower().endswith((".ipynb", ".tflite")) for _, place in places):
                own = tuple(item._replace(place=place) for item, place in places)
                alone.append(Student(path, items=own))
            else:
                alone += [Student(i.path, items=(i._replace(whole=True),)) for i in zips]
        elif entries := class_download(path):
            items += [(Item(path, entry), entry) for entry in entries]
        elif named(os.path.basename(path)):
            items.append((Item(path), os.path.basename(path)))
        else:
            alone.append(Student(path, items=(Item(path, whole=True),)))
    groups: dict[tuple, list] = {}
    for item, place in items:
        told = named(place)
        if told:
            groups.setdefault((told.id, told.moodle), []).append((item, told))
        else:
            rest.append(place)
    return alone + [student_of(group) for group in groups.values()], rest


def class_download(path):
    """The entries of a zip that holds the files of a class, or []."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError):
        return []  # the reader of hand-ins says what it is
    entries = [entry for entry in entries if not hidden(PurePosixPath(entry))]
    return entries if sum(map(bool, map(named, entries))) * 2 > len(entries) else []


def student_of(group):
    """The Student of some files, (Item, Named), of whom the latest attempt counts."""
    kept: dict[tuple, Item] = {}
    replaced = []
    for item, told in sorted(group, key=lambda one: one[1].number):
        if not told.file:
            continue
        stem, suffix = os.path.splitext(told.file)
        slot = (ATTEMPT.sub("", stem).lower(), suffix.lower())
        if slot in kept:
            replaced.append(kept[slot].place)
        kept[slot] = item._replace(place=told.file, order=told.number)
    first = group[0][1]
    late = any(told.late for _, told in group)
    names = ", ".join(printable(place) for place in replaced[:3])
    note = f"handed in again: {names} no longer count{'s' * (len(replaced) == 1)}"
    return Student(first.name, first.id, late, tuple(kept.values()), note if replaced else "")
