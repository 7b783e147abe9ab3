"""A .tflite file of int8 activations as a network of which few rows are in memory at a time."""

import dataclasses
import math

from toolkit.graph import OPERATORS, TYPES, read_model
from toolkit.operators import layer_of, rows_of, unknown
from toolkit.tflite import ModelError

ALIASES = OPERATORS.RESHAPE, OPERATORS.EXPAND_DIMS, OPERATORS.SQUEEZE


@dataclasses.dataclass
class Network:
    """Tensors, the first of which is the input, and the layers in their order."""

    tensors: list
    layers: list


def read_network(content):
    """The Network of the bytes of a .tflite file.

    It takes and gives integers: a first QUANTIZE and a last DEQUANTIZE of float32 are left to who
    calls it. Raises ModelError for what is not an int8 network of the operators that there are
    kernels for.
    """
    graph = read_model(content).subgraphs[0]
    if len(graph.sources) != 1 or len(graph.targets) != 1:
        raise ModelError("Need a network with one input and one output.")
    (first,), (last,), operators = graph.sources, graph.targets, list(graph.operators)
    if operators and operators[0].kind == OPERATORS.QUANTIZE and first.type == TYPES.FLOAT32:
        first = operators.pop(0).targets[0]
    if operators and operators[-1].kind == OPERATORS.DEQUANTIZE and last.type == TYPES.FLOAT32:
        last = operators.pop().sources[0]
    network = Network([rows_of(first)], [])
    number = {first: 0}
    flat = set()  # what is read as a vector though it is kept as rows
    for op in operators:
        sources = [tensor for tensor in op.sources if tensor and not tensor.data]
        if not sources or any(tensor not in number for tensor in sources):
            raise unknown(op)
        ends, target = [network.tensors[number[tensor]] for tensor in sources], op.targets[0]
        if op.kind in ALIASES:
            before, after = ends[0].shape, rows_of(target).shape
            if before != after and after != (1, 1, math.prod(before)):
                raise unknown(op, "that does more than flatten")
            number[target] = number[sources[0]]
            flat |= {target} if before != after else set()
            continue
        if flat & set(sources) and op.kind != OPERATORS.FULLY_CONNECTED:
            raise unknown(op, "after a RESHAPE that flattens")
        layer = layer_of(op, ends, rows_of(target))
        layer.sources = [number[tensor] for tensor in sources]
        layer.target = number[target] = len(network.tensors)
        network.tensors.append(rows_of(target))
        network.layers.append(layer)
    if not network.layers or network.layers[-1].target != number.get(last):
        raise ModelError("Need a network whose last layer gives its output.")
    if network.tensors[-1].shape[:2] != (1, 1):
        raise ModelError("Need a network that gives a vector.")
    if all(layer.weights is None for layer in network.layers):
        raise ModelError("Need a network with weights.")
    pool_on_the_way(network)
    for layer in network.layers:
        for source in layer.sources:
            pad(network.tensors[source], layer)
    for layer in network.layers:
        if layer.kind == "CONV":
            layer.line = layer.weights.shape[1:]
            if layer.width == network.tensors[layer.sources[0]].full_width and not layer.depthwise:
                layer.line = 1, layer.weights[0].size  # windows without a gap are one line
    keep_rows(network)
    return network


def pool_on_the_way(network):
    """Lets convolutions do the max pooling without overlap that follows them, in place."""
    for pool in [layer for layer in network.layers if layer.kind == "POOL"]:
        between = pool.sources[0]
        makers = [layer for layer in network.layers if layer.target == between]
        readers = [layer for layer in network.layers if between in layer.sources]
        sides = pool.height, pool.width
        plain = sides == (pool.down, pool.right) and pool.padding == (0, 0)
        if not plain or pool.pooling != "MAXIMUM" or len(readers) > 1 or len(makers) != 1:
            continue
        if makers[0].kind != "CONV" or (pool.low, pool.high) != (-128, 127):
            continue
        makers[0].deep, makers[0].wide = sides
        makers[0].rows, makers[0].columns = pool.rows * pool.height, pool.columns * pool.width
        makers[0].target = pool.target
        network.layers.remove(pool)
    named = [tensor for one in network.layers for tensor in (*one.sources, one.target)]
    used = sorted({0, *named})
    network.tensors = [network.tensors[tensor] for tensor in used]
    for layer in network.layers:
        layer.sources = [used.index(source) for source in layer.sources]
        layer.target = used.index(layer.target)


def pad(rows, layer):
    """Gives a tensor, in place, the padding that one of its readers needs."""
    top, left = layer.padding
    end = (layer.columns - 1) * layer.right + layer.width - left
    rows.top, rows.left = max(rows.top, top), max(rows.left, left)
    rows.right = max(rows.right, end - rows.width)


def keep_rows(network):
    """Finds how many rows of each tensor have to be kept: runs the network without computing.

    The last layer that can compute a row does; so it is in firmware/network.c.
    """
    tensors, layers = network.tensors, network.layers
    have = [rows.top for rows in tensors]  # with one that is still being pooled
    whole = [rows.top for rows in tensors]
    done = [0] * len(layers)

    def reads(number):
        layer = layers[number]
        for source in layer.sources:
            first = tensors[source].top - layer.padding[0] + done[number] * layer.down
            yield source, first, first + layer.height

    def step(number):
        layer = layers[number]
        if done[number] == layer.rows:
            return False
        for source, _, end in reads(number):
            given = tensors[source].top + tensors[source].height
            if whole[source] < min(end, given):
                return False
            have[source] = whole[source] = max(have[source], end if whole[source] >= given else 0)
        for source, first, _ in reads(number):
            tensors[source].keep = max(tensors[source].keep, have[source] - first)
        done[number] += 1
        if layer.kind == "GLOBAL":
            have[layer.target] += done[number] == layer.rows
        else:
            have[layer.target] += (done[number] - 1) % layer.deep == 0
        if layer.kind == "GLOBAL" or done[number] % layer.deep == 0:
            whole[layer.target] = have[layer.target]
        return True

    for _ in range(tensors[0].height):
        have[0] = whole[0] = have[0] + 1
        while any(step(number) for number in reversed(range(len(layers)))):
            pass
