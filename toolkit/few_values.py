"""Networks whose layers have two or three different weights each, times one step a layer."""

import numpy as np

from toolkit.graph import LAYERS, TYPES, as_array, read_model, write_model
from toolkit.grid import SharedScaleNorm
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf
from qkeras import QConv2D, QDense, binary, ternary

layers = tf.keras.layers


def few_values(count, step=1.0):
    """QKeras's quantizer to -step and step (count 2) or to these and 0 (3)."""
    return binary(alpha=step) if count == 2 else ternary(alpha=step, threshold=step / 2)


def least_error_step(kernel, count):
    """The step with which `few_values` rounds a kernel with the least squared error."""
    steps = np.abs(kernel).mean() * np.linspace(0.5, 3, 60)
    rounded = [few_values(count, step)(tf.constant(kernel)).numpy() for step in steps]
    return float(steps[np.argmin([np.sum((other - kernel) ** 2) for other in rounded])])


def few_valued(model, count, penalty=0.0):
    """The network of `build_cnn` with `count` different weights a layer, ready to be trained.

    The batch normalization is folded into the kernels, which are in steps, and a SharedScaleNorm
    takes its place; the dense layer has a fixed step. penalty: weight of the L1 norm of the
    kernels in the loss; the larger, the more weights of three values become 0.
    """
    regularizer = tf.keras.regularizers.L1(penalty) if penalty else None
    shared = {"kernel_regularizer": regularizer, "kernel_initializer": "zeros"}
    inputs = x = layers.Input(model.input_shape[1:], name="pixels")
    for layer, after in zip(model.layers, [*model.layers[1:], None], strict=True):
        if isinstance(layer, layers.Conv2D):
            gamma, beta, mean, variance = after.get_weights()
            gain = gamma / np.sqrt(variance + after.epsilon)
            kernel = layer.get_weights()[0] * gain
            step = least_error_step(kernel, count)
            form = layer.filters, layer.kernel_size, layer.strides, layer.padding
            convolution = QConv2D(
                *form,
                use_bias=False,
                kernel_quantizer=few_values(count),
                name=layer.name,
                **shared,
            )
            norm = SharedScaleNorm()
            x = layers.ReLU()(norm(convolution(x)))
            convolution.set_weights([np.clip(kernel / step, -1, 1)])
            spread = np.mean(gamma**2)
            norm.set_weights([np.sqrt(spread), beta, mean * gain / step, spread / step**2])
        elif isinstance(layer, layers.Dense):
            step = least_error_step(layer.get_weights()[0], count)
            dense = QDense(
                layer.units, kernel_quantizer=few_values(count, step), name=layer.name, **shared
            )
            x = dense(x)
            dense.set_weights(layer.get_weights())
        elif not isinstance(layer, (layers.InputLayer, layers.BatchNormalization, layers.ReLU)):
            x = layer.__class__.from_config(layer.get_config())(x)
    return tf.keras.Model(inputs, x)


def values_of(layer):
    """The kernel of a layer of a `few_valued` network in steps, whole numbers: int8 array."""
    quantizer = layer.kernel_quantizer_internal
    return np.round(quantizer(layer.kernel).numpy() / quantizer.alpha).astype(np.int8)


def plain_few_valued(model):
    """A `few_valued` network as ordinary Keras layers, for the converter: the same function."""
    inputs = x = layers.Input(model.input_shape[1:], name="pixels")
    for layer, after in zip(model.layers, [*model.layers[1:], None], strict=True):
        if isinstance(layer, QConv2D):
            form = layer.filters, layer.kernel_size, layer.strides, layer.padding
            x = (convolution := layers.Conv2D(*form))(x)
            step = after.step(after.variance)
            convolution.set_weights([values_of(layer) * step, after.bias - after.mean * step])
        elif isinstance(layer, QDense):
            x = (dense := layers.Dense(layer.units, name=layer.name))(x)
            dense.set_weights(
                [values_of(layer) * layer.kernel_quantizer_internal.alpha, layer.bias]
            )
        elif not isinstance(layer, (layers.InputLayer, SharedScaleNorm)):
            x = layer.__class__.from_config(layer.get_config())(x)
    return tf.keras.Model(inputs, x)


def in_2_bits(content, kinds=LAYERS):
    """The bytes of a .tflite file with INT4 weights, all of -2 to 1, stored in INT2.

    kinds: the operators whose weights these are. It may be a file that no runtime takes: nothing
    is proved.
    """
    model = read_model(content)
    for op in model.subgraphs[0].operators:
        if op.kind in kinds and op.sources[1].type == TYPES.INT4:
            weights = op.sources[1]
            values = as_array(weights).ravel()
            values = np.append(values, np.zeros(-len(values) % 4, np.int8)).view(np.uint8) & 3
            fourths = values.reshape(-1, 4) << np.array([0, 2, 4, 6], np.uint8)  # lowest bits first
            weights.data = np.bitwise_or.reduce(fourths, axis=1).tobytes()
            weights.type = TYPES.INT2
    return write_model(model)
