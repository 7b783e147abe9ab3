"""Reads a hand-in: what is in its zip under the names that the assignment asks for.

Nothing is executed or unpacked by its own name; everything is read in memory, within bounds
whatever the zip says of its sizes.
"""

import dataclasses
import difflib
import io
import json
import re
import zipfile
import zlib
from pathlib import PurePosixPath

NOTEBOOKS = "q1.ipynb", "q2.ipynb", "q3.ipynb", "q4.ipynb"
MODELS = (
    *("sign_mnist.tflite", "sign_mnist_quant_dyn.tflite", "sign_mnist_quant_int16x8.tflite"),
    *("sign_mnist_quant_aware_training.tflite", "sign_mnist_clustered.tflite"),
    *("sign_mnist_pruned.tflite", "sign_mnist_qkeras_4bit.tflite"),
)
MAX_ENTRIES, MAX_TOTAL, MAX_ZIPS, MAX_DEPTH = 2000, 400 * 2**20, 20, 2
MAX_BYTES = {".ipynb": 20 * 2**20, ".tflite": 100 * 2**20, ".zip": 200 * 2**20}
PACKED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED  # others unpack without bounds
# what browsers, Drive and desktops add to the name of a copy
COPY = re.compile(r"^copy of |( ?\(\d+\)| - copy| copy( \d+)?)+(?=\.\w+$)", re.IGNORECASE)
# folders whose files count last
SPARE = re.compile(r"backup|old|copy|draft|previous|trash", re.IGNORECASE)
OTHER_ARCHIVES = {b"Rar!": "a RAR archive", b"7z\xbc\xaf": "a 7z archive", b"\x1f\x8b": "a tar.gz"}


class BadZip(Exception):
    """A hand-in that cannot be read; the message says why."""


@dataclasses.dataclass
class Member:
    """A file of a hand-in: the place in the zip that it was found at, and its bytes or,
    with None, the problem that kept it from being read. note: what else there is to say."""

    place: str
    content: bytes | None = None
    problem: str = ""
    note: str = ""


def read_hand_in(path):
    """The notebooks and .tflite files of a zip: dict from name, without folder, to Member.

    The names are those of the assignment where capitals or the mark of a copy, such as
    "(1)", make the only difference. Zips in the zip are looked into. Of several files of
    one name one counts, and its note says which: a name spelled as asked for before others,
    then one outside folders like backup/, then the fewest folders, then the latest date.
    Raises BadZip.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(8)
            kind = next((k for sign, k in OTHER_ARCHIVES.items() if start.startswith(sign)), None)
            if kind:
                raise BadZip(f"{kind}, not a zip: pack it again as a zip")
            found: dict[str, list] = {}
            collect(file, "", found, [0, 0])
    except FileNotFoundError as error:
        raise BadZip("there is no such file") from error
    except IsADirectoryError as error:
        raise BadZip("a folder, not a zip: zip it first") from error
    except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        raise BadZip(f"damaged or not a zip ({error})") from error
    except NotImplementedError as error:
        raise BadZip(f"cannot be unpacked ({error})") from error
    members = {}
    for name, candidates in found.items():
        candidates.sort(key=lambda candidate: candidate[0])
        chosen = members[name] = candidates[0][1]
        if PurePosixPath(chosen.place).name != name:
            chosen.note = f"found as {chosen.place}"
        if len(candidates) > 1:
            others = ", ".join(member.place for _, member in candidates[1:4])
            chosen.note = (
                f"{len(candidates)} files of this name: {chosen.place} counts, not {others}"
            )
    return members


def collect(file, folder, found, spent):
    """Adds the files of a zip, an open binary file, to `found`: name -> [(rank, Member)].

    folder: where the zip itself lies, "" or the place of a zip in a zip. spent: the bytes and
    the entries that were read so far, a list that is updated. Raises BadZip.
    """
    with zipfile.ZipFile(file) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        spent[1] += len(entries)
        if spent[1] > MAX_ENTRIES:
            raise BadZip(f"{spent[1]:,} files are more than {MAX_ENTRIES:,}")
        inner = []
        for entry in entries:
            place = PurePosixPath(folder, entry.filename.replace("\\", "/"))
            suffix = place.suffix.lower()
            if suffix not in MAX_BYTES or hidden(place):
                continue
            member = read_member(archive, entry, suffix, spent)
            member.place = printable(str(place))
            if suffix == ".zip":
                inner.append(member)
                continue
            name = asked_for(place.name)
            date = [-part for part in entry.date_time]
            spare = bool(SPARE.search(str(place.parent)))
            rank = (place.name != name, spare, len(place.parts), date, str(place))
            found.setdefault(name, []).append((rank, member))
    if not inner or folder.lower().count(".zip") >= MAX_DEPTH:
        return
    if len(inner) > MAX_ZIPS:
        raise BadZip(f"{len(inner)} zips in one: unpack it and check them together")
    apart = []
    for member in inner:
        own: dict[str, list] = {}
        try:
            collect(io.BytesIO(member.content or b""), member.place, own, spent)
        except zipfile.BadZipFile:
            own = {}
        apart.append(own)
    if any(set(one) & set(other) for i, one in enumerate(apart) for other in apart[:i]):
        raise BadZip(
            f"{len(inner)} zips with files of the same names: unpack it, check them together"
        )
    for own in apart:
        for name, candidates in own.items():
            found.setdefault(name, []).extend(candidates)


def read_member(archive, entry, suffix, spent):
    """The Member of an entry of a zip; its place is left for the caller."""
    member, limit = Member(""), MAX_BYTES[suffix]
    if entry.compress_type not in PACKED:
        member.problem = "packed by another method than deflate: zip it again"
    elif entry.flag_bits & 1:
        member.problem = "encrypted: zip it again without a password"
    elif spent[0] > MAX_TOTAL:
        member.problem = f"not read: more than {MAX_TOTAL / 2**20:.0f} MB in all"
    else:
        try:
            with archive.open(entry) as source:
                content = source.read(limit + 1)
            spent[0] += len(content)
            if len(content) > limit:
                member.problem = f"larger than {limit / 2**20:.0f} MB: hand in a smaller one"
            else:
                member.content = content
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
            member.problem = "damaged: zip it again"
    return member


def asked_for(name):
    """The name of the assignment that a file's name stands for, or that name as it is."""
    plain = COPY.sub("", name).strip().lower()
    return plain if plain in (*NOTEBOOKS, *MODELS) else printable(name)


def missing(name, members):
    """What to say of a file that is not there: perhaps it has another name."""
    suffix = PurePosixPath(name).suffix
    others = [m for m in members if m.lower().endswith(suffix) and m not in (*NOTEBOOKS, *MODELS)]
    near = difflib.get_close_matches(name, others, 1)
    return f"missing (is it {near[0]}? Rename it)" if near else "missing"


def printable(name):
    """A file's name without line breaks or what a terminal would take for commands."""
    return name if name.isprintable() else ascii(name)


def hidden(place):
    """Whether a path is an archiver's or an editor's own, such as __MACOSX/._q1.ipynb."""
    return any(part.startswith(".") and part != ".." or part == "__MACOSX" for part in place.parts)


def notebook_problems(content):
    """What is wrong with the bytes of a notebook that was handed in, a list of str.

    Cells without a number are fine: nbformat allows it, and Colab saves such notebooks. What
    counts is that outputs are saved.
    """
    try:
        notebook = json.loads(content)
        version = notebook.get("nbformat", 4)
        if version < 4 or "worksheets" in notebook:
            return [
                f"an old notebook format ({version}): open it in Jupyter or Colab and save it again"
            ]
        cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        errors = sum(
            any(output["output_type"] == "error" for output in cell.get("outputs", []))
            for cell in cells
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ["not a notebook"]
    problems = [] if outputs else ["no outputs saved: run all cells and save it"]
    return problems + ([f"{errors} cells with an error"] if errors else [])
