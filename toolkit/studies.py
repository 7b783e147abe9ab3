"""studies/results.json: the records of the studies, a record for each model in a table."""

import json
from pathlib import Path

from toolkit.files import file_sha256, replacing
from toolkit.results import FIELDS, load_records

STUDY_FIELDS = (*FIELDS, "pass_seconds", "sha256")
LARGEST_KEPT = 4_000_000  # bytes of a file that is committed


def write_records(records, notebook, path):
    """Puts the records of a study in place of those that it had in the file at `path`.

    records: dicts with any of STUDY_FIELDS; fields they lack are null. The records of other
    notebooks stay. Raises ValueError, before anything is written, for an unknown field.
    """
    for record in records:
        if unknown := set(record) - set(STUDY_FIELDS):
            raise ValueError(f"{record.get('id')}: unknown fields {sorted(unknown)}")
    filled = [{field: record.get(field) for field in STUDY_FIELDS} for record in records]
    others = [record for record in load_records(path) if record["notebook"] != notebook]
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(others + filled, indent=1) + "\n")


def keep(path, folder="models"):
    """Copies a model file into `folder` unless it is too large to be committed.

    Returns the fields `file`, None where it is too large, and `sha256` of its record.
    """
    path = Path(path)
    content = path.read_bytes()
    if len(content) <= LARGEST_KEPT:
        with replacing(Path(folder, path.name)) as temporary:
            temporary.write_bytes(content)
    name = path.name if len(content) <= LARGEST_KEPT else None
    return {"file": name, "sha256": file_sha256(path)}
