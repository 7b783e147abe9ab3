"""QKeras's quantizers for weights and activations, and activations of 4 bits in a file."""

import re
import warnings
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from litert_quantizer import Quantizer
from litert_quantizer.qtyping import QuantGranularity, TFLOperationName

from toolkit.files import replacing
from toolkit.graph import LAYERS, read_model
from toolkit.runtime import use_keras_2
from toolkit.tflite import quantize_input, quiet

use_keras_2()
import tensorflow as tf
from qkeras import (
    QActivation,
    QConv2D,
    QDense,
    bernoulli,
    binary,
    quantized_bits,
    quantized_hswish,
    quantized_po2,
    quantized_relu,
    quantized_relu_po2,
    quantized_sigmoid,
    quantized_tanh,
    quantized_ulaw,
    stochastic_binary,
    stochastic_ternary,
    ternary,
)


def auto(bits=4):
    """Quantizes to so many bits with one scale for each output channel."""
    return quantized_bits(bits, 0, symmetric=1, alpha="auto")


def at_random():
    """On the fixed grid of eighths, rounded up or down at random while training."""
    return quantized_bits(4, 0, alpha=1, use_stochastic_rounding=True)


WEIGHT_QUANTIZERS = {  # name -> bits a weight, what makes the quantizer
    "quantized_bits, alpha 1": (4, lambda: quantized_bits(4, 0, alpha=1)),
    "quantized_bits, 1 integer bit": (4, lambda: quantized_bits(4, 1, alpha=1)),
    "quantized_bits, stochastic": (4, at_random),
    "quantized_bits, auto": (4, auto),
    "quantized_bits, auto_po2": (4, lambda: quantized_bits(4, 0, symmetric=1, alpha="auto_po2")),
    "quantized_bits, auto, 8 bits": (8, lambda: auto(8)),
    "quantized_bits, auto, 3 bits": (3, lambda: auto(3)),
    "quantized_po2": (4, lambda: quantized_po2(4)),
    "quantized_ulaw": (4, lambda: quantized_ulaw(4, u=15.0)),
    "ternary": (2, lambda: ternary(alpha="auto")),
    "stochastic_ternary": (2, lambda: stochastic_ternary(alpha="auto")),
    "binary": (1, lambda: binary(alpha="auto")),
    "stochastic_binary": (1, lambda: stochastic_binary(alpha="auto")),
    "bernoulli": (1, lambda: bernoulli(alpha="auto")),
}
ACTIVATION_QUANTIZERS = {  # the same of what takes the place of a ReLU
    "quantized_relu": (4, lambda: quantized_relu(4, 2)),
    "quantized_relu_po2": (4, lambda: quantized_relu_po2(4, max_value=4)),
    "quantized_bits of activations": (4, lambda: quantized_bits(4, 2, alpha=1)),
    "quantized_hswish": (4, lambda: quantized_hswish(4, 2, alpha=1)),
    "quantized_tanh": (4, lambda: quantized_tanh(4)),
    "quantized_sigmoid": (4, lambda: quantized_sigmoid(4)),
}


def with_quantizer(model, name):
    """A copy of a Keras CNN with one of these quantizers alone: for its weights or its ReLUs."""
    if name in ACTIVATION_QUANTIZERS:
        return in_few_bits(model, lambda: None, ACTIVATION_QUANTIZERS[name][1])
    return in_few_bits(model, WEIGHT_QUANTIZERS[name][1])


def in_few_bits(model, kernel_quantizer=auto, activation=None):
    """A Keras CNN with QKeras layers in place of its convolutions and dense layers.

    The weights are those of `model`, as they are. kernel_quantizer: makes a quantizer; biases
    have 4 bits. activation: makes one that takes the place of each ReLU.
    """

    def with_quantizers(layer):
        shared = {"kernel_quantizer": kernel_quantizer(), "kernel_initializer": "zeros"}
        if isinstance(layer, tf.keras.layers.Conv2D):
            form = layer.filters, layer.kernel_size, layer.strides, layer.padding
            # the batch normalization behind it has a bias
            return QConv2D(*form, use_bias=False, name=layer.name, **shared)
        if isinstance(layer, tf.keras.layers.Dense):
            return QDense(layer.units, bias_quantizer=auto(), name=layer.name, **shared)
        if activation and isinstance(layer, (tf.keras.layers.ReLU, QActivation)):
            return QActivation(activation(), name=layer.name)
        if isinstance(layer, QActivation):
            return tf.keras.layers.ReLU(name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    copy = tf.keras.models.clone_model(model, clone_function=with_quantizers)
    copy.set_weights(model.get_weights())
    return copy


def with_16_levels(float_file, path, images, step):
    """A float .tflite file with weights of 4 bits and ReLUs of 16 levels, written to `path`.

    The levels are 0 to 15 times `step`. No runtime has activations in INT4, but int8 ends at 127:
    with the zero point 112 the sixteen levels are 112 to 127, ReLU stops below and the end of the
    type above. The zero point follows from the range, -240 to 15 steps, which the LiteRT Quantizer
    is told in place of the calibrated one. images: float32 (n, ...), which calibrate the rest:
    input, averages and scores. Returns `path`.
    """
    quantizer = Quantizer(str(float_file))
    every = ".*", TFLOperationName.ALL_SUPPORTED
    quantizer.add_static_config(*every, 8, 4, QuantGranularity.CHANNELWISE)
    with quiet(), warnings.catch_warnings(action="ignore"):
        ranges = quantizer.calibrate({"serving_default": [{"pixels": images}]})
        for tensor, found in ranges.items():
            if re.search("Relu|MaxPool", tensor):
                found |= {"min": 0 * found["min"] - 240 * step, "max": 0 * found["max"] + 15 * step}
        result = quantizer.quantize(ranges, enable_progress_report=False)
    with replacing(path) as temporary:
        temporary.write_bytes(result.quantized_model)
    return path


def relu_outputs(path, images):
    """What an int8 .tflite file has behind each ReLU: tensor's name -> int8 (n, ...).

    images: float32 (n, ...).
    """
    graph = read_model(Path(path).read_bytes()).subgraphs[0]
    ends = [(op.builtinOptions, op.targets[0]) for op in graph.operators if op.kind in LAYERS]
    relu = schema.ActivationFunctionType.RELU
    wanted = {graph.tensors.index(t) for o, t in ends if o.fusedActivationFunction == relu}
    with quiet(), warnings.catch_warnings(action="ignore"):  # it warns that this takes memory
        interpreter = Interpreter(str(path), experimental_preserve_all_tensors=True)
    (detail,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(detail["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(detail["index"], quantize_input(images, detail))
    interpreter.invoke()
    tensors = [d for d in interpreter.get_tensor_details() if d["index"] in wanted]
    return {d["name"]: interpreter.get_tensor(d["index"]) for d in tensors}
