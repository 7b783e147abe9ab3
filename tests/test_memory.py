"""The activations of a small network, counted by hand."""

from toolkit.compression import convert
from toolkit.memory import live_bytes
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf


def test_what_is_added_later_is_alive_in_between(tmp_path):
    layers = tf.keras.layers
    inputs = layers.Input((8, 8, 2))
    wide = layers.Conv2D(4, 1)(inputs)
    more = layers.Conv2D(4, 3, padding="same", activation="relu")(wide)
    more = layers.Conv2D(4, 3, padding="same", activation="relu")(more)
    model = tf.keras.Model(inputs, layers.Add()([wide, more]))
    path = convert(model, tmp_path / "small.tflite")
    table = live_bytes(path.read_bytes())
    pixels = 4 * 8 * 8  # bytes of a channel
    assert list(table["operator"]) == ["CONV_2D"] * 3 + ["ADD"]
    assert list(table["bytes"]) == [6 * pixels, 8 * pixels, 12 * pixels, 12 * pixels]
    assert set(table["shape"]) == {"8 x 8 x 4"}
