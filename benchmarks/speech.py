"""How a recipe of speech/recipes.py is tried: on the clips of validation speakers."""

import tempfile
from pathlib import Path

import numpy as np

from speech.features import alter, as_float, features, mfcc
from speech.networks import (
    altered_copies,
    as_column,
    as_waveform,
    build_frames_cnn,
    distil,
    train_lstm,
    train_thesis_cnn,
    train_wave_cnn,
)
from speech.scoring import predict_clips
from toolkit.compression import INT8, ONE_SCALE, convert, representative_dataset
from toolkit.grid import grid_network, plain_network
from toolkit.int4 import to_int4
from toolkit.packing import repack
from toolkit.runtime import use_keras_2
from toolkit.tflite import count_correct, gzip_size
from toolkit.training import accuracy, predict

use_keras_2()
import tensorflow as tf

TEACHER = Path("studies", "models", "speech_lstm.keras")  # of the race: from speech_training


def made_worse(waves):
    """Clips int16 (n, 8000) made worse on purpose, the same each time: float32 (n, 8000)."""
    parts = np.split(waves, range(600, len(waves), 600))
    return np.concatenate([alter(as_float(p), tf.constant([0, i])) for i, p in enumerate(parts)])


def in_parts(to_input, waves):
    """What `to_input` makes of clips float32 (n, 8000), a thousand at a time: a numpy array."""
    parts = np.split(waves, range(1000, len(waves), 1000))
    return np.concatenate([to_input(tf.constant(part)) for part in parts])


def race(data, recipe, seed, path):
    """Writes the race's file to `path`."""
    waves = data.training.waves
    x = altered_copies(waves, recipe["copies"])
    targets, x = predict(tf.keras.models.load_model(TEACHER, compile=False), x), as_column(x)
    tf.keras.utils.set_random_seed(seed)
    model = build_frames_cnn(recipe["widths"])
    distil(model, x, targets, recipe["epochs"], "trial, small", seed)
    model = grid_network(model, recipe["penalty"], dense_bias=False)
    distil(model, x, targets, recipe["grid_epochs"], "trial, grid", seed)
    calibration = representative_dataset(as_column(features(waves)))
    settings = INT8 | ONE_SCALE | {"representative_dataset": calibration}
    convert(plain_network(model, average_pool=True), path, **settings)
    content = to_int4(path.read_bytes(), coarse=8, fixed_size=True)
    path.write_bytes(repack(content, 3000, fixed_size=True))


def as_samples(waves):
    """Clips float32 (n, 8000) as the thesis's CNN takes them: (n, 8000, 1)."""
    return waves[..., None]


def network(data, name, recipe, seed):
    """A network of speech_training. Returns it, and what makes its inputs of float waves."""
    if name == "THESIS_CNN":
        x = as_samples(as_float(data.training.waves).numpy())
        return train_thesis_cnn(x, data.training.y, **recipe, seed=seed)[0], as_samples
    if name == "WAVE_CNN":
        return train_wave_cnn(data.training, **recipe, seed=seed)[0], as_waveform
    if name == "LSTM":
        return train_lstm(data.training, **recipe, seed=seed)[0], mfcc
    raise ValueError(f"speech.{name}: there is no program yet that tries it")


def run(data, name, recipe, seed):
    """Trains by a recipe. Returns on what it was judged, and kind of file -> its figures."""
    clips = data.validation
    judged_on = f"{len(clips.y):,} clips of {len(set(clips.speakers))} validation speakers"
    waves = {"accuracy": as_float(clips.waves).numpy(), "accuracy_worse": made_worse(clips.waves)}
    if name != "RACE":
        model, to_input = network(data, name, recipe, seed)
        inputs = {key: in_parts(to_input, some) for key, some in waves.items()}
        return judged_on, {"float": {k: accuracy(model, x, clips.y) for k, x in inputs.items()}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "race.tflite")
        race(data, recipe, seed, path)
        inputs = {key: as_column(in_parts(mfcc, some)) for key, some in waves.items()}
        figures = {
            key: count_correct(predict_clips(path, x), clips.y) / len(clips.y)
            for key, x in inputs.items()
        }
        return judged_on, {"int4": figures | {"bytes_gzip": gzip_size(path.read_bytes())}}
