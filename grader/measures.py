"""What a .tflite file holds, and whether that is what its title promises.

Measured are the types of weights and activations, distinct values and zeros of each layer's
weights, and, where the converter noted it, whether training or calibration quantized the file.
"""

import contextlib
import hashlib
import math
from collections import Counter

import numpy as np
from flatbuffers.number_types import Int32Flags
from flatbuffers.table import Table

from grader.names import MODELS
from toolkit.graph import OPERATORS, TYPES, WEIGHT_BITS, as_array, is_number, listed, load_model
from toolkit.tflite import ModelError

MAX_VALUES, MIN_ZEROS, MIN_SHARE = 32, 0.5, 0.5
TRAINED, CALIBRATED = 2000, range(1001, 1005)  # modes of the converter, in conversion_metadata.fbs
INTEGERS = {TYPES.INT4: "int4", TYPES.INT2: "int2", TYPES.INT8: "int8", TYPES.UINT8: "uint8"}
NAMES = {TYPES.FLOAT32: "float32", TYPES.FLOAT16: "float16", TYPES.INT16: "int16", **INTEGERS}
ACTIVATIONS = {OPERATORS.RELU, OPERATORS.RELU6, OPERATORS.RELU_N1_TO_1, OPERATORS.LEAKY_RELU}
ACTIVATIONS |= {OPERATORS.PRELU, OPERATORS.ELU, OPERATORS.GELU, OPERATORS.HARD_SWISH}
ACTIVATIONS |= {OPERATORS.TANH, OPERATORS.LOGISTIC, OPERATORS.SOFTMAX, OPERATORS.EXP}
ACTIVATIONS |= {OPERATORS.MINIMUM, OPERATORS.MAXIMUM}


def measures(content):
    """What the bytes of a .tflite file hold, a dict. Raises ModelError if LiteRT cannot load it.

    weights: type -> how many. activations: types. bits: the most for a weight, 0 where that is not
    known. shared: the share of the weights in layers of at most MAX_VALUES values; values: the most
    that one layer has. zeros: the share of zeros. trained: whether training quantized it, None
    where the file does not show it. custom: names of operators that are not LiteRT's own. late:
    whether it shows a batch normalization that is not directly before an activation. sha256: of
    all but names and notes.
    """
    model = load_model(content)
    tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    weights = [
        tensor
        for tensor in tensors
        if tensor.data
        and len(listed(tensor.shape)) > 1
        and is_number(tensor.type, tensor.quantization and tensor.quantization.scale)
    ]
    sizes: Counter = Counter()
    shared = zeros = total = 0
    most = 0
    for tensor in weights:
        size = math.prod(map(int, listed(tensor.shape)))
        sizes[NAMES.get(tensor.type, "other")] += size
        try:
            values = as_array(tensor)
        except ModelError:
            continue
        if not values.size:
            continue
        point = listed(tensor.quantization and tensor.quantization.zeroPoint) or [0]
        values = values.reshape(len(values), -1)
        empty = values == (int(point[0]) if len(point) == 1 else 0)
        total += values.size
        zeros += int(empty.sum())
        distinct = [few(values, empty), few_each(values, empty)]
        most = max(most, min(distinct))
        shared += values.size if min(distinct) <= MAX_VALUES else 0
    return {
        "weights": dict(sizes),
        "activations": sorted({NAMES[t.type] for t in tensors if not t.data and t.type in NAMES}),
        "bits": max((WEIGHT_BITS.get(tensor.type, 0) for tensor in weights), default=0),
        "shared": shared / max(total, 1),
        "values": most,
        "zeros": zeros / max(total, 1),
        "trained": trained(model, tensors),
        "custom": custom(model),
        "late": late(model),
        "sha256": content_sha256(model, tensors),
    }


def content_sha256(model, tensors):
    """Hex sha256 of a model without its names and notes."""
    digest = hashlib.sha256()
    for tensor in tensors:
        grid = tensor.quantization and (tensor.quantization.scale, tensor.quantization.zeroPoint)
        shape = [list(map(float, listed(one))) for one in (tensor.shape, *(grid or ()))]
        digest.update(repr((tensor.type, shape)).encode() + tensor.data)
    for graph in model.subgraphs:
        kinds = [kind_of(model.operatorCodes[op.opcodeIndex]) for op in graph.operators]
        digest.update(repr(kinds).encode())
    return digest.hexdigest()


def few(values, empty):
    """How many values an array has, or how many weights where they hardly repeat."""
    alive = int((~empty).sum())
    distinct = len(np.unique(values))
    return distinct if alive >= 2 * distinct else max(alive, distinct, MAX_VALUES + 1)


def few_each(values, empty):
    """The same for the row of the most values, as scales may differ from row to row."""
    return max(few(row, none) for row, none in zip(values, empty, strict=True))


def trained(model, tensors):
    """Whether quantization-aware training made a file; None where it does not show it."""
    names = b" ".join(tensor.name or b"" for tensor in tensors)
    if b"LastValueQuant" in names or b"FakeQuant" in names or b"/quant_" in names:
        return True
    for entry in listed(model.metadata):
        if entry.name == b"CONVERSION_METADATA":
            with contextlib.suppress(Exception):  # a damaged note says nothing
                modes = noted_modes(bytes(model.buffers[entry.buffer].data))
                return True if TRAINED in modes else False if modes & set(CALIBRATED) else None
    return None


def noted_modes(note):
    """The modes that a converter notes, ints. note: bytes after conversion_metadata.fbs."""
    table = Table(bytearray(note), int.from_bytes(note[:4], "little"))
    options = table.Offset(6)
    inner = Table(table.Bytes, table.Indirect(options + table.Pos))
    modes = inner.Offset(4)
    if not options or not modes:
        return set()
    start = inner.Vector(modes)
    return {inner.Get(Int32Flags, start + 4 * i) for i in range(min(inner.VectorLen(modes), 99))}


def custom(model):
    """The names of a model's operators that are not LiteRT's own."""
    codes = [model.operatorCodes[op.opcodeIndex] for g in model.subgraphs for op in g.operators]
    names = [code.customCode or b"custom" for code in codes if kind_of(code) == OPERATORS.CUSTOM]
    return sorted({name.decode("utf-8", "replace")[:40] for name in names})


def kind_of(code):
    return max(code.builtinCode, code.deprecatedBuiltinCode)


def late(model):
    """Whether a multiplication and an addition by constants, one each channel, such as a batch
    normalization becomes that no kernel before it can take, stand without an activation behind."""
    for graph in model.subgraphs:
        kinds = [kind_of(model.operatorCodes[op.opcodeIndex]) for op in graph.operators]
        readers: dict[int, list[int]] = {}
        for place, op in enumerate(graph.operators):
            for number in listed(op.inputs):
                readers.setdefault(number, []).append(place)
        for op, kind in zip(graph.operators, kinds, strict=True):
            if kind != OPERATORS.MUL or not by_channel(graph, op):
                continue
            for place in readers.get(op.outputs[0], ()):
                after = graph.operators[place]
                if kinds[place] != OPERATORS.ADD or not by_channel(graph, after):
                    continue
                fused = after.builtinOptions and after.builtinOptions.fusedActivationFunction
                behind = [kinds[reader] for reader in readers.get(after.outputs[0], ())]
                if not fused and not set(behind) & ACTIVATIONS:
                    return True
    return False


def by_channel(graph, op):
    """Whether an operator takes a constant of one number for each channel."""
    tensors = [graph.tensors[number] for number in listed(op.inputs) if number >= 0]
    sizes = [math.prod(map(int, listed(t.shape))) for t in tensors if t.data]
    return len(tensors) == 2 and len(sizes) == 1 and sizes[0] > 1


def promised(promise, found):
    """(whether a file keeps a promise, what was found, in words). found: see `measures`."""
    types = ", ".join(found["weights"]) or "no"
    activations = set(found["activations"])
    quantized = {"int8", "uint8", "int4", "int2"} & set(found["weights"])
    if promise == "float":
        return set(found["weights"]) == {"float32"}, f"{types} weights"
    if promise == "dynamic range":
        told = f"{types} weights, {' and '.join(sorted(activations))} activations"
        return bool(quantized) and activations == {"float32"}, told
    if promise == "int16x8":
        told = f"{types} weights, {' and '.join(sorted(activations))} activations"
        return set(found["weights"]) == {"int8"} and "int16" in activations, told
    if promise == "quantization-aware":
        how = {True: "trained with quantization", False: "quantized after training"}
        told = f"{types} weights, {how.get(found['trained'], 'how, the file does not show')}"
        return bool(quantized) and found["trained"] is not False, told
    if promise == "shared values":
        told = f"{found['shared']:.0%} of the weights in layers of at most {MAX_VALUES} values"
        return found["shared"] >= MIN_SHARE, told
    told = f"{found['zeros']:.0%} of the weights are zero"
    return found["zeros"] >= MIN_ZEROS, told


PROMISED = dict(
    zip(
        MODELS[:6],
        ("float", "dynamic range", "int16x8", "quantization-aware", "shared values", "zeros"),
        strict=True,
    )
)
PROMISES = {
    "float": "stores float32 weights",
    "dynamic range": "stores integer weights and computes with float activations",
    "int16x8": "stores int8 weights and computes with int16 activations",
    "quantization-aware": "stores integer weights, trained with quantization in place",
    "shared values": f"stores at most {MAX_VALUES} values a layer in at least half of its weights",
    "zeros": f"stores zeros for at least {MIN_ZEROS:.0%} of its weights",
}
