"""Executes the notebooks into build/ and reports their results; the root stays as it is.

    .venv/bin/python -m tools.run [studies] [NAME ...]

The questions by default, the studies, or the notebooks of one room with the given names.
"""

import os
import re
import signal
import sys
import time
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from toolkit.files import DataError
from toolkit.results import load_records
from tools.datasets import data_set_of, data_sets_of, find_data
from tools.figures import fill, placeholders, read_figures, reading_cell, recorded_figures
from tools.models import bring_models
from tools.notebooks import (
    METADATA,
    QUESTIONS,
    STUDIES,
    build,
    build_checks,
    code_sha256,
    notebook_path,
    read_notebook,
    room_of,
    sources,
    with_outputs,
    write_notebook,
)
from tools.pictures import write_pictures
from tools.progress import Progress, minutes
from tools.report import results_text, write_report
from tools.stamps import (
    expected_seconds,
    forecast,
    forget_results,
    is_up_to_date,
    now,
    processor,
)
from tools.unfold import SourceError

PROFILES = ("full", "quick", "smoke")
BUILD = Path("build")


class RunError(Exception):
    """A run that cannot go on; the message is all that its user needs to see."""


def read_profile(default="full"):
    """The profile that the environment variable PROFILE asks for. Raises RunError."""
    profile = os.environ.get("PROFILE") or default
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

    A notebook that `is_up_to_date` there is not executed again. folders: absolute, of the data
    sets that the notebooks use, by package. names: of the notebooks, by default all of the room.
    Raises RunError when a cell fails and for a name that is none, and DataError, before anything
    is done, for damaged data.
    """
    start = time.monotonic()
    target = Path(target).resolve()
    scripts = named_sources(root, names, room)
    sha256 = {d.package: d.data.identify(folders[d.package]) for d in data_sets_of(scripts)}
    (target / room.folder / "models").mkdir(parents=True, exist_ok=True)
    remove_temporary(target)
    given = {package: {"profile": profile, "data_sha256": sha256[package]} for package in sha256}
    waiting = [
        notebook_path(source, root)
        for source in scripts
        if not is_up_to_date(source, target, given[data_set_of(source).package])
    ]
    if told := forecast(waiting, profile):
        print(f"the {profile} profile takes {told}; this machine: {processor()}")
    for source in scripts:
        data_set = data_set_of(source)
        package = data_set.package
        circumstances = given[package]
        notebook = build(source)
        path = notebook_path(source, target)
        committed = notebook_path(source, root)
        published = recorded_figures(read_notebook(committed)) if committed.exists() else {}
        if is_up_to_date(source, target, circumstances):
            executed = read_notebook(path)
            fill(notebook, recorded_figures(executed), published)
            write_notebook(with_outputs(notebook, executed), path)
            print(f"{source.stem}  up to date (delete {target.name}/ to run it again)")
            continue
        forget_results(target / room.results, source.stem, circumstances)
        canonical = sha256[package] == data_set.canonical_sha256
        real = canonical and profile == "full"
        models = bring_models(root, target, source, room, circumstances, real)
        env = {
            **os.environ,
            "PROFILE": profile,
            data_set.variable: str(folders[package]),
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        }
        stamp = {**circumstances, "code_sha256": code_sha256(notebook), "canonical": canonical}
        stamp |= {"models": models, "started": now(), "processor": processor()}
        expected = expected_seconds(committed, profile)
        sections, figures, unmet = execute(
            notebook, source.stem, path.parent, env, build_checks(source), expected
        )
        seconds = sum(sections.values())
        shares = {heading: round(spent) for heading, spent in sections.items()}
        stamp |= {"seconds": round(seconds), "sections": shares, "unmet": unmet}
        notebook.metadata = {**METADATA, package: stamp | {"figures": figures}}
        fill(notebook, figures, published)
        write_notebook(notebook, path)
        print(f"{source.stem}  done in {minutes(seconds)}")
    records = load_records(target / room.results)
    print(f"\n{results_text(records)}\n")
    seen = {record["notebook"] for record in records}
    if room == QUESTIONS and all(source.stem in seen for source in sources(root, room)):
        write_pictures(target)
        write_report(target)
    print(f"{minutes(time.monotonic() - start)} in all; what was made: {target / room.folder}")


def half_written(folder):
    """What `replacing` left in `folder` when a run was killed, a list of paths."""
    hidden = [path for path in folder.rglob(".*") if path.is_file()]
    return [path for path in hidden if re.match(r"\.\d+\..", path.name)]


def remove_temporary(folder):
    """Deletes what is `half_written` in `folder`."""
    for path in half_written(folder):
        path.unlink()


def execute(notebook, name, folder, env, checks=(), expected=None):
    """Executes a notebook in place, in a kernel of its own that runs in `folder`.

    checks: cells that are executed after it and do not become part of it. expected: see Progress.
    Returns the seconds that sections of the notebook took, heading -> seconds, the figures of its
    prose, expression -> text, and the lines in which checks say that something is not as it was
    asked for. Raises RunError for a cell that fails, after saving <name>.failed.ipynb.
    """
    from signmnist.checks import NO  # TensorFlow, which is long in coming, and only here

    own, index, sections = len(notebook.cells), 0, {}
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
    with Progress(name, notebook, expected) as progress:
        try:
            with client.setup_kernel(env=env):
                for index, cell in enumerate(notebook.cells):
                    progress.at(index)
                    client.execute_cell(cell, index, client.code_cells_executed + 1)
                    if index < own:
                        sections = progress.sections()
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
    return sections, read_figures(reading), unmet


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
    """Runs the questions, the studies or named notebooks of the project in the working directory.

    The profile is "full" unless PROFILE names another or a sample had to be drawn.
    """
    read_profile()
    names = [argument for argument in arguments if argument != "studies"]
    room = STUDIES if "studies" in arguments else QUESTIONS
    scripts = named_sources(Path(), names, *(() if names else (room,)))
    room = room_of(scripts[0])
    sample = BUILD / "sample"
    folders = find_data(scripts, sample)
    drawn = any(Path(folder).is_relative_to(sample.absolute()) for folder in folders.values())
    profile = read_profile("smoke" if drawn else "full")
    if drawn and not os.environ.get("PROFILE"):
        print(
            "The sample runs with the smoke profile; PROFILE=full or PROFILE=quick trains longer."
        )
    run(Path(), BUILD, profile, folders, room, names)


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:])))
