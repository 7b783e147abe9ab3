import datetime
import hashlib
import json

import numpy as np
import pytest

from toolkit import results
from toolkit.results import (
    FIELDS,
    accuracy_interval,
    answer,
    keep,
    load_records,
    results_table,
    save_record,
    say,
    write_records,
)
from toolkit.runtime import STARTED, processor_name

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
    assert all(list(record) == list(FIELDS) for record in load_records(path))
    assert [p.name for p in path.parent.iterdir()] == ["results.json"]


def test_a_misspelt_field_is_refused(tmp_path):
    path = tmp_path / "results.json"
    save_record(RECORD | {"acuracy": 1.0}, path)
    with pytest.raises(ValueError, match="m: unknown fields .'acuracy'"):
        load_records(path)


def test_a_record_says_when_its_run_started_and_on_which_processor(tmp_path):
    path = tmp_path / "results.json"
    save_record(RECORD, path)
    write_records([RECORD | {"id": "b", "notebook": "one"}], "one", path)
    for record in load_records(path):
        assert (record["started"], record["processor"]) == (STARTED, processor_name())
    started = datetime.datetime.fromisoformat(STARTED)
    assert started.utcoffset() == datetime.timedelta(0)
    assert datetime.datetime.now(datetime.UTC) - started < datetime.timedelta(days=1)
    assert processor_name() and "@" not in processor_name()


def test_a_record_read_and_saved_again_keeps_its_run_and_an_old_one_has_none(tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps([RECORD]))
    (old,) = load_records(path)
    assert list(old) == list(FIELDS) and old["started"] is old["sha256"] is None
    ran = old | {"started": "2026-01-01T00:00:00+00:00", "processor": "another"}
    save_record(ran, path)
    assert load_records(path) == [ran]
    save_record(old, path)
    assert load_records(path) == [old]


def test_no_file_means_no_records(tmp_path):
    assert load_records(tmp_path / "results.json") == []


def test_the_table_shows_figures_as_people_write_them():
    row = results_table([dict.fromkeys(FIELDS) | RECORD]).loc["float"]
    assert row["test accuracy"] == "99.99%"
    assert row["bytes"] == "296,576" and row["after gzip"] == "270,711"
    assert row["latency µs"] == "133 (131 to 140)"
    assert row["arena bytes"] == "–"


def test_the_interval_of_groups_is_wider_than_that_of_images():
    right = np.repeat(np.arange(50) % 10 > 0, 20)  # 45 of 50 groups are read right
    groups = np.repeat(np.arange(50), 20)
    low, high = accuracy_interval(right, groups)
    assert 0.79 < low < 0.84 and 0.96 < high <= 1.0  # the binomial of 50, not of 1,000
    low, high = accuracy_interval(right, np.arange(1000))
    assert 0.87 < low < 0.9 < high < 0.93
    behind = accuracy_interval(right - 1.0, np.arange(1000))  # the difference to all right
    np.testing.assert_allclose(behind, (low - 1, high - 1))
    assert accuracy_interval(np.ones(10, bool), np.arange(10)) == (1.0, 1.0)


def test_an_answer_is_a_plain_table_of_six_columns():
    record = dict.fromkeys(FIELDS) | RECORD | {"file": "m.tflite"}
    half = record | {"technique": "half", "bytes": 148_288, "accuracy_no_twin": None}
    text = answer("(b)", [record, half], note="So much.")
    assert not any(line.startswith((">", " ")) for line in text.splitlines())
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert [line.count("|") for line in table] == [7] * 4
    assert table[2] == "| float | 99.99% | 99.98% | 99.9% to 100.0% | 296,576 | 270,711 |"
    assert table[3].startswith("| half | 99.99% | – |")
    assert text.startswith("**Answer to (b)**\n\n|") and text.endswith("\n\nSo much.")


def test_answers_and_sentences_on_other_data_carry_their_banner(monkeypatch):
    said = []
    monkeypatch.setattr(results, "display", lambda shown: said.append(shown.data))
    record = dict.fromkeys(FIELDS) | RECORD
    say("One error.")
    say("One error.", "NOT the data")
    assert said == ["One error.", "**NOT the data**\n\nOne error."]
    assert "\n\n**NOT the data**\n\n|" in answer("(b)", [record], banner="NOT the data")


def test_a_study_replaces_its_own_records_only(tmp_path):
    path = tmp_path / "studies" / "results.json"
    write_records([{"id": "a", "notebook": "one"}, {"id": "b", "notebook": "one"}], "one", path)
    write_records([{"id": "c", "notebook": "two", "sha256": "9f"}], "two", path)
    write_records([{"id": "d", "notebook": "one"}], "one", path)
    records = load_records(path)
    assert [(r["id"], r["sha256"]) for r in records] == [("c", "9f"), ("d", None)]
    assert all(list(record) == list(FIELDS) for record in records)


def test_a_file_is_kept_up_to_four_million_bytes_and_identified_in_any_case(tmp_path):
    for size, name in ((4_000_000, "small.tflite"), (4_000_001, "large.tflite")):
        path = tmp_path / name
        path.write_bytes(bytes(size))
        fields = keep(path, tmp_path / "models")
        assert fields["sha256"] == hashlib.sha256(bytes(size)).hexdigest()
        assert fields["file"] == (name if size == 4_000_000 else None)
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["small.tflite"]
    assert (tmp_path / "models" / "small.tflite").read_bytes() == bytes(4_000_000)
