"""The baseline, and how its upper blocks are pruned on what the lower ones give."""

import numpy as np

from photos.networks import build_baseline, folded_weights, set_weights
from photos.surgery import Surgery, flattened, layer_by_layer, operate, sums
from photos.training import linear_probe, predict_keras
from toolkit.compression import clone
from toolkit.runtime import use_keras_2
from toolkit.surgeon import damp

use_keras_2()
import tensorflow as tf


def fitted_baseline(side, photos):
    """The baseline with its ImageNet weights and a linear probe of Photos as its last layer."""
    model = build_baseline(side)
    set_weights(model, folded_weights())
    probe_anew(model, photos)
    return model


def probe_anew(model, photos):
    """Puts a linear probe of Photos in place of the scores of the baseline, or its upper part's."""
    both = tf.keras.Model(model.input, model.get_layer("both").output)
    probe = linear_probe(predict_keras(both, photos.pixels), photos.y)
    model.get_layer("animals").set_weights(probe)


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
    return photos.some(np.random.default_rng(seed).permutation(len(photos.y))[:count])


def is_pointwise(layer):
    """Whether a layer is a 1x1 convolution."""
    return layer.name.endswith(("expand", "project")) or layer.name == "head"


def costs(model, inputs):
    """What cutting each weight of the 1x1 convolutions costs: a layer's name -> float64.

    inputs: as of `operate`. The shapes are those of `flattened` kernels. Of a weight alone, made up
    for by the others, as a share of the variance of all the outputs of its layer (Optimal Brain
    Surgeon's saliency).
    """
    found = {}

    def note(layer, x, target):
        if is_pointwise(layer):
            kernel, moments = flattened(layer), sums(layer, x, target)[0]
            variance = np.sum(kernel * (moments @ kernel))
            damp(moments)
            pivots = np.einsum("gii->gi", np.linalg.inv(moments))
            found[layer.name] = kernel**2 / pivots[..., None] / variance

    layer_by_layer(model, inputs, note)
    return found


def prune_by_cost(model, inputs, cost, share):
    """A copy of a network with a share of zeros in its 1x1 convolutions, by the surgeon.

    inputs: as of `operate`. cost: as `costs` finds it. Each layer loses as many weights as it has
    among those that cost least in all; which ones, is decided while others make up for them.
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
