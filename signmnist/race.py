"""The networks of the size race, and how they are trained."""

from pathlib import Path

from signmnist.baseline import BATCH_SIZE, learn
from toolkit.compression import fine_tune
from toolkit.graph import LAYERS, POOLS, listed, read_model
from toolkit.grid import grid_network
from toolkit.pairs import PairCode
from toolkit.runtime import use_keras_2
from toolkit.training import distillation_loss

use_keras_2()
import tensorflow as tf

layers = tf.keras.layers


def build_race_cnn(blocks):
    """A CNN whose file has a small container: few operators, no average, no global pooling.

    blocks: for each block the widths of its convolutions; 2x2 max-pooling between blocks. All are
    3x3 but the first, 5x5 with stride 2. The last has no padding, so that of 3x3 pixels one is
    left. Each is followed by batch normalization and ReLU, the last by a dense layer.
    Takes (n, 28, 28, 1) in [0, 1] and gives (n, 24) logits.
    """
    inputs = x = layers.Input((28, 28, 1), name="pixels")
    number, last = 0, sum(map(len, blocks))
    for i, widths in enumerate(blocks):
        if i:
            x = layers.MaxPooling2D()(x)
        for width in widths:
            number += 1
            size, stride = (5, 2) if number == 1 else (3, 1)
            padding = "valid" if number == last else "same"
            convolution = layers.Conv2D(
                width, size, stride, padding=padding, use_bias=False, name=f"conv{number}"
            )
            x = layers.BatchNormalization(name=f"norm{number}")(convolution(x))
            x = layers.ReLU()(x)
    return tf.keras.Model(inputs, layers.Dense(24, name="letters")(layers.Flatten()(x)))


def start_race(images, scores, recipe, seed=0):
    """The float network that a recipe of the race starts from, distilled for its `start` epochs.

    images, scores: see `lessons`. Returns a Keras model.
    """
    tf.keras.utils.set_random_seed(seed)
    model = build_race_cnn(**recipe["network"])
    learn(model, images, scores, recipe | recipe["start"], seed, "float")
    return model


def race_on_grid(start, images, scores, recipe, seed=0, name="race"):
    """Distils a network on the grid, from a float one. Returns (model, history).

    The loss is that of distillation, an L1 penalty on the weights, in steps, and, if the recipe
    has a `pair_penalty`, so much for each bit of a code for their pairs, from the share
    `coded_from` of the steps on.
    """
    model = grid_network(start, recipe["penalty"], dense_bias=False)
    if "pair_penalty" not in recipe:
        return model, learn(model, images, scores, recipe, seed, name)
    steps = recipe["epochs"] * (len(images) // BATCH_SIZE)
    code, price = PairCode(model, int(recipe["coded_from"] * steps)), recipe["pair_penalty"]
    taught = distillation_loss(recipe["temperature"])

    def loss(teacher_logits, logits):
        return taught(teacher_logits, logits) + price * code.cost()

    settings = {key: recipe[key] for key in ("epochs", "learning_rate")}
    settings |= {"seed": seed, "name": name, "callbacks": [code]}
    return model, fine_tune(model, images, scores, loss=loss, **settings)


def row_memory(path):
    """Bytes that an int8 network needs for activations if each layer keeps but the rows it reads.

    path: of a .tflite file. For each layer and pooling: rows of its kernel x width x channels of
    its input; a dense layer reads all of it.
    """
    needed = 0
    for op in read_model(Path(path).read_bytes()).subgraphs[0].operators:
        rows, *rest = listed(op.sources[0].shape)[1:]
        if op.kind in POOLS:
            rows = op.builtinOptions.filterHeight
        elif op.kind in LAYERS and len(rest) == 2:
            rows = op.sources[1].shape[1]
        elif op.kind not in LAYERS:
            continue
        for size in rest:
            rows *= int(size)
        needed += int(rows)
    return needed
