"""The tracks of q2 and q3 with other settings, judged on held-out photos.

    .venv/bin/python -m benchmarks.tracks TRACK [NAME=VALUE ...]

TRACK: compact, clustered (by the book), pruned (by the book), grid or race. Settings that are
not given are those of the notebooks. Trains without the validation photos of q1, from
baselines that have not seen them either, and adds the figures to benchmarks/tracks.json: the
comparisons by which the notebooks' settings were chosen. The test file is not read. Two to
eight minutes each on 2 cores.
"""

import ast
import json
import sys
import time
from pathlib import Path

import tensorflow_model_optimization as tfmot

from benchmarks.race import (
    RECIPES,
    converted,
    held_out,
    prune_large,
    prune_late,
    score,
    shrink,
)
from signmnist.baseline import (
    BATCH_SIZE,
    COMPACT,
    augment,
    augment_mildly,
    build_cnn,
    compile_cnn,
    distil,
)
from signmnist.data import load_sign_mnist
from toolkit.files import replacing
from toolkit.grid import grid_network, plain_network
from toolkit.int4 import to_int4
from toolkit.packing import repack
from toolkit.runtime import use_keras_2
from toolkit.training import train

use_keras_2()
import tensorflow as tf

pruning, clustering = tfmot.sparsity.keras, tfmot.clustering.keras
FIGURES = Path(__file__).with_suffix(".json")
SETTINGS: dict[str, dict] = {
    "compact": {"blocks": COMPACT["blocks"], "epochs": 6, "learning_rate": 3e-2, "seed": 0},
    "clustered": {"clusters": (16, 4, 4, 3, 3, 4), "epochs": 8, "learning_rate": 6e-3},
    "pruned": {"sparsity": 0.9, "epochs": 8, "learning_rate": 4e-3},
    "grid": {"penalty": 8e-5, "sparsity": 0.0, "epochs": 8, "learning_rate": 2e-2},
    "race": RECIPES["q2"] | {"seed": 0},
}


def fine_tune(model, x, y, epochs, learning_rate, augmentation=augment, callbacks=()):
    """Trains as the notebooks do. Returns the history."""
    compile_cnn(model, len(x), epochs, learning_rate)
    settings = {"seed": 0, "batch_size": BATCH_SIZE, "augment": augmentation}
    return train(model, x, y, epochs=epochs, name="track", callbacks=callbacks, **settings)


def compact(x, y, teacher, _, blocks, epochs, learning_rate, seed):
    """A compact baseline, distilled."""
    tf.keras.utils.set_random_seed(seed)
    model = build_cnn(**COMPACT | {"blocks": blocks})
    distil(model, x, teacher, epochs, learning_rate, seed, "compact")
    return {"float": converted(model, x, "float")}


def clustered(x, y, teacher, _, clusters, epochs, learning_rate):
    """By the book: `cluster_weights` with its number of clusters for each layer."""
    names = [layer.name for layer in teacher.layers if hasattr(layer, "kernel")]
    counts = dict(zip(names, clusters, strict=True))

    def wrap(layer):
        if layer.name not in counts:
            return layer
        return clustering.cluster_weights(
            layer,
            number_of_clusters=counts[layer.name],
            cluster_centroids_init=clustering.CentroidInitialization.LINEAR,
        )

    model = tf.keras.models.clone_model(teacher, clone_function=wrap)
    fine_tune(model, x, y, epochs, learning_rate)
    model = clustering.strip_clustering(model)
    return {kind: converted(model, x, kind) for kind in ("dynamic range", "int8")}


def pruned(x, y, teacher, _, sparsity, epochs, learning_rate):
    """By the book: `prune_low_magnitude` in the layers with more than 3,000 weights."""
    end = int(0.6 * epochs * (len(x) // BATCH_SIZE))
    schedule = pruning.PolynomialDecay(0, sparsity, 0, end, frequency=max(1, end // 20))
    model = prune_large(teacher, schedule, 3000)
    fine_tune(model, x, y, epochs, learning_rate, callbacks=[pruning.UpdatePruningStep()])
    model = pruning.strip_pruning(model)
    kinds = "dynamic range", "int8", "int8, one scale"
    return {kind: converted(model, x, kind) for kind in kinds}


def grid(x, y, teacher, _, penalty, sparsity, epochs, learning_rate):
    """The accurate baseline on the grid, pruned if `sparsity` is not 0."""
    model, callbacks = grid_network(teacher, penalty), []
    if sparsity:
        model = prune_late(model, sparsity, epochs * (len(x) // BATCH_SIZE), 3000)
        callbacks = [pruning.UpdatePruningStep()]
    fine_tune(model, x, y, epochs, learning_rate, augment_mildly, callbacks)
    if sparsity:
        model = pruning.strip_pruning(model)
    int8 = converted(plain_network(model), x, "int8, one scale")
    return {"int4": repack(to_int4(int8, fixed_size=True), 0, fixed_size=True)}


def race(x, y, teacher, student, **settings):
    """The size race of q2 or, with a sparsity, q3."""
    return {"int4": shrink(student, teacher, x, **settings)}


TRACKS = {track.__name__: track for track in (compact, clustered, pruned, grid, race)}


def append(figures, path):
    """Prints the figures of a trial, a dict, and adds them to the list in the JSON file `path`."""
    print(f"\n{figures}", flush=True)
    saved = json.loads(path.read_text()) if path.exists() else []
    with replacing(path) as temporary:
        temporary.write_text(json.dumps([*saved, figures], indent=1) + "\n")


def main(track, given):
    settings = SETTINGS[track] | {key: ast.literal_eval(value) for key, value in given.items()}
    (x, y), judged, teacher, student = held_out(load_sign_mnist())
    start = time.perf_counter()
    copy = tf.keras.models.clone_model(teacher)
    copy.set_weights(teacher.get_weights())
    files = TRACKS[track](x, y, copy, student, **settings)
    seconds = round(time.perf_counter() - start)
    figures = {"track": track, "settings": settings, "seconds": seconds}
    figures["files"] = {kind: score(content, *judged) for kind, content in files.items()}
    append(figures, FIGURES)


if __name__ == "__main__":
    main(sys.argv[1], dict(argument.split("=", 1) for argument in sys.argv[2:]))
