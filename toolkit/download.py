"""Downloading: with progress, and resumed where it broke off."""

import ssl
import urllib.error
import urllib.request
from http.client import HTTPException

from tqdm import tqdm

from toolkit.files import DataError

CONNECTION_ERRORS = (
    urllib.error.URLError,
    HTTPException,
    TimeoutError,
    ConnectionError,
    ssl.SSLError,
)


def fetch(url, path):
    """Downloads `url` to `path`, with progress, and goes on where a former try stopped.

    What is at `path` already is taken as it is. Raises DataError when the server does not answer,
    the connection ends early or the disk is full; the part that came stays as <path>.part.
    """
    if path.exists():
        return path
    part = path.with_name(path.name + ".part")
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            resumed = answer.status == 206
            total = int(answer.headers.get("Content-Length", 0)) + (done if resumed else 0)
            with (
                open(part, "ab" if resumed else "wb") as file,
                tqdm(
                    total=total or None, initial=done if resumed else 0, unit="B", unit_scale=True,
                    desc=path.name,
                ) as bar,
            ):  # fmt: skip
                while block := answer.read(1 << 20):
                    file.write(block)
                    bar.update(len(block))
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise DataError(f"{url}: the server answers {error.code}.") from error
        if error.headers.get("Content-Range", f"bytes */{done}") != f"bytes */{done}":
            raise DataError(f"{part} is no part of {url}. Delete it and run again.") from error
        total = done  # nothing of it is left to send
    except CONNECTION_ERRORS as error:
        raise DataError(f"{url}: no connection ({error}). Run it again: it resumes.") from error
    except OSError as error:
        raise DataError(f"{part}: cannot be written ({error}). Make room and run again.") from error
    if part.stat().st_size < total:
        raise DataError(f"{url}: the connection ended early. Run it again: it resumes.")
    part.replace(path)
    return path
