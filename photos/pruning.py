"""The baseline, and how its upper blocks are pruned on what the lower ones give."""

import numpy as np

from photos.networks import build_baseline, folded_weights, set_weights
from photos.surgery import Surgery, apply, operate
from photos.training import linear_probe, predict_keras
from toolkit.compression import clone
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf


def fitted_baseline(side, photos):
    """The baseline with its ImageNet weights and a linear probe of Photos as its last layer."""
    model = build_baseline(side)
    set_weights(model, folded_weights())
    both = tf.keras.Model(model.input, model.get_layer("both").output)
    probe = linear_probe(predict_keras(both, photos.pixels), photos.y)
    model.get_layer("animals").set_weights(probe)
    return model


def split(model, layer):
    """A network as two: up to the output of the layer of this name, and a copy of the rest."""
    middle = model.get_layer(layer).output
    return tf.keras.Model(model.input, middle), clone(tf.keras.Model(middle, model.output))


def joined(model, upper):
    """A copy of the baseline whose upper layers are those of a network of `split`."""
    copy = clone(model)
    for layer in upper.layers[1:]:
        copy.get_layer(layer.name).set_weights(layer.get_weights())
    return copy


def drawn(photos, count, seed):
    """So many of the Photos, at random."""
    rows = np.random.default_rng(seed).permutation(len(photos.y))[:count]
    return type(photos)(*(part[rows] for part in photos))


def is_pointwise(layer):
    """Whether a layer is a 1x1 convolution."""
    return layer.name.endswith(("expand", "project")) or layer.name == "head"


def prune_by_cost(model, inputs, cost, share):
    """A copy of a network with a share of zeros in its 1x1 convolutions, by the surgeon.

    inputs: as of `operate`. cost: of those layers, as `costs` finds it. Each loses as many weights
    as it has among those that cost least in all; which ones, is decided while others make up for
    them.
    """
    limit = np.quantile(np.concatenate([np.ravel(some) for some in cost.values()]), share)
    shares = {name: np.mean(some < limit) for name, some in cost.items()}
    return operate(model, inputs, lambda layer: Surgery(shares.get(layer.name, 0.0)))


def all_weights(model):
    """The numbers in all kernels of a network, float32 (n,)."""
    with_kernels = [layer for layer in model.layers if layer.get_weights()]
    return np.concatenate([np.ravel(layer.get_weights()[0]) for layer in with_kernels])


def rounding(model, noise, zeros_stay=False):
    """A plan for `operate`: noise shared out among the layers by their numbers of weights.

    A layer with few weights is thus rounded finely, as that costs few bytes.
    """
    total = all_weights(model).size

    def plan(layer):
        return Surgery(0, noise * layer.get_weights()[0].size / total, zeros_stay)

    return plan


def probe_anew(model, features, y):
    """Puts a linear probe of what an upper part makes of features in place of its scores."""
    both = tf.keras.Model(model.input, model.get_layer("both").output)
    model.get_layer("animals").set_weights(linear_probe(apply(both, [features]), y))


def share_read(model, features, y):
    """The share of photos, given as the features of a lower part, that an upper part reads."""
    return float(np.mean(apply(model, [features]).argmax(axis=1) == y))
