"""`make submission`: one zip with the notebooks, the models and the report, ready to hand in."""

import sys
import tempfile
import zipfile
from pathlib import Path

from grader import notebook
from grader.names import MODELS
from grader.processes import Unfit
from toolkit.files import replacing
from tools.notebooks import QUESTIONS, build, notebook_path, read_notebook, same_text, sources
from tools.pictures import ALL_MODELS, PICTURES
from tools.run import RunError, exit_status

FOLDER = "sign_mnist"
TARGET = Path("build", "submission.zip")
PACKED = (
    *MODELS,
    # more of questions 1 to 3
    "sign_mnist_quant_int16x8_bias32.tflite",
    "sign_mnist_litert_int8.tflite",
    "sign_mnist_litert_int4.tflite",
    "sign_mnist_clustered_int8.tflite",
    "sign_mnist_pruned_int8.tflite",
)


def problems(root):
    """What keeps the notebooks and models in `root` from being handed in, a list of str."""
    found = []
    for source in sources(root, QUESTIONS):
        path = notebook_path(source, root)
        if not path.exists():
            found.append(f"{path.name} is missing: run `make publish`")
            continue
        try:
            wrong = notebook.problems(notebook.read_notebook(path.read_bytes()))
        except Unfit as error:
            found.append(f"{path.name}: {error}")
            continue
        found += [f"{path.name}: {problem}" for problem in wrong]
        if not same_text(build(source), read_notebook(path)):
            found.append(f"{path.name} is out of date: run `make notebooks` or `make publish`")
    needed = [
        *("report.md", "models/results.json", "models/sign_mnist_qkeras_4bit.keras"),
        *(f"models/{name}" for name in PACKED),
        *(f"figures/{name}.png" for name in (ALL_MODELS, *PICTURES)),
    ]
    missing = [name for name in needed if not Path(root, name).exists()]
    return found + [f"{name} is missing: run `make publish`" for name in missing]


def submit(root, target):
    """Writes the zip to `target`; raises RunError, and writes nothing, if something is wrong."""
    found = problems(root)
    if found:
        raise RunError("\n".join(["Not ready to be handed in:", *found]))
    from tools.documents import write_all  # TensorFlow, which a refusal need not wait for

    with tempfile.TemporaryDirectory() as folder:
        files = [
            *(notebook_path(source, root) for source in sources(root, QUESTIONS)),
            *(Path(root, "models", name) for name in PACKED),
            *write_all(root, folder),
        ]
        with replacing(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for path in files:
                # a fixed date: the same files make the same zip
                entry = zipfile.ZipInfo(f"{FOLDER}/{path.name}")
                archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    print(f"{target}  {target.stat().st_size:,} bytes, {len(files)} files")


if __name__ == "__main__":
    sys.exit(exit_status(lambda: submit(Path(), TARGET)))
