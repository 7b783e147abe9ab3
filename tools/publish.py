"""Replaces the notebooks, models and report in the root by a full run on the real data."""

import shutil
import sys
from pathlib import Path

from toolkit.files import replacing
from toolkit.results import LARGEST_KEPT, load_records
from tools.datasets import data_set_of, data_sets_of
from tools.notebooks import (
    ROOMS,
    build,
    notebook_path,
    read_notebook,
    same_code,
    same_text,
    sources,
    with_outputs,
    write_notebook,
)
from tools.report import refresh_readme
from tools.run import BUILD, RunError, exit_status, read_profile, run

MAX_BYTES = 2_000_000


def require_canonical(data_set, folder):
    """Raises RunError, naming what differs, unless a folder holds the real data of a DataSet."""
    for name, digest in data_set.identify(folder).items():
        if digest != data_set.canonical_sha256[name]:
            raise RunError(
                f"{name} in {folder} is not that of {data_set.title}, its sha256 is {digest}: "
                "nothing is published"
            )


def problems(root, target):
    """What speaks against publishing the run in `target`, a list of one message each."""
    found = []
    for source in sources(root):
        path = notebook_path(source, target)
        notebook = read_notebook(path)
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        stamp = notebook.metadata[data_set_of(source).package]
        if not same_text(build(source), notebook):
            found.append(f"{path} has other cells than {source}")
        if any(cell.execution_count is None for cell in cells):
            found.append(f"{path} has cells that were not executed")
        if any(output.output_type == "error" for cell in cells for output in cell.outputs):
            found.append(f"{path} has a cell that failed")
        if not stamp["canonical"] or stamp["profile"] != "full":
            found.append(f"{path} is not from a full run on the real data")
        found += [f"{path}: its own check says {line}" for line in stamp.get("unmet", ())]
        if path.stat().st_size > MAX_BYTES:
            found.append(f"{path} is larger than {MAX_BYTES:,} bytes")
    for room in ROOMS:
        models = Path(target, room.folder, "models")
        for record in load_records(Path(target, room.results)):
            if not record["canonical"] or record["profile"] != "full":
                found.append(f"{record['id']} is not from a full run on the real data")
            if not record["file"]:
                if not record.get("sha256"):
                    found.append(f"{record['id']} has neither a file nor a sha256")
            elif not (models / record["file"]).is_file():
                place = Path(room.folder, "models", record["file"])
                found.append(f"{record['id']}: {place} is missing")
            elif (models / record["file"]).stat().st_size > LARGEST_KEPT:
                found.append(f"{record['file']} is larger than {LARGEST_KEPT:,} bytes")
    return found


def models_in_use(root, target, room):
    """Names of the model files of a room in `target` that a record or a script names."""
    names = {record["file"] for record in load_records(Path(target, room.results))}
    scripts = "".join(source.read_text(encoding="utf-8") for source in sources(root, room))
    files = sorted(Path(target, room.folder, "models").glob("*"))
    return [path.name for path in files if path.name in names or path.name in scripts]


def install(root, target):
    """Copies notebooks, models, records, report and figures of `target` to `root`, each at once.

    Files of a room's models/ that are not among them are removed.
    """
    names = [str(notebook_path(source, "")) for source in sources(root)]
    for room in ROOMS:
        names += [room.results] * Path(target, room.results).exists()
        models = Path(room.folder, "models")
        names += [str(models / name) for name in models_in_use(root, target, room)]
    figures = sorted(Path(target, "figures").glob("*.png"))
    names += [f"figures/{path.name}" for path in figures]
    for name in [*dict.fromkeys(names), "report.md"]:
        with replacing(Path(root, name)) as temporary:
            shutil.copyfile(Path(target, name), temporary)
    for room in ROOMS:
        for path in Path(root, room.folder, "models").glob("*"):
            if str(path.relative_to(root)) not in names:
                path.unlink()


def publish(root, target, folders):
    """Runs everything on the data in `folders` and, if all is well, replaces the root's files.

    folders: of the data sets that the notebooks use, by package. Raises RunError, with the root
    as it was, if not all is well.
    """
    for data_set in data_sets_of(sources(root)):
        require_canonical(data_set, folders[data_set.package])
    for room in ROOMS:
        run(root, target, "full", folders, room)
    for source in sources(root):  # with the figures of this run, not of the one published before
        path = notebook_path(source, target)
        built, executed = build(source), read_notebook(path)
        if same_code(built, executed):
            write_notebook(with_outputs(built, executed), path)
    found = problems(root, target)
    if found:
        raise RunError("\n".join(found))
    install(root, target)
    refresh_readme(root)
    print("published: the notebooks, their models and records, report.md and README.md's tables")


def main():
    """Publishes the project in the working directory."""
    profile = read_profile()
    if profile != "full":
        raise RunError(f"PROFILE={profile}: only full runs are published")
    data_sets = data_sets_of(sources(Path()))
    publish(Path(), BUILD, {data_set.package: data_set.find() for data_set in data_sets})


if __name__ == "__main__":
    sys.exit(exit_status(main))
