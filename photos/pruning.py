"""The baseline, and how its upper blocks are pruned and trained on what the lower ones give."""

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from photos.networks import build_baseline, folded_weights, set_weights
from photos.surgery import Surgery, apply, costs, operate
from photos.training import altered, linear_probe, predict_keras, with_fixed_kernels
from toolkit.compression import clone, fine_tune
from toolkit.runtime import use_keras_2
from toolkit.training import distillation_loss

use_keras_2()
import tensorflow as tf


def fitted_baseline(side, photos):
    """The baseline with its ImageNet weights and a linear probe of Photos as its last layer."""
    model = build_baseline(side)
    set_weights(model, folded_weights())
    features = predict_keras(
        tf.keras.Model(model.input, model.get_layer("both").output), photos.pixels
    )
    model.get_layer("animals").set_weights(linear_probe(features, photos.y))
    return model


def split(model, layer):
    """A network as two: up to the output of the layer of this name, and a copy of the rest."""
    middle = model.get_layer(layer).output
    return tf.keras.Model(model.input, middle), clone(tf.keras.Model(middle, model.output))


def joined(model, upper):
    """A copy of the baseline whose upper layers are those of a network of `split`."""
    copy = clone(model)
    for layer in upper.layers:
        copy.get_layer(layer.name).set_weights(layer.get_weights())
    return copy


def drawn(photos, count, seed):
    """So many of the Photos, at random."""
    rows = np.random.default_rng(seed).permutation(len(photos.y))[:count]
    return type(photos)(*(part[rows] for part in photos))


def is_pointwise(layer):
    """Whether a layer is a 1x1 convolution."""
    return layer.name.endswith(("expand", "project")) or layer.name == "head"


def pruned(model, inputs, share):
    """A copy of a network with a share of zeros in its 1x1 convolutions, by the surgeon.

    inputs: as of `operate`. Each layer loses as many weights as it has among those that cost least
    in the whole network; which ones, is decided while others make up for them.
    """
    cost = costs(model, inputs, [la.name for la in model.layers if is_pointwise(la)])
    limit = np.quantile(np.concatenate([np.ravel(some) for some in cost.values()]), share)
    shares = {name: np.mean(some < limit) for name, some in cost.items()}
    return operate(model, inputs, lambda layer: Surgery(shares.get(layer.name, 0.0)))


def lessons(photos, copies, seed, lower, upper):
    """Altered copies of photos as `lower` gives them, and what `upper` makes of them.

    photos: Photos. lower, upper: see `split`; `upper` has a layer "both". Returns (features float16
    (copies * n, ...), targets float32 (copies * n, scores and features of "both")).
    """
    model = told(upper)
    features, targets = [], []
    with ThreadPoolExecutor() as pool:
        for copy in range(copies):
            rngs = np.random.default_rng([seed, copy]).spawn(len(photos.y))
            pixels = np.stack(list(pool.map(altered, photos.pixels, rngs)))
            given = predict_keras(lower, pixels)
            targets.append(apply(model, [given]))
            features.append(np.float16(given))
    return np.concatenate(features), np.concatenate(targets)


def told(model):
    """A network with a layer "both" as one that gives its scores and what that layer gives."""
    join = tf.keras.layers.Concatenate(name="told")
    return tf.keras.Model(model.input, join([model.output, model.get_layer("both").output]))


def likeness(targets, temperature, share):
    """The loss of distilling scores and features: those of the teacher, float32 (n, 2 + k).

    The squared error of the features, as a share of their variance, and `distillation_loss` of the
    scores, of which `share` counts.
    """
    variance = targets[:, 2:].var(axis=0) + 1e-3
    scores_loss = distillation_loss(temperature)

    def loss(taught, given):
        off = tf.reduce_mean((taught[:, 2:] - given[:, 2:]) ** 2 / variance, axis=1)
        return off + share * scores_loss(taught[:, :2], given[:, :2])

    return loss


def taught(model, given, recipe, name, seed, fixed):
    """Trains the upper part of the baseline to give what it gave before it was changed, in place.

    given: of `lessons`. recipe: `temperature` and `share` of `likeness`, and `training`, settings
    of `fine_tune`. fixed: what of the convolutions' kernels stays, "kernels" or "zeros".
    """
    features, targets = given
    trained = with_fixed_kernels(model, fixed == "zeros")
    loss = likeness(targets, recipe["temperature"], recipe["share"])
    settings = {"loss": loss, "augment": as_floats, **recipe["training"]}
    fine_tune(told(trained), features, targets, name=name, seed=seed, **settings)
    gc.collect()  # the graphs of the epochs hold the features, in cycles
    model.set_weights(trained.get_weights())


def as_floats(features, _):
    """A batch of the features of `lessons` as the network takes them, for `batches`."""
    return tf.cast(features, tf.float32)


def share_read(model, features, y):
    """The share of photos, given as the features of a lower part, that an upper part reads."""
    return float(np.mean(apply(model, [features]).argmax(axis=1) == y))
