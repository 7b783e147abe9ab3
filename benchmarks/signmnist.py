"""How a recipe of signmnist/recipes.py is tried: without the photos that judge it."""

import hashlib
import json
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow_model_optimization as tfmot
from sklearn.model_selection import StratifiedGroupKFold

from signmnist.baseline import (
    BATCH_SIZE,
    augment_mildly,
    build_dense_cnn,
    distil,
    learn,
    lessons,
    train_accurate,
    train_compact,
    tune,
)
from signmnist.recipes import ACCURATE, COMPACT, RACE_START
from signmnist.splits import group_split
from toolkit.aware import in_four_bits
from toolkit.compression import (
    DYNAMIC_RANGE,
    INT8,
    ONE_SCALE,
    clone,
    cluster_layers,
    convert,
    equalized,
    fine_tune,
    fold_norms,
    kernels,
    prune_layers,
    representative_dataset,
    saved_or_trained,
    stripped,
)
from toolkit.fourbit import plain_copy, quantized_copy
from toolkit.grid import grid_network, plain_network
from toolkit.int4 import to_int4
from toolkit.packing import repack
from toolkit.quantizer import quantize
from toolkit.runtime import use_keras_2
from toolkit.tflite import count_correct, gzip_size, predict_tflite
from toolkit.training import accuracy, predict

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

    def compact(self, recipe=COMPACT, seed=0):
        teacher = self.accurate()
        return self.kept(
            lambda: train_compact(self.x, teacher, recipe, seed), ACCURATE, recipe, seed
        )

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


def by_folds(data, recipe, seed):
    """The accurate baseline on all training photos, each judged by a network that did not see it.

    Five trainings, a fifth of the photos held out of each. Returns its figures: besides the
    accuracy the images that are read wrongly, and the photos with such an image.
    """
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    wrong = np.zeros(len(data.y_train), bool)
    for rows, judged in folds.split(wrong, data.y_train, data.train_groups):
        model, _ = train_accurate(data.x_train[rows], data.y_train[rows], recipe, seed, "trial")
        wrong[judged] = predict(model, data.x_train[judged]).argmax(1) != data.y_train[judged]
    return {
        "accuracy": float(np.mean(~wrong)),
        "errors": int(wrong.sum()),
        "photos_with_errors": len(np.unique(data.train_groups[wrong])),
    }


def by_compact(recipe, seed, held, folder):
    return {"float": train_compact(held.x, held.accurate(), recipe, seed, "trial")[0]}


def four_bit_file(model, held, folder):
    """Path of the .tflite file of a Keras model with weights of 4 bits, one scale a tensor."""
    rows = np.random.default_rng(0).choice(len(held.x), 300, replace=False)
    whole = convert(model, Path(folder, "float.tflite"))
    small = quantize(whole, Path(folder, "int4.tflite"), held.x[rows], 4, 8, one_scale=True)
    return stripped(small, Path(folder, "stripped.tflite"))


def in_both_forms(model, recipe, train_it, held, folder):
    """int8 and, after training by the recipe's `rounding`, int4: kind of file -> path."""
    made = files(model, held, folder, "int8, one scale")
    rounded, _ = in_four_bits(model, train_it(recipe | recipe["rounding"]), keep_zeros=True)
    return made | {"int4": four_bit_file(rounded, held, folder)}


def by_book(recipe, seed, held, folder):
    """Questions 2 and 3 from the accurate network."""
    return fewer(recipe, held.accurate(), partial(tuning, seed=seed, held=held), held, folder)


def by_compact_answer(recipe, seed, held, folder):
    """Questions 2 and 3 from the compact network, which learns the accurate one's scores."""
    images, scores = lessons(held.x, held.accurate(), recipe, seed)

    def learning(recipe):
        return lambda model, callbacks=(): learn(
            model, images, scores, recipe, seed, "trial", callbacks
        )

    return fewer(recipe, held.compact(COMPACT, seed), learning, held, folder)


def fewer(recipe, network, train_it, held, folder):
    """Clusters or prunes a network by a recipe; train_it(recipe) gives what trains by one."""
    network = equalized(fold_norms(network))
    if "clusters" in recipe:
        model, _ = cluster_layers(
            network,
            recipe["clusters"],
            recipe["centroids"],
            train_it(recipe),
        )
        return in_both_forms(model, recipe, train_it, held, folder)
    steps = recipe["epochs"] * recipe.get("copies", 1) * (len(held.x) // BATCH_SIZE)
    large = recipe["larger_than"]
    model, _ = prune_layers(network, recipe["sparsity"], large, steps, train_it(recipe))
    return in_both_forms(model, recipe, train_it, held, folder)


def tuning(recipe, seed, held):
    """What trains a model by a recipe."""
    settings = {"name": "trial", "seed": seed}
    return lambda model, callbacks=(): tune(
        model, held.x, held.y, recipe, callbacks=callbacks, **settings
    )


def on_grid(model, recipe, steps, train_it):
    """A grid network trained by train_it(model, callbacks), pruned if the recipe has a sparsity."""
    if sparsity := recipe.get("sparsity"):
        schedule = gradual(sparsity / 2, sparsity, int(0.4 * steps), int(0.8 * steps))
        return pruned(model, large_layers(model, recipe, schedule), train_it)
    train_it(model, [])
    return model


def by_four_bits(recipe, seed, held, folder):
    """Question 4, beside the float network that it starts from."""
    network = quantized_copy(held.accurate())
    tune(network, held.x, held.y, recipe, name="trial", seed=seed)
    whole = convert(plain_copy(network), Path(folder, "plain.tflite"))
    rows = np.random.default_rng(0).choice(len(held.x), 300, replace=False)
    small = quantize(whole, Path(folder, "int4.tflite"), held.x[rows], weights=4)
    return {"float": held.accurate(), "QKeras": network, "int4": small}


def by_grid(recipe, seed, held, folder):
    """The accurate network on the grid."""
    model, steps = grid_network(held.accurate(), recipe["penalty"]), len(held.x) // BATCH_SIZE
    model = on_grid(model, recipe, recipe["epochs"] * steps, tuning(recipe, seed, held))
    return int4_file(plain_network(model), held, folder, 0)


def by_race(recipe, seed, held, folder):
    """The size race: the compact network on the grid."""

    def train_it(model, callbacks):
        distil(model, held.x, held.accurate(), recipe, seed, "trial", callbacks)

    model = grid_network(held.compact(RACE_START), recipe["penalty"], dense_bias=False)
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
    "COMPACT": by_compact,
    "CLUSTERED": by_book,
    "PRUNED": by_book,
    "CLUSTERED_COMPACT": by_compact_answer,
    "PRUNED_COMPACT": by_compact_answer,
    "FOUR_BITS": by_four_bits,
    "CLUSTERED_GRID": by_grid,
    "PRUNED_GRID": by_grid,
    "SIZE_RACE": by_race,
    "PRUNED_RACE": by_race,
    "CASCADES_M": cascades_m,
    "CASCADES_END": cascades_end,
}


def run(data, name, recipe, seed):
    """Trains by a recipe. Returns on what it was judged, and kind of file -> its figures."""
    if name == "ACCURATE":
        photos = len(np.unique(data.train_groups))
        judged_on = f"{len(data.y_train):,} images of {photos:,} photos, in five folds"
        return judged_on, {"float": by_folds(data, recipe, seed)}
    if name not in RUNS:
        raise ValueError(f"signmnist.{name}: there is no program yet that tries it")
    held = HeldOut(data)
    with tempfile.TemporaryDirectory() as folder:
        made = RUNS[name](recipe, seed, held, folder)
        return held.judged_on, {kind: held.judge(one) for kind, one in made.items()}
