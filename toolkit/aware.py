"""Quantization-aware training with weights of 4 bits, by the means of TensorFlow's toolkit.

The toolkit's own scheme rounds to 8 bits; its quantizers take any number. That of its sparsity-
preserving training (PQAT) keeps the zeros.
"""

import numpy as np

from toolkit.compression import clone, kernels
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf
import tensorflow_model_optimization as tfmot
from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.prune_preserve import (  # noqa: E501
    prune_preserve_quantize_registry as sparse_registry,
)

quantization = tfmot.quantization.keras


class FourBitWeights(quantization.QuantizeConfig):  # type: ignore[name-defined]
    """Rounds a layer's kernel to -7 ... 7 times one step; biases and activations stay in float.

    keep_zeros: whether weights that are zero before the training stay so.
    """

    def __init__(self, keep_zeros=False):
        self.keep_zeros = keep_zeros
        kind = quantization.quantizers.LastValueQuantizer
        if keep_zeros:
            kind = sparse_registry.PrunePreserveDefaultWeightsQuantizer
        self.quantizer = kind(num_bits=4, per_axis=False, symmetric=True, narrow_range=True)

    def get_weights_and_quantizers(self, layer):
        return [(layer.kernel, self.quantizer)]

    def set_quantize_weights(self, layer, quantize_weights):
        (layer.kernel,) = quantize_weights

    def get_activations_and_quantizers(self, layer):
        return []

    def set_quantize_activations(self, layer, quantize_activations):
        pass

    def get_output_quantizers(self, layer):
        return []

    def get_config(self):
        return {"keep_zeros": self.keep_zeros}


def without_small_weights(model):
    """A copy of a Keras model without the weights that 4 bits round to zero.

    Those are less than half a step, which is a seventh of the layer's largest weight.
    """
    copy = clone(model)
    for layer in copy.layers:
        if hasattr(layer, "kernel"):
            size = np.abs(layer.kernel.numpy())
            layer.kernel.assign(np.where(size < size.max() / 14, 0, layer.kernel.numpy()))
    return copy


def clipped(model):
    """A copy of a Keras model, each kernel clipped where rounding it to 4 bits then costs least.

    Of bounds from 0.3 to 1 times the largest weight, the one with the least squared error between
    the weights and -7 ... 7 steps of a seventh of it (as in Banner, Nahshan, Soudry, 2019).
    """
    copy = clone(model)
    for layer in copy.layers:
        if hasattr(layer, "kernel"):
            kernel = layer.kernel.numpy()
            bounds = np.linspace(0.3, 1, 36) * (np.abs(kernel).max() or 1)
            steps = [np.clip(np.round(kernel * 7 / bound), -7, 7) for bound in bounds]
            errors = [np.sum((s * b / 7 - kernel) ** 2) for s, b in zip(steps, bounds, strict=True)]
            bound = bounds[np.argmin(errors)]
            layer.kernel.assign(np.clip(kernel, -bound, bound))
    return copy


def in_steps(model):
    """A layer's name -> its kernel in steps of 4 bits, a seventh of the largest weight each."""
    return {name: 7 * weights / np.abs(weights).max() for name, weights in kernels(model).items()}


def in_four_bits(model, train_it, keep_zeros=False):
    """A copy of a Keras model with kernels of 4 bits, one step a layer. Returns (copy, history).

    model: without batch normalization. train_it(aware) trains the copy with the rounding in its
    forward pass and returns the history. keep_zeros: see FourBitWeights.
    """

    def annotate(layer):
        copy = layer.__class__.from_config(layer.get_config())
        if not hasattr(layer, "kernel"):
            return copy
        return quantization.quantize_annotate_layer(copy, FourBitWeights(keep_zeros))

    annotated = tf.keras.models.clone_model(model, clone_function=annotate)
    annotated.set_weights(model.get_weights())
    with quantization.quantize_scope({"FourBitWeights": FourBitWeights}):
        aware = quantization.quantize_apply(annotated)
    history = train_it(aware)
    copy = tf.keras.models.clone_model(model)
    wrappers = [layer for layer in aware.layers if getattr(layer, "_weight_vars", None)]
    named = {wrapper.layer.name: wrapper for wrapper in wrappers}
    for layer in copy.layers:
        if layer.name in named:
            wrapper = named[layer.name]
            ((kernel, quantizer, ranges),) = wrapper._weight_vars
            rounded = quantizer(kernel, training=False, weights=ranges)
            layer.set_weights([rounded, wrapper.layer.bias][: len(layer.weights)])
    return copy, history
