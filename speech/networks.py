"""The networks of the speech studies, and how they are trained."""

import numpy as np

from speech.features import alter, as_float, level, mfcc
from speech.recipes import PRECISIONS
from toolkit.grid import grid_network
from toolkit.half import train_half
from toolkit.pairs import PairCode
from toolkit.runtime import use_keras_2
from toolkit.training import distillation_loss, train

use_keras_2()
import tensorflow as tf

layers = tf.keras.layers

BATCH_SIZE = 100
WARM_UP = 200  # updates


def build_thesis_cnn(words=9):
    """The thesis's CNN on the waveform: (n, 8000, 1) in, (n, words) logits out.

    1,611,498 parameters with ten words.
    """
    x = inputs = layers.Input((8000, 1), name="waveform")
    for width, kernel in ((8, 13), (16, 11), (32, 9), (64, 7)):
        x = layers.Conv1D(width, kernel, activation="relu")(x)
        x = layers.Dropout(0.3)(layers.MaxPooling1D(3)(x))
    x = layers.Flatten()(x)
    for width in (256, 128):
        x = layers.Dropout(0.3)(layers.Dense(width, activation="relu")(x))
    return tf.keras.Model(inputs, layers.Dense(words, name="words")(x))


def build_thesis_lstm(words=9, dense=64):
    """The thesis's LSTM of 12 units on the MFCC: (n, 81, 12) in, (n, words) logits out.

    dense: units of the layer behind it, whose number the thesis does not give; 2,617 parameters.
    """
    inputs = layers.Input((81, 12), name="mfcc")
    x = layers.Dense(dense, activation="relu")(layers.LSTM(12)(inputs))
    return tf.keras.Model(inputs, layers.Dense(words, name="words")(x))


def build_wave_cnn():
    """A CNN on the waveform: (n, 8000, 1) in, (n, 9) logits out; 188,569 parameters.

    Each convolution is followed by batch normalization and ReLU. The first reads 81 samples
    every 16, as a bank of filters would; at the end stand the mean over time and a dense layer.
    """
    x = inputs = layers.Input((8000, 1), name="waveform")
    for i, (width, kernel, stride, pool) in enumerate(
        ((48, 81, 16, 1), (64, 9, 4, 1), (96, 5, 1, 2), (128, 5, 1, 2), (160, 3, 1, 1)), 1
    ):
        x = layers.Conv1D(width, kernel, stride, padding="same", use_bias=False, name=f"conv{i}")(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.95, name=f"norm{i}")(x))
        x = layers.MaxPooling1D(pool)(x) if pool > 1 else x
    x = layers.GlobalAveragePooling1D()(x)
    return tf.keras.Model(inputs, layers.Dense(9, name="words")(x))


def build_lstm(batch=None, unroll=False):
    """An LSTM on the MFCC: (n, 81, 12) in, (n, 9) logits out; 63,849 parameters.

    A convolution of stride 2 before it halves the frames; behind it stand the maximum over time
    and two dense layers. batch: a fixed number of clips, which LiteRT's fused LSTM needs.
    unroll: whether the recurrence is written out step by step.
    """
    x = inputs = layers.Input((81, 12), batch, name="mfcc")
    x = layers.Conv1D(48, 5, 2, padding="same", use_bias=False, name="conv")(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.95, name="norm")(x))
    x = layers.LSTM(96, return_sequences=True, unroll=unroll, name="lstm")(x)
    x = layers.Dense(48, activation="relu", name="dense")(layers.GlobalMaxPooling1D()(x))
    return tf.keras.Model(inputs, layers.Dense(9, name="words")(x))


def build_frames_cnn(widths, strides=(2, 2, 1, 1, 1), kernel=3):
    """A small CNN over the frames of the MFCC: (n, 81, 1, 12) in, (n, 9) logits out.

    widths, strides: of the convolutions, each of `kernel` frames, with batch normalization and
    ReLU. Behind a global average comes a dense layer.
    """
    x = inputs = layers.Input((81, 1, 12), name="mfcc")
    for i, (width, stride) in enumerate(zip(widths, strides, strict=True), 1):
        x = layers.Conv2D(
            width, (kernel, 1), (stride, 1), padding="same", use_bias=False, name=f"conv{i}"
        )(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.95, name=f"norm{i}")(x))
    x = layers.GlobalAveragePooling2D()(x)
    return tf.keras.Model(inputs, layers.Dense(9, name="words")(x))


def as_waveform(waves):
    """Clips float32 (n, 8000) as the CNNs take them: one loudness, (n, 8000, 1)."""
    return level(waves)[..., None]


def altered_waveform(waves, seed):
    """Clips int16 (n, 8000), `alter`ed, as the CNNs take them. seed: int32 (2,)."""
    return as_waveform(alter(as_float(waves), seed))


def altered_mfcc(waves, seed):
    """The MFCC of clips int16 (n, 8000) that are `alter`ed first. seed: int32 (2,)."""
    return mfcc(alter(as_float(waves), seed))


def altered_copies(waves, copies):
    """The MFCC of `copies` alterations of each clip, copy after copy: float32 (copies * n, 81, 12).

    waves: int16 (n, 8000).
    """
    parts = np.split(waves, range(1000, len(waves), 1000))
    altered = [
        altered_mfcc(part, tf.constant([copy, number]))
        for copy in range(copies)
        for number, part in enumerate(parts)
    ]
    return np.concatenate(altered)


def as_column(frames):
    """MFCC (n, 81, 12) as the image of one column that `build_frames_cnn` takes."""
    return np.ascontiguousarray(frames)[:, :, None]


def compile_network(model, clips, epochs, learning_rate):
    """Compiles for training with Adam and cross-entropy.

    The learning rate rises in WARM_UP updates and falls by a cosine to zero; gradients are
    clipped to a norm of 1. clips: how many the model sees in each of the `epochs`. Returns the
    model.
    """
    steps = max(2, max(1, clips // BATCH_SIZE) * epochs)
    warm_up = min(WARM_UP, steps // 2)
    schedule = tf.keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm_up, warmup_target=learning_rate, warmup_steps=warm_up
    )
    optimizer = tf.keras.optimizers.Adam(schedule, clipnorm=1.0)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def train_thesis_lstm(x, y, epochs, learning_rate, seed=0, name="thesis LSTM"):
    """Trains `build_thesis_lstm` as the thesis did, with RMSprop. Returns (model, history).

    x: MFCC (n, 81, 12). y: (n,) words.
    """
    tf.keras.utils.set_random_seed(seed)
    model = build_thesis_lstm()
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf.keras.optimizers.RMSprop(learning_rate), loss, metrics=["accuracy"])
    settings = {"epochs": epochs, "name": name, "seed": seed, "batch_size": BATCH_SIZE}
    return model, train(model, x, y, **settings)


def train_thesis_cnn(x, y, epochs, learning_rate, seed=0, validation=None):
    """Trains `build_thesis_cnn` with Adam; as `train_thesis_lstm`, x the waves (n, 8000, 1).

    validation: see `toolkit.training.train`.
    """
    tf.keras.utils.set_random_seed(seed)
    model = build_thesis_cnn()
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf.keras.optimizers.Adam(learning_rate), loss, metrics=["accuracy"])
    settings = {"epochs": epochs, "name": "thesis CNN", "seed": seed, "batch_size": BATCH_SIZE}
    return model, train(model, x, y, validation=validation, **settings)


def train_thesis_half(x, y, recipe, seed=0, watch=None):
    """Trains `build_thesis_cnn` in 16 bits, as `train_thesis_cnn`. Returns (model, losses).

    recipe: THESIS_HALF. watch: see `train_half`.
    """
    tf.keras.utils.set_random_seed(seed)
    precision = PRECISIONS[recipe["precision"]] | {"epsilon": recipe["epsilon"]}
    updates = max(1, len(y) // BATCH_SIZE) * recipe["epochs"]
    model, _, losses = train_half(
        build_thesis_cnn(), x, y, updates, recipe["learning_rate"], precision, seed, constant=True,
        batch_size=BATCH_SIZE, watch=watch,
    )  # fmt: skip
    return model, losses


def train_wave_cnn(clips, epochs, learning_rate, seed=0, validation=None):
    """Trains `build_wave_cnn` on Clips, altered anew in each epoch. Returns (model, history).

    validation: see `toolkit.training.train`.
    """
    tf.keras.utils.set_random_seed(seed)
    model = compile_network(build_wave_cnn(), len(clips.y), epochs, learning_rate)
    settings = {"seed": seed, "batch_size": BATCH_SIZE, "augment": altered_waveform}
    settings |= {"epochs": epochs, "name": "wave CNN", "validation": validation}
    return model, train(model, clips.waves, clips.y, **settings)


def train_lstm(clips, epochs, learning_rate, seed=0, validation=None):
    """Trains `build_lstm` on Clips; as `train_wave_cnn`."""
    tf.keras.utils.set_random_seed(seed)
    model = compile_network(build_lstm(), len(clips.y), epochs, learning_rate)
    settings = {"seed": seed, "batch_size": BATCH_SIZE, "augment": altered_mfcc}
    settings |= {"epochs": epochs, "name": "LSTM", "validation": validation}
    return model, train(model, clips.waves, clips.y, **settings)


def for_litert(model, unroll=False):
    """A trained `build_lstm` for the converter: a fixed batch of one clip, fused or unrolled."""
    fixed = build_lstm(batch=1, unroll=unroll)
    fixed.set_weights(model.get_weights())
    return fixed


def distil(model, x, teacher_logits, epochs, name, seed=0, learning_rate=1e-2, code=None, price=0):
    """Trains `model` to give `teacher_logits` (n, 9) for inputs x (n, ...). Returns the history.

    code: a PairCode; each bit of it costs `price` in the loss.
    """
    compile_network(model, len(x), epochs, learning_rate)
    taught = distillation_loss(2.0)

    def loss(teacher_logits, logits):
        loss = taught(teacher_logits, logits)
        return loss + price * code.cost() if code else loss

    model.compile(model.optimizer, loss)
    settings = {"epochs": epochs, "name": name, "batch_size": BATCH_SIZE, "seed": seed}
    return train(model, x, teacher_logits, callbacks=[code] if code else [], **settings)


def race_network(x, teacher_logits, recipe, seed=0):
    """Distils the network of the race, in float and then on the grid.

    x: MFCC (n, 81, 1, 12). The loss on the grid is that of distillation, an L1 penalty on the
    weights, in steps, and the `pair_penalty` for each bit of a code for their pairs, from the
    share `coded_from` of the updates on. Returns (grid network, the two histories).
    """
    tf.keras.utils.set_random_seed(seed)
    start = build_frames_cnn(**recipe["network"])
    history = distil(start, x, teacher_logits, recipe["epochs"], "race, float", seed)
    model = grid_network(start, recipe["penalty"], dense_bias=False)
    updates = recipe["grid_epochs"] * (len(x) // BATCH_SIZE)
    grid_history = distil(
        model, x, teacher_logits, recipe["grid_epochs"], "race, on the grid", seed,
        recipe["grid_learning_rate"], PairCode(model, int(recipe["coded_from"] * updates)),
        recipe["pair_penalty"],
    )  # fmt: skip
    return model, [history, grid_history]
