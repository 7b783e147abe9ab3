"""Files of the project that a notebook carries in its cells, so that it works alone."""

import base64
from pathlib import Path

from toolkit.files import replacing

FILES: dict[str, str] = {}  # path in the project -> text, of models `packed`; the build fills it


def packed(content):
    """Bytes as text, in base64."""
    return base64.b64encode(content).decode()


def write_files(folder, *paths):
    """Writes files of the project into `folder` and returns their places there.

    paths: in the project. They come out of FILES or, in a script, from the folder above.
    """
    placed = []
    for path in map(Path, paths):
        text = FILES.get(path.as_posix())
        if text is None:
            content = Path("..", path).read_bytes()
        else:
            content = base64.b64decode(text) if is_binary(path) else text.encode()
        with replacing(Path(folder, path.name)) as temporary:
            temporary.write_bytes(content)
        placed.append(Path(folder, path.name))
    return placed


def is_binary(path):
    """Whether a file is carried as packed bytes: a model rather than a source."""
    return Path(path).suffix == ".tflite"
