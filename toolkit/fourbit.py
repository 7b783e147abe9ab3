"""What a QKeras network stores: whole numbers of a few bits and their scales."""

import contextlib
import warnings

import numpy as np
import pandas as pd

from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf
from qkeras import QConv2D, QDense, quantized_bits

# QKeras describes quantizers as if they were constraints
warnings.filterwarnings("ignore", "The `keras.constraints.serialize")

COPIED = "It knows chains of QConv2D, QDense and Keras's own layers: write a copy of your own."
CONVOLUTION = "filters kernel_size strides padding dilation_rate groups use_bias activation"


@contextlib.contextmanager
def learning_phase():
    """Lets quantizers with stochastic rounding do it in the block, during training.

    They ask Keras's learning phase, which stays at 0, prediction, in `fit` of Keras 2.20.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`tf.keras.backend.set_learning_phase`")
        tf.keras.backend.set_learning_phase(1)
        try:
            yield
        finally:
            tf.keras.backend.set_learning_phase(0)


def four_bits():
    """A quantizer of 4 bits: whole numbers from -7 to 7, with one step for each output channel."""
    return quantized_bits(4, 0, symmetric=1, alpha="auto")


def quantized_copy(model, quantizer=four_bits):
    """A Keras CNN with QKeras layers in place of its convolutions and dense layers.

    The weights are those of `model`, in float underneath. quantizer: a function that makes one.
    """

    def with_quantizers(layer):
        shared = {"kernel_quantizer": quantizer(), "kernel_initializer": "zeros"}
        shared["name"] = layer.name
        if isinstance(layer, tf.keras.layers.Conv2D):
            form = layer.filters, layer.kernel_size, layer.strides, layer.padding
            # the batch normalization behind it has a bias
            return QConv2D(*form, use_bias=False, **shared)
        if isinstance(layer, tf.keras.layers.Dense):
            return QDense(layer.units, bias_quantizer=quantizer(), **shared)
        return layer.__class__.from_config(layer.get_config())

    copy = tf.keras.models.clone_model(model, clone_function=with_quantizers)
    copy.set_weights(model.get_weights())
    return copy


def quantized_layers(model):
    """The layers of a QKeras model whose weights are quantized."""
    return [layer for layer in model.layers if hasattr(layer, "kernel_quantizer_internal")]


def stored_numbers(layer):
    """The kernel of a QKeras layer and, where there is one, its bias, in steps.

    Returns a list of (numbers, step): numbers are float arrays, whole if all is well;
    step is what 1 of them is worth, for each output channel or for all. For
    `quantized_bits`, after its source: value = scale * 2**integer / 2**(bits - 1) * number.
    What has no quantizer is in steps of 1.
    """
    found = []
    for values, quantizer in zip(layer.get_weights(), layer.get_quantizers(), strict=False):
        if quantizer is None:
            found.append((values, np.ones(1)))
            continue
        quantized = np.array(quantizer(tf.constant(values)))
        step = np.array(quantizer.scale)
        if hasattr(quantizer, "integer"):  # unlike in ternary, which is -1, 0, 1 times its scale
            step = step * 2.0 ** (quantizer.integer + 1 - quantizer.bits)
        found.append((quantized / step, np.ravel(step)))
    return found


def quantized_weights(model):
    """The weights of a QKeras model as its layers use them, in the order of `set_weights`."""
    weights = []
    for layer in model.layers:
        if layer in quantized_layers(model):
            weights += [
                (numbers * step).astype(np.float32) for numbers, step in stored_numbers(layer)
            ]
        else:
            weights += layer.get_weights()
    return weights


def plain_copy(model):
    """A QKeras model as ordinary Keras layers, for the converter: the same function.

    Dense layers become 1x1 convolutions, since TFLite Micro has INT4 kernels with a scale a
    channel for convolutions only. Raises ValueError if the copy gives other scores for random
    inputs: only QConv2D, QDense and Keras's own layers are known, each reading the one before.
    """
    layers = tf.keras.layers
    chain = [layer for layer in model.layers if not isinstance(layer, layers.InputLayer)]
    inputs = x = layers.Input(model.input_shape[1:], name="pixels")
    try:
        for layer, before, after in zip(chain, [None, *chain], [*chain[1:], None], strict=False):
            if isinstance(layer, layers.Dense):
                flat = len(x.shape) == 2 or isinstance(before, layers.GlobalAveragePooling2D)
                x = layers.Reshape((1, 1, x.shape[-1]))(x) if len(x.shape) == 2 else x
                settings = {"use_bias": layer.use_bias, "activation": layer.activation}
                x = layers.Conv2D(layer.units, 1, **settings)(x)
                x = layers.Flatten(name=layer.name)(x) if flat else x
            elif isinstance(layer, layers.GlobalAveragePooling2D):
                x = layers.GlobalAveragePooling2D(keepdims=isinstance(after, layers.Dense))(x)
            elif type(layer).__name__ in ("Conv2D", "QConv2D"):
                settings = {name: getattr(layer, name) for name in CONVOLUTION.split()}
                x = layers.Conv2D(**settings)(x)
            elif "qkeras" in type(layer).__module__:
                raise ValueError(f"{type(layer).__name__} is no ordinary layer")
            else:
                x = layer.__class__.from_config(layer.get_config())(x)
        copy = tf.keras.Model(inputs, x)
        weights = zip(quantized_weights(model), copy.weights, strict=True)
        copy.set_weights([array.reshape(own.shape) for array, own in weights])
        probe = np.random.default_rng(0).random((8, *model.input_shape[1:]), np.float32)
        expected, found = model(probe).numpy(), copy(probe).numpy()
        same = expected.shape == found.shape and np.allclose(expected, found, atol=1e-3, rtol=1e-3)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"plain_copy cannot copy this network ({error}). {COPIED}") from error
    if not same:
        raise ValueError(f"plain_copy would give other scores for this network. {COPIED}")
    return copy


def bit_count(model):
    """Bits that a QKeras model takes, a row a layer, counted from the arrays themselves.

    Columns: `weights` and `biases`, at the bits of their quantizers, 32 without one; `scales`,
    those that were fitted to the data (alpha "auto"), at 32 bits; `normalization`, the four
    numbers a channel of batch normalization, at 32 bits. All int.
    """
    rows = {}
    for layer in model.layers:
        arrays = layer.get_weights()
        if not arrays:
            continue
        row = dict.fromkeys(("weights", "biases", "scales", "normalization"), 0)
        if layer in quantized_layers(model):
            parts = zip(
                ("weights", "biases"), stored_numbers(layer), layer.get_quantizers(), strict=False
            )
            for kind, (numbers, step), quantizer in parts:
                row[kind] = numbers.size * getattr(quantizer, "bits", 32)
                if isinstance(getattr(quantizer, "alpha", None), str):
                    row["scales"] += 32 * step.size
        else:
            row["normalization"] = 32 * sum(array.size for array in arrays)
        rows[layer.name] = row
    return pd.DataFrame.from_dict(rows, orient="index")
