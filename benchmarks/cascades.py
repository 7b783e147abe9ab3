"""Recipes of the study of cascades, judged on held-out photos.

    .venv/bin/python -m benchmarks.cascades network [NAME=VALUE ...]
    .venv/bin/python -m benchmarks.cascades end [NAME=VALUE ...]

`network` trains M, `end` compresses M, trained without the photos too, to the end of the line.
Settings that are not given are those of the notebook. The figures go to
benchmarks/cascades.json. The test file is not read. One to three minutes each on 2 cores.
"""

import ast
import sys
import tempfile
import time
from pathlib import Path

import tensorflow_model_optimization as tfmot

from benchmarks.tracks import append, fine_tune
from signmnist.baseline import (
    BATCH_SIZE,
    augment,
    augment_mildly,
    build_dense_cnn,
    load_or_train,
)
from signmnist.data import TRAIN_CSV, load_sign_mnist
from signmnist.splits import group_split
from toolkit.files import replacing
from toolkit.runtime import use_keras_2
from toolkit.tflite import count_correct, predict_tflite, save_tflite, sizes
from toolkit.training import accuracy

use_keras_2()
import tensorflow as tf

pruning, clustering = tfmot.sparsity.keras, tfmot.clustering.keras
FIGURES = Path(__file__).with_suffix(".json")
SETTINGS: dict[str, dict] = {
    "network": {"epochs": 8, "learning_rate": 2e-3, "augmentation": "mild", "dropout": 0.5},
    "end": {
        "sparsities": (0.0, 0.6, 0.8, 0.9945, 0.93),  # of conv1, conv2, conv3, dense, letters
        "initial": 0.5,
        "block": (8, 1),  # of the dense layer's kernel: inputs, units
        "epochs": 8,
        "learning_rate": 6e-3,
        "clusters": 16,
        "clustering_epochs": 1,
        "clustering_rate": 1e-3,
        "centroids": "KMEANS_PLUS_PLUS",
    },
}


def network(x, y, epochs, learning_rate, augmentation, dropout):
    """M, trained on the rows x, y, and then without its dropout. Returns (model, history)."""
    tf.keras.utils.set_random_seed(0)
    trained = build_dense_cnn(dropout=dropout)
    kind = {"mild": augment_mildly, "full": augment}[augmentation]
    history = fine_tune(trained, x, y, epochs, learning_rate, kind)
    model = build_dense_cnn()
    model.set_weights(trained.get_weights())
    return model, history


def end(model, x, y, sparsities, epochs, learning_rate, clusters, clustering_epochs,
        clustering_rate, centroids, initial, block):  # fmt: skip
    """M pruned, and after that clustered with its zeros kept: (pruned, clustered)."""
    names = [layer.name for layer in model.layers if hasattr(layer, "kernel")]
    finish = int(0.6 * epochs * (len(x) // BATCH_SIZE))

    def wrap(layer):
        sparsity = dict(zip(names, sparsities, strict=True)).get(layer.name)
        if not sparsity:
            return layer
        start = min(initial, sparsity)
        schedule = pruning.PolynomialDecay(start, sparsity, 0, finish, frequency=finish // 20)
        size = block if layer.name == "dense" else (1, 1)
        return pruning.prune_low_magnitude(layer, pruning_schedule=schedule, block_size=size)

    wrapped = tf.keras.models.clone_model(model, clone_function=wrap)
    callbacks = [pruning.UpdatePruningStep()]
    fine_tune(wrapped, x, y, epochs, learning_rate, augment_mildly, callbacks)
    pruned = pruning.strip_pruning(wrapped)
    if not clusters:
        return pruned, pruned
    copy = tf.keras.models.clone_model(pruned)
    copy.set_weights(pruned.get_weights())
    wrapped = clustering.cluster_weights(
        copy,
        number_of_clusters=clusters,
        cluster_centroids_init=clustering.CentroidInitialization[centroids],
        preserve_sparsity=True,
    )
    fine_tune(wrapped, x, y, clustering_epochs, clustering_rate, augment_mildly)
    return pruned, clustering.strip_clustering(wrapped)


def converted(model, x, folder, one_scale):
    """The path of the full integer file, with a scale a channel or one a tensor."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([row[None]] for row in x[:300])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    if one_scale:
        converter._experimental_disable_per_channel = True
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    save_tflite(converter, Path(folder, "model.tflite"))
    return Path(folder, "model.tflite")


def main(recipe, given):
    settings = SETTINGS[recipe] | {key: ast.literal_eval(value) for key, value in given.items()}
    data = load_sign_mnist()
    rows, held_out = group_split(data.y_train, data.train_groups, seed=0)
    x, y = data.x_train[rows], data.y_train[rows]
    x_held_out, y_held_out = data.x_train[held_out], data.y_train[held_out]
    start = time.perf_counter()
    found = {}
    path = Path(f"checkpoints/held_out-{data.sha256[TRAIN_CSV][:12]}/cascades.keras")
    if recipe == "network":
        model, _ = network(x, y, **settings)
        if settings == SETTINGS["network"]:
            with replacing(path) as temporary:
                model.save(temporary, save_format="keras")
        found["float"] = {"accuracy": accuracy(model, x_held_out, y_held_out)}
    else:
        model = load_or_train(path, lambda: network(x, y, **SETTINGS["network"]))
        pruned, model = end(model, x, y, **settings)
        settings["dropout of M"] = SETTINGS["network"]["dropout"]
        found["pruned, float"] = {"accuracy": accuracy(pruned, x_held_out, y_held_out)}
        with tempfile.TemporaryDirectory() as folder:
            for kind in ("int8", "int8, one scale"):
                file = converted(model, x, folder, "one scale" in kind)
                correct = count_correct(predict_tflite(file, x_held_out), y_held_out)
                found[kind] = {
                    "accuracy": correct / len(y_held_out),
                    "bytes_gzip": sizes(file)["bytes_gzip"],
                }
    figures = {"recipe": recipe, "settings": settings, "files": found}
    figures["seconds"] = round(time.perf_counter() - start)
    append(figures, FIGURES)


if __name__ == "__main__":
    main(sys.argv[1], dict(argument.split("=", 1) for argument in sys.argv[2:]))
