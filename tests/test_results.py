import json

import pytest

from toolkit.results import FIELDS, load_records, results_table, save_record

RECORD = {
    "id": "m",
    "technique": "float",
    "correct": 7171,
    "total": 7172,
    "accuracy": 7171 / 7172,
    "params": 74024,
    "bytes": 296576,
    "bytes_zip": 270825,
    "bytes_gzip": 270711,
    "latency_us_mean": 133.4,
    "latency_us_std": 12.2,
}


def test_a_record_is_replaced_by_its_id_and_others_stay(tmp_path):
    path = tmp_path / "models" / "results.json"
    save_record(RECORD, path)
    save_record(RECORD | {"id": "other"}, path)
    save_record(RECORD | {"correct": 1}, path)
    assert [(r["id"], r["correct"]) for r in load_records(path)] == [("m", 1), ("other", 7171)]
    assert all(list(record) == list(FIELDS) for record in json.loads(path.read_text()))
    assert [p.name for p in path.parent.iterdir()] == ["results.json"]


def test_a_misspelt_field_is_refused(tmp_path):
    with pytest.raises(ValueError, match="acuracy"):
        save_record(RECORD | {"acuracy": 1.0}, tmp_path / "results.json")


def test_no_file_means_no_records(tmp_path):
    assert load_records(tmp_path / "results.json") == []


def test_the_table_shows_figures_as_people_write_them():
    row = results_table([dict.fromkeys(FIELDS) | RECORD]).loc["float"]
    assert row["test accuracy"] == "99.99%"
    assert row["errors"] == "1"
    assert row["raw bytes"] == "296,576"
    assert row["latency µs"] == "133 ± 12"
    assert row["TFLite Micro arena bytes"] == "–"
