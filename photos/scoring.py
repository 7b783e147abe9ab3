"""Scores of .tflite files for photos, and what a record of the study says of a file."""

import itertools
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from photos.data import resize
from toolkit.files import file_sha256
from toolkit.results import accuracy_three_ways, keep
from toolkit.tflite import count_correct, latency, open_tflite, quantize_input, run_micro, sizes

MICRO_PHOTOS = 2  # a photo can take TFLite Micro, whose kernels here are plain C, seconds
TIMED_PHOTOS = 5


def network_input(pixels):
    """Photos uint8 (n, side, side, 3) as every network here takes them: float32, -0.99 to 1."""
    return (np.float32(pixels) - 127) / 128


def predict_photos(path, pixels):
    """Scores of a .tflite file: (n, 2), in its output type, for photos uint8 (n, side, side, 3).

    The photos are resized to the side that the file takes; a share of them on each core.
    """
    parts = np.array_split(pixels, min(os.cpu_count() or 1, len(pixels)))
    interpreters = [open_tflite(path, threads=1) for _ in parts]

    def score(interpreter, part):
        detail = interpreter.get_input_details()[0]
        output = interpreter.get_output_details()[0]["index"]
        scores = []
        for photo in resize(part, detail["shape"][1]):
            inputs = quantize_input(network_input(photo[None]), detail)
            interpreter.set_tensor(detail["index"], inputs)
            interpreter.invoke()
            scores.append(interpreter.get_tensor(output)[0])
        return np.array(scores)

    with ThreadPoolExecutor() as pool:
        return np.concatenate(list(pool.map(score, interpreters, parts)))


def file_accuracy(path, photos):
    """The share of the Photos that a .tflite file reads right."""
    return count_correct(predict_photos(path, photos.pixels), photos.y) / len(photos.y)


def measure_photos(path, data, kept=True):
    """Fields of a .tflite file's record, measured on the test photos; `keep`s it in models/.

    data: a CatsAndDogs. kept: whether the file is to be kept. The fields are the accuracy three
    ways, bytes, and TFLite Micro's arena with `micro` saying whether it reads the first photos as
    LiteRT does, or why it refuses the file.
    """
    scores = predict_photos(path, data.testing.pixels)
    side = open_tflite(path).get_input_details()[0]["shape"][1]
    some = np.linspace(0, len(data.testing.y) - 1, MICRO_PHOTOS).astype(int)  # of both classes
    micro = run_micro(path, network_input(resize(data.testing.pixels[some], side)))
    verdict = micro.reason
    if micro.scores is not None:
        classes = scores[some].argmax(axis=1)
        verdict = f"{count_correct(micro.scores, classes)} of {len(classes)} photos as LiteRT"
    return {
        **(keep(path) if kept else {"file": None, "sha256": file_sha256(path)}),
        **accuracy_three_ways(scores, data),
        **sizes(path),
        "arena_bytes": micro.arena_bytes,
        "micro": verdict,
        "data_sha256": data.sha256,
        "canonical": data.canonical,
    }


def interleaved(paths, pixels, rounds):
    """Fields of the files' records, their latencies, in one measurement: name -> dict.

    paths: name -> a .tflite file. pixels: uint8 (n, side, side, 3), of which TIMED_PHOTOS are read
    one by one on one thread, `rounds` times by all files in turn, so that what disturbs the machine
    disturbs them alike. A file's latencies are its rounds' medians, in microseconds.
    """
    found = {name: np.empty(rounds) for name in paths}
    for turn, (name, path) in itertools.product(range(rounds), paths.items()):
        side = open_tflite(path).get_input_details()[0]["shape"][1]
        some = network_input(resize(pixels[:TIMED_PHOTOS], side))
        found[name][turn] = np.median(latency(path, some, TIMED_PHOTOS, warmup=2))
    fields = {}
    for name, micros in found.items():
        low, median, high = np.percentile(micros, [25, 50, 75]).tolist()
        fields[name] = {
            "latency_us_median": median,
            "latency_us_low": low,
            "latency_us_high": high,
            "latency_us_mean": float(micros.mean()),
            "latency_us_std": float(micros.std(ddof=1)),
        }
    return fields


def photos_table(records, base, banner=""):
    """Records as the table of the study of photos, a pandas Styler with one row each.

    base: the record whose bytes after gzip the others are compared with.
    """
    rows = {
        r["technique"]: {
            "validation": "–" if r["val_accuracy"] is None else f"{r['val_accuracy']:.1%}",
            "test (95 % interval)": f"{r['accuracy']:.1%} "
            f"({100 * r['accuracy_low']:.1f} to {100 * r['accuracy_high']:.1f})",
            "bytes": f"{r['bytes']:,}",
            "gzip": f"{r['bytes_gzip']:,}",
            "times smaller": f"{base['bytes_gzip'] / r['bytes_gzip']:.1f}",
            "arena": "–" if r["arena_bytes"] is None else f"{r['arena_bytes']:,}",
        }
        for r in records
    }
    return pd.DataFrame.from_dict(rows, orient="index").style.set_caption(banner)
