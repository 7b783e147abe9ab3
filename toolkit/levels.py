"""Rewriting an int8 .tflite file whose weights have few values a channel, so that gzip sees it."""

from copy import copy as shallow_copy

import numpy as np

from toolkit.graph import OPERATORS, TYPES, as_array, own_constants, read_model, store, write_model
from toolkit.packing import strip
from toolkit.proof import prove_equal
from toolkit.tflite import ModelError

WEIGHTED = OPERATORS.CONV_2D, OPERATORS.DEPTHWISE_CONV_2D, OPERATORS.FULLY_CONNECTED
MOST_LEVELS = 31  # on each side of zero; more cannot be told from weights on no grid


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
            weights, bias = own_constants(model.subgraphs[0], op)
            if weights.type != TYPES.INT8:
                raise ModelError("Only int8 weights can be stored as levels.")
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
    largest = np.maximum(1, np.abs(rows).max(axis=1))
    limits = np.array([smallest_limit(row, most) for row, most in zip(rows, largest, strict=True)])
    own_steps = (before * largest / limits).astype(np.float32)
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


def smallest_limit(row, largest):
    """The least number of levels on each side of zero that give int8 weights (n,) of a channel.

    largest: their largest magnitude. More than MOST_LEVELS are left as they are.
    """
    for limit in range(1, MOST_LEVELS + 1):
        step = largest / limit
        # half a unit off is the converter's rounding, which depends on the last float bit
        if np.abs(np.round(row / step) * step - row).max() < 0.6:
            return limit
    return largest


def common_step(steps):
    """The step of which all `steps`, float (n,), are about whole multiples, float32 (1,)."""
    candidates = [steps.min() / parts for parts in range(1, 4)]
    off = [np.abs(steps / step - np.round(steps / step)).max() for step in candidates]
    return np.float32(candidates[int(np.argmin(off))]).reshape(1)
