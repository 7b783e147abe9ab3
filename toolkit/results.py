"""results.json, of the assignment and of the studies: a record for each model in a table."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from toolkit.files import file_sha256, replacing
from toolkit.runtime import STARTED, processor_name
from toolkit.tflite import count_correct, latency, run_micro, sizes

RESULTS = Path("models", "results.json")
FIELDS = (
    *("id", "notebook", "technique", "file", "params", "correct", "total", "accuracy"),
    *("accuracy_no_twin", "accuracy_low", "accuracy_high", "train_accuracy", "val_accuracy"),
    *("bytes", "bytes_zip", "bytes_gzip", "latency_us_median", "latency_us_low"),
    *("latency_us_high", "latency_us_mean", "latency_us_std", "arena_bytes", "micro"),
    *("data_sha256", "canonical", "profile", "seed", "seconds", "pass_seconds", "sha256"),
    *("started", "processor"),
)
LARGEST_KEPT = 4_000_000  # bytes of a file that is committed
MICRO_SAMPLE = 100


def accuracy_interval(right, groups, resamples=10_000):
    """The 95 % interval of an accuracy whose images come in groups: (low, high).

    right: bool (n,), whether each image was read right. groups: int (n,). The bootstrap
    (Efron, 1979; percentiles) draws whole groups, as images of one group are not
    independent. Without errors both ends are 1: it cannot see what it never drew.
    """
    size, correct = np.bincount(groups), np.bincount(groups, right)
    correct, size = correct[size > 0], size[size > 0]
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(size), np.full(len(size), 1 / len(size)), resamples)
    low, high = np.percentile(drawn @ correct / (drawn @ size), [2.5, 97.5])
    return float(low), float(high)


def accuracy_three_ways(scores, data):
    """The test accuracy of a model, three ways, as fields of its record.

    scores: (n, 24), of the whole test file of `data`, a SignMnist. `accuracy` is that on the
    whole file, `accuracy_no_twin` that on the images without a twin in training (None where
    all have one), `accuracy_low` to `accuracy_high` the 95 % interval by photo group.
    """
    correct = count_correct(scores, data.y_test)
    right = np.asarray(scores).argmax(axis=1) == data.y_test
    alone = right[~data.has_twin]
    low, high = accuracy_interval(right, data.test_groups)
    return {
        "correct": correct,
        "total": len(right),
        "accuracy": correct / len(right),
        "accuracy_no_twin": float(alone.mean()) if len(alone) else None,
        "accuracy_low": low,
        "accuracy_high": high,
    }


def measure(path, scores, data):
    """Everything about a .tflite file that its record holds, measured on a SignMnist.

    scores: (n, 24), the model's scores of the whole test file. Accuracy three ways; bytes;
    latency of single images in microseconds (median, quartiles, mean, standard deviation);
    the arena of TFLite Micro, with `micro` saying how many of MICRO_SAMPLE test images it
    reads as LiteRT does, or why it refuses the model.
    """
    micros = latency(path, data.x_test)
    low, median, high = np.percentile(micros, [25, 50, 75]).tolist()
    micro = run_micro(path, data.x_test[:MICRO_SAMPLE])
    if micro.scores is None:
        verdict = micro.reason
    else:
        letters = scores[: len(micro.scores)].argmax(axis=1)
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
    """The records as a list of dicts, what they lack null; empty where there is no file yet."""
    path = Path(path)
    records = json.loads(path.read_text()) if path.exists() else []
    return [dict.fromkeys(FIELDS) | record for record in records]


def save_record(record, path=RESULTS):
    """Adds a record, or replaces the one with its id; see `complete`."""
    record = complete(record)
    records = load_records(path)
    ids = [other["id"] for other in records]
    if record["id"] in ids:
        records[ids.index(record["id"])] = record
    else:
        records.append(record)
    write_json(records, path)


def write_records(records, notebook, path):
    """Puts the records of a notebook in place of those that it had; see `complete`."""
    filled = [complete(record) for record in records]
    others = [record for record in load_records(path) if record["notebook"] != notebook]
    write_json(others + filled, path)


def complete(record):
    """A record with all FIELDS: `started` and `processor` of this run, null what it lacks.

    Raises ValueError for a field that FIELDS does not name.
    """
    if unknown := set(record) - set(FIELDS):
        raise ValueError(f"{record.get('id')}: unknown fields {sorted(unknown)}")
    run = {"started": STARTED, "processor": processor_name()}
    return dict.fromkeys(FIELDS) | run | record


def write_json(records, path):
    """Writes records, a list of dicts, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(records, indent=1) + "\n")


def answer(part, records, against=(), note="", banner=""):
    """The answer box of a part of the assignment, as Markdown.

    records: of the models that answer it. against: records whose raw and gzip bytes each of
    them is compared with. note: a paragraph beneath.
    """
    names = ["model", "file in models/", "test accuracy", "without twins", "95 % interval"]
    names += ["raw bytes", "ZIP", "gzip"]
    names += [f"raw, gzip against {other['technique']}" for other in against]
    table = results_table(records)
    lines = ["| " + " | ".join(names) + " |", "|" + "|".join(["--"] * len(names)) + "|"]
    for record in records:
        row = table.loc[record["technique"]].to_list()
        cells = [record["technique"], f"`{record['file']}`", *row[:6]]
        for other in against:
            shares = (record[size] / other[size] for size in ("bytes", "bytes_gzip"))
            cells.append("–" if other is record else ", ".join(f"{s:.1%}" for s in shares))
        lines.append("| " + " | ".join(cells) + " |")
    parts = [f"**Answer to {part}**", banner and f"**{banner}**", *["\n".join(lines)], note]
    text = "\n\n".join(filter(None, parts))
    return "\n".join(f"> {line}" for line in text.splitlines())


def results_table(records):
    """The records as a pandas DataFrame of text, one row a model, ready to be shown."""

    def number(value, form="{:,.0f}"):
        return "–" if value is None else form.format(value)

    def span(record, field, form):
        ends = record[f"{field}_low"], record[f"{field}_high"]
        return " to ".join(form.format(end) for end in ends)

    rows = {
        record["technique"]: {
            "test accuracy": number(record["accuracy"], "{:.2%}"),
            "without twins": number(record["accuracy_no_twin"], "{:.2%}"),
            "95 % interval": span(record, "accuracy", "{:.1%}"),
            "raw bytes": number(record["bytes"]),
            "ZIP": number(record["bytes_zip"]),
            "gzip": number(record["bytes_gzip"]),
            "latency µs": f"{record['latency_us_median']:,.0f} "
            f"({span(record, 'latency_us', '{:,.0f}')})",
            "arena bytes": number(record["arena_bytes"]),
        }
        for record in records
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
