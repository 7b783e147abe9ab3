"""Transfer: the first layers of a CNN on the waveform are given, the last trained anew."""

import numpy as np

from speech.networks import BATCH_SIZE, altered_waveform, build_wave_cnn
from speech.recipes import PRECISIONS
from toolkit.half import train_half
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf


def split_network(model, first):
    """A chain of layers cut before the one named `first`: two Keras models of the same layers."""
    names = [layer.name for layer in model.layers]
    cut = model.get_layer(first).input
    x = inputs = tf.keras.Input(cut.shape[1:])
    for layer in model.layers[names.index(first) :]:
        x = layer(x)
    return tf.keras.Model(model.input, cut), tf.keras.Model(inputs, x)


def some_clips(clips, share, seed):
    """The rows of a share of Clips, drawn at random, one batch at least: int64 (m,)."""
    count = max(BATCH_SIZE, int(share * len(clips.y)))
    return np.random.default_rng(seed).permutation(len(clips.y))[:count]


def in_copies(front, waves, copies):
    """What the layers `front` give for `copies` alterations of each clip, int16 (n, 8000).

    A tensor, float16 (copies, n, ...).
    """
    parts = np.split(waves, range(500, len(waves), 500))

    def given(copy):
        altered = (altered_waveform(p, tf.constant([copy, i])) for i, p in enumerate(parts))
        return tf.concat([tf.cast(front(waves), tf.float16) for waves in altered], 0)

    return tf.stack([given(copy) for copy in range(copies)])


def train_last_layers(given, y, recipe, seed, watch=None):
    """Trains the last layers from a random start. Returns a Keras model and its losses.

    given: what the first layers give, float16 (copies, n, ...). y: (n,) words. recipe: TRANSFER.
    watch: see `train_half`.
    """
    tf.keras.utils.set_random_seed(seed)
    last = split_network(build_wave_cnn(), recipe["trained"])[1]
    x, words = tf.reshape(given, [-1, *given.shape[2:]]), np.tile(y, len(given))
    how = recipe["updates"], recipe["learning_rate"], PRECISIONS[recipe["precision"]]
    trained, _, losses = train_half(last, x, words, *how, seed, watch=watch)
    return trained, losses
