"""Students: fewer and narrower blocks, distilled from the baseline, with few-valued weights."""

import gc

import numpy as np

from photos.data import resize
from photos.networks import (
    build_backbone,
    efficientnet_blocks,
    keep_strongest,
    set_weights,
)
from photos.pruning import rounding
from photos.recipes import DISTILLED, KEPT_BLOCKS
from photos.scoring import network_input
from photos.surgery import operate
from photos.training import distillation, normalized, with_classes
from toolkit.compression import clone, fine_tune
from toolkit.grid import round_through
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf


def build_student(recipe, weights, photos):
    """A network of KEPT_BLOCKS, as wide as a recipe says, with two scores from a linear probe.

    weights: as of `kept_blocks`; changed. recipe: `side` in pixels; `stem`, channels of the first
    convolution; `widths`, pairs of a block's number and its expanded channels, of which the
    strongest stay; all of them in the other blocks. photos: Photos, what the probe is fitted to.
    """
    blocks, widths, own = efficientnet_blocks(), dict(recipe["widths"]), []
    if recipe["stem"] < 32:
        keep_strongest(weights, "stem", "block1_depthwise", "block1_project", recipe["stem"])
    for new, number in enumerate(KEPT_BLOCKS, 1):
        block = blocks[number - 1]
        if number in widths:
            first, middle, last = (f"block{new}_{p}" for p in ("expand", "depthwise", "project"))
            keep_strongest(weights, first, middle, last, widths[number])
            block = block._replace(expanded=widths[number])
        own.append(block)
    network = build_backbone(recipe["side"], own, recipe["stem"])
    set_weights(network, weights)
    return with_classes(network, photos)


def weights_of(model):
    """The weights of a network by the names of its layers, for `build_student`."""
    return {layer.name: layer.get_weights() for layer in model.layers if layer.get_weights()}


class OnLevels(tf.keras.layers.Layer):
    """Of a convolution: its weights are whole multiples of `step` in the forward pass.

    penalty: what each step that a weight is away from zero adds to the loss.
    """

    def __init__(self, *, step, penalty, **settings):
        super().__init__(**settings)
        self.step, self.penalty = step, penalty

    def get_config(self):
        return super().get_config() | {"step": self.step, "penalty": self.penalty}

    def build(self, shape):
        super().build(shape)
        self.add_loss(lambda: self.penalty * tf.reduce_sum(tf.abs(self.steps())))

    def steps(self):
        return self.trainable_weights[0] / self.step

    def levels(self):
        return round_through(self.steps()) * self.step


class LevelConv2D(OnLevels, tf.keras.layers.Conv2D):
    def call(self, inputs):
        return self.convolution_op(inputs, self.levels()) + self.bias


class LevelDepthwiseConv2D(OnLevels, tf.keras.layers.DepthwiseConv2D):
    def call(self, inputs):
        strides, padding = (1, *self.strides, 1), self.padding.upper()
        return tf.nn.depthwise_conv2d(inputs, self.levels(), strides, padding) + self.bias


ON_LEVELS = {
    tf.keras.layers.Conv2D: LevelConv2D,
    tf.keras.layers.DepthwiseConv2D: LevelDepthwiseConv2D,
}


def step_of(kernel):
    """The largest step of which all weights of a kernel that is not empty are whole multiples.

    1.0 where all are zero.
    """
    sizes = np.unique(np.append(np.abs(kernel), 0))
    if len(sizes) == 1:
        return 1.0
    gap = np.diff(sizes).min()
    return float(sizes[1] / np.round(sizes[1] / gap))


def with_levels(model, penalty):
    """A copy of a network whose convolutions keep their weights on the levels that they are on.

    model: as `operate` rounds it: in each layer whole multiples of one step. penalty: see
    `OnLevels`; the larger it is, the more weights are zero.
    """

    def copy_layer(layer):
        settings, kind = layer.get_config(), ON_LEVELS.get(type(layer))
        if not kind:
            return type(layer).from_config(settings)
        step = step_of(layer.get_weights()[0])
        return kind.from_config(settings | {"step": step, "penalty": penalty})

    copy = tf.keras.models.clone_model(model, clone_function=copy_layer)
    copy.set_weights(model.get_weights())
    return copy


def for_side(model, side):
    """A copy of a network for photos of another side: convolutions take any."""
    copy = tf.keras.models.clone_model(model, input_tensors=tf.keras.Input((side, side, 3)))
    copy.set_weights(model.get_weights())
    return copy


def randomly_mirrored(images, seed):
    """A batch of photos uint8, each mirrored or not, as every network here takes them."""
    return normalized(tf.image.stateless_random_flip_left_right(images, seed))


def distil_photos(model, bank, training, name, seed=0):
    """Trains a network on `altered_copies` by distillation, in place.

    bank: what `altered_copies` returns. training: settings of `fine_tune`, and `sides`, pairs of a
    side and so many epochs with photos of that side, from the smallest up (Tan and Le, 2021).
    """
    pixels, scores, labels = bank
    targets = np.column_stack([scores, labels])
    settings = {key: value for key, value in training.items() if key != "sides"}
    for side, epochs in training["sides"]:
        trained = for_side(model, side)
        fine_tune(
            trained, resize(pixels, side), targets, loss=distillation(**DISTILLED),
            name=f"{name}, {side} pixels", seed=seed, augment=randomly_mirrored, epochs=epochs,
            **settings,
        )  # fmt: skip
        gc.collect()  # the graphs of the epochs hold the photos, in cycles
        model.set_weights(trained.get_weights())


def round_student(model, pixels, bank, recipe, name, seed=0):
    """Rounds a student to levels, and trains it on among them. Returns both as networks.

    pixels: uint8 (n, side, side, 3), what the surgeon fits to. recipe: `noise`, see `rounding`;
    `penalty`, see `with_levels`; `levels`, the `training` of `distil_photos`. The gradient passes
    through the rounding as if there were none (Bengio et al., 2013).
    """
    inputs = network_input(resize(pixels, recipe["side"]))
    rounded = operate(model, inputs, rounding(model, recipe["noise"]))
    trained, copy = with_levels(rounded, recipe["penalty"]), clone(rounded)
    distil_photos(trained, bank, recipe["levels"], f"{name}, levels", seed)
    copy.set_weights(trained.get_weights())
    for layer in trained.layers:
        if isinstance(layer, OnLevels):
            copy.get_layer(layer.name).set_weights([layer.levels().numpy(), layer.bias.numpy()])
    return rounded, copy
