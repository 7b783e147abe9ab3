"""A .tflite file as C: weights and tables for the kernels of firmware/."""

from typing import NamedTuple

import numpy as np

from toolkit.rows import read_network
from toolkit.tflite import ModelError

TOTALS = 2**15 - 1  # the largest sum that 16 bits hold
KINDS = "POOL", "GLOBAL", "ADD", "JOIN", "MAXIMUM", "AVERAGE", "MEAN"
SIZES = {"int8_t": 1, "BIAS": 2, "int32_t": 4}


class Code(NamedTuple):
    """A network in C: the text of model.h, and what of it takes how many bytes."""

    text: str
    weights: int  # in flash
    memory: int  # activations and sums, in RAM
    ends: tuple  # (scale, zero point) of its input and of its output
    shape: tuple  # height, width and channels of its input


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


def signs(weights):
    """Sparse code of 4 bits for -1, 0 and 1: zeros to skip, then a sign. None if they have more.

    7 stands for seven zeros, 15 for the end of a channel, which begins with a new byte.
    """
    if np.abs(weights.astype(int)).max() > 1:
        return None
    codes = []
    for channel in gaps(weights, 6):
        codes += [{0: 7, 1: skip, -1: skip | 8}[weight] for skip, weight in channel] + [15]
        codes += [0] * (len(codes) % 2)
    return as_bytes([low | high << 4 for low, high in zip(codes[::2], codes[1::2], strict=True)])


FORMS = {"DENSE": dense, "NIBBLES": nibbles, "PAIRS": pairs, "RUNS": runs, "SIGNS": signs}
DENSE, SPARSE = ("DENSE", "NIBBLES"), ("PAIRS", "RUNS", "SIGNS")


def to_c(content, forms=(*DENSE, *SPARSE)):
    """The Code of the bytes of a .tflite file.

    forms: in which weights may be stored, of FORMS; of each layer the smallest is taken.
    Raises ModelError for a network that there are no kernels for.
    """
    network = read_network(content)
    tensors, layers = network.tensors, network.layers
    arrays: dict = {}
    table, used = list_layers(network, forms, arrays)
    places = np.cumsum([0, *(rows.bytes for rows in tensors)]).tolist()
    columns = max(one.columns for one in layers)
    totals = sum(tensors[one.target].channels for one in layers if one.kind == "GLOBAL")
    bounds = [sum_bounds(one, tensors) for one in layers]
    sums, scaled = (max(column) for column in zip(*bounds, strict=True))
    biases = [np.abs(one.bias).max() for one in layers if one.kind == "CONV"]
    first, last = tensors[0], tensors[layers[-1].target]
    sizes = [n for rows in tensors for n in (rows.top + rows.height, rows.full_width)]
    sizes += [rows.channels for rows in tensors]
    sizes += [n for one in layers for n in (one.rows * one.down + one.height, one.line[1])]
    sizes += [one.line[0] for one in layers]
    small = [len(tensors)]  # what struct layer holds in a byte
    small += [n for one in layers for n in (one.down, one.right, one.deep, one.wide, one.depthwise)]
    if max(small) > 255 or max(sizes) >= 2**16:
        raise ModelError(
            "This network is too large for firmware/: more than 255 tensors, a stride, pooling or "
            "depth multiplier of more than 255, or a side of more than 65,535."
        )
    wide = "int32_t" if sums > TOTALS else "int16_t"
    defined = {
        "DIM": "uint8_t" if max(sizes) < 256 else "uint16_t",
        "COUNT": "DIM",
        "SIZE": "uint16_t" if places[-1] < 2**16 else "uint32_t",
        "ACC": wide,
        "BIAS": "int32_t" if max(biases) > TOTALS else "int16_t",
        "NARROW": int(scaled < 2**16 - 1),
        "TENSORS": len(tensors),
        "LAYERS": len(layers),
        "PIXELS": first.width,
        "ROW": first.width * first.channels,
        "ROWS": first.height,
        "SCORES": last.channels,
        "USES(what)": "USES_##what",
        **{f"USES_{name}": int(name in used) for name in (*FORMS, *KINDS)},
    }
    spaces = [f"int8_t memory[{places[-1]}]", f"{wide} sums[{columns}]"]
    spaces += [f"{wide} totals[{totals}]"] if totals else []
    shapes = [
        [one.height, one.full_width, one.channels, one.keep, one.top, one.left, one.zero, place]
        for one, place in zip(tensors, places[:-1], strict=True)
    ]
    lines = [
        *(f"#define {name} {value}" for name, value in defined.items()),
        '#include "network.h"',
        "#ifdef TABLES",
        *(f"static {space};" for space in spaces),
        *arrays,
        "static const FLASH struct tensor tensors[] = {",
        *map(braced, shapes),
        "};",
        "static const FLASH struct layer layers[] = {",
        *map(braced, table),
        "};",
        "#endif",
    ]
    memory = places[-1] + (4 if sums > TOTALS else 2) * (columns + totals)
    ends = (first.scale, first.zero), (last.scale, last.zero)
    return Code("\n".join(lines) + "\n", sum(arrays.values()), memory, ends, first.shape)


def list_layers(network, forms, arrays):
    """The fields of struct layer for each layer, and the kinds and forms that they use, a set.

    What they point at is added to `arrays`; see `name_of`.
    """
    table, used, room = [], set(), 0
    for layer in network.layers:
        source = network.tensors[layer.sources[0]]
        step, start = source.full_width, 0
        code, weights, bias = "DENSE", "0", "0"
        if layer.kind == "CONV":
            if layer.depthwise:
                step, start = step * source.channels, step
            stored = {form: FORMS[form](layer.weights) for form in forms}
            stored = {form: data for form, data in stored.items() if data is not None}
            code = min(stored, key=lambda form: len(stored[form]))
            weights = name_of("int8_t", stored[code], arrays)
            bias = name_of("BIAS", layer.bias, arrays) if layer.bias.any() else "0"
        elif layer.kind == "GLOBAL":
            start, room = room, room + source.channels
        used |= {layer.kind, code if layer.kind == "CONV" else layer.pooling}
        numbers, shifts = zip(*layer.factors, strict=True) if layer.factors else ((), ())
        lines, width = (source.width, layer.width) if layer.kind == "POOL" else layer.line
        table.append(
            [
                *(layer.kind, code, layer.pooling),
                *(layer.sources[0], layer.sources[-1], layer.target),
                *(layer.rows, layer.columns),
                *(source.top - layer.padding[0], source.left - layer.padding[1]),
                *(layer.height, width, layer.down, layer.right, layer.deep, layer.wide),
                *(lines, step, start, max(layer.depthwise, 1), int(len(numbers) > 1)),
                *(layer.zero, layer.low, layer.high, weights, bias),
                name_of("int32_t", numbers, arrays) if numbers else "0",
                name_of("int8_t", shifts, arrays) if numbers else "0",
            ]
        )
    return table, used


def sum_bounds(layer, tensors):
    """The largest magnitudes that sums of a layer reach, and what is scaled of them: two int."""
    source = tensors[layer.sources[0]]
    if layer.kind == "CONV":
        sums = 128 * np.abs(layer.weights.astype(int)).sum((1, 2))
        shifts = np.maximum([shift for _, shift in layer.factors], 0)
        scaled = int((sums + np.abs(layer.bias) << shifts).max())
        if scaled >= 2**31:
            raise ModelError("A layer has sums that could overflow 32 bits.")
        return int(sums.max()), scaled
    if layer.kind == "GLOBAL":
        count = source.height * source.width
        return 128 * count, 256 * count
    return (0, 2**31) if layer.kind == "ADD" else (0, 0)


def name_of(kind, values, arrays):
    """The name of an array of C with these values, added to `arrays`, from text to bytes.

    Equal arrays are one.
    """
    listing = ",".join(map(str, np.asarray(values).tolist()))
    declared = f"static const FLASH {kind} {{}}[] = {{{{{listing}}}}};"
    for number, text in enumerate(arrays):
        if text == declared.format(f"a{number}"):
            return f"a{number}"
    name = f"a{len(arrays)}"
    arrays[declared.format(name)] = SIZES[kind] * len(values)
    return name


def braced(fields):
    """An initializer of C."""
    return f"    {{{', '.join(map(str, fields))}}},"
