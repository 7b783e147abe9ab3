"""Scores of .tflite files for clips, whatever form of input they take."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from speech.features import features, waveforms
from toolkit.results import MICRO_SAMPLE, keep, measure
from toolkit.tflite import open_tflite, quantize_input, run_micro
from toolkit.training import accuracy


def model_input(waves, shape):
    """Clips int16 (n, 8000) as float32 in the form that a model takes, without its first axis.

    shape: (8000, 1) for the waveform at one loudness, (81, 12) for the MFCC, (81, 1, 12) for
    the MFCC as an image of one column.
    """
    if tuple(shape) == (8000, 1):
        return waveforms(waves)
    return features(waves).reshape(-1, *shape)


def predict_clips(path, inputs):
    """Scores of a .tflite file: (n, words), in its output type, for inputs (n, ...).

    Clip by clip, on all cores. What a recurrent operator remembers is reset before each: the
    fused LSTM of LiteRT would otherwise begin a clip in the state in which it left the last one.
    """

    def score(interpreter, part):
        detail = interpreter.get_input_details()[0]
        output = interpreter.get_output_details()[0]["index"]
        scores = []
        for clip in quantize_input(part, detail):
            interpreter.reset_all_variables()
            interpreter.set_tensor(detail["index"], clip[None])
            interpreter.invoke()
            scores.append(interpreter.get_tensor(output)[0])
        return np.array(scores)

    parts = np.array_split(inputs, min(os.cpu_count() or 1, len(inputs)))
    interpreters = [open_tflite(path, threads=1) for _ in parts]
    with ThreadPoolExecutor() as pool:
        return np.concatenate(list(pool.map(score, interpreters, parts)))


def accuracy_difference(right, others, groups, resamples=10_000):
    """The 95 % interval, in points, of the difference of two accuracies on the same clips.

    right, others: (n,), which clips were read right, or in which share of several trainings.
    groups: int (n,), the speaker of each clip. The bootstrap (Efron, 1979) draws speakers; how
    much one training differs from another is not in it.
    """
    size = np.bincount(groups)
    more = np.bincount(groups, np.float64(right) - np.float64(others))
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(size), np.full(len(size), 1 / len(size)), resamples)
    low, high = np.percentile(100 * (drawn @ more) / (drawn @ size), [2.5, 97.5])
    return float(low), float(high)


def evaluate(path, model, view, x_val, **fields):
    """The record of a .tflite file, scored on the test clips; `keep`s the file in models/.

    model: the Keras network that it was made of, whose are the parameters and, where `fields` do
    not give them, the accuracies in training and validation. view: a SpeechCommands with the
    features that the file takes (`with_features`), x_val: those of the validation clips. fields:
    the record's others.
    """
    scores = predict_clips(path, view.x_test)
    record = {
        "id": Path(path).stem,
        "params": model.count_params(),
        **measure(path, scores, view),
        **keep(path),
        **fields,
    }
    judged = (
        ("train_accuracy", view.training, view.x_train),
        ("val_accuracy", view.validation, x_val),
    )
    for key, clips, x in judged:
        if key not in fields:
            record[key] = accuracy(model, x, clips.y)
    if record["arena_bytes"] is not None:
        words = scores[:MICRO_SAMPLE].argmax(axis=1)
        heard = [run_micro(path, clip[None]) for clip in view.x_test[:MICRO_SAMPLE]]  # no state
        agreed = sum(run.scores[0].argmax() == word for run, word in zip(heard, words, strict=True))
        record["micro"] = f"{agreed} of {len(words)} words as LiteRT"
    return record


def clips_table(records, banner=""):
    """Records as the table of the speech studies, a pandas Styler with one row each."""
    rows = {
        r["technique"]: {
            "parameters": f"{r['params']:,}",
            "training": f"{r['train_accuracy']:.2%}",
            "validation": f"{r['val_accuracy']:.2%}",
            "test": f"{r['accuracy']:.2%}",
            "95 % interval": f"{r['accuracy_low']:.1%} to {r['accuracy_high']:.1%}",
            "bytes": f"{r['bytes']:,}",
            "gzip": f"{r['bytes_gzip']:,}",
            "µs a clip": f"{r['latency_us_median']:,.0f}",
            "arena": "–" if r["arena_bytes"] is None else f"{r['arena_bytes']:,}",
        }
        for r in records
    }
    return pd.DataFrame.from_dict(rows, orient="index").style.set_caption(banner)
