"""models/results.json: one record for each model that a table shows."""

import json
from pathlib import Path

import pandas as pd

from toolkit.files import replacing
from toolkit.tflite import count_correct, latency, run_micro, sizes

RESULTS = Path("models", "results.json")
FIELDS = (
    *("id", "notebook", "technique", "file", "params", "correct", "total", "accuracy"),
    *("train_accuracy", "val_accuracy", "bytes", "bytes_zip", "bytes_gzip"),
    *("latency_us_mean", "latency_us_std", "arena_bytes", "micro", "data_sha256", "canonical"),
    *("profile", "seed", "seconds"),
)
MICRO_SAMPLE = 100


def measure(path, scores, data):
    """Everything about a .tflite file that its record holds, measured on a SignMnist.

    scores: (n, 24), the model's scores of the whole test file. Accuracy; bytes; latency of
    single images in microseconds; the arena of TFLite Micro, with `micro` saying how many
    of MICRO_SAMPLE test images it reads as LiteRT does, or why it refuses the model.
    """
    correct = count_correct(scores, data.y_test)
    mean, std = latency(path, data.x_test)
    micro = run_micro(path, data.x_test[:MICRO_SAMPLE])
    if micro.scores is None:
        verdict = micro.reason
    else:
        letters = scores[: len(micro.scores)].argmax(axis=1)
        verdict = f"{count_correct(micro.scores, letters)} of {len(letters)} letters as LiteRT"
    return {
        "file": Path(path).name,
        "correct": correct,
        "total": len(data.y_test),
        "accuracy": correct / len(data.y_test),
        **sizes(path),
        "latency_us_mean": mean,
        "latency_us_std": std,
        "arena_bytes": micro.arena_bytes,
        "micro": verdict,
        "data_sha256": data.sha256,
        "canonical": data.canonical,
    }


def load_records(path=RESULTS):
    """The records as a list of dicts; empty where there is no file yet."""
    path = Path(path)
    return json.loads(path.read_text()) if path.exists() else []


def save_record(record, path=RESULTS):
    """Adds a record, or replaces the one with its id; fields it lacks are null.

    Raises ValueError for a field that FIELDS does not name.
    """
    unknown = set(record) - set(FIELDS)
    if unknown:
        raise ValueError(f"{record.get('id')}: unknown fields {sorted(unknown)}")
    record = {field: record.get(field) for field in FIELDS}
    records = load_records(path)
    ids = [other["id"] for other in records]
    if record["id"] in ids:
        records[ids.index(record["id"])] = record
    else:
        records.append(record)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(records, indent=1) + "\n")


def results_table(records):
    """The records as a pandas DataFrame of text, one row a model, ready to be shown."""

    def number(value, form="{:,.0f}"):
        return "–" if value is None else form.format(value)

    rows = {
        record["technique"]: {
            "test accuracy": number(record["accuracy"], "{:.2%}"),
            "errors": number(record["total"] - record["correct"]),
            "parameters": number(record["params"]),
            "raw bytes": number(record["bytes"]),
            "ZIP bytes": number(record["bytes_zip"]),
            "gzip bytes": number(record["bytes_gzip"]),
            "latency µs": f"{record['latency_us_mean']:,.0f} ± {record['latency_us_std']:,.0f}",
            "TFLite Micro arena bytes": number(record["arena_bytes"]),
        }
        for record in records
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
