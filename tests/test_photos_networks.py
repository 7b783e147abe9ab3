"""EfficientNet-Lite0: its shape, its ImageNet answers, and parts of it."""

import numpy as np
import pytest

from photos.networks import (
    build_backbone,
    efficientnet_blocks,
    folded_weights,
    keep_strongest,
    kept_blocks,
    set_weights,
)
from photos.training import predict_keras
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf

BLOCKS = efficientnet_blocks()


@pytest.fixture(scope="module")
def imagenet():
    return folded_weights()


def test_the_network_has_the_sixteen_blocks_and_the_weights_of_efficientnet_lite0(imagenet):
    model = build_backbone(224, BLOCKS, head=1280)
    assert len(BLOCKS) == 16 and sum(block.adds for block in BLOCKS) == 9
    assert model.output_shape == (None, 7, 7, 1280)
    # a bias is what remains of the two parameters of batch normalization
    channels = sum(layer.get_weights()[1].size for layer in model.layers if layer.weights)
    classes = sum(array.size for array in imagenet["classes"])
    assert model.count_params() + channels + classes == 4_652_008


def test_dogs_and_cats_are_what_imagenet_calls_them(real_photos, imagenet):
    model = build_backbone(224, BLOCKS, head=1280)
    set_weights(model, imagenet)
    average = tf.keras.layers.GlobalAveragePooling2D()(model.output)
    pooled = tf.keras.Model(model.input, average)
    some = real_photos.testing.pixels[::25]
    kernel, bias = imagenet["classes"]
    first = (predict_keras(pooled, some) @ kernel + bias).argmax(axis=1)
    dog = real_photos.testing.y[::25] == 1
    assert dog.sum() == 20
    # of all the test photos 96.2 % of the dogs, 77.4 % of the cats
    assert np.mean((first >= 151) & (first <= 268), where=dog) >= 0.9
    assert np.mean((first >= 281) & (first <= 285), where=~dog) >= 0.6


def test_a_block_left_out_leaves_its_neighbours_as_they_were(imagenet):
    kept = kept_blocks(imagenet, (1, 2, 4))
    assert kept["block3_expand"] is imagenet["block4_expand"]
    assert kept["stem"] is imagenet["stem"] and "block4_expand" not in kept
    model = build_backbone(64, [BLOCKS[number - 1] for number in (1, 2, 4)])
    set_weights(model, kept)
    assert np.array_equal(
        model.get_layer("block3_project").get_weights()[0], imagenet["block4_project"][0]
    )


def test_the_channels_that_are_read_most_strongly_stay_in_their_order():
    weights = {
        "first": [np.arange(8.0).reshape(1, 1, 2, 4), np.arange(4.0)],
        "middle": [np.arange(36.0).reshape(3, 3, 4, 1), np.arange(4.0)],
        "last": [np.array([3.0, 0.1, -5.0, 1.0]).reshape(1, 1, 4, 1), np.zeros(1)],
    }
    keep_strongest(weights, "first", "middle", "last", 2)
    assert weights["first"][1].tolist() == weights["middle"][1].tolist() == [0, 2]
    assert weights["first"][0].shape == (1, 1, 2, 2)
    assert weights["middle"][0].shape == (3, 3, 2, 1)
    assert np.ravel(weights["last"][0]).tolist() == [3, -5]
