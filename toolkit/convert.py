"""Keras models as .tflite files."""

import contextlib
import io

from toolkit.runtime import use_keras_2
from toolkit.tflite import save_tflite

use_keras_2()
import tensorflow as tf


def to_tflite(model, path, **settings):
    """Converts a Keras model quietly and writes the file. Returns `path`.

    settings: attributes of tf.lite.TFLiteConverter, or of its target_spec where they are named
    supported_ops or supported_types. Raises ValueError for any that the converter does not have.
    """
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    for name, value in settings.items():
        target = converter.target_spec if name.startswith("supported") else converter
        if not hasattr(target, name):
            raise ValueError(f"{name}: the converter has no such setting")
        setattr(target, name, value)
    with contextlib.redirect_stdout(io.StringIO()):
        save_tflite(converter, path)
    return path
