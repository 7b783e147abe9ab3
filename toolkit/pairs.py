"""A penalty on the bits of a code for pairs of weights: two weights of 4 bits are a byte."""

import numpy as np

from toolkit.grid import GRID
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf

VALUES = 2 * GRID + 1
INDEPENDENT = 0.1  # share of a pair's probability that is the product of its values'


def in_pairs(kernel):
    """A kernel as a file stores it, two weights a byte: (n, 2), the last maybe beside a zero.

    kernel: a tensor in steps, (height, width, inputs, outputs) or (inputs, outputs).
    """
    order = [kernel.shape.rank - 1, *range(kernel.shape.rank - 1)]
    flat = tf.reshape(tf.transpose(kernel, order), [-1])
    return tf.reshape(tf.pad(flat, [[0, flat.shape[0] % 2]]), [-1, 2])


def pair_bits(kernels):
    """Bits that a byte takes for each pair of values in all kernels: float32 (15, 15).

    The ideal length of a code, -log2 of the share (Shannon, 1948). For pairs that do not occur a
    part of the share comes from that of their values alone.
    """
    values = np.concatenate([in_pairs(kernel).numpy() for kernel in kernels])
    values = np.clip(np.round(values), -GRID, GRID).astype(int) + GRID
    counts = np.zeros((VALUES, VALUES))
    np.add.at(counts, tuple(values.T), 1)
    single = np.bincount(values.ravel(), minlength=VALUES) + 0.5
    single /= single.sum()
    share = (1 - INDEPENDENT) * counts / counts.sum() + INDEPENDENT * np.outer(single, single)
    return -np.log2(share).astype(np.float32)


def pair_cost(kernel, bits):
    """Bits of a kernel's pairs, twice: each weight, on its way between two whole numbers, counts.

    Between whole numbers the cost is interpolated, so that it has a gradient; the other weight of
    the pair stands as it is rounded. bits: see `pair_bits`.
    """
    weights = tf.clip_by_value(in_pairs(kernel), -GRID, GRID)
    below = tf.minimum(tf.floor(weights), GRID - 1)
    share = weights - tf.stop_gradient(below)
    row, other = tf.cast(below, tf.int32) + GRID, tf.cast(tf.round(weights), tf.int32) + GRID
    total = 0.0
    for mine, table in ((0, bits), (1, tf.transpose(bits))):
        low = tf.gather_nd(table, tf.stack([row[:, mine], other[:, 1 - mine]], 1))
        high = tf.gather_nd(table, tf.stack([row[:, mine] + 1, other[:, 1 - mine]], 1))
        total += tf.reduce_sum(low + share[:, mine] * (high - low))
    return total


class PairCode(tf.keras.callbacks.Callback):
    """Keeps `bits`, the table of `pair_bits`, up to date from a step of the training on.

    Before that step all pairs are free. network: a `grid_network`, whose kernels are in steps.
    """

    def __init__(self, network, begin):
        super().__init__()
        self.kernels = [layer.kernel for layer in network.layers if hasattr(layer, "kernel")]
        self.begin = begin
        self.bits = tf.Variable(tf.zeros((VALUES, VALUES)), trainable=False)

    def on_train_batch_begin(self, batch, logs=None):
        step = int(self.model.optimizer.iterations)
        if step >= self.begin and step % 20 == 0:
            self.bits.assign(pair_bits(self.kernels))

    def cost(self):
        """The bits of all pairs, see `pair_cost`: a term for the loss."""
        return sum(pair_cost(kernel, self.bits) for kernel in self.kernels)
