"""How a recipe of signmnist/recipes.py is tried: without the photos that judge it."""

import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import tensorflow_model_optimization as tfmot

from signmnist.baseline import (
    BATCH_SIZE,
    augment_mildly,
    build_dense_cnn,
    distil,
    train_accurate,
    train_compact,
    tune,
)
from signmnist.recipes import ACCURATE, COMPACT
from signmnist.splits import group_split
from toolkit.compression import (
    DYNAMIC_RANGE,
    INT8,
    ONE_SCALE,
    clone,
    convert,
    fine_tune,
    kernels,
    representative_dataset,
    saved_or_trained,
)
from toolkit.grid import grid_network, plain_network
from toolkit.int4 import to_int4
from toolkit.packing import repack
from toolkit.runtime import use_keras_2
from toolkit.tflite import count_correct, gzip_size, predict_tflite
from toolkit.training import accuracy

use_keras_2()
import tensorflow as tf

pruning, clustering = tfmot.sparsity.keras, tfmot.clustering.keras
FORMATS = {"dynamic range": DYNAMIC_RANGE, "int8": INT8, "int8, one scale": INT8 | ONE_SCALE}


class HeldOut:
    """The photos to train on, `x` and `y`, and those that judge; networks that saw only the former.

    The networks that a recipe starts from are kept under checkpoints/.
    """

    def __init__(self, data):
        training, judging = group_split(data.y_train, data.train_groups)
        self.x, self.y = data.x_train[training], data.y_train[training]
        self.x_judged, self.y_judged = data.x_train[judging], data.y_train[judging]
        photos = len(np.unique(data.train_groups[judging]))
        self.judged_on = f"{len(judging):,} images of {photos:,} held-out photos"
        self.sha256 = data.sha256

    def kept(self, train_it, *recipes):
        """The network that train_it() returns, with its history, by these recipes."""
        digest = hashlib.sha256(json.dumps([self.sha256, *recipes]).encode()).hexdigest()
        return saved_or_trained(Path("checkpoints", f"trials-{digest[:12]}.keras"), train_it)

    def accurate(self):
        return self.kept(lambda: train_accurate(self.x, self.y, ACCURATE), ACCURATE)

    def compact(self):
        teacher = self.accurate()
        return self.kept(lambda: train_compact(self.x, teacher, COMPACT), ACCURATE, COMPACT)

    def judge(self, made):
        """The figures of a Keras model or of the path of a .tflite file, a dict."""
        if not isinstance(made, Path):
            return {"accuracy": accuracy(made, self.x_judged, self.y_judged)}
        right = count_correct(predict_tflite(made, self.x_judged), self.y_judged)
        size = gzip_size(made.read_bytes())
        return {"accuracy": right / len(self.y_judged), "bytes_gzip": size}


def files(model, held, folder, *kinds):
    """Kind -> path of the .tflite file of a Keras model, for some of FORMATS."""
    calibration, made = {"representative_dataset": representative_dataset(held.x)}, {}
    for kind in kinds:
        settings = FORMATS[kind] | (calibration if "int8" in kind else {})
        made[kind] = convert(model, Path(folder, f"{kind}.tflite"), **settings)
    return made


def int4_file(model, held, folder, least, **settings):
    """{"int4": path} of a plain network whose weights lie on the grid. least: see `repack`."""
    path = files(model, held, folder, "int8, one scale")["int8, one scale"]
    small = Path(folder, "int4.tflite")
    content = to_int4(path.read_bytes(), fixed_size=True, **settings)
    small.write_bytes(repack(content, least, fixed_size=True))
    return {"int4": small}


def pruned(model, schedules, train_it, block=(1, 1)):
    """A copy of a Keras model, pruned by `schedules` while train_it(model, callbacks) trains it.

    schedules: layer -> when it loses its weights. block: what goes as one in the layer `dense`.
    """

    def wrap(layer):
        if layer.name not in schedules:
            return layer
        size = tuple(block) if layer.name == "dense" else (1, 1)
        schedule = schedules[layer.name]
        return pruning.prune_low_magnitude(layer, pruning_schedule=schedule, block_size=size)

    model = tf.keras.models.clone_model(clone(model), clone_function=wrap)
    train_it(model, [pruning.UpdatePruningStep()])
    return pruning.strip_pruning(model)


def gradual(initial, final, begin, end):
    """From `initial` to `final` sparsity between two steps of a training, in twenty stages."""
    frequency = max(1, (begin or end) // 20)
    return pruning.PolynomialDecay(initial, final, begin, end, frequency=frequency)


def large_layers(model, recipe, schedule):
    """Layer -> `schedule`, of the layers with more weights than the recipe's `larger_than`."""
    sizes = {name: kernel.size for name, kernel in kernels(model).items()}
    return {name: schedule for name, size in sizes.items() if size > recipe["larger_than"]}


def by_accurate(recipe, seed, held, folder):
    return {"float": train_accurate(held.x, held.y, recipe, seed, "trial")[0]}


def by_compact(recipe, seed, held, folder):
    return {"float": train_compact(held.x, held.accurate(), recipe, seed, "trial")[0]}


def by_clusters(recipe, seed, held, folder):
    """Question 2 by the book: `cluster_weights` with a number of clusters for each layer."""
    counts, evenly = recipe["clusters"], clustering.CentroidInitialization.LINEAR

    def wrap(layer):
        if layer.name not in counts:
            return layer
        settings = {"number_of_clusters": counts[layer.name], "cluster_centroids_init": evenly}
        return clustering.cluster_weights(layer, **settings)

    model = tf.keras.models.clone_model(held.accurate(), clone_function=wrap)
    tune(model, held.x, held.y, recipe, name="trial", seed=seed)
    return files(clustering.strip_clustering(model), held, folder, "dynamic range", "int8")


def tuning(recipe, seed, held):
    """What trains (model, callbacks) by a recipe."""
    settings = {"name": "trial", "seed": seed}
    return lambda model, callbacks: tune(
        model, held.x, held.y, recipe, callbacks=callbacks, **settings
    )


def by_pruning(recipe, seed, held, folder):
    """Question 3 by the book: `prune_low_magnitude` in the large layers."""
    end = int(0.6 * recipe["epochs"] * (len(held.x) // BATCH_SIZE))
    teacher, schedule = held.accurate(), gradual(0, recipe["sparsity"], 0, end)
    layers = large_layers(teacher, recipe, schedule)
    return files(pruned(teacher, layers, tuning(recipe, seed, held)), held, folder, *FORMATS)


def on_grid(model, recipe, steps, train_it):
    """A grid network trained by train_it(model, callbacks), pruned if the recipe has a sparsity."""
    if sparsity := recipe.get("sparsity"):
        schedule = gradual(sparsity / 2, sparsity, int(0.4 * steps), int(0.8 * steps))
        return pruned(model, large_layers(model, recipe, schedule), train_it)
    train_it(model, [])
    return model


def by_grid(recipe, seed, held, folder):
    """The accurate network on the grid."""
    model, steps = grid_network(held.accurate(), recipe["penalty"]), len(held.x) // BATCH_SIZE
    model = on_grid(model, recipe, recipe["epochs"] * steps, tuning(recipe, seed, held))
    return int4_file(plain_network(model), held, folder, 0)


def by_race(recipe, seed, held, folder):
    """The size race: the compact network on the grid."""

    def train_it(model, callbacks):
        distil(model, held.x, held.accurate(), recipe, seed, "trial", callbacks)

    model = grid_network(held.compact(), recipe["penalty"], dense_bias=False)
    steps = recipe["epochs"] * recipe["copies"] * (len(held.x) // BATCH_SIZE)
    model = on_grid(model, recipe, steps, train_it)
    return int4_file(plain_network(model, average_pool=True), held, folder, 3000, coarse=16)


def mildly(model, held, seed, **settings):
    """Trains as the study of cascades does."""
    fine_tune(model, held.x, held.y, name="trial", augment=augment_mildly, seed=seed, **settings)


def train_m(recipe, seed, held):
    """M of the study of cascades, without its dropout. Returns (model, {})."""
    tf.keras.utils.set_random_seed(seed)
    trained, model = build_dense_cnn(dropout=recipe["dropout"]), build_dense_cnn()
    rate = recipe["learning_rate"]
    mildly(trained, held, seed, epochs=recipe["epochs"], learning_rate=rate)
    model.set_weights(trained.get_weights())
    return model, {}


def cascades_m(recipe, seed, held, folder):
    return {"float": train_m(recipe, seed, held)[0]}


def cascades_end(recipe, seed, held, folder):
    """M at the end of the line: pruned in blocks, then clustered with its zeros kept."""

    def train_it(model, callbacks):
        settings = {key: recipe[key] for key in ("epochs", "learning_rate")}
        mildly(model, held, seed, callbacks=callbacks, **settings)

    network, end = recipe["network"], int(0.6 * recipe["epochs"] * (len(held.x) // BATCH_SIZE))
    model = held.kept(lambda: train_m(network, 0, held), network)
    schedules = {
        name: gradual(min(recipe["initial"], sparsity), sparsity, 0, end)
        for name, sparsity in recipe["sparsities"].items()
    }
    few = pruned(model, schedules, train_it, recipe["block"])
    model = clustering.cluster_weights(
        clone(few),
        number_of_clusters=recipe["clusters"],
        cluster_centroids_init=clustering.CentroidInitialization[recipe["centroids"]],
        preserve_sparsity=True,
    )
    epochs, rate = recipe["clustering_epochs"], recipe["clustering_rate"]
    mildly(model, held, seed, epochs=epochs, learning_rate=rate)
    model = clustering.strip_clustering(model)
    return {"pruned, float": few} | files(model, held, folder, "int8", "int8, one scale")


RUNS = {
    "ACCURATE": by_accurate,
    "COMPACT": by_compact,
    "CLUSTERED": by_clusters,
    "PRUNED": by_pruning,
    "CLUSTERED_GRID": by_grid,
    "PRUNED_GRID": by_grid,
    "SIZE_RACE": by_race,
    "PRUNED_RACE": by_race,
    "CASCADES_M": cascades_m,
    "CASCADES_END": cascades_end,
}


def run(data, name, recipe, seed):
    """Trains by a recipe. Returns on what it was judged, and kind of file -> its figures."""
    if name not in RUNS:
        raise ValueError(f"signmnist.{name}: there is no program yet that tries it")
    held = HeldOut(data)
    with tempfile.TemporaryDirectory() as folder:
        made = RUNS[name](recipe, seed, held, folder)
        return held.judged_on, {kind: held.judge(one) for kind, one in made.items()}
