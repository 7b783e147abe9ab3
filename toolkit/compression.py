"""Keras models on their way to .tflite files: saved, copied, fine-tuned, converted."""

from pathlib import Path

import numpy as np

from toolkit.files import replacing
from toolkit.runtime import use_keras_2
from toolkit.tflite import quiet
from toolkit.training import compile_model, train

use_keras_2()
import tensorflow as tf
import tensorflow_model_optimization as tfmot
from tensorflow.lite.tools import flatbuffer_utils

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


def fold_norms(model):
    """A copy of a Keras model with each batch normalization folded into the convolution before it.

    The network is a chain; its scores stay the same but for rounding. As the converter folds, the
    kernel of each channel is multiplied by gamma / sqrt(variance + epsilon), and the rest becomes
    its bias. ReLU becomes the activation of the layer before it: where it stands by itself, tfmot
    trains a convolution as if it had no weights to be rounded (`LayerReLUQuantize`).
    """
    layers = tf.keras.layers
    chain: list = []  # (class, settings, weights) of each layer
    for layer in model.layers[1:]:
        if isinstance(layer, layers.BatchNormalization):
            _, settings, values = chain[-1]
            gamma, beta, mean, variance = layer.get_weights()
            factor = gamma / np.sqrt(variance + layer.epsilon)
            offset = values[1] if len(values) > 1 else 0
            settings["use_bias"] = True
            values[:] = values[0] * factor, beta + (offset - mean) * factor
        elif isinstance(layer, layers.ReLU):
            chain[-1][1]["activation"] = "relu"
        else:
            chain.append((layer.__class__, layer.get_config(), layer.get_weights()))
    x = inputs = tf.keras.Input(model.input_shape[1:], name=model.layers[0].name)
    for kind, settings, _ in chain:
        x = kind.from_config(settings)(x)
    copy = tf.keras.Model(inputs, x)
    for layer, (_, _, values) in zip(copy.layers[1:], chain, strict=True):
        layer.set_weights(values)
    return copy


def equalized(model, rounds=20):
    """A copy of a Keras model whose channels use the range of their layer's weights alike.

    model: a chain of convolutions and dense layers with ReLU, pooling or flattening by averages
    between them, without batch normalization. ReLU lets a factor of each channel pass, so that a
    kernel may be divided by it and the next one multiplied: cross-layer equalization (Nagel et al.,
    "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019), whose
    factors make the largest weights of a channel equal on both sides. The scores stay the same
    but for rounding.
    """
    copy = clone(model)
    layers = [layer for layer in copy.layers if hasattr(layer, "kernel")]
    weights = [layer.get_weights() for layer in layers]
    for _ in range(rounds):
        for one, following in zip(weights, weights[1:], strict=False):
            outgoing = np.abs(one[0]).reshape(-1, one[0].shape[-1]).max(axis=0)
            incoming = np.moveaxis(np.abs(following[0]), -2, 0)
            incoming = incoming.reshape(len(outgoing), -1).max(axis=1)
            alive = (outgoing > 0) & (incoming > 0)
            factor = np.sqrt(np.where(alive, outgoing, 1) / np.where(alive, incoming, 1))
            one[0], one[1] = one[0] / factor, one[1] / factor
            following[0] = following[0] * factor[:, None]
    for layer, values in zip(layers, weights, strict=True):
        layer.set_weights(values)
    return copy


def cluster_layers(model, counts, centroids, train_it):
    """A copy of a Keras model whose layers have few different weights. Returns (copy, history).

    counts: a layer's name -> how many values its weights share. centroids: where these start, the
    name of a tfmot.clustering.keras.CentroidInitialization. train_it(wrapped) trains the copy
    meanwhile and returns the history.
    """
    clustering = tfmot.clustering.keras

    def wrap(layer):
        if layer.name not in counts:
            return layer
        start = clustering.CentroidInitialization[centroids]
        return clustering.cluster_weights(layer, counts[layer.name], start)

    wrapped = tf.keras.models.clone_model(clone(model), clone_function=wrap)
    history = train_it(wrapped)
    return clustering.strip_clustering(wrapped), history


def prune_layers(model, sparsity, larger_than, steps, train_it):
    """A copy of a Keras model with many weights of zero. Returns (copy, history).

    Layers with more weights than `larger_than` lose the share `sparsity` of them, ever more until
    60 % of the training's `steps`. train_it(wrapped, callbacks) trains the copy meanwhile and
    returns the history.
    """
    pruning, end = tfmot.sparsity.keras, int(0.6 * steps)
    often = max(1, end // 20)
    schedule = pruning.PolynomialDecay(0, sparsity, 0, end, frequency=often)
    large = {name for name, kernel in kernels(model).items() if kernel.size > larger_than}

    def wrap(layer):
        return pruning.prune_low_magnitude(layer, schedule) if layer.name in large else layer

    wrapped = tf.keras.models.clone_model(clone(model), clone_function=wrap)
    history = train_it(wrapped, [pruning.UpdatePruningStep()])
    return pruning.strip_pruning(wrapped), history


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


def stripped(path, target):
    """Writes a .tflite file without the names of its tensors, by TensorFlow's own tool.

    Returns `target`.
    """
    model = flatbuffer_utils.read_model(str(path))
    flatbuffer_utils.strip_strings(model)
    with replacing(target) as temporary:
        flatbuffer_utils.write_model(model, str(temporary))
    return target
