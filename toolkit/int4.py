"""Storing an int8 .tflite model with fewer different bytes: weights in 4 bits, equal scales."""

from copy import copy as shallow_copy

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from toolkit.graph import (
    LAYERS,
    OPERATORS,
    POOLS,
    TYPES,
    as_array,
    has_one_scale,
    own_constants,
    read_model,
    scales,
    store,
    write_model,
)
from toolkit.packing import strip
from toolkit.proof import ROUNDING, prove_equal
from toolkit.tflite import ModelError

UNCLIPPED = schema.ActivationFunctionType.NONE, schema.ActivationFunctionType.RELU


def to_int4(content, coarse=1, fixed_size=False):
    """Stores weights on a grid of at most 15 values in 4 bits, and equal scales for all layers.

    Takes the bytes of an int8 file with one scale a tensor, converted from a network whose
    weights are whole multiples, up to 7, of one step a layer, and returns new ones. Each
    weight keeps its value relative to the others of its layer. What is rounded: biases to
    multiples of `coarse` units of the accumulator, of which the fewer are different the
    larger it is, and scales to the 8 bits of bfloat16. Names, metadata and signatures go.
    fixed_size: see `repack`. Raises ModelError if a layer has other weights, if they serve
    elsewhere too, and if on random inputs a score changes by more than ROUNDING, an eighth,
    of the range of its output.
    """
    model = read_model(content)
    graph = model.subgraphs[0]
    for op in graph.operators:
        if op.kind in LAYERS:
            if {tensor.type for tensor in (*op.sources[:2], *op.targets)} != {TYPES.INT8}:
                raise ModelError("Only layers of int8 weights and activations can become int4.")
            weights, bias = own_constants(graph, op)
            narrow(weights, bias, coarse)
    share_scales(graph)
    strip(model, fixed_size)
    result = write_model(model)
    prove_equal(bytes(content), result, ROUNDING)
    return result


def narrow(weights, bias, coarse):
    """Makes an int8 tensor of weights int4 and its bias, rounded to `coarse`, fit, in place."""
    if not has_one_scale(weights):
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
    """Gives activations the scale of the first layer's input, in place; weights make up for it.

    ReLU and pooling let a layer's output be scaled freely, as long as the weights of the
    next layer are scaled back. What other operators read or give, and the scores, keep
    their scales, and what the mean gives a scale of its own.
    """
    layers = [op for op in graph.operators if op.kind in LAYERS]
    if not layers:
        return
    shared = layers[0].sources[0].quantization
    change = {}  # by which factor the scale of an activation has grown
    for op in graph.operators:
        source, target = op.sources[0], op.targets[0]
        if op.kind in LAYERS:
            free = scales(target)[1] == scales(layers[0].sources[0])[1] and is_free(graph, target)
            if free and clips_at_zero_at_most(op):
                change[target] = shared.scale / target.quantization.scale
            rescale(op.sources[1], change.get(target, 1.0) / change.get(source, 1.0))
        elif source in change:
            change[target] = change[source]
        if target in change and op.kind != OPERATORS.MEAN:
            target.quantization = shared
        elif target in change or (op.kind in LAYERS and target in graph.targets):
            rescale(target, change.get(target, 1.0))
        for bias in filter(None, op.sources[2:] if op.kind in LAYERS else ()):
            bias.quantization = shallow_copy(bias.quantization)
            unit = source.quantization.scale * op.sources[1].quantization.scale
            bias.quantization.scale = np.float32(unit)


def is_free(graph, tensor):
    """Whether an int8 tensor may have any scale: only layers read it, maybe pooled or reshaped."""
    passive = *POOLS, OPERATORS.MEAN, OPERATORS.RESHAPE
    return tensor not in graph.targets and all(
        op.sources[0] is tensor
        and op.sources.count(tensor) == 1
        and (
            op.kind in LAYERS
            or (
                op.kind in passive
                and clips_at_zero_at_most(op)
                and op.targets[0].type == tensor.type
                and is_free(graph, op.targets[0])
            )
        )
        for op in graph.operators
        if tensor in op.sources
    )


def clips_at_zero_at_most(op):
    """Whether what an operator gives is cut off nowhere but at zero, which has no scale."""
    return getattr(op.builtinOptions, "fusedActivationFunction", 0) in UNCLIPPED


def rescale(tensor, factor):
    """Multiplies a tensor's scale, in place, and rounds it to the 8 bits of bfloat16."""
    tensor.quantization = shallow_copy(tensor.quantization)
    bits = np.float32(tensor.quantization.scale * factor).view(np.uint32)
    tensor.quantization.scale = (bits + 0x8000 & 0xFFFF0000).astype(np.uint32).view(np.float32)
