"""A .tflite file as objects: reading it, the numbers of its tensors, writing it again."""

import math
from collections import Counter

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from toolkit.flatbuffer import lay_out
from toolkit.proof import require_running
from toolkit.tflite import ModelError, in_litert

OPERATORS, TYPES = schema.BuiltinOperator, schema.TensorType
LAYERS = OPERATORS.CONV_2D, OPERATORS.FULLY_CONNECTED
POOLS = OPERATORS.MAX_POOL_2D, OPERATORS.AVERAGE_POOL_2D
OPTIONS = {  # what they are where they are read here
    OPERATORS.FULLY_CONNECTED: schema.FullyConnectedOptionsT | None,
    **dict.fromkeys(POOLS, schema.Pool2DOptionsT),
}
NAMES = "float64 float32 float16 int64 int32 int16 int8 uint64 uint32 uint16 uint8 bool complex64"
DTYPES: dict[int, np.dtype] = {
    TYPES.COMPLEX128: np.dtype("complex128"),
    TYPES.INT4: np.dtype("int8"),
} | {getattr(TYPES, name.upper()): np.dtype(name) for name in NAMES.split()}


def load_model(content):
    """A .tflite file as a schema.ModelT whose tensors have their bytes as `data`, b"" if none.

    Raises ModelError if LiteRT cannot load it, and if it names what it does not have.
    """
    with in_litert("LiteRT cannot load this file"):
        Interpreter(model_content=bytes(content))  # checks every offset
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for graph in model.subgraphs:
        graph.tensors, graph.operators = listed(graph.tensors), listed(graph.operators)
    require_sound(model, len(content))
    for tensor in (tensor for graph in model.subgraphs for tensor in graph.tensors):
        buffer = model.buffers[tensor.buffer]
        if buffer.offset > 1:  # behind the flatbuffer, as in files of more than 2 GB
            tensor.data = bytes(content[buffer.offset : buffer.offset + buffer.size])
        else:
            tensor.data = b"" if buffer.data is None else bytes(buffer.data)
    return model


def require_sound(model, size):
    """Raises ModelError unless all that a schema.ModelT of a file of `size` bytes names is there.

    LiteRT checks some of it only when it runs the model, and some never.
    """
    buffers, codes = range(len(listed(model.buffers))), range(len(listed(model.operatorCodes)))
    sound = all(b.offset < 2 or b.offset + b.size <= size for b in listed(model.buffers))
    for graph in model.subgraphs:
        tensors = range(len(graph.tensors))
        sound &= all(tensor.buffer in buffers for tensor in graph.tensors)
        for node in (graph, *graph.operators):
            sound &= all(i == -1 or i in tensors for i in listed(node.inputs))  # -1 is left out
            sound &= all(i in tensors for i in listed(node.outputs))
        for op in graph.operators:
            sound &= all(i == -1 or i in tensors for i in listed(op.intermediates))
            sound &= op.opcodeIndex in codes
    if not sound:
        raise ModelError("This file is damaged: it names a tensor, buffer or operator it lacks.")


def read_model(content):
    """A .tflite file with one subgraph as a `load_model` with objects in place of numbers.

    Operators have their `kind` and, like the graph, `sources` and `targets`, lists of tensors
    (None where one is left out); operators also their `intermediates` as tensors. Raises
    ModelError if LiteRT cannot run it, and for what cannot be written again.
    """
    model = load_model(content)
    if len(model.subgraphs) != 1:
        raise ModelError(f"Need a file with one subgraph, but this has {len(model.subgraphs)}.")
    graph = model.subgraphs[0]
    if model.externalBuffers or any(op.largeCustomOptionsOffset for op in graph.operators):
        raise ModelError("This file has data outside the flatbuffer, which would be lost.")
    for node in (graph, *graph.operators):
        node.sources = [graph.tensors[i] if i >= 0 else None for i in listed(node.inputs)]
        node.targets = [graph.tensors[i] for i in listed(node.outputs)]
    for op in graph.operators:
        op.inner = [graph.tensors[i] if i >= 0 else None for i in listed(op.intermediates)]
        code = model.operatorCodes[op.opcodeIndex]
        op.kind = max(code.builtinCode, code.deprecatedBuiltinCode)
        if not isinstance(op.builtinOptions, OPTIONS.get(op.kind, object)):
            raise ModelError("This file is damaged: a layer has the options of another kind.")
    require_running(bytes(content))  # so that layers have what they need in the form they need
    return model


def write_model(model):
    """The bytes of a `read_model` without its metadata; equal data are stored once."""
    graph = model.subgraphs[0]
    model.metadata = model.metadataBuffer = None
    number = {tensor: i for i, tensor in enumerate(graph.tensors)} | {None: -1}
    for node in (graph, *graph.operators):
        node.inputs = [number[tensor] for tensor in node.sources]
        node.outputs = [number[tensor] for tensor in node.targets]
    for op in graph.operators:
        op.intermediates = [number[tensor] for tensor in op.inner] or None
    # Buffer 0 is empty by convention: it says that a tensor has no data
    contents = dict.fromkeys([b"", *(tensor.data for tensor in graph.tensors)])
    places = {data: i for i, data in enumerate(contents)}
    for tensor in graph.tensors:
        tensor.buffer = places[tensor.data]
    model.buffers = [schema.BufferT() for _ in contents]
    for buffer, data in zip(model.buffers[1:], list(contents)[1:], strict=True):
        buffer.data = np.frombuffer(data, np.uint8)
    return lay_out(model)


def listed(numbers):
    """A vector of a flatbuffer, None where it is left out, as a list."""
    return [] if numbers is None else list(numbers)


def times_used(graph):
    """How often each tensor of a `read_model` is named, by operators and as input or output."""
    named = [*graph.sources, *graph.targets]
    for op in graph.operators:
        named += [*op.sources, *op.targets, *op.inner]
    return Counter(tensor for tensor in named if tensor)


def own_constants(graph, op):
    """The weights and the bias, None where there is none, of one of LAYERS.

    Raises ModelError where they are computed or serve elsewhere too, so that they cannot be
    changed for this operator alone.
    """
    weights, bias = [*op.sources, None][1:3]
    uses = times_used(graph)
    for tensor in filter(None, (weights, bias)):
        if not tensor.data:
            raise ModelError("The weights of a layer are computed, not stored.")
        if uses[tensor] > 1:
            raise ModelError("The weights or the bias of a layer serve in several places.")
    return weights, bias


def is_number(kind, scale):
    """Whether constants of this type are weights or biases rather than shapes, axes or the like.

    kind: one of TYPES. scale: the array of their scales, or None.
    """
    floats = TYPES.FLOAT16, TYPES.FLOAT32, TYPES.FLOAT64
    return kind in floats or (scale is not None and len(scale) > 0)


WEIGHT_BITS = {  # of a weight
    **{TYPES.FLOAT64: 64, TYPES.FLOAT32: 32, TYPES.FLOAT16: 16, TYPES.INT16: 16},
    **{TYPES.INT8: 8, TYPES.UINT8: 8, TYPES.INT4: 4, TYPES.UINT4: 4, TYPES.INT2: 2},
}


def weight_bits(content):
    """The most bits that a .tflite file stores for a weight; 0 where that cannot be told.

    content: its bytes. Raises ModelError if LiteRT cannot load it.
    """
    tensors = [tensor for graph in load_model(content).subgraphs for tensor in graph.tensors]
    weights = (
        tensor
        for tensor in tensors
        if tensor.data
        and len(listed(tensor.shape)) > 1
        and is_number(tensor.type, tensor.quantization and tensor.quantization.scale)
    )
    return max((WEIGHT_BITS.get(tensor.type, 0) for tensor in weights), default=0)


def has_one_scale(tensor):
    """Whether a tensor is quantized, and with one scale for all its channels."""
    quantization = tensor.quantization
    return quantization is not None and len(listed(quantization.scale)) == 1


def scales(tensor):
    """The scales and zero points of a tensor as a pair of lists, empty where it has none."""
    found = tensor.quantization
    return (listed(found.scale), listed(found.zeroPoint)) if found else ([], [])


def as_array(tensor):
    """The data of a tensor in its shape; of INT4, two to a byte, one int8 each.

    Raises ModelError for types that numpy lacks, sparse tensors and data of another size.
    """
    shape = tuple(map(int, listed(tensor.shape)))
    if tensor.type not in DTYPES or tensor.sparsity:
        names = {number: name for name, number in vars(TYPES).items()}
        kind = "sparse" if tensor.sparsity else names.get(tensor.type, "unknown")
        raise ModelError(f"A tensor of shape {shape} is stored as {kind}, which has no array.")
    values = np.frombuffer(tensor.data, np.uint8)
    if tensor.type == TYPES.INT4:
        values = values.view(np.int8)
        values = np.stack([values << 4 >> 4, values >> 4], axis=1).ravel()[: math.prod(shape)]
    dtype = DTYPES[tensor.type]
    if min(shape, default=0) < 0 or values.nbytes != math.prod(shape) * dtype.itemsize:
        raise ModelError(f"A tensor of shape {shape} has {len(tensor.data)} bytes.")
    return values.view(dtype).reshape(shape)


def store(tensor, array):
    """Gives a tensor its data, the inverse of `as_array`."""
    values = array.astype(DTYPES[tensor.type])
    if tensor.type == TYPES.INT4:
        nibbles = np.append(values, np.zeros(values.size % 2, np.int8)).view(np.uint8) & 15
        values = nibbles[::2] | nibbles[1::2] << 4
    tensor.data = values.tobytes()
