"""Storing an int8 .tflite model with fewer different bytes: weights in 4 bits, equal scales."""

from copy import copy as shallow_copy

import numpy as np

from signmnist.packing import (
    LAYERS,
    OPERATORS,
    TYPES,
    as_array,
    has_one_scale,
    read_model,
    store,
    strip,
    write_model,
)
from signmnist.tflite import ModelError


def to_int4(content, coarse=1):
    """Stores weights on a grid of at most 15 values in 4 bits, and equal scales for all layers.

    Takes the bytes of an int8 file with one scale a tensor, converted from a network whose
    weights are whole multiples, up to 7, of one step a layer, and returns new ones. Each
    weight keeps its value relative to the others of its layer. What is rounded: biases to
    multiples of `coarse` units of the accumulator, of which the fewer are different the
    larger it is, and scales to the 8 bits of bfloat16. Raises ModelError if a layer has
    other weights.
    """
    model = read_model(content)
    operators = model.subgraphs[0].operators
    for op in operators:
        if op.kind in LAYERS:
            weights, bias = [*op.sources, None][1:3]
            narrow(weights, bias, coarse)
    share_scales(model.subgraphs[0])
    strip(model)
    return write_model(model)


def narrow(weights, bias, coarse):
    """Makes an int8 tensor of weights int4 and its bias, rounded to `coarse`, fit, in place."""
    if weights.type != TYPES.INT8 or not has_one_scale(weights):
        raise ModelError("Only int8 weights with one scale a tensor can become int4.")
    values = as_array(weights).astype(int)
    largest = max(1, np.abs(values).max())
    for limit in range(1, 8):
        steps = np.round(values * limit / largest)
        # half a unit off is the converter's rounding, which depends on the last float bit
        if np.abs(steps * largest / limit - values).max() < 0.6:
            break
    else:
        raise ModelError("The weights are not whole multiples, up to 7, of one step.")
    weights.type = TYPES.INT4
    store(weights, steps)
    rescale(weights, largest / limit)
    if bias:
        store(bias, coarse * np.round(as_array(bias) * limit / largest / coarse))


def share_scales(graph):
    """Gives all activations the scale of the input, in place; weights make up for it.

    ReLU and pooling let a layer's output be scaled freely, as long as the weights of the
    next layer are scaled back. The logits, and what the mean gives, keep scales of their own.
    """
    shared = graph.sources[0].quantization
    change = {graph.sources[0]: 1.0}
    for op in graph.operators:
        source, target = op.sources[0], op.targets[0]
        change[target] = change[source]
        if op.kind in LAYERS:
            free = target.quantization.zeroPoint == shared.zeroPoint
            change[target] = shared.scale / target.quantization.scale if free else 1.0
            rescale(op.sources[1], change[target] / change[source])
        if op.kind == OPERATORS.MEAN or target in graph.targets:
            rescale(target, change[target])
        else:
            target.quantization = shared
        for bias in filter(None, op.sources[2:]):
            bias.quantization = shallow_copy(bias.quantization)
            unit = source.quantization.scale * op.sources[1].quantization.scale
            bias.quantization.scale = np.float32(unit)


def rescale(tensor, factor):
    """Multiplies a tensor's scale, in place, and rounds it to the 8 bits of bfloat16."""
    tensor.quantization = shallow_copy(tensor.quantization)
    bits = np.float32(tensor.quantization.scale * factor).view(np.uint32)
    tensor.quantization.scale = (bits + 0x8000 & 0xFFFF0000).astype(np.uint32).view(np.float32)
