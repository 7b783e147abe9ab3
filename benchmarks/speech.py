"""Recipes of the speech studies, judged on validation speakers; and their seeds.

    .venv/bin/python -m benchmarks.speech wave_cnn|lstm [NAME=VALUE ...]
    .venv/bin/python -m benchmarks.speech thesis_cnn [NAME=VALUE ...]
    .venv/bin/python -m benchmarks.speech race [NAME=VALUE ...]
    .venv/bin/python -m benchmarks.speech seeds [SEED ...]

The first three add a trial to benchmarks/speech.json: settings that are not given are those of
the notebooks. Judged are the validation clips, as they are and made worse on purpose; the test
clips are not read. `seeds` trains both networks of speech_training by the notebook's recipe, with
seeds 0, 1 and 2 or those given, and scores the test clips too. One to five minutes a training on
2 cores.
"""

import ast
import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from toolkit.convert import to_tflite

from speech.data import load_speech_commands
from speech.features import alter, as_float, features, mfcc
from speech.networks import (
    BATCH_SIZE,
    altered_copies,
    as_column,
    as_waveform,
    build_frames_cnn,
    build_lstm,
    build_thesis_cnn,
    build_wave_cnn,
    compile_network,
    distil,
)
from speech.scoring import predict_clips
from toolkit.files import replacing
from toolkit.grid import grid_network, plain_network
from toolkit.int4 import to_int4
from toolkit.packing import repack
from toolkit.runtime import use_keras_2
from toolkit.tflite import count_correct, gzip_size
from toolkit.training import accuracy, predict, train

use_keras_2()
import tensorflow as tf

FIGURES = Path(__file__).with_suffix(".json")
SETTINGS: dict[str, dict] = {
    "wave_cnn": {"epochs": 40, "learning_rate": 3e-3, "altered": 1.0, "seed": 0},
    "lstm": {"epochs": 40, "learning_rate": 3e-3, "altered": 1.0, "seed": 0},
    "thesis_cnn": {"epochs": 4, "learning_rate": 1e-3, "seed": 0},
    "race": {
        "widths": (24, 24, 24, 24, 24),
        "penalty": 5e-4,
        "copies": 12,
        "epochs": 4,
        "grid_epochs": 8,
        "seed": 0,
    },
}


def strength(altered, to_input):
    """The augmentation of the networks at a share of its strength; None at 0."""
    if not altered:
        return None

    def augment(waves, seed):
        return to_input(
            alter(
                as_float(waves), seed, 0.12 * altered, 0.1, 6.0 * altered, 0.7 * altered,
                (30 - 30 * altered, 30.0), 10.0 * altered,
            )
        )  # fmt: skip

    return augment


def worse(waves):
    """Validation clips made worse on purpose, the same each time: float32 (n, 8000)."""
    parts = np.split(waves, range(600, len(waves), 600))
    return np.concatenate([alter(as_float(p), tf.constant([0, i])) for i, p in enumerate(parts)])


def in_parts(to_input, waves):
    """What `to_input` makes of clips float32 (n, 8000), a thousand at a time: a numpy array."""
    parts = np.split(waves, range(1000, len(waves), 1000))
    return np.concatenate([to_input(tf.constant(part)) for part in parts])


def network(kind, data, epochs, learning_rate, altered, seed):
    """`wave_cnn` or `lstm`, trained. Returns (model, its inputs for float waves, history)."""
    tf.keras.utils.set_random_seed(seed)
    build, to_input = {"wave_cnn": (build_wave_cnn, as_waveform), "lstm": (build_lstm, mfcc)}[kind]
    clips = data.training
    model = compile_network(build(), len(clips.y), epochs, learning_rate)
    augment = strength(altered, to_input)
    x = clips.waves if augment else in_parts(to_input, as_float(clips.waves).numpy())
    settings = {"epochs": epochs, "name": f"trial {kind}", "seed": seed, "batch_size": BATCH_SIZE}
    return model, to_input, train(model, x, clips.y, augment=augment, **settings)


def thesis_cnn(data, epochs, learning_rate, seed):
    """The thesis's CNN after its first epochs. Returns as `network`."""
    tf.keras.utils.set_random_seed(seed)
    model = build_thesis_cnn()
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf.keras.optimizers.Adam(learning_rate), loss, metrics=["accuracy"])
    x = as_float(data.training.waves).numpy()[..., None]
    settings = {"epochs": epochs, "name": "trial thesis CNN", "batch_size": BATCH_SIZE}
    history = train(model, x, data.training.y, **settings)
    return model, lambda waves: waves[..., None], history


def judged(model, to_input, data):
    """Accuracy on the validation clips as they are and made worse: a dict."""
    y, waves = data.validation.y, data.validation.waves
    return {
        "accuracy": accuracy(model, in_parts(to_input, as_float(waves).numpy()), y),
        "accuracy_worse": accuracy(model, in_parts(to_input, worse(waves)), y),
    }


def race(data, widths, penalty, copies, epochs, grid_epochs, seed):
    """The race's recipe. Returns the bytes of its .tflite file.

    The teacher is the LSTM that speech_training leaves in studies/models.
    """
    teacher = tf.keras.models.load_model("studies/models/speech_lstm.keras", compile=False)
    waves = data.training.waves
    x = altered_copies(waves, copies)
    targets, x = predict(teacher, x), as_column(x)
    tf.keras.utils.set_random_seed(seed)
    model = build_frames_cnn(widths)
    distil(model, x, targets, epochs, "trial race, small", seed)
    model = grid_network(model, penalty, dense_bias=False)
    distil(model, x, targets, grid_epochs, "trial race, grid", seed)
    clean = as_column(features(waves))
    rows = np.random.default_rng(0).choice(len(clean), 300, replace=False)
    with tempfile.TemporaryDirectory() as folder:
        path = to_tflite(
            plain_network(model, average_pool=True),
            Path(folder, "race.tflite"),
            optimizations=[tf.lite.Optimize.DEFAULT],
            representative_dataset=lambda: ([clean[row : row + 1]] for row in rows),
            supported_ops=[tf.lite.OpsSet.TFLITE_BUILTINS_INT8],
            inference_input_type=tf.int8,
            inference_output_type=tf.int8,
            _experimental_disable_per_channel=True,
            _experimental_disable_per_channel_quantization_for_dense_layers=True,
        )
        content = path.read_bytes()
    return repack(to_int4(content, coarse=8, fixed_size=True), 3000, fixed_size=True)


def score(content, data):
    """The bytes after gzip -9 of the race's file and what it reads of the validation clips."""
    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        file.write(content)
        file.flush()
        y, waves = data.validation.y, worse(data.validation.waves)
        shares = [
            count_correct(predict_clips(file.name, as_column(x)), y) / len(y)
            for x in (features(data.validation.waves), mfcc(waves).numpy())
        ]
    named = dict(zip(("accuracy", "accuracy_worse"), shares, strict=True))
    return {**named, "bytes_gzip": gzip_size(content)}


def save(kind, entry):
    """Adds an entry to the list `kind` of benchmarks/speech.json, in place of its like."""
    saved = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    others = [e for e in saved.get(kind, []) if e["settings"] != entry["settings"]]
    saved[kind] = [*others, entry]
    print(f"\n{kind}: {entry}", flush=True)
    with replacing(FIGURES) as temporary:
        temporary.write_text(json.dumps(saved, indent=1) + "\n")


def trial(recipe, given, data):
    """Trains by a recipe of SETTINGS and saves how it reads the validation clips."""
    settings = SETTINGS[recipe] | {name: ast.literal_eval(value) for name, value in given}
    start = time.perf_counter()
    if recipe == "race":
        figures = score(race(data, **settings), data)
    else:
        work = thesis_cnn if recipe == "thesis_cnn" else partial(network, recipe)
        model, to_input, _ = work(data, **settings)
        figures = judged(model, to_input, data)
    settings = json.loads(json.dumps(settings))
    seconds = time.perf_counter() - start
    save("trials", {"recipe": recipe, "settings": settings, **figures, "seconds": seconds})


def seeds(data, numbers):
    """Both networks by the notebook's recipe with these seeds, scored on the test clips too."""
    for seed in numbers:
        for kind in ("wave_cnn", "lstm"):
            settings = SETTINGS[kind] | {"seed": seed}
            model, to_input, _ = network(kind, data, **settings)
            x_test = in_parts(to_input, as_float(data.testing.waves).numpy())
            test = accuracy(model, x_test, data.testing.y)
            figures = {**judged(model, to_input, data), "test": test}
            save("seeds", {"settings": {"network": kind, "seed": seed}, **figures})


def main(kind, *given):
    data = load_speech_commands()
    if not data.canonical:
        raise SystemExit("benchmarks are for the real data")
    if kind == "seeds":
        seeds(data, [int(number) for number in given] or [0, 1, 2])
    else:
        trial(kind, [pair.split("=", 1) for pair in given], data)


if __name__ == "__main__":
    main(*sys.argv[1:])
