"""Each committed notebook as a page: the essay, with the helpers' code left out.

    .venv/bin/python -m tools.html [NAME ...]

Writes build/html/NAME.html.
"""

import sys
from pathlib import Path

from bs4 import BeautifulSoup
from nbconvert import HTMLExporter
from traitlets.config import Config

from toolkit.files import replacing
from tools.notebooks import HELPERS, notebook_path, read_notebook
from tools.run import exit_status, named_sources

FOLDER = Path("build", "html")
# On paper a line of code has room for its hundred characters, and nothing is cut off
PRINT = """
@page { size: A4; margin: 15mm 12mm }
@media print {
  body { padding: 0; zoom: 0.75 }
  pre { white-space: pre-wrap !important }
  iframe { display: none }
  .jp-InputPrompt, .jp-OutputPrompt { display: none }
  h1, h2, h3, img, table { break-inside: avoid }
  h1, h2, h3 { break-after: avoid }
}
"""


def page(path):
    """The HTML of the notebook at `path`, without the input of cells tagged as helpers.

    Pictures get the alternative text that their outputs have as metadata. Printed, it is A4.
    """
    config = Config()
    config.TagRemovePreprocessor.enabled = True
    config.TagRemovePreprocessor.remove_cell_tags = set(HELPERS["tags"])
    notebook = read_notebook(path)
    named = {"metadata": {"name": Path(path).stem}}
    html, _ = HTMLExporter(config=config).from_notebook_node(notebook, named)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    alts = {
        "".join(output.data["image/png"].split()): output.metadata.get("image/png", {}).get("alt")
        for output in outputs
        if "image/png" in output.get("data", {})
    }
    soup = BeautifulSoup(html, "html.parser")
    for image in soup.select("img[src^='data:image/png']"):
        alt = alts.get("".join(str(image["src"]).split(",", 1)[1].split()))
        image["alt"] = alt or image["alt"]
    return str(soup).replace("</head>", f"<style>{PRINT}</style></head>", 1)


def main(names):
    """Writes the pages of the notebooks with these names, all by default."""
    for source in named_sources(Path(), names):
        target = FOLDER / f"{source.stem}.html"
        with replacing(target) as temporary:
            temporary.write_text(page(notebook_path(source, "")), encoding="utf-8")
        print(target)


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:])))
