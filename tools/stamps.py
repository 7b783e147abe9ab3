"""What an executed notebook says of its run, and what follows from it for the next.

The stamp stands in the metadata of the notebook, under the name of the package of its data set.
"""

import datetime
import hashlib
import os
import zipfile

from toolkit.files import file_sha256
from toolkit.results import load_records, write_json
from toolkit.runtime import processor_name
from tools.datasets import data_set_of
from tools.notebooks import build, code_sha256, notebook_path, read_notebook

# The time that a profile takes, as a share of the full one: of smoke measured as processor time of
# question 1 on the real data, of quick reckoned from that and its epochs
SHARES = {"full": 1, "quick": 0.4, "smoke": 0.35}


def now():
    """The time in UTC, to the second, as ISO 8601 has it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def processor():
    """What notebooks are executed on, such as "AMD EPYC 7763, 2 cores, ONEDNN_MAX_CPU_ISA=AVX2"."""
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA")
    parts = [processor_name(), f"{os.cpu_count()} cores"]
    return ", ".join([*parts, f"ONEDNN_MAX_CPU_ISA={limit}"] if limit else parts)


def executed_whole(notebook):
    """Whether every code cell was executed, from the first to the last in a fresh kernel."""
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    return counts == list(range(1, len(counts) + 1))


def is_up_to_date(source, target, circumstances):
    """Whether the notebook of a script was executed in `target` as it would be now.

    With its present code, from the models of other notebooks that lie there, if from any, and in
    the same circumstances: `profile` and `data_sha256` of its stamp.
    """
    path = notebook_path(source, target)
    if not path.exists():
        return False
    made = read_notebook(path).metadata.get(data_set_of(source).package, {})
    wanted = {**circumstances, "code_sha256": code_sha256(build(source))}
    same = all(made.get(key) == value for key, value in wanted.items())
    return same and started_from(made, path.parent / "models")


def started_from(stamp, models):
    """Whether the models from which a notebook started are those in the folder `models`."""
    return all(
        (models / file).exists() and fingerprint(models / file) == digest
        for file, digest in stamp.get("models", {}).items()
    )


def fingerprint(path):
    """Hex sha256 of a model file; of a .keras that of its weights, as the file holds the time."""
    if not zipfile.is_zipfile(path):
        return file_sha256(path)
    with zipfile.ZipFile(path) as archive:
        return hashlib.sha256(archive.read("model.weights.h5")).hexdigest()


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
        write_json(kept, path)


def stamp_of(path):
    """The stamp of the executed notebook at `path`; {} if there is none."""
    metadata = read_notebook(path).metadata if path.exists() else {}
    return next((value for value in metadata.values() if "seconds" in value), {})


def expected_seconds(path, profile):
    """The seconds that the sections of a published notebook take with a profile, by heading."""
    sections = stamp_of(path).get("sections", {})
    return {heading: SHARES[profile] * seconds for heading, seconds in sections.items()}


def forecast(paths, profile):
    """How long notebooks take with a profile, from their published ones, and where; or ""."""
    stamps = [stamp for stamp in map(stamp_of, paths) if stamp]
    seconds = SHARES[profile] * sum(stamp["seconds"] for stamp in stamps)
    machines = {stamp["processor"] for stamp in stamps if "processor" in stamp}
    where = f" on {' and '.join(sorted(machines))}" if machines else ""
    return f"about {seconds / 60:.0f} min (measured{where})" if stamps else ""
