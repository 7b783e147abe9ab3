import json

import numpy as np
import pytest

from toolkit.results import (
    FIELDS,
    accuracy_interval,
    answer,
    load_records,
    results_table,
    save_record,
)

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
    "accuracy_no_twin": 5388 / 5389,
    "accuracy_low": 0.9991,
    "accuracy_high": 1.0,
    "latency_us_median": 133.4,
    "latency_us_low": 131.2,
    "latency_us_high": 140.1,
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
    assert row["without twins"] == "99.98%"
    assert row["95 % interval"] == "99.9% to 100.0%"
    assert row["raw bytes"] == "296,576"
    assert row["latency µs"] == "133 (131 to 140)"
    assert row["arena bytes"] == "–"


def test_the_interval_of_groups_is_wider_than_that_of_images():
    right = np.repeat(np.arange(50) % 10 > 0, 20)  # 45 of 50 groups are read right
    groups = np.repeat(np.arange(50), 20)
    low, high = accuracy_interval(right, groups)
    assert 0.79 < low < 0.84 and 0.96 < high <= 1.0  # the binomial of 50, not of 1,000
    low, high = accuracy_interval(right, np.arange(1000))
    assert 0.87 < low < 0.9 < high < 0.93
    assert accuracy_interval(np.ones(10, bool), np.arange(10)) == (1.0, 1.0)


def test_an_answer_compares_raw_and_gzip_bytes():
    record = dict.fromkeys(FIELDS) | RECORD | {"file": "m.tflite"}
    half = record | {"technique": "half", "bytes": 148_288}
    box = answer("(b)", [record, half], against=[record], note="So much.")
    assert all(line.startswith(">") for line in box.splitlines())
    row = next(line for line in box.splitlines() if line.startswith("> | half"))
    assert row.endswith("| 50.0%, 100.0% |") and "`m.tflite`" in row
