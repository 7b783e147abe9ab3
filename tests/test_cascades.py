"""The steps of the study of cascades."""

import numpy as np
import pytest
import tensorflow as tf

from signmnist.baseline import build_dense_cnn
from signmnist.cascades import Lessons, cluster, gradual, prune, without_dead_units
from toolkit.compression import fold_norms, kernels
from toolkit.training import predict


@pytest.fixture
def network():
    tf.keras.utils.set_random_seed(0)
    return fold_norms(build_dense_cnn(widths=(2, 2, 4), dense=6))


@pytest.fixture
def images():
    return np.random.default_rng(0).random((256, 28, 28, 1), np.float32)


@pytest.fixture
def lessons(images):
    """Two copies of 128 images, each of which is to be read as one letter and the same."""
    scores = np.tile(10 * np.eye(24, dtype=np.float32)[3], (256, 1))
    return Lessons(images, scores, {"copies": 2, "temperature": 2.0}, 0)


def test_units_without_inputs_or_outputs_go_and_the_scores_stay(network, images):
    kernel, _ = network.get_layer("dense").get_weights()
    onward, offset = network.get_layer("letters").get_weights()
    kernel[:, [0, 4]], onward[2] = 0, 0
    network.get_layer("dense").set_weights([kernel, np.linspace(-1, 1, 6)])
    network.get_layer("letters").set_weights([onward, offset])
    smaller = without_dead_units(network)
    assert smaller.get_layer("dense").units == 3
    np.testing.assert_allclose(predict(smaller, images), predict(network, images), atol=1e-5)


def test_a_training_sees_the_first_copies_once(lessons, network):
    assert (lessons.count(1), lessons.count(2), lessons.count(9)) == (128, 256, 256)
    history = lessons.by(2, 1e-2)(network)
    assert len(history["loss"]) == 1
    assert network.optimizer.iterations.numpy() == 2


def test_the_sparsity_rises_in_the_first_60_percent_of_a_training():
    schedule = gradual(0.5, 0.8, 128 * 100)
    at = [float(schedule(tf.constant(step, tf.int64))[1]) for step in (0, 30, 60, 99)]
    assert at[0] == 0.5 and 0.5 < at[1] < 0.8 and at[2:] == pytest.approx([0.8, 0.8])


def test_blocks_of_inputs_go_as_one(lessons, network):
    schedule = gradual(0.75, 0.75, 256)
    pruned, history = prune(network, {"dense": schedule}, lessons.by(2, 1e-3), {"dense": (4, 1)})
    blocks = kernels(pruned)["dense"].reshape(-1, 4, 6) != 0
    assert (blocks.all(axis=1) == blocks.any(axis=1)).all()
    assert blocks.mean() == pytest.approx(0.25, abs=0.01)
    assert history["loss"] and (kernels(pruned)["letters"] != 0).all()


def test_clustering_keeps_zeros_where_it_is_asked_to(lessons, network):
    layer = network.get_layer("dense")
    kernel, bias = layer.get_weights()
    gone = np.abs(kernel) < np.median(np.abs(kernel))
    layer.set_weights([np.where(gone, 0, kernel), bias])
    few, _ = cluster(network, lessons.by(1, 1e-3), clusters=8, keep_zeros=True)
    assert all(len(np.unique(kernel)) <= 8 for kernel in kernels(few).values())
    assert (kernels(few)["dense"][gone] == 0).all()
