"""Files of the project that a notebook carries in its cells, so that it works alone."""

import base64
import fnmatch
from pathlib import Path

from toolkit.files import replacing

FILES: dict[str, str] = {}  # path in the project -> text, of models `packed`; the build fills it


def packed(content):
    """Bytes as text, in base64."""
    return base64.b64encode(content).decode()


def matching(pattern, root):
    """The files of the project in `root` that a pattern such as models/*.tflite names, as paths in
    the project, sorted."""
    return sorted(path.relative_to(root).as_posix() for path in Path(root).glob(pattern))


def write_files(folder, *patterns):
    """Writes files of the project into `folder` and returns their places there.

    patterns: of paths in the project. The files come out of FILES or, in a script, from the folder
    above.
    """
    placed = []
    for pattern in patterns:
        for path in fnmatch.filter(FILES, pattern) or matching(pattern, ".."):
            text = FILES.get(path)
            if text is None:
                content = Path("..", path).read_bytes()
            else:
                content = base64.b64decode(text) if is_binary(path) else text.encode()
            with replacing(Path(folder, Path(path).name)) as temporary:
                temporary.write_bytes(content)
            placed.append(Path(folder, Path(path).name))
    return placed


def is_binary(path):
    """Whether a file is carried as packed bytes: a model rather than a source."""
    return Path(path).suffix == ".tflite"
