"""Files: written whole or not at all, identified by their sha256."""

import contextlib
import hashlib
import os
from pathlib import Path


class DataError(Exception):
    """Data are missing or damaged; the message says where and what to do."""


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
