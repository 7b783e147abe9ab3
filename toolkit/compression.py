"""Keras models on their way to .tflite files: saved, copied, fine-tuned, converted."""

from pathlib import Path

import numpy as np

from toolkit.files import replacing
from toolkit.runtime import use_keras_2
from toolkit.tflite import quiet
from toolkit.training import compile_model, train

use_keras_2()
import tensorflow as tf

# Number formats, as settings of tf.lite.TFLiteConverter; float32 needs none. The integer ones need
# a representative_dataset as well.
DYNAMIC_RANGE = {"optimizations": [tf.lite.Optimize.DEFAULT]}
FLOAT16 = DYNAMIC_RANGE | {"supported_types": [tf.float16]}
INT8 = DYNAMIC_RANGE | {
    "supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8],
    "inference_input_type": tf.int8,
    "inference_output_type": tf.int8,
}
INT16X8 = DYNAMIC_RANGE | {
    "supported_ops": [tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8],
}
# To be added to INT16X8, whose biases have 64 bits by default, and to INT8
BIAS_32 = {"_experimental_full_integer_quantization_bias_type": tf.int32}
ONE_SCALE = {
    "_experimental_disable_per_channel": True,
    "_experimental_disable_per_channel_quantization_for_dense_layers": True,
}


def saved_or_trained(path, train_it):
    """The Keras model saved at `path` or, where there is none, what `train_it` returns, saved.

    train_it: a function without arguments that returns (model, history).
    """
    if Path(path).exists():
        print(f"{path}: as saved before")
        return tf.keras.models.load_model(path, compile=False)
    print(f"{path}: not here, so it is trained first")
    model, _ = train_it()
    with replacing(path) as temporary:
        model.save(temporary)
    return model


def clone(model):
    """A copy of a Keras model with its weights."""
    copy = tf.keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def kernels(model):
    """Name -> weights, of the layers of a Keras model that have a kernel; in their order."""
    return {la.name: la.get_weights()[0] for la in model.layers if hasattr(la, "kernel")}


def fine_tune(model, x, y, *, epochs, learning_rate, loss=None, batch_size=128, **settings):
    """Compiles a Keras model by `compile_model` and trains it. Returns the history.

    x, y, batch_size, settings: see `train`. learning_rate, loss: see `compile_model`.
    """
    compile_model(model, epochs * max(1, len(x) // batch_size), learning_rate, loss)
    return train(model, x, y, epochs=epochs, batch_size=batch_size, **settings)


def representative_dataset(x, count=300, seed=0):
    """What the converter calibrates with: some of the inputs x (n, ...), one by one.

    Returns the function without arguments that tf.lite.TFLiteConverter wants.
    """
    rows = np.random.default_rng(seed).choice(len(x), min(count, len(x)), replace=False)
    return lambda: ([x[row : row + 1]] for row in rows)


def convert(model, path, traced=False, **settings):
    """Converts a Keras model quietly and writes the .tflite file. Returns `path`.

    settings: attributes of tf.lite.TFLiteConverter, or of its target_spec where they are named
    supported_ops or supported_types. Raises ValueError for any that the converter does not have.
    traced: converts the forward pass of a model with one input alone. That is several times
    faster for networks of many layers, as the converter traces each layer by itself otherwise;
    layers that it recognises as a whole, such as an LSTM, need that.
    """
    if traced:
        shape = tf.TensorSpec(model.inputs[0].shape, model.inputs[0].dtype)
        forward = tf.function(lambda x: model(x, training=False)).get_concrete_function(shape)
        holder = tf.Module()
        holder.variables_of_model = model.variables  # the model itself would be traced whole again
        converter = tf.lite.TFLiteConverter.from_concrete_functions([forward], holder)
    else:
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
    for name, value in settings.items():
        target = converter.target_spec if name.startswith("supported") else converter
        if not hasattr(target, name):
            raise ValueError(f"{name}: the converter has no such setting")
        setattr(target, name, value)
    with quiet():
        content = converter.convert()
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path
