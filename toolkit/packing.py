"""Rewriting a .tflite file so that gzip makes less of it, with the same predictions."""

import random
import zlib
from functools import partial

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from toolkit.graph import (
    LAYERS,
    OPERATORS,
    POOLS,
    TYPES,
    as_array,
    has_one_scale,
    listed,
    read_model,
    scales,
    store,
    times_used,
    write_model,
)
from toolkit.proof import prove_equal

INTEGERS = TYPES.INT4, TYPES.INT8, TYPES.INT16, TYPES.INT32, TYPES.INT64
# whose options, left out, mean their defaults to LiteRT and to TFLite Micro
OPTIONAL = OPERATORS.FULLY_CONNECTED, OPERATORS.MEAN, OPERATORS.RESHAPE


def repack(content, tries=2000, fixed_size=False):
    """Rewrites a .tflite file so that `gzip -9n` makes less of it. Returns the new bytes.

    What no interpreter reads goes (`strip`), equal parts become equal bytes (`lay_out`),
    and hidden channels and tensors are numbered so that more repeats. LiteRT and TFLite
    Micro predict bit for bit what they did; for LiteRT it is proved before the bytes are
    returned. content: bytes with one subgraph. tries: numberings to try, about a thousand a
    second; the same file comes out each time. fixed_size: promises that the height and the
    width of the input are never resized, which saves some bytes more. Raises ModelError if
    LiteRT cannot run `content`, and for what cannot be rewritten without loss.
    """
    model = read_model(content)
    strip(model, fixed_size)
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
    prove_equal(bytes(content), best)
    return best


def strip(model, fixed_size):
    """Takes from a `read_model`, in place, what neither LiteRT nor TFLite Micro needs.

    Names and signatures go. fixed_size: see `repack`.
    """
    graph = model.subgraphs[0]
    model.description = model.signatureDefs = graph.name = None
    flatten_in_dense(graph)
    codes = sorted({op.opcodeIndex for op in graph.operators})
    model.operatorCodes = [model.operatorCodes[index] for index in codes]
    for op in graph.operators:
        op.opcodeIndex = codes.index(op.opcodeIndex)
    for code in model.operatorCodes:
        if not code.customCode:
            code.version = 1  # of the operator; runtimes register every version they know
        if code.builtinCode == code.deprecatedBuiltinCode:
            code.builtinCode = 0  # the larger of the two counts
    for op in graph.operators:
        options = op.builtinOptions
        if op.kind in POOLS and fixed_size:
            window = options.filterHeight, options.filterWidth
            sides = listed(op.sources[0].shape)[1:3]  # none in some damaged files
            tiled = len(sides) == 2 and not np.any(np.mod(sides, window))
            if tiled and window == (options.strideH, options.strideW):
                options.padding = schema.Padding.SAME  # the default; nothing is padded
        # in 16 bits a dense layer's type of biases is read from its options
        optional = op.kind in OPTIONAL and op.targets[0].type != TYPES.INT16
        if optional and options and says_nothing(options):
            op.builtinOptions, op.builtinOptionsType = None, 0
    used = times_used(graph)
    # Weights, biases, activations: like beside like
    graph.tensors = sorted(
        used, key=lambda tensor: -len(listed(tensor.shape)) if tensor.data else 1
    )
    for tensor in graph.tensors:
        tensor.name = tensor.shapeSignature = None
        tensor.hasRank = False
        if tensor.quantization:
            tensor.quantization.min = tensor.quantization.max = None
            if tensor.quantization.scale is None:
                tensor.quantization = None
    # The scale of a bias is that of the input times that of the weights. Kernels for int8 take
    # it from there; the one stored is only compared with it, and only in dense layers.
    biased = [op for op in graph.operators if op.kind in LAYERS and any(op.sources[2:])]
    for op in biased:
        bias, last = op.sources[2], biased[-1].sources[2]
        unread = op.kind == OPERATORS.CONV_2D and op.targets[0].type == TYPES.INT8
        if unread and used[bias] == 1 and has_one_scale(bias) and has_one_scale(last):
            bias.quantization = last.quantization


def says_nothing(options):
    """Whether the options of an operator are all at their defaults."""
    default = vars(type(options)())
    return all(np.array_equal(value, default[name]) for name, value in vars(options).items())


def flatten_in_dense(graph):
    """Takes out, in place, each RESHAPE before dense layers alone, which flatten by themselves."""
    for op in [op for op in graph.operators if op.kind == OPERATORS.RESHAPE]:
        source, target = op.sources[0], op.targets[0]
        readers = [reader for reader in graph.operators if target in reader.sources]
        dense = all(
            r.kind == OPERATORS.FULLY_CONNECTED
            and not keeps_shape(r)
            and r.sources[0] is target
            and r.sources.count(target) == 1
            for r in readers
        )
        same = source.type == target.type and scales(source) == scales(target)
        low = len(listed(source.shape)) in (2, 3, 4)  # ranks that every kernel takes
        if dense and same and low and target not in (*graph.targets, *graph.sources):
            graph.operators.remove(op)
            for reader in readers:
                reader.sources[0] = source


def keeps_shape(dense):
    """Whether a dense layer gives its outputs in the shape of its inputs."""
    return bool(dense.builtinOptions and dense.builtinOptions.keepNumDims)


def hidden_channels(graph):
    """What has to be reordered alike to number the channels of a layer anew.

    Returns lists of (tensor, axis), each with the weights and the bias of a layer and the
    weights of the only layer that reads it, maybe pooled. Only for integers with one
    scale, as sums of floats depend on their order and channels' scales would have to move,
    and only for constants that serve nothing else.
    """
    groups, used = [], times_used(graph)
    for layer in graph.operators:
        reader = next_layer(graph, layer) if layer.kind in LAYERS else None
        if reader:
            own, ahead = [t for t in layer.sources[1:] if t], reader.sources[1]
            stored = all(
                used[t] == 1 and t.data and t.type in INTEGERS and has_one_scale(t)
                for t in [*own, ahead]
            )
            # neither flattened in between nor in groups
            whole = own[0].shape[0] == ahead.shape[-1]
            whole = whole and own[0].shape[-1] == layer.sources[0].shape[-1]
            if stored and whole and layer.targets[0].type in INTEGERS:
                groups.append([*((t, 0) for t in own), (ahead, len(ahead.shape) - 1)])
    return groups


def next_layer(graph, op):
    """The layer that alone reads what `op` gives, directly or pooled, or None."""
    target = op.targets[0]
    readers = [reader for reader in graph.operators if target in reader.sources]
    if len(readers) != 1 or times_used(graph)[target] != 2:
        return None
    reader = readers[0]
    if reader.sources[0] is not target:
        return None
    if reader.kind in LAYERS:
        return reader
    pixels = np.array([1, 2], np.int32).tobytes()  # the axes, height and width
    mean = reader.kind == OPERATORS.MEAN and reader.sources[1].data == pixels
    pooled = (mean and len(listed(target.shape)) == 4) or reader.kind in POOLS
    return next_layer(graph, reader) if pooled else None


def reorder_channels(group, order):
    """Reorders one of `hidden_channels` in place: channel order[i] becomes channel i."""
    for tensor, axis in group:
        store(tensor, as_array(tensor).take(order, axis))


def reorder(items, order):
    """Reorders a list in place: items[order[i]] becomes item i."""
    items[:] = [items[i] for i in order]
