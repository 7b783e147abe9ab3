"""How a recipe of speech/recipes.py is tried: on the clips of validation speakers."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from speech.data import Clips
from speech.features import alter, as_float, features, mfcc
from speech.networks import (
    BATCH_SIZE,
    altered_copies,
    as_column,
    as_waveform,
    race_network,
    train_lstm,
    train_thesis_cnn,
    train_thesis_half,
    train_wave_cnn,
)
from speech.recipes import WAVE_CNN
from speech.scoring import predict_clips
from speech.transfer import in_copies, some_clips, split_network, train_last_layers
from toolkit.compression import INT8, ONE_SCALE, convert, representative_dataset
from toolkit.grid import plain_network
from toolkit.half import cast_network
from toolkit.int4 import to_int4
from toolkit.packing import repack
from toolkit.runtime import use_keras_2
from toolkit.tflite import count_correct, gzip_size
from toolkit.training import accuracy, predict

use_keras_2()
import tensorflow as tf

# Networks of speech_training: the race's teacher, and what transfer starts from.
TEACHER = Path("studies", "models", "speech_lstm.keras")
BASE = Path("studies", "models", "speech_cnn.keras")


def made_worse(waves):
    """Clips int16 (n, 8000) made worse on purpose, the same each time: float32 (n, 8000)."""
    parts = np.split(waves, range(600, len(waves), 600))
    return np.concatenate([alter(as_float(p), tf.constant([0, i])) for i, p in enumerate(parts)])


def in_parts(to_input, waves):
    """What `to_input` makes of clips float32 (n, 8000), a thousand at a time: a numpy array."""
    parts = np.split(waves, range(1000, len(waves), 1000))
    return np.concatenate([to_input(tf.constant(part)) for part in parts])


@cache
def race_lessons(data, copies):
    """Copies of the training clips, MFCC (n, 81, 1, 12), and the teacher's scores of them."""
    x = altered_copies(data.training.waves, copies)
    return as_column(x), predict(tf.keras.models.load_model(TEACHER, compile=False), x)


def race(data, recipe, seed, path):
    """Writes the race's file to `path`."""
    x, scores = race_lessons(data, recipe["copies"])
    model, _ = race_network(x, scores, recipe, seed)
    calibration = representative_dataset(as_column(features(data.training.waves)))
    settings = INT8 | ONE_SCALE | {"representative_dataset": calibration}
    convert(plain_network(model, average_pool=True), path, **settings)
    content = to_int4(path.read_bytes(), coarse=recipe["coarse"], fixed_size=True)
    path.write_bytes(repack(content, 10_000, fixed_size=True))


def transfer(data, recipe, seed):
    """What a share of the clips gives to the last layers, by who has learned the first ones.

    Returns kind -> figures: of the network that was trained on all clips, `all`; of one of which
    it gives the first layers, while the last see a share; of one that was trained on this share
    alone; and of one that is given the first layers of that.
    """
    x, y = in_parts(as_waveform, as_float(data.validation.waves).numpy()), data.validation.y
    base = tf.keras.models.load_model(BASE, compile=False)
    figures = {"all": {"accuracy": accuracy(base, x, y)}}
    for share in (0.1, 0.5):
        rows = some_clips(data.training, share, seed)
        mine = Clips(*(column[rows] for column in data.training))
        epochs = recipe["base_updates"] // (len(rows) // BATCH_SIZE)
        own, _ = train_wave_cnn(mine, epochs, WAVE_CNN["learning_rate"], seed)
        figures[f"{share:.0%} alone"] = {"accuracy": accuracy(own, x, y)}
        for giver, network in (("all", base), ("the same", own)):
            front, _ = split_network(cast_network(network, tf.float16), recipe["trained"])
            given = in_copies(front, mine.waves, recipe["copies"])
            last, _ = train_last_layers(given, mine.y, recipe, seed)
            figures[f"{share:.0%}, given by {giver}"] = {
                "accuracy": accuracy(last, predict(front, x), y)
            }
    return figures


def thesis_half(data, recipe, seed):
    """The thesis's CNN in float32, in float32 with the recipe's epsilon, and in its 16 bits.

    Returns kind -> figures.
    """
    (x, y), (x_val, y_val) = (
        (as_samples(as_float(clips.waves).numpy()), clips.y)
        for clips in (data.training, data.validation)
    )
    networks = {
        "float32": train_thesis_cnn(x, y, recipe["epochs"], recipe["learning_rate"], seed)[0],
        "float32, epsilon": train_thesis_half(x, y, recipe | {"precision": "float32"}, seed)[0],
        "float16": train_thesis_half(x, y, recipe, seed)[0],
    }
    return {kind: {"accuracy": accuracy(made, x_val, y_val)} for kind, made in networks.items()}


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
    if name == "TRANSFER":
        return judged_on, transfer(data, recipe, seed)
    if name == "THESIS_HALF":
        return judged_on, thesis_half(data, recipe, seed)
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
