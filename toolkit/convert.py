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


def traced_to_tflite(model, path, **settings):
    """Converts a Keras model with one input from its forward pass alone, as `to_tflite` does.

    That is several times faster for networks of many layers: `to_tflite` makes the converter trace
    each layer by itself as well. Layers that the converter recognises as a whole, such as an LSTM,
    need that. settings and errors: of `to_tflite`.
    """
    shape = tf.TensorSpec(model.inputs[0].shape, model.inputs[0].dtype)
    forward = tf.function(lambda x: model(x, training=False)).get_concrete_function(shape)
    holder = tf.Module()
    holder.variables_of_model = model.variables  # the model itself would be traced whole again
    converter = tf.lite.TFLiteConverter.from_concrete_functions([forward], holder)
    for name, value in settings.items():
        target = converter.target_spec if name.startswith("supported") else converter
        if not hasattr(target, name):
            raise ValueError(f"{name}: the converter has no such setting")
        setattr(target, name, value)
    with contextlib.redirect_stdout(io.StringIO()):
        save_tflite(converter, path)
    return path
