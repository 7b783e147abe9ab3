"""Rewriting a .tflite file so that gzip makes less of it, with the same predictions."""

import random
import zlib
from functools import partial

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from signmnist.flatbuffer import lay_out
from signmnist.tflite import ModelError, quiet

OPERATORS, TYPES = schema.BuiltinOperator, schema.TensorType
LAYERS = OPERATORS.CONV_2D, OPERATORS.FULLY_CONNECTED
POOLS = OPERATORS.MAX_POOL_2D, OPERATORS.AVERAGE_POOL_2D
INTEGERS = {
    TYPES.INT4: np.int8,
    TYPES.INT8: np.int8,
    TYPES.INT16: np.int16,
    TYPES.INT32: np.int32,
    TYPES.INT64: np.int64,
}


def repack(content, tries=2000):
    """Rewrites a .tflite file so that `gzip -9` makes less of it. Returns the new bytes.

    What no interpreter reads goes (`strip`), equal parts become equal bytes (`lay_out`),
    and hidden channels and tensors are numbered so that more repeats. LiteRT and TFLite
    Micro predict bit for bit what they did. content: bytes with one subgraph. tries:
    numberings to try, about a thousand a second; the same file comes out each time.
    Raises ModelError if LiteRT cannot load `content`.
    """
    model = read_model(content)
    strip(model)
    graph = model.subgraphs[0]
    groups = hidden_channels(graph)
    for group in groups:  # sorted, so that the search starts alike for a file repacked before
        rows = [np.moveaxis(as_array(tensor), axis, 0).tolist() for tensor, axis in group]
        rows = list(zip(*rows, strict=True))
        reorder_channels(group, sorted(range(len(rows)), key=rows.__getitem__))
    moves = [(partial(reorder_channels, group), group[0][0].shape[0]) for group in groups]
    moves.append((partial(reorder, graph.tensors), len(graph.tensors)))

    rng = random.Random(0)
    best = write_model(model)
    least = len(zlib.compress(best, 9))
    for _ in range(tries):
        move, count = rng.choice(moves)
        order = list(range(count))
        order.insert(rng.randrange(count), order.pop(rng.randrange(count)))
        move(order)
        candidate = write_model(model)
        size = len(zlib.compress(candidate, 9))
        if size <= least:
            best, least = candidate, size
        else:
            move(np.argsort(order))
    return best


def read_model(content):
    """A .tflite file as a schema.ModelT in which objects take the place of numbers.

    Tensors have their bytes as `data`; operators have their `kind`, and like the graph
    `sources` and `targets`, lists of tensors (None where one is left out). Raises
    ModelError if LiteRT cannot load it or it has several subgraphs.
    """
    try:
        with quiet():
            Interpreter(model_content=bytes(content))  # checks every offset
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"LiteRT cannot load this file ({str(error).strip()[:200]}).") from error
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    if len(model.subgraphs) != 1:
        raise ModelError(f"Need a file with one subgraph, but this has {len(model.subgraphs)}.")
    graph = model.subgraphs[0]
    for tensor in graph.tensors:
        data = model.buffers[tensor.buffer].data
        tensor.data = b"" if data is None else bytes(data)
    for node in (graph, *graph.operators):
        node.sources = [graph.tensors[i] if i >= 0 else None for i in node.inputs]
        node.targets = [graph.tensors[i] for i in node.outputs]
    for op in graph.operators:
        code = model.operatorCodes[op.opcodeIndex]
        op.kind = max(code.builtinCode, code.deprecatedBuiltinCode)
    return model


def write_model(model):
    """The bytes of a `read_model`; equal data are stored once."""
    graph = model.subgraphs[0]
    number = {tensor: i for i, tensor in enumerate(graph.tensors)} | {None: -1}
    for node in (graph, *graph.operators):
        node.inputs = [number[tensor] for tensor in node.sources]
        node.outputs = [number[tensor] for tensor in node.targets]
    # Buffer 0 is empty by convention: it says that a tensor has no data
    contents = list(dict.fromkeys([b"", *(tensor.data for tensor in graph.tensors)]))
    for tensor in graph.tensors:
        tensor.buffer = contents.index(tensor.data)
    model.buffers = [schema.BufferT() for _ in contents]
    for buffer, data in zip(model.buffers[1:], contents[1:], strict=True):
        buffer.data = np.frombuffer(data, np.uint8)
    return lay_out(model)


def strip(model):
    """Takes from a `read_model`, in place, what neither LiteRT nor TFLite Micro needs."""
    graph = model.subgraphs[0]
    model.description = model.metadata = model.metadataBuffer = model.signatureDefs = None
    graph.name = None
    flatten_in_dense(graph)
    codes = sorted({op.opcodeIndex for op in graph.operators})
    model.operatorCodes = [model.operatorCodes[index] for index in codes]
    for op in graph.operators:
        op.opcodeIndex = codes.index(op.opcodeIndex)
    for code in model.operatorCodes:
        code.version = 1  # of the operator; runtimes register every version they know
        if code.builtinCode == code.deprecatedBuiltinCode:
            code.builtinCode = 0  # the larger of the two counts
    for op in graph.operators:
        options = op.builtinOptions
        if op.kind in POOLS:
            window = options.filterHeight, options.filterWidth
            tiled = not np.any(np.mod(op.sources[0].shape[1:3], window))
            if tiled and window == (options.strideH, options.strideW):
                options.padding = schema.Padding.SAME  # the default; nothing is padded
        if options and vars(options) == vars(type(options)()):
            op.builtinOptions, op.builtinOptionsType = None, 0
    nodes = graph, *graph.operators
    used = dict.fromkeys(t for node in nodes for t in node.sources + node.targets if t)
    # Weights, biases, activations: like beside like
    graph.tensors = sorted(used, key=lambda tensor: -len(tensor.shape) if tensor.data else 1)
    for tensor in graph.tensors:
        tensor.name = tensor.shapeSignature = None
        tensor.hasRank = False
        if tensor.quantization:
            tensor.quantization.min = tensor.quantization.max = None
            if tensor.quantization.scale is None:
                tensor.quantization = None
    # The scale of a bias is that of the input times that of the weights. Kernels take it
    # from there; the one stored is only compared with it, and only in dense layers.
    biased = [op for op in graph.operators if op.kind in LAYERS and any(op.sources[2:])]
    for op in biased:
        bias, last = op.sources[2], biased[-1].sources[2]
        if op.kind == OPERATORS.CONV_2D and has_one_scale(bias) and has_one_scale(last):
            bias.quantization = last.quantization


def flatten_in_dense(graph):
    """Takes out, in place, each RESHAPE before dense layers alone, which flatten by themselves."""
    for op in [op for op in graph.operators if op.kind == OPERATORS.RESHAPE]:
        readers = [reader for reader in graph.operators if op.targets[0] in reader.sources]
        dense = [r for r in readers if r.kind == OPERATORS.FULLY_CONNECTED and not keeps_shape(r)]
        if dense == readers and op.targets[0] not in graph.targets:
            graph.operators.remove(op)
            for reader in readers:
                reader.sources[0] = op.sources[0]


def keeps_shape(dense):
    """Whether a dense layer gives its outputs in the shape of its inputs."""
    return bool(dense.builtinOptions and dense.builtinOptions.keepNumDims)


def has_one_scale(tensor):
    """Whether a tensor is quantized, and with one scale for all its channels."""
    return tensor.quantization is not None and len(tensor.quantization.scale) == 1


def hidden_channels(graph):
    """What has to be reordered alike to number the channels of a layer anew.

    Returns lists of (tensor, axis), each with the weights and the bias of a layer and the
    weights of the only layer that reads it, maybe pooled. Only for integers with one
    scale: sums of floats depend on their order, and channels' scales would have to move.
    """
    groups = []
    for layer in graph.operators:
        reader = next_layer(graph, layer) if layer.kind in LAYERS else None
        if reader:
            own, ahead = [t for t in layer.sources[1:] if t], reader.sources[1]
            stored = all(t.data and t.type in INTEGERS and has_one_scale(t) for t in [*own, ahead])
            # neither flattened in between nor in groups
            whole = own[0].shape[0] == ahead.shape[-1]
            whole = whole and own[0].shape[-1] == layer.sources[0].shape[-1]
            if stored and whole and layer.targets[0].type in INTEGERS:
                groups.append([*((t, 0) for t in own), (ahead, len(ahead.shape) - 1)])
    return groups


def next_layer(graph, op):
    """The layer that alone reads what `op` gives, directly or pooled, or None."""
    readers = [reader for reader in graph.operators if op.targets[0] in reader.sources]
    if len(readers) != 1 or op.targets[0] in graph.targets:
        return None
    reader = readers[0]
    if reader.kind in LAYERS:
        return reader
    pixels = np.array([1, 2], np.int32).tobytes()  # the axes, height and width
    mean = reader.kind == OPERATORS.MEAN and reader.sources[1].data == pixels
    return next_layer(graph, reader) if mean or reader.kind in POOLS else None


def as_array(tensor):
    """The data of an integer tensor, in its shape; two to a byte become one int8 each."""
    if tensor.type == TYPES.INT4:
        pairs = np.frombuffer(tensor.data, np.int8)
        values = np.stack([pairs << 4 >> 4, pairs >> 4], axis=1).ravel()
        return values[: np.prod(tensor.shape)].reshape(tensor.shape)
    return np.frombuffer(tensor.data, INTEGERS[tensor.type]).reshape(tensor.shape)


def store(tensor, array):
    """Gives an integer tensor its data, the inverse of `as_array`."""
    values = array.astype(INTEGERS[tensor.type])
    if tensor.type == TYPES.INT4:
        nibbles = np.append(values, np.zeros(values.size % 2, np.int8)).view(np.uint8) & 15
        values = nibbles[::2] | nibbles[1::2] << 4
    tensor.data = values.tobytes()


def reorder_channels(group, order):
    """Reorders one of `hidden_channels` in place: channel order[i] becomes channel i."""
    for tensor, axis in group:
        store(tensor, as_array(tensor).take(order, axis))


def reorder(items, order):
    """Reorders a list in place: items[order[i]] becomes item i."""
    items[:] = [items[i] for i in order]
