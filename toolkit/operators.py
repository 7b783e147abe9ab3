"""Operators of a .tflite file of int8 activations as layers that are computed row by row."""

import dataclasses
import math

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from toolkit.graph import OPERATORS, TYPES, as_array, has_one_scale, listed, scales
from toolkit.memory import OPERATOR_NAMES
from toolkit.tflite import ModelError

ACTIVATION = schema.ActivationFunctionType
POOLINGS = {OPERATORS.MAX_POOL_2D: "MAXIMUM", OPERATORS.AVERAGE_POOL_2D: "AVERAGE"}
REDUCTIONS = {OPERATORS.MEAN: "MEAN", OPERATORS.REDUCE_MAX: "MAXIMUM"}


@dataclasses.dataclass
class Rows:
    """A tensor as rows: what it measures, its padding, how many of its rows are kept at a time.

    What has a height of 1, such as a sound, lies on its side: its width is taken as height.
    """

    height: int
    width: int
    channels: int
    scale: float
    zero: int
    top: int = 0
    left: int = 0
    right: int = 0
    keep: int = 1

    @property
    def shape(self):
        """Height, width and channels, without padding."""
        return self.height, self.width, self.channels

    @property
    def full_width(self):
        """Cells of a line, with padding."""
        return self.left + self.width + self.right

    @property
    def bytes(self):
        """Memory of the rows that are kept."""
        return self.keep * self.full_width * self.channels


@dataclasses.dataclass
class Layer:
    """An operator and what it takes to compute a row of it; the fields of firmware/network.h.

    sources and target: numbers of tensors. padding: rows above, columns on the left of its first
    window. weights: int8 (channels, lines, width), zeros where it has none.
    """

    kind: str
    sources: list
    target: int
    rows: int
    columns: int
    height: int = 1
    width: int = 1
    down: int = 1
    right: int = 1
    padding: tuple = (0, 0)
    deep: int = 1
    wide: int = 1
    depthwise: int = 0
    pooling: str = "MAXIMUM"
    zero: int = 0
    low: int = -128
    high: int = 127
    weights: np.ndarray | None = None
    bias: np.ndarray | None = None
    factors: list = dataclasses.field(default_factory=list)
    line: tuple = (1, 1)  # lines of weights of a channel, and their width


def multiplier(factor):
    """A positive factor as TFLite Micro multiplies by it: (whole number below 2^31, shift).

    factor = number / 2^31 x 2^shift, with the number at least 2^30.
    """
    fraction, shift = math.frexp(factor)
    number = round(fraction * 2**31)
    if number == 2**31:
        number, shift = number // 2, shift + 1
    return (0, 0) if shift < -31 else (number, shift)


def unknown(op, what=""):
    """The ModelError for an operator without a kernel."""
    name = OPERATOR_NAMES.get(op.kind, op.kind)
    return ModelError(f"There is no kernel for {name} {what}".strip() + ".")


def rows_of(tensor):
    """The Rows of an int8 tensor with one scale. Raises ModelError for others."""
    if tensor.type != TYPES.INT8 or not has_one_scale(tensor):
        names = {number: name for name, number in vars(TYPES).items()}
        raise ModelError(
            f"Need int8 activations with one scale a tensor, but one here is {names[tensor.type]}: "
            "there are no kernels for float, float16, dynamic range and int16x8."
        )
    batch, *shape = map(int, listed(tensor.shape))
    if batch != 1 or len(shape) > 3:
        raise ModelError(f"There are no kernels for activations of shape {(batch, *shape)}.")
    *extent, channels = shape or [1]
    height, width = ([1, 1] + extent)[-2:] if len(extent) != 1 else (extent[0], 1)
    if height == 1:
        height, width = width, height
    (scale,), (zero,) = scales(tensor)
    if not 0 < scale < math.inf or not -128 <= zero <= 127:
        raise ModelError(f"This file is damaged: a scale of {scale} with a zero point of {zero}.")
    return Rows(height, width, channels, float(scale), int(zero))


def layer_of(op, ends, target):
    """The Layer of an operator without its tensors. ends, target: Rows of what it reads and gives.

    Raises ModelError for operators, and options of them, without a kernel.
    """
    options, (source, *others) = op.builtinOptions, ends
    low, high = activation_range(op, target)
    layer = Layer("CONV", [], 0, target.height, target.width, low=low, high=high)
    if op.kind in (OPERATORS.CONV_2D, OPERATORS.DEPTHWISE_CONV_2D, OPERATORS.FULLY_CONNECTED):
        if others or not op.sources[1].data:
            raise unknown(op, "with computed weights")
        add_weights(layer, op, source, target)
    elif op.kind in POOLINGS:
        sides = [options.filterHeight, options.filterWidth], [options.strideH, options.strideW]
        set_windows(layer, op, source, target, *sides)
        layer.kind, layer.pooling = "POOL", POOLINGS[op.kind]
        alone = (layer.rows, layer.columns, *layer.padding) == (1, 1, 0, 0)
        clipped = layer.pooling == "MAXIMUM" and (low, high) != (-128, 127)
        if alone and not clipped and (layer.height, layer.width) == source.shape[:2]:
            of_all(layer, source)
    elif op.kind in REDUCTIONS:
        rank = len(listed(op.sources[0].shape))
        axes = {int(axis) % rank for axis in as_array(op.sources[1]).ravel()}
        if axes != set(range(1, rank - 1)):
            raise unknown(op, "over other axes than height and width")
        of_all(layer, source)
        layer.pooling = REDUCTIONS[op.kind]
        if layer.pooling == "MEAN":
            count = source.height * source.width
            number, shift = multiplier(source.scale / target.scale)
            more = min(count.bit_length() - 1, 32, 31 + shift)
            layer.factors = [((number << more) // count, shift - more)]
            layer.zero = target.zero
    elif op.kind == OPERATORS.ADD:
        if len(ends) != 2 or len({one.shape for one in (*ends, target)}) != 1:
            raise unknown(op, "of a constant or of different shapes")
        twice = 2 * max(source.scale, others[0].scale)
        factors = source.scale / twice, others[0].scale / twice, twice / (2**20 * target.scale)
        layer.kind, layer.zero = "ADD", target.zero
        layer.factors = [multiplier(factor) for factor in factors]
    elif op.kind == OPERATORS.CONCATENATION:
        joined = sum(one.channels for one in ends) == target.channels
        if len(ends) != 2 or len(op.sources) != 2 or not joined:
            raise unknown(op, "of anything but the channels of two tensors")
        layer.kind = "JOIN"
    else:
        raise unknown(op)
    return layer


def activation_range(op, target):
    """The least and largest int8 value that an operator gives."""
    kind = getattr(op.builtinOptions, "fusedActivationFunction", ACTIVATION.NONE)
    limits = {
        ACTIVATION.NONE: (-math.inf, math.inf),
        ACTIVATION.RELU: (0, math.inf),
        ACTIVATION.RELU6: (0, 6),
        ACTIVATION.RELU_N1_TO_1: (-1, 1),
    }
    if kind not in limits:
        raise unknown(op, "with this activation function")
    low, high = limits[kind]
    return (
        max(-128, target.zero + steps(low, target.scale)) if low > -math.inf else -128,
        min(127, target.zero + steps(high, target.scale)) if high < math.inf else 127,
    )


def steps(value, scale):
    """value / scale as TFLite Micro rounds it: a quotient of float32, halves away from zero."""
    quotient = float(np.float32(value) / np.float32(scale))
    return int(math.copysign(math.floor(abs(quotient) + 0.5), quotient))


def add_weights(layer, op, source, target):
    """Gives the layer of a convolution or a dense layer its windows, weights and factors."""
    weights, bias = [*op.sources, None][1:3]
    if weights.type not in (TYPES.INT8, TYPES.INT4) or any(scales(weights)[1]):
        raise unknown(op, "with weights that are neither int8 nor INT4 with zero points of 0")
    values, options = as_array(weights).astype(np.int8), op.builtinOptions
    if op.kind == OPERATORS.FULLY_CONNECTED:
        sides = source.height, source.width
        if values.shape[1] != np.prod([*sides, source.channels]):
            raise unknown(op, "of several vectors")
        values = values.reshape(-1, *sides, source.channels)
        layer.height, layer.width = sides
        layer.rows = layer.columns = 1
    else:
        if max(options.dilationHFactor, options.dilationWFactor) > 1:
            raise unknown(op, "with dilation")
        if op.kind == OPERATORS.DEPTHWISE_CONV_2D:
            layer.depthwise = target.channels // source.channels
            values = np.moveaxis(values[0], -1, 0)[..., None]
        elif values.shape[-1] != source.channels:
            raise unknown(op, "in groups")
        strides = [options.strideH, options.strideW]
        set_windows(layer, op, source, target, list(values.shape[1:3]), strides)
        if (layer.height, layer.width) != values.shape[1:3]:
            values = values.swapaxes(1, 2)
    # lines of a window: all channels of its first row, then of the next
    layer.weights = np.moveaxis(values, 3, 2).reshape(len(values), -1, layer.width)
    biases = np.zeros(len(values), int) if bias is None else as_array(bias).astype(int)
    # sums are of inputs as they are; what their zero point adds to them is the same everywhere
    layer.bias = biases - source.zero * layer.weights.sum((1, 2), dtype=int)
    factors = [source.scale * float(scale) / target.scale for scale in scales(weights)[0]]
    if not all(0 <= factor < math.inf for factor in factors):
        raise ModelError("This file is damaged: weights have a scale that is no positive number.")
    layer.factors = [multiplier(factor) for factor in factors]
    layer.zero = target.zero


def set_windows(layer, op, source, target, sides, strides):
    """Gives a layer windows of `sides` (height, width), on their side where the tensor is."""
    before, after = listed(op.sources[0].shape), listed(op.targets[0].shape)
    if before[1] > 1 and after[1] == 1 < after[2]:
        raise unknown(op, "that leaves a single row of several columns")
    if before[1] == 1 < before[2]:
        sides, strides = sides[::-1], strides[::-1]
    layer.height, layer.width = map(int, sides)
    layer.down, layer.right = map(int, strides)
    if op.builtinOptions.padding == schema.Padding.SAME:
        extents = (target.height, source.height), (target.width, source.width)
        layer.padding = tuple(
            max((given - 1) * stride + side - taken, 0) // 2
            for (given, taken), stride, side in zip(extents, strides, sides, strict=True)
        )


def of_all(layer, source):
    """Makes a layer read all rows, one by one, for a single vector."""
    layer.kind, layer.rows, layer.columns = "GLOBAL", source.height, source.width
    layer.height = layer.width = layer.down = layer.right = 1
