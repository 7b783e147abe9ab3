"""The penalty on pairs of weights: what it costs, where it pushes, in the order of the file."""

import numpy as np
import pytest

from toolkit.grid import GRID, GridConv2D
from toolkit.pairs import PairCode, in_pairs, pair_bits, pair_cost
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf


def test_pairs_are_the_neighbours_of_a_file_output_by_output():
    kernel = tf.reshape(tf.range(2.0 * 3 * 2 * 2), (2, 3, 2, 2))  # height, width, inputs, outputs
    np.testing.assert_array_equal(in_pairs(kernel)[:3], [[0, 2], [4, 6], [8, 10]])
    np.testing.assert_array_equal(in_pairs(kernel)[6:8], [[1, 3], [5, 7]])
    np.testing.assert_array_equal(in_pairs(tf.ones((3, 1))), [[1, 1], [1, 0]])


def test_a_frequent_pair_takes_fewer_bits_and_all_shares_add_up_to_one():
    bits = pair_bits([tf.constant([[0.0, 0, 0, 3]] * 8 + [[0.0, 0, 1, 0]] * 8)])
    assert bits.shape == (2 * GRID + 1, 2 * GRID + 1)
    assert np.sum(2.0**-bits) == pytest.approx(1, abs=1e-3)
    zero = GRID
    assert bits[zero, zero] < bits[zero, zero + 3] < bits[zero - 5, zero + 5]


def test_at_whole_numbers_the_cost_is_the_length_of_the_code_for_either_weight():
    kernel = tf.constant(np.random.default_rng(0).integers(-3, 4, (3, 3, 4, 6)), tf.float32)
    bits = pair_bits([kernel])
    first, second = in_pairs(kernel).numpy().astype(int).T + GRID
    assert float(pair_cost(kernel, bits)) == pytest.approx(2 * bits[first, second].sum(), rel=1e-5)


def test_a_weight_is_drawn_to_the_cheaper_of_its_neighbours():
    bits = np.full((15, 15), 9, np.float32)
    bits[GRID] = 1  # a pair that begins with zero is cheap
    kernel = tf.Variable([[0.4], [5.0]])
    with tf.GradientTape() as tape:
        cost = pair_cost(kernel, bits)
    gradient = tape.gradient(cost, kernel).numpy().ravel()
    assert gradient[0] == 8 and gradient[1] == 0  # down to zero; beside it all are equally dear


def test_pairs_are_free_until_the_code_begins():
    inputs = tf.keras.Input((5, 5, 1))
    model = tf.keras.Model(inputs, GridConv2D(2, 3)(inputs))
    model.compile("sgd", "mse")
    for begin, free in ((10, True), (0, False)):
        code = PairCode(model, begin)
        model.fit(np.zeros((4, 5, 5, 1)), np.zeros((4, 3, 3, 2)), 2, verbose=0, callbacks=[code])
        assert bool(np.all(code.bits.numpy() == 0)) == free
        model.optimizer.iterations.assign(0)
