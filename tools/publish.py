"""Replaces notebooks, their models and records, and the report by full runs on the real data.

.venv/bin/python -m tools.publish [NAME ...]
"""

import shutil
import sys
from pathlib import Path

import jinja2

from toolkit.files import replacing
from toolkit.results import LARGEST_KEPT, load_records, write_json
from tools.datasets import data_set_of, data_sets_of
from tools.models import names, owners
from tools.notebooks import (
    build,
    notebook_path,
    read_notebook,
    room_of,
    same_code,
    same_text,
    sources,
    with_outputs,
    write_notebook,
)
from tools.pictures import write_pictures
from tools.report import refresh_readme, write_report
from tools.run import BUILD, RunError, exit_status, named_sources, read_profile, run
from tools.stamps import executed_whole, started_from

MAX_BYTES = 2_000_000


def require_canonical(data_set, folder):
    """Raises RunError, naming what differs, unless a folder holds the real data of a DataSet."""
    for name, digest in data_set.data.identify(folder).items():
        if digest != data_set.canonical_sha256[name]:
            raise RunError(
                f"{name} in {folder} is not that of {data_set.title}, its sha256 is {digest}: "
                "nothing is published"
            )


def problems(source, root, target):
    """What speaks against publishing the run of a script in `target` to `root`, in sentences."""
    path, room = notebook_path(source, target), room_of(source)
    notebook = read_notebook(path)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    stamp = notebook.metadata[data_set_of(source).package]
    found = []
    if not same_text(build(source), notebook):
        found.append(f"{path} has other cells than {source}")
    if not executed_whole(notebook):
        found.append(f"{path} has cells that were not executed, or not in their order")
    outputs = [output for cell in cells for output in cell.outputs]
    if any(output.output_type == "error" for output in outputs):
        found.append(f"{path} has a cell that failed")
    if any(output.get("name") == "stderr" for output in outputs):
        found.append(f"{path} has a warning among its outputs")
    if not stamp["canonical"] or stamp["profile"] != "full":
        found.append(f"{path} is not from a full run on the real data")
    if not started_from(stamp, Path(root, room.folder, "models")):
        found.append(f"{path} started from models that are not those published now")
    found += [f"{path}: its own check says {line}" for line in stamp.get("unmet", ())]
    if path.stat().st_size > MAX_BYTES:
        found.append(f"{path} is larger than {MAX_BYTES:,} bytes")
    models = Path(target, room.folder, "models")
    for record in own_records(target, source):
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


def own_records(folder, source):
    """The records of the notebook of a script among those of its room below `folder`."""
    records = load_records(Path(folder, room_of(source).results))
    return [record for record in records if record["notebook"] == source.stem]


def install(root, target, source):
    """Copies the notebook of a script, its models, pages and records from `target` to `root`.

    Each file at once. Pages are the .html files beside the notebook that the script names. In
    `root` the records of the room's other notebooks stay, and so do their models; model files that
    belong to none are removed.
    """
    room = room_of(source)
    models = Path(room.folder, "models")
    belongs = owners(root, target, room)
    own = [models / file for file, owner in belongs.items() if owner == source.stem]
    pages = [Path(room.folder, page.name) for page in Path(target, room.folder).glob("*.html")]
    own += [page for page in pages if names(source, page.name)]
    for name in [notebook_path(source, ""), *own]:
        if Path(target, name).exists():
            with replacing(Path(root, name)) as temporary:
                shutil.copyfile(Path(target, name), temporary)
    records = [
        record
        for one in sources(root, room)
        for record in own_records(target if one == source else root, one)
    ]
    write_json(records, Path(root, room.results))
    kept = {*owners(root, root, room), Path(room.results).name}
    for path in Path(root, models).glob("*"):
        if path.name not in kept:
            path.unlink()


def refresh(root):
    """Brings figures, report and README of `root` up to date, where all they tell of is there."""
    try:
        write_pictures(root)
        write_report(root)
        refresh_readme(root)
    except jinja2.UndefinedError as error:
        print(f"report.md and README.md stay as they are: {error}")


def publish(root, target, folders, scripts):
    """Runs notebooks on the data in `folders` and replaces those in the root, one by one.

    folders: of the data sets that the notebooks use, by package. Raises RunError where not all is
    well; then what was published before stays, and that notebook and all after it as they were.
    """
    for data_set in data_sets_of(scripts):
        require_canonical(data_set, folders[data_set.package])
    for source in scripts:
        run(root, target, "full", folders, room_of(source), [source.stem])
        path = notebook_path(source, target)
        built, executed = build(source), read_notebook(path)
        if same_code(built, executed):  # with figures of this run, not of the one published before
            write_notebook(with_outputs(built, executed), path)
        if found := problems(source, root, target):
            raise RunError("\n".join(found))
        install(root, target, source)
        refresh(root)
        print(f"published: {source.stem}, its models and records")


def main(names):
    """Publishes the notebooks with these names, by default all, in the working directory."""
    profile = read_profile()
    if profile != "full":
        raise RunError(f"PROFILE={profile}: only full runs are published")
    scripts = named_sources(Path(), names)
    folders = {data_set.package: data_set.find() for data_set in data_sets_of(scripts)}
    publish(Path(), BUILD, folders, scripts)


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:])))
