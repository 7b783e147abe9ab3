"""results.json, of the assignment and of the studies: a record for each model in a table."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from toolkit.files import file_sha256, replacing
from toolkit.runtime import STARTED, processor_name
from toolkit.tflite import count_correct, latency, run_micro, sizes

RESULTS = Path("models", "results.json")
CHIP_FIELDS = (  # of a network on a chip
    *("chip", "compiler", "flash_bytes", "ram_bytes", "weight_bytes", "instructions", "cycles"),
    *("cycles_slow_flash", "images_equal", "images_compared"),
)
FIELDS = (
    *("id", "notebook", "technique", "file", "params", "correct", "total", "accuracy"),
    *("accuracy_no_twin", "accuracy_low", "accuracy_high", "train_accuracy", "val_accuracy"),
    *("bytes", "bytes_zip", "bytes_gzip", "latency_us_median", "latency_us_low"),
    *("latency_us_high", "latency_us_mean", "latency_us_std", "arena_bytes", "micro"),
    *("data_sha256", "canonical", "profile", "seed", "seconds", "pass_seconds", "sha256"),
    *("started", "processor"),
    *CHIP_FIELDS,
)
LARGEST_KEPT = 4_000_000  # bytes of a file that is committed
MICRO_SAMPLE = 100


def accuracy_interval(right, groups, resamples=10_000):
    """The 95 % interval of an accuracy whose images come in groups: (low, high).

    right: (n,), whether each image was read right, or a difference of two such arrays. groups:
    int (n,). The bootstrap (Efron, 1979; percentiles) draws whole groups, as images of one group
    are not independent. Without errors both ends are 1: it cannot see what it never drew.
    """
    size, correct = np.bincount(groups), np.bincount(groups, right)
    correct, size = correct[size > 0], size[size > 0]
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(size), np.full(len(size), 1 / len(size)), resamples)
    low, high = np.percentile(drawn @ correct / (drawn @ size), [2.5, 97.5])
    return float(low), float(high)


def accuracy_three_ways(scores, data):
    """The test accuracy of a model, three ways, as fields of its record.

    scores: (n, 24), of the test file of `data`, a SignMnist: all of it, its images without a
    twin in training (None where all have one), and the 95 % interval by photo group.
    """
    right = np.asarray(scores).argmax(axis=1) == data.y_test
    low, high = accuracy_interval(right, data.test_groups)
    return {
        "correct": count_correct(scores, data.y_test),
        "total": len(right),
        "accuracy": float(right.mean()),
        "accuracy_no_twin": None if data.has_twin.all() else float(right[~data.has_twin].mean()),
        "accuracy_low": low,
        "accuracy_high": high,
    }


def measure(path, scores, data):
    """Everything about a .tflite file that its record holds, measured on a SignMnist.

    scores: (n, 24), the model's scores of the whole test file. `micro` says how many of
    MICRO_SAMPLE test images TFLite Micro reads as LiteRT does, or why it refuses the model.
    """
    micros = latency(path, data.x_test)
    low, median, high = np.percentile(micros, [25, 50, 75]).tolist()
    micro = run_micro(path, data.x_test[:MICRO_SAMPLE])
    verdict = micro.reason
    if micro.scores is not None:
        letters = scores[:MICRO_SAMPLE].argmax(axis=1)
        verdict = f"{count_correct(micro.scores, letters)} of {len(letters)} letters as LiteRT"
    return {
        "file": Path(path).name,
        "sha256": file_sha256(path),
        **accuracy_three_ways(scores, data),
        **sizes(path),
        "latency_us_median": median,
        "latency_us_low": low,
        "latency_us_high": high,
        "latency_us_mean": float(micros.mean()),
        "latency_us_std": float(micros.std()),
        "arena_bytes": micro.arena_bytes,
        "micro": verdict,
        "data_sha256": data.sha256,
        "canonical": data.canonical,
    }


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


def load_records(path=RESULTS):
    """The records as a list of dicts with all FIELDS, what they lack null; see `read_records`.

    Raises ValueError for a field that FIELDS does not name.
    """
    records = read_records(path)
    for record in records:
        if unknown := set(record) - set(FIELDS):
            raise ValueError(f"{record.get('id')}: unknown fields {sorted(unknown)}")
    return [dict.fromkeys(FIELDS) | record for record in records]


def read_records(path):
    """The records as they were saved, a list of dicts; empty where there is no file yet."""
    return json.loads(Path(path).read_text()) if Path(path).exists() else []


def save_record(record, path=RESULTS):
    """Adds a record of this run, or replaces the one with its id."""
    records = {one["id"]: one for one in [*read_records(path), of_this_run(record)]}
    write_json(list(records.values()), path)


def write_records(records, notebook, path):
    """Puts the records of a notebook, of this run, in place of those that it had."""
    others = [record for record in read_records(path) if record.get("notebook") != notebook]
    write_json(others + [of_this_run(record) for record in records], path)


def of_this_run(record):
    """A record with `started` and `processor` of this run, unless it has its own."""
    return {"started": STARTED, "processor": processor_name()} | record


def write_json(records, path):
    """Writes records, a list of dicts, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(records, indent=1) + "\n")


def answer(part, records, note="", banner=""):
    """The answer to a part of the assignment, as Markdown: a table, a row a model.

    records: of the models that answer it. note: a paragraph beneath. banner: above the table.
    """
    columns = ["test accuracy", "without twins", "95 % interval", "bytes", "after gzip"]
    rows = [["model", *columns], ["--"] * 6]
    rows += [[r["technique"], *(in_words(r)[column] for column in columns)] for r in records]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    parts = [f"**Answer to {part}**", banner and f"**{banner}**", table, note]
    return "\n\n".join(filter(None, parts))


def say(text, banner=""):
    """Shows Markdown with figures of this run, after the banner of data that are not real."""
    display(Markdown(f"**{banner}**\n\n{text}" if banner else text))


def results_table(records):
    """The records as a pandas DataFrame of text, one row a model, ready to be shown."""
    columns = ["test accuracy", "bytes", "after gzip", "latency µs", "arena bytes"]
    rows = {record["technique"]: in_words(record) for record in records}
    return pd.DataFrame.from_dict(rows, "index", columns=columns).rename_axis(columns="model")


def in_words(record):
    """The figures of a record as they are written: dict from a column's head to its text."""

    def written(form, *fields):
        figures = [record[field] for field in fields]
        return "–" if None in figures else form.format(*figures)

    return {
        "test accuracy": written("{:.2%}", "accuracy"),
        "without twins": written("{:.2%}", "accuracy_no_twin"),
        "95 % interval": written("{:.1%} to {:.1%}", "accuracy_low", "accuracy_high"),
        "bytes": written("{:,}", "bytes"),
        "ZIP": written("{:,}", "bytes_zip"),
        "after gzip": written("{:,}", "bytes_gzip"),
        "latency µs": written(
            "{:,.0f} ({:,.0f} to {:,.0f})",
            *("latency_us_median", "latency_us_low", "latency_us_high"),
        ),
        "arena bytes": written("{:,}", "arena_bytes"),
    }
