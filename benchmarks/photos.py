"""How a recipe of photos/recipes.py is tried: on photos that are held out.

Which ones, the seed says as well: seed 0 holds out the notebook's validation photos, seeds 1 to 4
each another fifth of them and of the training photos.
"""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from photos.data import SIDE, Photos, hold_out, resize
from photos.networks import folded_weights, kept_blocks
from photos.pruning import (
    costs,
    drawn,
    fitted_baseline,
    probe_anew,
    prune_by_cost,
    split,
)
from photos.recipes import FITTED, KEPT_BLOCKS, SMALL
from photos.scoring import file_accuracy, network_input
from photos.students import build_student, distil_photos, round_student, weights_of
from photos.training import altered_copies, keras_accuracy, through
from toolkit.compression import INT8, convert, representative_dataset
from toolkit.int4 import to_levels
from toolkit.tflite import gzip_size

SHAPE = "copies", "side", "stem", "widths", "training"  # what says which network is rounded then


@cache
def parts(data, fifth):
    """Training and validation Photos with one of five fifths held out, 0 to 4."""
    both = Photos(*map(np.concatenate, zip(data.training, data.validation, strict=True)))
    return hold_out(both.some(np.argsort(both.files)), fifth)


def prune(data, recipe, seed):
    """The large network with many zeros: kind -> figures; `surgeon` has the scores of before."""
    training, validation = parts(data, seed)
    lower, upper = split(fitted_baseline(SIDE, training), recipe["above"])
    given, given_val = (through(lower, part) for part in (training, validation))
    some = np.float16(drawn(given, recipe["photos"], seed).pixels)
    few = prune_by_cost(upper, some, costs(upper, some), recipe["sparsity"] / 100)
    shares = [keras_accuracy(model, given_val) for model in (upper, few)]
    probe_anew(few, given)
    shares.append(keras_accuracy(few, given_val))
    kinds = "float", "surgeon", "new scores"
    return {kind: {"accuracy": share} for kind, share in zip(kinds, shares, strict=True)}


@cache
def bank(data, seed, **copies):
    """Altered copies of the training photos, and what the baseline says of them."""
    training, _ = parts(data, seed)
    return altered_copies(training, fitted_baseline(SIDE, training), seed, **copies)


def distilled(data, name, recipe, seed):
    """A student before its rounding; all but SMALL begin with the weights of SMALL."""
    training, _ = parts(data, seed)
    whole = kept_blocks(folded_weights(), KEPT_BLOCKS)
    weights = whole if name == "SMALL" else weights_of(small(data, seed))
    model = build_student(recipe, weights, training)
    lessons = bank(data, seed, **recipe["copies"])
    distil_photos(model, lessons, recipe["training"], f"trial, {name}", seed)
    return model


@cache
def small(data, seed):
    """SMALL before its rounding."""
    return distilled(data, "SMALL", SMALL, seed)


def student(data, name, recipe, seed):
    """A student: kind -> figures, the last of them of its file."""
    training, validation = parts(data, seed)
    there = name == "SMALL" and all(recipe[key] == SMALL[key] for key in SHAPE)
    model = small(data, seed) if there else distilled(data, name, recipe, seed)
    some = drawn(training, FITTED["photos"], seed).pixels
    lessons = bank(data, seed, **recipe["copies"])
    rounded, trained = round_student(model, some, lessons, recipe, f"trial, {name}", seed)
    kinds = {"float": model, "surgeon": rounded, "trained": trained}
    figures: dict = {
        kind: {"accuracy": keras_accuracy(network, validation)} for kind, network in kinds.items()
    }
    examples = representative_dataset(network_input(resize(some, recipe["side"])))
    with tempfile.TemporaryDirectory() as folder:
        settings = INT8 | {"representative_dataset": examples}
        path = convert(trained, Path(folder, "student.tflite"), traced=True, **settings)
        path.write_bytes(to_levels(path.read_bytes(), nibbles=True))
        figures["levels"] = {
            "accuracy": file_accuracy(path, validation),
            "bytes_gzip": gzip_size(path.read_bytes()),
        }
    return figures


def run(data, name, recipe, seed):
    """Trains by a recipe. Returns on what it was judged, and kind of file -> its figures."""
    if name == "PRUNED":
        figures = prune(data, recipe, seed)
    elif name in ("SMALL", "SRAM", "TINY"):
        figures = student(data, name, recipe, seed)
    else:
        raise ValueError(f"photos.{name}: there is no program yet that tries it")
    return f"{len(parts(data, seed)[1].y)} held-out photos", figures
