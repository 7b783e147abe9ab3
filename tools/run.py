"""Executes the notebooks into build/ and reports their results; the root stays as it is.

    .venv/bin/python -m tools.run [studies [NAME ...]]

The questions by default; the studies, or those with the given names.
"""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from signmnist.checks import NO
from toolkit.files import DataError, replacing
from toolkit.results import load_records
from tools.datasets import data_set_of, data_sets_of, find_data
from tools.figures import fill, placeholders, read_figures, reading_cell, recorded_figures
from tools.notebooks import (
    METADATA,
    QUESTIONS,
    STUDIES,
    build,
    build_checks,
    code_sha256,
    notebook_path,
    read_notebook,
    sources,
    with_outputs,
    write_notebook,
)
from tools.pictures import write_pictures
from tools.progress import Progress, minutes
from tools.report import results_text, write_report
from tools.unfold import SourceError

PROFILES = ("full", "quick", "smoke")
BUILD = Path("build")


class RunError(Exception):
    """A run that cannot go on; the message is all that its user needs to see."""


def read_profile():
    """The profile that the environment variable PROFILE asks for, "full" by default."""
    profile = os.environ.get("PROFILE") or "full"
    if profile not in PROFILES:
        raise RunError(f"PROFILE={profile}: there is no such profile, only {', '.join(PROFILES)}")
    return profile


def named_sources(root, names, *rooms):
    """Those of `sources(root, *rooms)` with these names, all where there are none.

    Raises RunError for a name that no script has.
    """
    scripts = {script.stem: script for script in sources(root, *rooms)}
    if unknown := [name for name in names if name not in scripts]:
        raise RunError(f"there is no {unknown[0]}, only {', '.join(scripts)}")
    return [scripts[name] for name in names or scripts]


def run(root, target, profile, folders, room=QUESTIONS, names=()):
    """Executes the notebooks of a room of `root` into the folder `target` and reports on them.

    A notebook that was executed there before, with the same code, profile and data, is
    not executed again. folders: absolute, of the data sets that the notebooks use, by package.
    names: of the notebooks, by default all of the room. Raises RunError when a cell fails and
    for a name that is none, and DataError, before anything is done, for damaged data.
    """
    start = time.monotonic()
    target = Path(target).resolve()
    scripts = named_sources(root, names, room)
    sha256 = {d.package: d.identify(folders[d.package]) for d in data_sets_of(scripts)}
    (target / room.folder / "models").mkdir(parents=True, exist_ok=True)
    remove_temporary(target)
    for source in scripts:
        data_set = data_set_of(source)
        package = data_set.package
        circumstances = {"profile": profile, "data_sha256": sha256[package]}
        notebook = build(source)
        path = notebook_path(source, target)
        committed = notebook_path(source, root)
        published = recorded_figures(read_notebook(committed)) if committed.exists() else {}
        stamp = {**circumstances, "code_sha256": code_sha256(notebook)}
        if is_up_to_date(path, package, stamp):
            executed = read_notebook(path)
            fill(notebook, recorded_figures(executed), published)
            write_notebook(with_outputs(notebook, executed), path)
            print(f"{source.stem}  up to date (delete {target.name}/ to run it again)")
            continue
        forget_results(target / room.results, source.stem, circumstances)
        env = {
            **os.environ,
            "PROFILE": profile,
            data_set.variable: str(folders[package]),
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        }
        seconds, figures, unmet = execute(
            notebook, source.stem, path.parent, env, build_checks(source)
        )
        canonical = sha256[package] == data_set.canonical_sha256
        stamp |= {"canonical": canonical, "seconds": round(seconds), "unmet": unmet}
        notebook.metadata = {**METADATA, package: stamp | {"figures": figures}}
        fill(notebook, figures, published)
        write_notebook(notebook, path)
        print(f"{source.stem}  done in {minutes(seconds)}")
    if room == QUESTIONS:
        write_pictures(target)
        print(f"\n{write_report(target)}\n")
    else:
        print(f"\n{results_text(load_records(target / room.results))}\n")
    made = "notebooks, models and report.md" if room == QUESTIONS else "notebooks and models"
    print(f"{minutes(time.monotonic() - start)} in all; {made}: {target / room.folder}")


def half_written(folder):
    """What `replacing` left in `folder` when a run was killed, a list of paths."""
    hidden = [path for path in folder.rglob(".*") if path.is_file()]
    return [path for path in hidden if re.match(r"\.\d+\..", path.name)]


def remove_temporary(folder):
    """Deletes what is `half_written` in `folder`."""
    for path in half_written(folder):
        path.unlink()


def is_up_to_date(path, package, stamp):
    """Whether the notebook at `path` was executed with this code, profile and data.

    package: of its data set, under whose name its metadata keep the stamp.
    """
    if not path.exists():
        return False
    made = read_notebook(path).metadata.get(package, {})
    return all(made.get(key) == value for key, value in stamp.items())


def forget_results(path, notebook, circumstances):
    """Drops the records that the run of `notebook` will replace, or that don't go with it.

    The former are its own, the latter those of another profile or of other contents of the
    same files.
    """
    records = load_records(path)
    data = circumstances["data_sha256"]
    kept = [
        record
        for record in records
        if record["notebook"] != notebook
        and record["profile"] == circumstances["profile"]
        and all(data.get(name, digest) == digest for name, digest in record["data_sha256"].items())
    ]
    if kept != records:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(kept, indent=1) + "\n")


def execute(notebook, name, folder, env, checks=()):
    """Executes a notebook in place, in a kernel of its own that runs in `folder`.

    checks: cells that are executed after it and do not become part of it. Returns the seconds that
    the notebook took, the figures of its prose, expression -> text, and the lines in which checks
    say that something is not as it was asked for. Raises RunError for a cell that fails, after
    saving what there is as <name>.failed.ipynb.
    """
    own, index, seconds = len(notebook.cells), 0, 0.0
    reading = reading_cell(placeholders(notebook))
    notebook.cells += [reading, *checks]
    failed = folder / f"{name}.failed.ipynb"
    failed.unlink(missing_ok=True)
    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        shutdown_kernel="immediate",
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )
    with Progress(name, notebook) as progress:
        try:
            with client.setup_kernel(env=env):
                for index, cell in enumerate(notebook.cells):
                    progress.at(index)
                    client.execute_cell(cell, index, client.code_cells_executed + 1)
                    seconds = seconds if index >= own else progress.seconds
        except (CellExecutionError, DeadKernelError) as error:
            del notebook.cells[max(own, index + 1) :]
            write_notebook(notebook, failed)
            message = getattr(error, "traceback", "") or f"{error} (out of memory?)"
            lines = re.sub(r"\x1b\[[0-9;]*m", "", message).strip().splitlines()
            raise RunError(
                "\n".join([f"{name} failed in: {progress.section}", *lines[-15:], f"See {failed}"])
            ) from error
    told = [output.get("text", "") for cell in checks for output in cell.outputs]
    del notebook.cells[own:]
    unmet = [line for line in "".join(told).splitlines() if line.startswith(NO)]
    return seconds, read_figures(reading), unmet


def exit_status(work):
    """Calls work() and returns the exit status of the program; errors are told in a line."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        work()
    except (DataError, RunError, SourceError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; notebooks that were through are kept in build/", file=sys.stderr)
        return 130
    return 0


def main(arguments):
    """Runs the questions, or the studies, of the project in the working directory."""
    profile = read_profile()
    room = STUDIES if arguments[:1] == ["studies"] else QUESTIONS
    names = arguments[1:] if room == STUDIES else arguments
    folders = find_data(named_sources(Path(), names, room), BUILD / "sample")
    run(Path(), BUILD, profile, folders, room, names)


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:])))
