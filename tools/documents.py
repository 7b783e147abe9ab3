"""The report and the comparison of question 4 as Word and PDF.

    .venv/bin/python -m tools.documents [FOLDER]

Writes report.docx, report.pdf, q4_report.docx and q4_report.pdf to FOLDER, build/documents by
default, from the notebooks, models and report in the root. `make submission` does it too.
"""

import os
import re
import sys
from pathlib import Path

import pypandoc
import typst

from toolkit.files import replacing
from toolkit.fourbit import bit_count
from toolkit.results import load_records
from toolkit.runtime import use_keras_2
from tools.report import ROOT, template

use_keras_2()
from qkeras.utils import load_qmodel

PAGE = """#set document(date: none)
#set page(paper: "a4", margin: 2cm, numbering: "1")
#set text(font: "Libertinus Serif", size: 10pt)
#set image(width: 80%)
#set table(stroke: 0.4pt + gray, inset: 4pt)
#show table: set text(size: 8pt)
#show raw: set text(size: 1.1em)
#let horizontalrule = line(length: 100%)
"""


def bits_of_question_4(root):
    """Bits of the 4-bit network and of the float baseline, by what they are for."""
    network = load_qmodel(str(Path(root, "models/sign_mnist_qkeras_4bit.keras")), compile=False)
    bits = {name: int(count) for name, count in bit_count(network).sum().items()}
    return bits | {"baseline": 32 * network.count_params()}


def question_4(root):
    """The comparison of question 4 as Markdown; every figure from the results and the models."""
    records = load_records(Path(root, "models", "results.json"))
    return template("q4_report.md.j2").render(
        models={record["id"]: record for record in records}, bits=bits_of_question_4(root)
    )


def write_documents(markdown, name, root, folder):
    """Writes `markdown`, whose pictures are relative to `root`, as folder/name.docx and .pdf."""
    os.environ.setdefault("SOURCE_DATE_EPOCH", "0")  # no time of making in the files
    Path(folder).mkdir(parents=True, exist_ok=True)
    with replacing(Path(folder, f"{name}.docx")) as temporary:
        pypandoc.convert_text(
            markdown,
            "docx",
            format="gfm",
            outputfile=str(temporary),
            extra_args=[f"--resource-path={root}"],
        )
    source = PAGE + pypandoc.convert_text(markdown, "typst", format="gfm")
    # what announces a table or a picture stays on its page
    source = re.sub(r"(?<=\n\n)((?:.+\n)*.+:)\n\n", r"#block(sticky: true)[\1]\n\n", source)
    content = typst.compile(source.encode(), root=str(root))  # type: ignore[type-var]
    with replacing(Path(folder, f"{name}.pdf")) as temporary:
        temporary.write_bytes(content)


def write_all(root, folder):
    """Writes both documents of `root` to `folder`; returns the four paths."""
    write_documents(Path(root, "report.md").read_text(), "report", root, folder)
    write_documents(question_4(root), "q4_report", root, folder)
    names = [f"{name}.{kind}" for name in ("report", "q4_report") for kind in ("docx", "pdf")]
    return [Path(folder, name) for name in names]


if __name__ == "__main__":
    for path in write_all(ROOT, sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/documents"):
        print(path)
