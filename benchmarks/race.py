"""The size races of q2 and q3 with several seeds: accuracy on held-out photos, bytes, test file.

    .venv/bin/python -m benchmarks.race [SEED ...]

Each recipe is trained twice a seed: without the validation photos, from baselines that have
not seen them either, for the validation accuracy by which q2 and q3 choose their seed; and
from the published baselines on all rows, for the size and the test accuracy. The figures go
to benchmarks/race.json, about twenty minutes a seed on 2 cores.
"""

import gzip
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow_model_optimization as tfmot

from benchmarks.seeds import COMPACT_EPOCHS, EPOCHS
from signmnist.baseline import (
    BATCH_SIZE,
    COPIES,
    distil,
    load_or_train,
    train_accurate,
    train_compact,
)
from signmnist.data import load_sign_mnist, replacing
from signmnist.grid import grid_network, plain_network
from signmnist.int4 import to_int4
from signmnist.packing import repack
from signmnist.runtime import use_keras_2
from signmnist.splits import group_split, photo_groups
from signmnist.tflite import count_correct, predict_tflite, save_tflite

use_keras_2()
import tensorflow as tf

pruning = tfmot.sparsity.keras
FIGURES = Path(__file__).with_suffix(".json")
RECIPES = {
    "q2": {"penalty": 7e-4, "sparsity": 0.0, "learning_rate": 8e-3, "epochs": 30},
    "q3": {"penalty": 5e-4, "sparsity": 0.5, "learning_rate": 8e-3, "epochs": 30},
}


def held_out(data):
    """Rows for training and validation, and the baselines trained without the latter.

    The baselines are kept under checkpoints/. Returns (rows, rows, teacher, compact).
    """
    training, validation = group_split(data.y_train, photo_groups(data.x_train))
    x, y = data.x_train[training], data.y_train[training]
    teacher = load_or_train(
        "checkpoints/held_out_baseline.keras", lambda: train_accurate(x, y, EPOCHS)
    )
    compact = load_or_train(
        "checkpoints/held_out_compact.keras", lambda: train_compact(x, teacher, COMPACT_EPOCHS)
    )
    return training, validation, teacher, compact


def shrink(compact, teacher, x, seed, penalty, sparsity, learning_rate, epochs):
    """The recipe of q2 (sparsity 0) or q3. Returns the bytes of the .tflite file."""
    model = grid_network(compact, penalty)
    callbacks = []
    if sparsity:
        end = int(0.6 * epochs * COPIES * (len(x) // BATCH_SIZE))
        schedule = pruning.PolynomialDecay(0, sparsity, 0, end, frequency=max(1, end // 20))
        model = pruning.prune_low_magnitude(model, pruning_schedule=schedule)
        callbacks = [pruning.UpdatePruningStep()]
    distil(model, x, teacher, epochs, learning_rate, seed, "size race", callbacks)
    if sparsity:
        model = pruning.strip_pruning(model)
    rows = np.random.default_rng(seed).choice(len(x), min(300, len(x)), replace=False)
    converter = tf.lite.TFLiteConverter.from_keras_model(plain_network(model))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([x[row : row + 1]] for row in rows)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    converter._experimental_disable_per_channel = True
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "race.tflite")
        save_tflite(converter, path)
        return repack(to_int4(path.read_bytes()), 3000)


def score(content, x, y):
    """The bytes after gzip -9 and the share of the images that a .tflite file reads right."""
    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        file.write(content)
        file.flush()
        correct = count_correct(predict_tflite(file.name, x), y)
    return {"bytes_gzip": len(gzip.compress(content, 9, mtime=0)), "accuracy": correct / len(y)}


def main(seeds):
    data = load_sign_mnist()
    training, validation, teacher, compact = held_out(data)
    baseline, small = (
        tf.keras.models.load_model(f"models/sign_mnist_{name}.keras", compile=False)
        for name in ("baseline", "compact")
    )
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    for seed in seeds:
        for name, recipe in RECIPES.items():
            candidate = shrink(compact, teacher, data.x_train[training], seed, **recipe)
            published = shrink(small, baseline, data.x_train, seed, **recipe)
            figures.setdefault(name, {})[str(seed)] = {
                "recipe": recipe,
                "validation": score(candidate, data.x_train[validation], data.y_train[validation]),
                "test": score(published, data.x_test, data.y_test),
            }
            print(f"\n{name}, seed {seed}:", figures[name][str(seed)], flush=True)
            with replacing(FIGURES) as temporary:
                temporary.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or [0, 1, 2])
