"""Replaces the notebooks, models and report in the root by a full run on the real data."""

import shutil
import sys
from pathlib import Path

from signmnist.data import CANONICAL_SHA256, content_sha256, find_csvs, read_csv
from toolkit.files import replacing
from toolkit.results import load_records
from tools.notebooks import build, read_notebook, same_text, sources
from tools.report import refresh_readme
from tools.run import BUILD, RunError, exit_status, read_profile, run

MAX_BYTES = 2_000_000


def require_canonical(paths):
    """Raises RunError, naming the file, unless the CSVs hold Kaggle's labels and pixels."""
    for path in paths:
        digest = content_sha256(*read_csv(path))
        if digest != CANONICAL_SHA256[path.name]:
            raise RunError(
                f"{path} does not hold Kaggle's data, its sha256 is {digest}: nothing is published"
            )


def problems(root, target):
    """What speaks against publishing the run in `target`, a list of one message each."""
    found = []
    for source in sources(root):
        path = Path(target, f"{source.stem}.ipynb")
        notebook = read_notebook(path)
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        stamp = notebook.metadata["signmnist"]
        if not same_text(build(source), notebook):
            found.append(f"{path} has other cells than {source}")
        if any(cell.execution_count is None for cell in cells):
            found.append(f"{path} has cells that were not executed")
        if any(output.output_type == "error" for cell in cells for output in cell.outputs):
            found.append(f"{path} has a cell that failed")
        if not stamp["canonical"] or stamp["profile"] != "full":
            found.append(f"{path} is not from a full run on the real data")
        if path.stat().st_size > MAX_BYTES:
            found.append(f"{path} is larger than {MAX_BYTES:,} bytes")
    for record in load_records(Path(target, "models", "results.json")):
        if not record["canonical"] or record["profile"] != "full":
            found.append(f"{record['id']} is not from a full run on the real data")
        if not Path(target, "models", record["file"]).is_file():
            found.append(f"{record['id']}: models/{record['file']} is missing")
    return found


def models_in_use(root, target):
    """Names of the files of `target`/models that a record or the script of a notebook names."""
    records = load_records(Path(target, "models", "results.json"))
    recorded = {"results.json", *(record["file"] for record in records)}
    scripts = "".join(source.read_text(encoding="utf-8") for source in sources(root))
    names = sorted(path.name for path in Path(target, "models").iterdir())
    return [name for name in names if name in recorded or name in scripts]


def install(root, target):
    """Copies notebooks, models, report and figures of `target` to `root`, each file at once.

    Files of models/ that are not among them are removed.
    """
    models = models_in_use(root, target)
    notebooks = [f"{source.stem}.ipynb" for source in sources(root)]
    figures = sorted(Path(target, "figures").glob("*.png"))
    for name in [
        *(f"models/{model}" for model in models),
        *notebooks,
        *(f"figures/{path.name}" for path in figures),
        "report.md",
    ]:
        with replacing(Path(root, name)) as temporary:
            shutil.copyfile(Path(target, name), temporary)
    for path in Path(root, "models").iterdir():
        if path.name not in models:
            path.unlink()


def publish(root, target, paths):
    """Runs everything on the CSVs at `paths` and, if all is well, replaces the root's files.

    Raises RunError, with the root as it was, if not.
    """
    require_canonical(paths)
    run(root, target, "full", paths)
    found = problems(root, target)
    if found:
        raise RunError("\n".join(found))
    install(root, target)
    refresh_readme(root)
    print("published: the notebooks, models/, report.md and the table in README.md")


def main():
    """Publishes the project in the working directory."""
    profile = read_profile()
    if profile != "full":
        raise RunError(f"PROFILE={profile}: only full runs are published")
    publish(Path(), BUILD, [path.resolve() for path in find_csvs()])


if __name__ == "__main__":
    sys.exit(exit_status(main))
