"""The steps of the study of cascades: pruning, clustering, quantization-aware training.

In all of them train_it(model, callbacks) is what trains a Keras model and returns the history.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from signmnist.baseline import BATCH_SIZE, learn
from toolkit.compression import clone
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf
import tensorflow_model_optimization as tfmot

pruning, clustering = tfmot.sparsity.keras, tfmot.clustering.keras


class Lessons(NamedTuple):
    """What all networks of the study learn from, copy after copy: see `lessons`.

    recipe: of the network M, whose `copies` they are.
    """

    images: np.ndarray
    scores: np.ndarray
    recipe: dict
    seed: int

    def count(self, copies):
        """Images in so many copies, at most those that there are."""
        return min(copies, self.recipe["copies"]) * len(self.images) // self.recipe["copies"]

    def by(self, copies, learning_rate, name="trial", epochs=1):
        """What trains a model on so many copies: train_it(model, callbacks)."""
        images, scores = self.images[: self.count(copies)], self.scores[: self.count(copies)]
        recipe = self.recipe | {"epochs": epochs, "learning_rate": learning_rate}
        return lambda model, callbacks=(): learn(
            model, images, scores, recipe, self.seed, name, callbacks
        )


def gradual(initial, final, images):
    """From `initial` to `final` sparsity in the first 60 % of a training on so many images."""
    end = max(1, int(0.6 * (images // BATCH_SIZE)))
    return pruning.PolynomialDecay(initial, final, 0, end, frequency=max(1, end // 20))


def prune(model, schedules, train_it, blocks=()):
    """A copy of a Keras model, pruned while it is trained. Returns (copy, history).

    schedules: a layer's name -> when it loses its weights. blocks: a dense layer's name -> the
    inputs and units of the blocks that go as one.
    """

    def wrap(layer):
        if layer.name not in schedules:
            return layer
        size = tuple(dict(blocks).get(layer.name, (1, 1)))
        schedule = schedules[layer.name]
        return pruning.prune_low_magnitude(layer, pruning_schedule=schedule, block_size=size)

    wrapped = tf.keras.models.clone_model(clone(model), clone_function=wrap)
    history = train_it(wrapped, [pruning.UpdatePruningStep()])
    return pruning.strip_pruning(wrapped), history


def cluster(model, train_it, clusters=16, centroids="LINEAR", keep_zeros=False):
    """A copy of a Keras model with `clusters` values a layer. Returns (copy, history).

    centroids: where these values start, the name of a CentroidInitialization.
    """
    wrapped = clustering.cluster_weights(
        clone(model),
        number_of_clusters=clusters,
        cluster_centroids_init=clustering.CentroidInitialization[centroids],
        preserve_sparsity=keep_zeros,
    )
    history = train_it(wrapped)
    return clustering.strip_clustering(wrapped), history


def quantize_aware(model, train_it, scheme=None):
    """A copy of a Keras model trained under fake quantization, by a scheme of tfmot's if given."""
    annotated = tfmot.quantization.keras.quantize_annotate_model(clone(model))
    logging.disable(logging.WARNING)  # a note for each layer that it has nothing to preserve
    apply = tfmot.quantization.keras.quantize_apply
    aware = apply(annotated, scheme) if scheme else apply(annotated)
    logging.disable(logging.NOTSET)
    train_it(aware)
    return aware


class Steps(NamedTuple):
    """How the steps of a cascade are done: the schedules of `prune`, and what trains in each."""

    schedules: dict
    prune_by: Callable
    cluster_by: Callable
    quantize_by: Callable


def in_orders(p1, clustered, both, steps):
    """The orders of the steps, with wrappers that preserve and without: name -> Keras model.

    p1, clustered, both: the network pruned, clustered, pruned and then clustered with its zeros
    kept. steps: a Steps, for all else.
    """
    combine = tfmot.experimental.combine
    keeping_both = combine.Default8BitClusterPreserveQuantizeScheme(preserve_sparsity=True)
    keeping_zeros = combine.Default8BitPrunePreserveQuantizeScheme()
    return {
        "prune, FIQ": p1,
        "prune, cluster*, FIQ": both,
        "prune, cluster, FIQ": cluster(p1, steps.cluster_by)[0],
        "cluster, prune, FIQ": prune(clustered, steps.schedules, steps.prune_by)[0],
        "prune, cluster*, QAT": quantize_aware(both, steps.quantize_by),
        "prune, cluster*, QAT*": quantize_aware(both, steps.quantize_by, keeping_both),
        "prune, QAT": quantize_aware(p1, steps.quantize_by),
        "prune, QAT*": quantize_aware(p1, steps.quantize_by, keeping_zeros),
    }


def without_dead_units(model):
    """A copy of the network M without units of its wide layer that no image can change.

    They have no inputs left, so that they give the same for each image, which goes into the
    biases of the letters, or no outputs. The scores stay the same but for rounding.
    """
    kernel, bias = model.get_layer("dense").get_weights()
    onward, offset = model.get_layer("letters").get_weights()
    alive = kernel.any(axis=0) & onward.any(axis=1)
    offset = offset + np.maximum(bias[~alive], 0) @ onward[~alive]
    changed = {
        "dense": [kernel[:, alive], bias[alive]],
        "letters": [onward[alive], offset],
    }

    def narrow(layer):
        settings = layer.get_config()
        if layer.name == "dense":
            settings["units"] = int(alive.sum())
        return layer.__class__.from_config(settings)

    copy = tf.keras.models.clone_model(model, clone_function=narrow)
    for layer in copy.layers:
        old = model.get_layer(layer.name).get_weights()
        layer.set_weights(changed.get(layer.name, old))
    return copy


def end_of_line(network, recipe, lessons):
    """M in the fewest bytes: pruned, its wide layer in blocks, and clustered with its zeros kept.

    Returns the network pruned, then clustered, and the seconds of both trainings.
    """
    images = recipe["epochs"] * lessons.count(recipe["copies"])
    schedules = {
        name: gradual(min(recipe["initial"], sparsity), sparsity, images)
        for name, sparsity in recipe["sparsities"].items()
    }
    settings = recipe["copies"], recipe["learning_rate"], "the end: pruned", recipe["epochs"]
    pruned, one = prune(network, schedules, lessons.by(*settings), {"dense": recipe["block"]})
    small, two = cluster(
        without_dead_units(pruned),
        lessons.by(recipe["clustering_copies"], recipe["clustering_rate"], "the end: clustered"),
        recipe["clusters"],
        recipe["centroids"],
        keep_zeros=True,
    )
    return pruned, small, one["seconds"] + two["seconds"]
