"""The memory that the activations of a .tflite file take, operator by operator."""

import numpy as np
import pandas as pd

from toolkit.graph import DTYPES, OPERATORS, listed, read_model
from toolkit.tflite import ModelError

OPERATOR_NAMES = {number: name for name, number in vars(OPERATORS).items()}


def live_bytes(content):
    """What has to be in memory while each operator of a .tflite file runs, a pandas DataFrame.

    content: bytes of a file with one subgraph. A row an operator, in their order. Columns:
    `operator`; `shape` of what it gives, without the first axis; `bytes` of all activations that it
    reads, gives or passes by for a later one. The peak is the least that an interpreter can do
    with that does not share the memory of an operator's input and output. Raises ModelError if
    LiteRT cannot run it, and for texts, whose size is not known.
    """
    graph = read_model(content).subgraphs[0]
    born = {tensor: -1 for tensor in graph.sources}
    last = {tensor: len(graph.operators) for tensor in graph.targets}
    for position, op in enumerate(graph.operators):
        for tensor in op.targets:
            born[tensor] = position
        for tensor in op.sources:
            if tensor in born:
                last[tensor] = max(last.get(tensor, -1), position)
    rows = []
    for position, op in enumerate(graph.operators):
        live = [t for t, start in born.items() if start <= position <= last.get(t, start)]
        rows.append(
            {
                "operator": OPERATOR_NAMES[op.kind],
                "shape": ", ".join(" x ".join(map(str, listed(t.shape)[1:])) for t in op.targets),
                "bytes": sum(map(tensor_bytes, live)),
            }
        )
    return pd.DataFrame(rows)


def tensor_bytes(tensor):
    """The bytes of a tensor of a `read_model`; raises ModelError for types that numpy lacks."""
    if tensor.type not in DTYPES:
        raise ModelError(
            "This file has activations of a type whose size is not known, such as texts."
        )
    return int(np.prod(listed(tensor.shape))) * DTYPES[tensor.type].itemsize
