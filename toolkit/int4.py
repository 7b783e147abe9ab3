"""Storing an int8 .tflite file with fewer different bytes: the few levels that its weights have."""

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

WEIGHTED = *LAYERS, OPERATORS.DEPTHWISE_CONV_2D
MOST_LEVELS = 31  # on each side of zero; more cannot be told from weights on no grid
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
            require_int8(op)
            if {tensor.type for tensor in (op.sources[0], *op.targets)} != {TYPES.INT8}:
                raise ModelError("Only layers of int8 weights and activations can become int4.")
            weights, bias = own_constants(graph, op)
            narrow(weights, bias, coarse)
    share_scales(graph)
    strip(model, fixed_size)
    result = write_model(model)
    prove_equal(bytes(content), result, ROUNDING)
    return result


def require_int8(op):
    """Raises ModelError unless a layer has int8 weights, and integers with sound scales."""
    ends = op.sources[0], *op.targets
    constants = [tensor for tensor in op.sources[1:3] if tensor]
    sound = all(
        scales(tensor)[0] and all(1e-30 < scale < 1e30 for scale in scales(tensor)[0])
        for tensor in (*ends, *constants)
    )
    if op.sources[1].type != TYPES.INT8 or not sound or not all(map(has_one_scale, ends)):
        raise ModelError("Only int8 weights of layers with integer activations can be rewritten.")


def fitting_limits(rows, limits):
    """How many levels on each side of zero int8 weights had before the converter stretched them.

    rows: int (n, m), each stretched by itself, usually to 127. limits: what to try. Returns two
    int (n, 1): the least limit that gives all weights of a row, its largest magnitude where
    none does, and this largest magnitude, at least 1.
    """
    largest = np.maximum(1, np.abs(rows).max(axis=1, keepdims=True))
    found = largest.copy()
    for limit in sorted(limits, reverse=True):
        off = np.abs(np.round(rows * limit / largest) * largest / limit - rows).max(axis=1)
        # half a unit off is the converter's rounding, which depends on the last float bit
        found[off < 0.6] = limit
    return found, largest


def narrow(weights, bias, coarse):
    """Makes an int8 tensor of weights int4 and its bias, rounded to `coarse`, fit, in place."""
    if not has_one_scale(weights):
        raise ModelError("Only int8 weights with one scale a tensor can become int4.")
    values = as_array(weights).astype(int)
    limit, largest = (n.item() for n in fitting_limits(values.reshape(1, -1), range(1, 8)))
    if limit > 7:
        raise ModelError("The weights are not whole multiples, up to 7, of one step.")
    weights.type = TYPES.INT4
    store(weights, np.round(values * limit / largest))
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
        source, target = [*op.sources, None][0], [*op.targets, None][0]
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
                and has_one_scale(op.targets[0])
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


def to_levels(content, coarse=0.25, nibbles=False):
    """Stores each weight of an int8 file as a multiple of its channel's step. Returns new bytes.

    content: bytes of a file converted from weights that are, in each output channel, small whole
    multiples of one step. The converter stretches them to 127, which hides that they are few.
    Channels of one step get one scale. What is rounded: weights by at most the unit to which the
    converter rounded them; biases to powers of two of the accumulator's unit, at most `coarse`
    steps of the output. nibbles: whether the weights of convolutions that need no more than 4 bits
    are stored in INT4. Names, metadata and signatures go. Raises ModelError for weights that are
    not int8, and if LiteRT cannot run the result.
    """
    model = read_model(content)
    for op in model.subgraphs[0].operators:
        if op.kind in WEIGHTED:
            require_int8(op)
            weights, bias = own_constants(model.subgraphs[0], op)
            most = store_levels(weights, bias, op, coarse)
            if nibbles and most <= 7 and op.kind == OPERATORS.CONV_2D:
                levels = as_array(weights)
                weights.type = TYPES.INT4
                store(weights, levels)
    strip(model, fixed_size=True)
    result = write_model(model)
    prove_equal(bytes(content), result, tolerance=1.0)  # that it runs
    return result


def store_levels(weights, bias, op, coarse):
    """Puts levels in place of int8 weights and makes their bias fit. Returns the largest level."""
    axis = weights.quantization.quantizedDimension
    values = np.moveaxis(as_array(weights).astype(int), axis, 0)
    before = np.broadcast_to(np.asarray(weights.quantization.scale, float), len(values))
    rows = values.reshape(len(values), -1)
    limits, largest = fitting_limits(rows, range(1, MOST_LEVELS + 1))
    own_steps = (before * largest[:, 0] / limits[:, 0]).astype(np.float32)
    for steps in (common_step(own_steps), own_steps):
        levels = np.round(rows * (before / steps)[:, None])
        moved = np.abs(levels * (steps / before)[:, None] - rows)
        if np.abs(levels).max() <= 127 and moved.max() <= 1:
            break
    store(weights, np.moveaxis(levels.reshape(values.shape), 0, axis))
    weights.quantization = shallow_copy(weights.quantization)
    weights.quantization.scale = steps
    weights.quantization.zeroPoint = np.zeros(len(steps), np.int64)
    if bias:
        source, target = (float(t.quantization.scale[0]) for t in (op.sources[0], op.targets[0]))
        unit = source * steps.astype(float)
        grain = 2.0 ** np.floor(np.log2(np.maximum(1, coarse * target / unit)))
        store(bias, grain * np.round(as_array(bias) * source * before / unit / grain))
        bias.quantization = shallow_copy(bias.quantization)
        bias.quantization.scale = unit.astype(np.float32)
        bias.quantization.zeroPoint = np.zeros(len(steps), np.int64)
    return int(np.abs(levels).max())


def common_step(steps):
    """The step of which all `steps`, float (n,), are about whole multiples, float32 (1,)."""
    candidates = [steps.min() / parts for parts in range(1, 4)]
    off = [np.abs(steps / step - np.round(steps / step)).max() for step in candidates]
    return np.float32(candidates[int(np.argmin(off))]).reshape(1)
