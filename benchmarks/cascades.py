"""How the recipes of the study of cascades are tried."""

from pathlib import Path

from benchmarks.held_out import files, taught
from signmnist.baseline import build_dense_cnn
from signmnist.cascades import Lessons, Steps, cluster, end_of_line, gradual, in_orders, prune
from toolkit.compression import fold_norms, kernels, stripped
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf


def lessons_of(recipe, seed, held):
    """The Lessons for a network M, without the held-out photos."""
    images, scores = taught(held, recipe, seed)
    return Lessons(images, scores, recipe, seed)


def train_m(recipe, seed, held):
    """M of the study of cascades, without its dropout. Returns (model, {})."""
    lessons = lessons_of(recipe, seed, held)
    tf.keras.utils.set_random_seed(seed)
    trained, model = build_dense_cnn(dropout=recipe["dropout"]), build_dense_cnn()
    lessons.by(recipe["copies"], recipe["learning_rate"], epochs=recipe["epochs"])(trained)
    model.set_weights(trained.get_weights())
    return fold_norms(model), {}


def first_m(recipe, held):
    """M by a recipe, the one with seed 0; kept."""
    return held.kept(lambda: train_m(recipe, 0, held), recipe)


def cascades_m(recipe, seed, held, folder):
    return {"float": train_m(recipe, seed, held)[0] if seed else first_m(recipe, held)}


def cascades_end(recipe, seed, held, folder):
    model, lessons = first_m(recipe["network"], held), lessons_of(recipe["network"], seed, held)
    few, small, _ = end_of_line(model, recipe, lessons)
    made = files(small, held, folder, "int8, one scale")
    path = stripped(made["int8, one scale"], Path(folder, "stripped.tflite"))
    return {"pruned, float": few, "clustered, float": small, "int8, one scale": path}


def cascades_steps(recipe, seed, held, folder):
    """Sections 3 to 7 of the study: where the sparsity starts, and the order of the steps."""
    network, lessons = first_m(recipe["network"], held), lessons_of(recipe["network"], seed, held)
    images = lessons.count(recipe["pruning_copies"])
    prune_by = lessons.by(recipe["pruning_copies"], recipe["pruning_rate"])
    cluster_by = lessons.by(1, recipe["learning_rate"])
    starts = {"from 0": 0.0, "from 50 %": 0.5}
    schedules = {name: gradual(at, recipe["sparsity"], images) for name, at in starts.items()}
    everywhere = {
        name: prune(network, dict.fromkeys(kernels(network), schedule), prune_by)[0]
        for name, schedule in schedules.items()
    }
    some = dict.fromkeys(recipe["layers"], schedules["from 0"])
    p1, _ = prune(network, some, prune_by)
    steps = Steps(some, prune_by, cluster_by, lessons.by(1, recipe["quantizing_rate"]))
    orders = in_orders(
        p1, cluster(network, cluster_by)[0], cluster(p1, cluster_by, keep_zeros=True)[0], steps
    )
    made = {"M": network, "P1": p1} | everywhere
    for number, (name, model) in enumerate(orders.items()):
        kind = "dynamic range" if "QAT" in name else "int8"
        home = Path(folder, str(number))
        home.mkdir()
        made |= {name: files(model, held, home, kind)[kind]}
    return made
