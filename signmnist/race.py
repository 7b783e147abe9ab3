"""The network of the size race."""

from signmnist.baseline import learn
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf

layers = tf.keras.layers


def build_race_cnn(widths):
    """Convolutions of the given widths (conv1, ...), pooling between them, a dense layer.

    The first is 5x5 with stride 2, the last has no padding: what is left then is one pixel, so
    that no average is needed. Each is followed by batch normalization and ReLU.
    Takes (n, 28, 28, 1) in [0, 1] and gives (n, 24) logits.
    """
    inputs = x = layers.Input((28, 28, 1), name="pixels")
    for number, width in enumerate(widths, 1):
        size, stride = (5, 2) if number == 1 else (3, 1)
        padding = "valid" if number == len(widths) else "same"
        x = layers.Conv2D(
            width, size, stride, padding=padding, use_bias=False, name=f"conv{number}"
        )(x)
        x = layers.ReLU()(layers.BatchNormalization(name=f"norm{number}")(x))
        if number < len(widths):
            x = layers.MaxPooling2D()(x)
    return tf.keras.Model(inputs, layers.Dense(24, name="letters")(layers.Flatten()(x)))


def start_race(images, scores, recipe, seed=0):
    """The float network that a recipe of the race starts from. Returns (model, history)."""
    tf.keras.utils.set_random_seed(seed)
    model = build_race_cnn(**recipe["network"])
    return model, learn(model, images, scores, recipe, seed, "start of the race")
