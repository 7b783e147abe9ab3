"""How a recipe of signmnist/recipes.py is tried: without the photos that judge it."""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from benchmarks.cascades import cascades_end, cascades_m, cascades_steps
from benchmarks.held_out import HeldOut, files, int4_file, taught
from signmnist.baseline import BATCH_SIZE, learn, train_accurate, tune
from signmnist.cascades import prune, pruning
from signmnist.race import race_on_grid, start_race
from toolkit.aware import clipped, in_four_bits, without_small_weights
from toolkit.compression import (
    cluster_layers,
    convert,
    equalized,
    fold_norms,
    kernels,
    prune_layers,
)
from toolkit.few_bits import in_few_bits, with_16_levels, with_quantizer
from toolkit.few_values import few_valued, plain_few_valued
from toolkit.fourbit import learning_phase, plain_copy, quantized_copy
from toolkit.grid import grid_network, plain_network
from toolkit.quantizer import four_bit_file, quantize
from toolkit.runtime import use_keras_2
from toolkit.training import predict

use_keras_2()
from qkeras import quantized_relu


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
    return {"float": held.compact(recipe, seed)}


def in_both_forms(model, recipe, train_it, held, folder):
    """int8 and, after training by the recipe's `rounding`, int4: kind of file -> path."""
    made = files(model, held, folder, "int8, one scale")
    start = without_small_weights(model) if "clusters" in recipe else clipped(model)
    rounded, _ = in_four_bits(start, train_it(recipe | recipe["rounding"]), keep_zeros=True)
    four_bit_file(rounded, target := Path(folder, "stripped.tflite"), held.calibration())
    return made | {"int4": target}


def by_book(recipe, seed, held, folder):
    """Questions 2 and 3 from the accurate network."""
    return fewer(recipe, held.accurate(), partial(tuning, seed=seed, held=held), held, folder)


def by_compact_answer(recipe, seed, held, folder):
    """Questions 2 and 3 from the compact network, which learns the accurate one's scores."""
    images, scores = taught(held, recipe, seed)

    def learning(recipe):
        return lambda model, callbacks=(): learn(
            model, images, scores, recipe, seed, "trial", callbacks
        )

    return fewer(recipe, held.compact(recipe["start"], seed), learning, held, folder)


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
        begin, end = int(0.4 * steps), int(0.8 * steps)
        stages = {"frequency": max(1, begin // 20)}
        schedule = pruning.PolynomialDecay(sparsity / 2, sparsity, begin, end, **stages)
        sizes = {name: kernel.size for name, kernel in kernels(model).items()}
        large = [name for name, size in sizes.items() if size > recipe["larger_than"]]
        return prune(model, dict.fromkeys(large, schedule), train_it)[0]
    train_it(model, [])
    return model


def by_four_bits(recipe, seed, held, folder):
    """Question 4, beside the float network that it starts from."""
    network = quantized_copy(held.accurate())
    tune(network, held.x, held.y, recipe, name="trial", seed=seed)
    whole = convert(plain_copy(network), Path(folder, "plain.tflite"))
    small = quantize(whole, Path(folder, "int4.tflite"), held.calibration(), weights=4)
    return {"float": held.accurate(), "QKeras": network, "int4": small}


def by_quantizer(recipe, seed, held, folder):
    """The accurate network with one of QKeras's quantizers, `none` of them for comparison."""
    network = held.accurate()
    if recipe["quantizer"] != "none":
        network = with_quantizer(network, recipe["quantizer"])
    with learning_phase():
        tune(network, held.x, held.y, recipe, name="trial", seed=seed)
    return {"QKeras": network}


def by_activations(recipe, seed, held, folder):
    """Weights and activations of 4 bits, by question 4's training."""
    bits = recipe["integer_bits"]
    network = in_few_bits(held.accurate(), activation=lambda: quantized_relu(4, bits))
    tune(network, held.x, held.y, recipe, name="trial", seed=seed)
    whole = convert(plain_copy(in_few_bits(network)), Path(folder, "plain.tflite"))
    small, step = Path(folder, "int4.tflite"), 2.0 ** (bits - 4)
    return {"QKeras": network, "int4": with_16_levels(whole, small, held.calibration(), step)}


def by_grid(recipe, seed, held, folder):
    """The accurate network on the grid."""
    model, steps = grid_network(held.accurate(), recipe["penalty"]), len(held.x) // BATCH_SIZE
    model = on_grid(model, recipe, recipe["epochs"] * steps, tuning(recipe, seed, held))
    return int4_file(plain_network(model), held, folder, 0)


def by_few_values(recipe, seed, held, folder):
    """The accurate network with two or three different weights a layer, distilled from itself."""
    model = few_valued(held.accurate(), recipe["values"], recipe["penalty"])
    images, scores = taught(held, recipe, seed)
    learn(model, images, scores, recipe, seed, "trial")
    return {"QKeras": model} | int4_file(plain_few_valued(model), held, folder, 0)


def by_race(recipe, seed, held, folder):
    """The size race: its network or the accurate one, distilled on the grid."""
    images, scores = taught(held, recipe, seed)
    own = "network" in recipe
    start = start_race(images, scores, recipe, seed) if own else held.accurate()
    model, _ = race_on_grid(start, images, scores, recipe, seed, "trial")
    return int4_file(plain_network(model), held, folder, 3000, coarse=recipe["coarse"])


def by_small_memory(recipe, seed, held, folder):
    """The network of the race in 8 bits, as wide as 1,400 bytes of rows allow."""
    images, scores = taught(held, recipe, seed)
    return files(start_race(images, scores, recipe, seed), held, folder, "int8")


RUNS = {
    "COMPACT": by_compact,
    "CLUSTERED": by_book,
    "PRUNED": by_book,
    "CLUSTERED_COMPACT": by_compact_answer,
    "PRUNED_COMPACT": by_compact_answer,
    "FOUR_BITS": by_four_bits,
    "QUANTIZER_TRIAL": by_quantizer,
    "FOUR_BY_FOUR": by_activations,
    "TERNARY": by_few_values,
    "BINARY": by_few_values,
    "CLUSTERED_GRID": by_grid,
    "PRUNED_GRID": by_grid,
    "SIZE_RACE": by_race,
    "RACE_97": by_race,
    "RACE_ACCURATE": by_race,
    "SMALL_MEMORY": by_small_memory,
    "CASCADES_M": cascades_m,
    "CASCADES_STEPS": cascades_steps,
    "CASCADES_END": cascades_end,
}


def run(data, name, recipe, seed):
    """Trains by a recipe. Returns on what it was judged, and kind of file -> its figures."""
    if name == "ACCURATE":
        photos = len(np.unique(data.train_groups))
        judged_on = f"{len(data.y_train):,} images of {photos:,} held-out photos, in five folds"
        return judged_on, {"float": by_folds(data, recipe, seed)}
    if name not in RUNS:
        raise ValueError(f"signmnist.{name}: there is no program yet that tries it")
    held = HeldOut(data)
    with tempfile.TemporaryDirectory() as folder:
        made = RUNS[name](recipe, seed, held, folder)
        return held.judged_on, {kind: held.judge(one) for kind, one in made.items()}
