"""Files: found, told from what is none, written whole or not at all, known by their sha256."""

import contextlib
import hashlib
import os
import re
import zipfile
from pathlib import Path

# How files begin that often lie in the place of others
SIGNATURES = {
    rb"version https://git-lfs": "a Git LFS pointer, `git lfs pull` fetches the file",
    rb"<": "a web page, get the file anew",
    rb"[{\[]": "a JSON file",
    rb"\xff\xfe|\xfe\xff": "UTF-16 text, save it as UTF-8",
    rb"PK.{28}(\[Content|docProps|_rels|xl/)": "an Excel file, save it as CSV",
    rb"PK|\x1f\x8b|Rar!|7z\xbc": "an archive, unpack it",
    rb"\Z": "an empty file",
}


class DataError(Exception):
    """Data are missing or damaged; the message says where and what to do."""


def what_is(path):
    """What lies at a path instead of what its name lets expect, in words, or ""."""
    path = Path(path)
    if os.path.isdir(path):
        return "a folder"
    if path.suffix in (".part", ".crdownload", ".download"):
        return "an unfinished download"
    try:
        with open(path, "rb") as file:
            start = file.read(100).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError as error:
        return "a link to nothing" if os.path.islink(path) else error.strerror
    if path.name.endswith((".zip", ".tar.gz")) and start[:2] in (b"PK", b"\x1f\x8b"):
        return ""
    found = (what for sign, what in SIGNATURES.items() if re.match(sign, start, re.DOTALL))
    return next(found, "")


def inventory(folder, missing=()):
    """What lies in a folder in place of the files `missing` there, in words."""
    told: list[str] = []
    try:
        os.listdir(folder)  # glob would find nothing in what is no folder
    except OSError as error:
        return error.strerror
    for path in (path for depth in ("*", "*/*") for path in sorted(folder.glob(depth))):
        alike = [name for name in missing if Path(name).stem in path.name.lower()]
        what = what_is(path) or (f"rename it to {alike[0]}" if alike else "")
        if not what and zipfile.is_zipfile(path):
            what = f"holds {', '.join(zipfile.ZipFile(path).namelist()[:3])}"
        if alike or path.parent == folder:
            told.append(f"{path.relative_to(folder)}{what and f' ({what})'}")
    return f"there is {', '.join(told[:8]) or 'nothing'}"


@contextlib.contextmanager
def naming(path, remedy):
    """Turns whatever goes wrong with the file at `path` into a DataError that names it."""
    try:
        yield
    except Exception as error:  # a damaged file may raise anything
        what = what_is(path) or f"cannot be used ({str(error) or type(error).__name__})"
        raise DataError(f"{path}: {what}. {remedy}") from error


@contextlib.contextmanager
def replacing(path):
    """Yields a path beside `path` that takes its name if the block succeeds, and goes if not."""
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
