"""The size races of q2 and q3 with several seeds: accuracy on held-out photos, bytes, test file.

    .venv/bin/python -m benchmarks.race validation|test q2|q3 [SEED ...]

`validation` trains without the validation photos, from baselines that have not seen them
either. `test` trains as the notebooks do, from the published baselines on all rows, for the
size and the test accuracy. The figures go to benchmarks/race.json. Four to eight minutes a
seed on 2 cores.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow_model_optimization as tfmot

from signmnist.baseline import (
    BATCH_SIZE,
    COPIES,
    distil,
    load_or_train,
    train_accurate,
    train_compact,
)
from signmnist.data import TRAIN_CSV, load_sign_mnist
from signmnist.splits import group_split
from toolkit.files import replacing
from toolkit.grid import grid_network, plain_network
from toolkit.int4 import to_int4
from toolkit.packing import repack
from toolkit.runtime import use_keras_2
from toolkit.tflite import count_correct, gzip_size, predict_tflite, quiet

use_keras_2()
import tensorflow as tf

pruning = tfmot.sparsity.keras
FIGURES = Path(__file__).with_suffix(".json")
EPOCHS, COMPACT_EPOCHS = 20, 6  # of the two baselines, as in q1
RECIPES = {
    "q2": {"penalty": 1e-3, "sparsity": 0.0, "learning_rate": 6e-3, "epochs": 12},
    "q3": {"penalty": 1e-3, "sparsity": 0.5, "learning_rate": 6e-3, "epochs": 12},
}


def held_out(data):
    """The group-aware split, and the baselines trained without its validation photos.

    The baselines are kept under checkpoints/. Returns ((images, labels) to train on, the same
    to validate on, teacher, compact).
    """
    training, validation = group_split(data.y_train, data.train_groups)
    x, y = data.x_train[training], data.y_train[training]
    folder = Path("checkpoints", f"held_out-{data.sha256[TRAIN_CSV][:12]}")
    teacher = load_or_train(folder / "baseline.keras", lambda: train_accurate(x, y, EPOCHS))
    compact = load_or_train(
        folder / "compact.keras", lambda: train_compact(x, teacher, COMPACT_EPOCHS)
    )
    judged = data.x_train[validation], data.y_train[validation]
    return (x, y), judged, teacher, compact


def prune_large(model, schedule, size):
    """Wraps for pruning the layers with more than `size` weights."""

    def wrap(layer):
        if hasattr(layer, "kernel") and np.prod(layer.kernel.shape) > size:
            return pruning.prune_low_magnitude(layer, pruning_schedule=schedule)
        return layer

    return tf.keras.models.clone_model(model, clone_function=wrap)


def prune_late(model, sparsity, steps, size):
    """The grid network wrapped by `prune_large` with the schedule of q3, in `steps` steps."""
    begin, end = int(0.4 * steps), int(0.8 * steps)
    frequency = max(1, begin // 20)
    schedule = pruning.PolynomialDecay(sparsity / 2, sparsity, begin, end, frequency=frequency)
    return prune_large(model, schedule, size)


def converted(model, x, kind, seed=0):
    """The .tflite bytes of a Keras model: "float", "dynamic range", "int8" or, with one scale a
    tensor, "int8, one scale". x: images, of which `seed` draws those to calibrate with."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT] if kind != "float" else []
    if kind.startswith("int8"):
        rows = np.random.default_rng(seed).choice(len(x), min(300, len(x)), replace=False)
        converter.representative_dataset = lambda: ([x[row : row + 1]] for row in rows)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    if kind == "int8, one scale":
        converter._experimental_disable_per_channel = True
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    with quiet():
        return converter.convert()


def shrink(compact, teacher, x, seed, penalty, sparsity, learning_rate, epochs):
    """The recipe of q2 (sparsity 0) or q3. Returns the bytes of the .tflite file."""
    model = grid_network(compact, penalty, dense_bias=False)
    callbacks = []
    if sparsity:
        model = prune_late(model, sparsity, epochs * COPIES * (len(x) // BATCH_SIZE), 300)
        callbacks = [pruning.UpdatePruningStep()]
    distil(model, x, teacher, epochs, learning_rate, seed, "size race", callbacks)
    if sparsity:
        model = pruning.strip_pruning(model)
    int8 = converted(plain_network(model, average_pool=True), x, "int8, one scale", seed)
    return repack(to_int4(int8, coarse=16, fixed_size=True), 3000, fixed_size=True)


def score(content, x, y):
    """The bytes after gzip -9 and the share of the images that a .tflite file reads right."""
    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        file.write(content)
        file.flush()
        correct = count_correct(predict_tflite(file.name, x), y)
    return {"bytes_gzip": gzip_size(content), "accuracy": correct / len(y)}


def save(kind, name, seed, figures):
    """Adds figures to benchmarks/race.json."""
    saved = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    seeds = saved.setdefault(name, {})
    if seeds.get(seed, {}).get("recipe") != RECIPES[name]:
        seeds[seed] = {"recipe": RECIPES[name]}  # figures of another recipe go
    seeds[seed][kind] = figures
    print(f"\n{name}, seed {seed}, {kind}: {figures}", flush=True)
    with replacing(FIGURES) as temporary:
        temporary.write_text(json.dumps(saved, indent=1, sort_keys=True) + "\n")


def main(kind, name, seeds):
    data = load_sign_mnist()
    if kind == "validation":
        (x, _), judged, teacher, compact = held_out(data)
    else:
        teacher, compact = (
            tf.keras.models.load_model(f"models/sign_mnist_{saved}.keras", compile=False)
            for saved in ("baseline", "compact")
        )
        x, judged = data.x_train, (data.x_test, data.y_test)
    for seed in seeds:
        content = shrink(compact, teacher, x, int(seed), **RECIPES[name])
        save(kind, name, seed, score(content, *judged))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:] or ["0", "1", "2"])
