"""EfficientNet-Lite0 as stock Keras layers, whole or cut short, and its ImageNet weights."""

from typing import NamedTuple

import numpy as np

from photos.weights import imagenet_weights
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf

EPSILON = 1e-3  # of the batch normalizations


class Block(NamedTuple):
    """An inverted residual block: 1x1 to `expanded` channels, depthwise, 1x1 to `filters`.

    expanded: None where the block has no first 1x1 convolution. adds: whether its input is added
    to its output.
    """

    kernel: int
    stride: int
    expanded: int | None
    filters: int
    adds: bool


# Repeats, kernel, stride, filters of each stage (Tan and Le, 2019; the Lite variant drops
# squeeze-and-excitation and swish, and leaves the stem and the head at their width)
STAGES = (
    (1, 3, 1, 16),
    (2, 3, 2, 24),
    (2, 5, 2, 40),
    (3, 3, 2, 80),
    (3, 5, 1, 112),
    (4, 5, 2, 192),
    (1, 3, 1, 320),
)


def efficientnet_blocks():
    """The 16 Blocks of EfficientNet-Lite0."""
    blocks, before = [Block(3, 1, None, 16, False)], 16
    for repeats, kernel, stride, filters in STAGES[1:]:
        for repeat in range(repeats):
            adds = repeat > 0
            blocks.append(Block(kernel, 1 if adds else stride, 6 * before, filters, adds))
            before = filters
    return blocks


def build_backbone(side, blocks, stem=32, head=None):
    """A network of inverted residual blocks on square RGB photos, without a classifier.

    Input: (pixels - 127) / 128, float32 (n, side, side, 3). Output: the last feature map,
    float32 (n, h, w, channels). Each convolution has a bias in place of the batch normalization
    that it was trained with. stem: filters of the first convolution. head: filters of a last 1x1
    convolution, or None. The layers' names are "stem", "block3_expand" and so on, counted from 1.
    """
    layers = tf.keras.layers
    inputs = layers.Input((side, side, 3), name="photo")
    x = layers.Conv2D(stem, 3, 2, padding="same", name="stem")(inputs)
    x = layers.ReLU(6.0, name="stem_relu")(x)
    for number, block in enumerate(blocks, 1):
        name, before = f"block{number}", x
        if block.expanded:
            x = layers.Conv2D(block.expanded, 1, name=f"{name}_expand")(x)
            x = layers.ReLU(6.0, name=f"{name}_expand_relu")(x)
        x = layers.DepthwiseConv2D(
            block.kernel, block.stride, padding="same", name=f"{name}_depthwise"
        )(x)
        x = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(x)
        x = layers.Conv2D(block.filters, 1, name=f"{name}_project")(x)
        if block.adds:
            x = layers.Add(name=f"{name}_add")([before, x])
    if head:
        x = layers.Conv2D(head, 1, name="head")(x)
        x = layers.ReLU(6.0, name="head_relu")(x)
    return tf.keras.Model(inputs, x)


def build_baseline(side):
    """EfficientNet-Lite0 for square RGB photos with two scores, "cat" and "dog".

    Layer "both" gives the averages and the maxima of its features, float32 (n, 2560); "animals",
    the scores.
    """
    layers = tf.keras.layers
    backbone = build_backbone(side, efficientnet_blocks(), head=1280)
    average = layers.GlobalAveragePooling2D(name="average")(backbone.output)
    largest = layers.GlobalMaxPooling2D(name="max")(backbone.output)
    both = layers.Concatenate(name="both")([average, largest])
    return tf.keras.Model(backbone.input, layers.Dense(2, name="animals")(both), name="baseline")


def folded_weights():
    """The ImageNet weights of EfficientNet-Lite0, batch normalization folded into them.

    Returns a dict from a layer's name in `build_backbone` to [kernel, bias], and "classes" to those
    of the dense layer that gives the 1,000 ImageNet scores from the averages of the head. A
    convolution with kernel w, then gamma (x - mean) / sqrt(variance + epsilon) + beta, is one with
    the kernel w gamma / sqrt(variance + epsilon) and a bias. Raises DataError (`imagenet_weights`).
    """
    stored = imagenet_weights()

    def fold(convolution, norm):
        kernel = stored[f"{convolution}.weight"].transpose(2, 3, 1, 0)
        gain = stored[f"{norm}.weight"] / np.sqrt(stored[f"{norm}.running_var"] + EPSILON)
        kernel = kernel * gain
        if "depthwise" in convolution:  # (height, width, channels, 1)
            kernel = kernel.transpose(0, 1, 3, 2)
        return [kernel, stored[f"{norm}.bias"] - stored[f"{norm}.running_mean"] * gain]

    weights = {"stem": fold("_conv_stem", "_bn0"), "head": fold("_conv_head", "_bn1")}
    for index in range(len(efficientnet_blocks())):
        block, name = f"_blocks.{index}", f"block{index + 1}"
        if index:
            weights[f"{name}_expand"] = fold(f"{block}._expand_conv", f"{block}._bn0")
        weights[f"{name}_depthwise"] = fold(f"{block}._depthwise_conv", f"{block}._bn1")
        weights[f"{name}_project"] = fold(f"{block}._project_conv", f"{block}._bn2")
    weights["classes"] = [stored["_fc.weight"].T, stored["_fc.bias"]]
    return weights


def set_weights(model, weights):
    """Gives the layers of a Keras model the weights that a dict holds under their names."""
    for layer in model.layers:
        if layer.name in weights:
            layer.set_weights(weights[layer.name])


def kept_blocks(weights, numbers):
    """The weights of the blocks with these numbers, counted from 1 anew, and of the stem.

    weights: as of `folded_weights`. A block that adds its input to its output can be left out and
    what follows still fits.
    """
    kept = {"stem": weights["stem"]}
    for new, number in enumerate(numbers, 1):
        for part in ("expand", "depthwise", "project"):
            if f"block{number}_{part}" in weights:
                kept[f"block{new}_{part}"] = weights[f"block{number}_{part}"]
    return kept


def keep_strongest(weights, first, depthwise, last, channels):
    """Keeps the strongest channels between two layers, in place in `weights`.

    first, depthwise, last: names of the layer that gives the channels, of the depthwise
    convolution that they pass and of the layer that reads them. Strong is a channel by the norm
    of the weights that read it (Li et al., 2017).
    """
    norms = np.linalg.norm(weights[last][0].reshape(-1, weights[last][0].shape[-1]), axis=1)
    strong = np.sort(np.argsort(-norms, kind="stable")[:channels])
    weights[first] = [weights[first][0][..., strong], weights[first][1][strong]]
    weights[depthwise] = [weights[depthwise][0][:, :, strong], weights[depthwise][1][strong]]
    weights[last] = [weights[last][0][:, :, strong], weights[last][1]]
