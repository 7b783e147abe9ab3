"""The records of the studies."""

import pytest

from toolkit.results import load_records
from toolkit.studies import STUDY_FIELDS, write_records


def test_a_study_replaces_its_own_records_only(tmp_path):
    path = tmp_path / "studies" / "results.json"
    write_records([{"id": "a", "notebook": "one"}, {"id": "b", "notebook": "one"}], "one", path)
    write_records([{"id": "c", "notebook": "two", "sha256": "9f"}], "two", path)
    write_records([{"id": "d", "notebook": "one"}], "one", path)
    records = load_records(path)
    assert [(r["id"], r["sha256"]) for r in records] == [("c", "9f"), ("d", None)]
    assert all(list(record) == list(STUDY_FIELDS) for record in records)
    with pytest.raises(ValueError, match="acuracy"):
        write_records([{"id": "d", "acuracy": 1.0}], "one", path)
    assert load_records(path) == records
