"""A .tflite file as C: weights and tables for the kernels of firmware/."""

from typing import NamedTuple

import numpy as np

from toolkit.rows import read_network

TOTALS = 2**15 - 1  # the largest sum that 16 bits hold
KINDS = "POOL", "GLOBAL", "ADD", "JOIN"


class Code(NamedTuple):
    """A network in C: the text of model.h, and what of it takes how many bytes."""

    text: str
    weights: int  # in flash
    memory: int  # activations and sums, in RAM


def dense(weights):
    """int8 weights (channels, lines, width) as they are, a byte each."""
    return weights.ravel()


def nibbles(weights):
    """Weights of 4 bits, two to a byte, each channel from a new one. None if they have more."""
    if np.abs(weights + 0.5).max() > 7.5:
        return None
    flat = weights.reshape(len(weights), -1)
    flat = np.pad(flat, ((0, 0), (0, flat.shape[1] % 2)))
    return ((flat[:, ::2] & 15) | (flat[:, 1::2] << 4)).ravel().astype(np.int8)


def gaps(weights, most):
    """Yields for each channel of int8 weights its list of pairs (zeros to skip, weight).

    A gap of more than `most` zeros has a zero among its weights.
    """
    for channel in weights.reshape(len(weights), -1):
        found, last = [], -1
        for place in np.flatnonzero(channel).tolist():
            while place - last - 1 > most:
                found.append((most, 0))
                last += most + 1
            found.append((place - last - 1, int(channel[place])))
            last = place
        yield found


def pairs(weights):
    """Sparse code in bytes: zeros to skip, then a weight; two zeros end a channel."""
    codes = [code for channel in gaps(weights, 255) for pair in (*channel, (0, 0)) for code in pair]
    return np.array(codes, np.uint8).view(np.int8) if min(codes) >= 0 else as_bytes(codes)


def as_bytes(codes):
    """Numbers from -128 to 255 as int8, modulo 256."""
    return (np.array(codes) & 255).astype(np.uint8).view(np.int8)


def runs(weights):
    """Sparse code in nibbles: zeros to skip, then a weight of 4 bits. None if they have more."""
    if np.abs(weights + 0.5).max() > 7.5:
        return None
    codes = [skip << 4 | (w & 15) for one in gaps(weights, 15) for skip, w in (*one, (0, 0))]
    return as_bytes(codes)


FORMS = {"DENSE": dense, "NIBBLES": nibbles, "PAIRS": pairs, "RUNS": runs}
DENSE, SPARSE = ("DENSE", "NIBBLES"), ("PAIRS", "RUNS")


def to_c(content, forms=(*DENSE, *SPARSE)):
    """The Code of the bytes of a .tflite file.

    forms: in which weights may be stored, of FORMS; of each layer the smallest is taken.
    Raises ModelError for a network that there are no kernels for.
    """
    network = read_network(content)
    tensors, layers = network.tensors, network.layers
    arrays: list = []
    places = np.cumsum([0, *(rows.bytes for rows in tensors)]).tolist()
    totals = sum(tensors[one.target].channels for one in layers if one.kind == "GLOBAL")
    sizes = [n for rows in tensors for n in (rows.height + rows.top, rows.full_width)]
    sizes += [rows.channels for rows in tensors] + [one.rows * one.down for one in layers]
    table, used, room = [], set(), 0
    bounds = [sum_bounds(layer, tensors) for layer in layers]
    for layer in layers:
        source = tensors[layer.sources[0]]
        lines, width = source.width, layer.width
        step, start = source.full_width, 0
        code, weights, bias = "DENSE", "0", "0"
        if layer.kind == "CONV":
            lines = layer.weights.shape[1]
            if layer.depthwise:
                step, start = step * source.channels, step
            elif width == step:  # windows without a gap are one line
                lines, width = 1, lines * width
            stored = {form: FORMS[form](layer.weights) for form in forms}
            stored = {form: data for form, data in stored.items() if data is not None}
            code = min(stored, key=lambda form: len(stored[form]))
            weights = keep(arrays, "int8_t", stored[code])
            bias = keep(arrays, "BIAS", layer.bias) if layer.bias.any() else "0"
            sizes += [lines, width]
        elif layer.kind == "GLOBAL":
            start, room = room, room + source.channels
        used |= {layer.kind, code if layer.kind == "CONV" else layer.kind}
        numbers, shifts = zip(*layer.factors or [(0, 0)], strict=True)
        fields = [layer.kind, code, layer.pooling]
        fields += [layer.sources[0], layer.sources[-1], layer.target]
        fields += [layer.rows, layer.columns]
        fields += [source.top - layer.padding[0], source.left - layer.padding[1]]
        fields += [layer.height, width, layer.down, layer.right, layer.deep, layer.wide, lines]
        fields += [step, start, max(layer.depthwise, 1), int(len(numbers) > 1)]
        fields += [layer.zero, layer.low, layer.high, weights, bias]
        fields += [keep(arrays, "int32_t", numbers), keep(arrays, "int8_t", shifts)]
        table.append(braced(fields))
    biases = [layer.bias for layer in layers if layer.bias is not None]
    short = all(np.abs(bias).max() <= TOTALS for bias in biases)
    summed = max(bound for bound, _ in bounds)
    narrow = max(bound for _, bound in bounds) < 2**16 - 1
    columns = max(one.columns for one in layers)
    sum_bytes = 2 if summed <= TOTALS else 4
    first, last = tensors[0], tensors[layers[-1].target]
    memory = places[-1] + sum_bytes * (columns + totals)
    pixels, rows = first.width, first.height
    text = "\n".join(
        [
            "/* Written by toolkit/ccode.py. */",
            f"#define DIM {'uint8_t' if max(sizes) < 256 else 'uint16_t'}",
            "#define COUNT DIM",
            f"#define SIZE {'uint16_t' if places[-1] < 2**16 else 'uint32_t'}",
            f"#define ACC {'int16_t' if sum_bytes == 2 else 'int32_t'}",
            f"#define BIAS {'int16_t' if short else 'int32_t'}",
            *(["#define NARROW"] if narrow else []),
            *(f"#define USES_{name} {int(name in used)}" for name in (*FORMS, *KINDS)),
            "#define USES(what) USES_##what",
            f"#define TENSORS {len(tensors)}",
            f"#define LAYERS {len(layers)}",
            f"#define PIXELS {pixels} /* of a row */",
            f"#define ROW {pixels * first.channels} /* bytes of a row */",
            f"#define ROWS {rows}",
            f"#define SCORES {last.channels}",
            '#include "network.h"',
            f"extern int8_t memory[{places[-1]}];",
            f"extern ACC sums[{columns}], totals[{max(totals, 1)}];",
            "#ifdef TABLES",
            f"int8_t memory[{places[-1]}];",
            f"ACC sums[{columns}], totals[{max(totals, 1)}];",
            *(array for _, array in arrays),
            "static const FLASH struct tensor tensors[] = {",
            *(
                braced([t.height, t.full_width, t.channels, t.keep, t.top, t.left, t.zero, place])
                for t, place in zip(tensors, places[:-1], strict=True)
            ),
            "};",
            "static const FLASH struct layer layers[] = {",
            *table,
            "};",
            "#endif",
            "",
        ]
    )
    weights = sum(size for size, _ in arrays)
    return Code(text, weights, memory)


def sum_bounds(layer, tensors):
    """The largest magnitudes that sums of a layer reach, and what is scaled of them: two int."""
    source = tensors[layer.sources[0]]
    if layer.kind == "CONV":
        sums = 128 * np.abs(layer.weights.astype(int)).sum((1, 2))
        return int(sums.max()), int((sums + np.abs(layer.bias)).max())
    if layer.kind == "GLOBAL":
        count = source.height * source.width
        return 128 * count, 256 * count
    return (0, 2**31) if layer.kind == "ADD" else (0, 0)


def keep(arrays, kind, values):
    """Adds an array of C to `arrays`, pairs (bytes, text), and returns its name."""
    size = {"int8_t": 1, "BIAS": 2, "int32_t": 4}[kind] * len(values)
    name = f"a{len(arrays)}"
    listing = ",".join(map(str, np.asarray(values).tolist()))
    arrays.append((size, f"static const FLASH {kind} {name}[] = {{{listing}}};"))
    return name


def braced(fields):
    """An initializer of C."""
    return f"    {{{', '.join(map(str, fields))}}},"
