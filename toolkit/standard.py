"""A rewritten .tflite file in the form that other tools read."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from toolkit.graph import (
    LAYERS,
    OPERATORS,
    TYPES,
    as_array,
    has_one_scale,
    read_model,
    scales,
    store,
    times_used,
    write_model,
)
from toolkit.packing import OPTIONAL
from toolkit.proof import RUNTIMES, alike, outputs, shapes_to_try
from toolkit.tflite import ModelError

# an operator's options where its table is left out: what the runtimes then take
DEFAULTS = {
    OPERATORS.FULLY_CONNECTED: (
        schema.FullyConnectedOptionsT,
        schema.BuiltinOptions.FullyConnectedOptions,
    ),
    OPERATORS.MEAN: (schema.ReducerOptionsT, schema.BuiltinOptions.ReducerOptions),
    OPERATORS.RESHAPE: (schema.ReshapeOptionsT, schema.BuiltinOptions.ReshapeOptions),
}


def standard_form(content):
    """Puts back into a .tflite file what `to_int4` and `repack` leave out. Returns new bytes.

    Operators get the options that they lack, tensors names, INT4 weights 8 bits, and the biases
    of int8 layers the scale that the specification of 8-bit quantization wants, that of the input
    times that of the weights. Each weight keeps its value. content: bytes with one subgraph.
    Raises ModelError if LiteRT cannot run `content`, for a bias that serves several layers and
    if a score changes: both files are run on random inputs, and all must be equal to the last
    bit on LiteRT's own kernels. XNNPACK has kernels for weights of 8 bits and none for 4: they
    round otherwise, and refuse some scales.
    """
    model = read_model(content)
    graph = model.subgraphs[0]
    for op in graph.operators:
        if op.kind in OPTIONAL and op.builtinOptions is None:
            make, op.builtinOptionsType = DEFAULTS[op.kind]
            op.builtinOptions = make()
        if op.kind in LAYERS:
            set_bias_scale(graph, op)
    for number, tensor in enumerate(graph.tensors):
        tensor.name = tensor.name or f"tensor{number}".encode()
        if tensor.type == TYPES.INT4 and tensor.data:
            values = as_array(tensor)
            tensor.type = TYPES.INT8
            store(tensor, values)
    graph.name = graph.name or b"main"
    model.description = model.description or b""
    result = write_model(model)
    content, compared = bytes(content), 0
    for shapes in shapes_to_try(content):
        found = [outputs(one, RUNTIMES["without XNNPACK"], shapes)[0] for one in (content, result)]
        if len(found[0]) != len(found[1]) or not all(map(alike, *found, [0.0] * len(found[0]))):
            raise ModelError("In its standard form this model gives other scores.")
        compared += len(found[0])
    if not compared:
        raise ModelError("LiteRT cannot run this file, so nothing can be proved.")
    return result


def set_bias_scale(graph, op):
    """Gives the int32 bias of an int8 layer, in place, the scale that the specification wants."""
    source, weights, bias = [*op.sources, None][:3]
    if bias is None or bias.type != TYPES.INT32 or not has_one_scale(source):
        return
    if times_used(graph)[bias] > 1:
        raise ModelError("A bias serves several layers, which would need several scales.")
    steps = np.asarray(scales(weights)[0], np.float32)
    bias.quantization = schema.QuantizationParametersT()
    bias.quantization.scale = np.float32(source.quantization.scale[0]) * steps
    bias.quantization.zeroPoint = np.zeros(len(steps), np.int64)
