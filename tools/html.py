"""Each notebook of the root as a page: the essay, with the helpers' code left out.

    .venv/bin/python -m tools.html [q1 q2 ...]

Writes build/html/NAME.html from NAME.ipynb as it is committed.
"""

import sys
from pathlib import Path

from nbconvert import HTMLExporter
from traitlets.config import Config

from toolkit.files import replacing
from tools.notebooks import HELPERS, sources

FOLDER = Path("build", "html")


def page(path):
    """The HTML of the notebook at `path`, without the input of cells tagged as helpers."""
    config = Config()
    config.TagRemovePreprocessor.enabled = True
    config.TagRemovePreprocessor.remove_cell_tags = set(HELPERS["tags"])
    return HTMLExporter(config=config).from_filename(str(path))[0]


def main(names):
    """Writes the pages of the notebooks with these names, all by default."""
    for name in names or [source.stem for source in sources(Path())]:
        target = FOLDER / f"{name}.html"
        with replacing(target) as temporary:
            temporary.write_text(page(Path(f"{name}.ipynb")), encoding="utf-8")
        print(target)


if __name__ == "__main__":
    main(sys.argv[1:])
