"""Reads a hand-in: what is in it under the names that the assignment asks for.

Nothing is executed or unpacked by its own name; everything is read within bounds, whatever the
zip says of its sizes.
"""

import contextlib
import dataclasses
import os
import time
import zipfile
from functools import partial
from pathlib import PurePosixPath

from grader.archives import Member, Reader, member
from grader.submissions import Item


def read_hand_in(items, folder):
    """What lies in a hand-in: {"files": name -> File as a dict, "others": place -> what it is}.

    items: Items of `grader.submissions`, as tuples. The bytes of the files are written to `folder`.
    The files are those that the assignment asks for, also where capitals or the mark of a copy
    make another name, other .tflite files, .keras, Word and PDF files and, by their places,
    archives that could not be looked into; the others are all the rest, and "" where it is not
    known what they are. Zips are looked into. Of several files of one name one counts, and its
    note says which: a file that can be read before others, then the latest that was handed in, a
    name spelled as asked for, one outside folders like backup/, the fewest folders, the latest
    date. Raises Unfit.
    """
    reader, items = Reader(folder), [Item(*item) for item in items]
    with contextlib.ExitStack() as stack:
        if len(items) == 1 and items[0].whole:
            found = reader.read_zip(items[0].path)
        else:
            zips = {item.path for item in items if item.inner}
            archives = {path: stack.enter_context(zipfile.ZipFile(path)) for path in zips}
            members = [loose(item, archives) for item in items]
            found = reader.collect(members, depth=-1)
    files = {name: dataclasses.asdict(counts(name, found[name])) for name in found}
    return {"files": files, "others": reader.others}


def loose(item, archives):
    """The Member of an Item that is a file or lies in a class's zip, one of `archives`."""
    place = PurePosixPath(item.place or os.path.basename(item.path))
    if item.inner:
        entry = archives[item.path].getinfo(item.inner)
        return member(archives[item.path], entry, place)._replace(order=item.order)
    date = time.localtime(os.stat(item.path).st_mtime)[:6]
    return Member(place, date, partial(open, item.path, "rb"), order=item.order)


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
