"""What the bytes of a .tflite file are for, before and after gzip."""

import gzip

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from toolkit.graph import as_array, is_number, listed, load_model, read_model, store, write_model
from toolkit.packing import repack
from toolkit.tflite import ModelError, gzip_size

PARTS = "weights", "biases", "scales", "graph", "strings", "metadata"


def value_entropy(values):
    """Bits a value of the distribution of `values`, an array (Shannon, 1948)."""
    counts = np.unique(values, return_counts=True)[1]
    share = counts / counts.sum()
    return float(np.sum(share * np.log2(1 / share)))


def anatomy(content):
    """Bytes of a .tflite file by part; a dict with the keys PARTS that sums to its length.

    weights, biases: the numbers themselves. scales: quantization. strings: names and the
    description. metadata: how the file was made and how to call it. graph: operators,
    shapes and all that holds the file together, and data behind the flatbuffer. Raises
    ModelError if LiteRT cannot load it or if it names what it does not have.
    """
    owners = owners_of_bytes(content)
    return {part: int(np.sum(owners == i)) for i, part in enumerate(PARTS)}


def gzip_anatomy(content):
    """Bytes that each part takes after `gzip -9n`, as floats; sums to the size of the result.

    The bits of a symbol are charged to the bytes it stands for. "gzip" is what belongs to
    none: the header, the checksum and the code tables.
    """
    packed = gzip.compress(content, 9, mtime=0)
    owners = owners_of_bytes(content)
    bits, position = np.zeros(len(PARTS)), 0
    for count, cost in deflate_symbols(packed[10:-8]):
        np.add.at(bits, owners[position : position + count], cost / max(count, 1))
        position += count
    parts = dict(zip(PARTS, (bits / 8).tolist(), strict=True))
    return parts | {"gzip": len(packed) - sum(parts.values())}


def container_floor(content):
    """Bytes after repacking and `gzip -9n` of a .tflite file with all weights and biases 1.

    Raises ModelError for a file that `repack` refuses and for sparse weights.
    """
    model = read_model(content)
    for tensor in model.subgraphs[0].tensors:
        scale = tensor.quantization and listed(tensor.quantization.scale)
        if tensor.data and is_number(tensor.type, scale):
            store(tensor, np.ones_like(as_array(tensor)))
    return gzip_size(repack(write_model(model), 500, fixed_size=True))


def owners_of_bytes(content):
    """For each byte of a .tflite file the index in PARTS of its part: uint8 (n,)."""
    load_model(content)  # or a ModelError
    owners = np.full(len(content), PARTS.index("graph"), np.uint8)

    def claim(part, table, sizes):
        """Gives a table's vectors to a part. sizes: bytes of an item by number of the field."""
        for field, size in sizes.items():
            offset = table._tab.Offset(4 + 2 * field)
            if offset:
                start, count = table._tab.Vector(offset), table._tab.VectorLen(offset)
                owners[start : start + count * size] = PARTS.index(part)

    def each(item, count):
        return [item(i) for i in range(count)]

    model = schema.Model.GetRootAs(content, 0)
    claim("strings", model, {3: 1})
    for graph in each(model.Subgraphs, model.SubgraphsLength()):
        claim("strings", graph, {4: 1})
        for tensor in each(graph.Tensors, graph.TensorsLength()):
            claim("strings", tensor, {3: 1})
            quantization = tensor.Quantization()
            if quantization:
                claim("scales", quantization, {0: 4, 1: 4, 2: 4, 3: 8})
            scale = quantization and range(quantization.ScaleLength())
            if is_number(tensor.Type(), scale):
                part = "weights" if tensor.ShapeLength() > 1 else "biases"
                claim(part, model.Buffers(tensor.Buffer()), {0: 1})
    for entry in each(model.Metadata, model.MetadataLength()):
        if entry.Buffer() >= model.BuffersLength():
            raise ModelError("This file is damaged: its metadata name a buffer that it lacks.")
        claim("metadata", entry, {0: 1})
        claim("metadata", model.Buffers(entry.Buffer()), {0: 1})
    for signature in each(model.SignatureDefs, model.SignatureDefsLength()):
        claim("metadata", signature, {2: 1})
        for name in each(signature.Inputs, signature.InputsLength()):
            claim("metadata", name, {0: 1})
        for name in each(signature.Outputs, signature.OutputsLength()):
            claim("metadata", name, {0: 1})
    return owners


def deflate_symbols(stream):
    """Yields (bytes it stands for, bits it takes) for all in a raw deflate stream (RFC 1951).

    What stands for no byte, such as the code tables of a block, comes as one with 0 bytes.
    """
    bits = "".join(f"{byte:08b}"[::-1] for byte in stream)
    position = 0

    def number(width):
        nonlocal position
        position += width
        return int(bits[position - width : position][::-1] or "0", 2)

    def symbol(codes):
        nonlocal position
        start = position
        while bits[start:position] not in codes:
            position += 1
        return codes[bits[start:position]]

    final = False
    while not final:
        start = position
        final, kind = number(1), number(2)
        if kind == 0:
            position += -position % 8
            size = number(32) & 0xFFFF
            yield 0, position - start
            position += 8 * size
            yield size, 8 * size
            continue
        if kind == 1:
            literals = huffman_codes([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8)
            distances = huffman_codes([5] * 30)
        else:
            literal_count, distance_count, count = number(5) + 257, number(5) + 1, number(4) + 4
            order = 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15
            widths = dict.fromkeys(range(19), 0) | {s: number(3) for s in order[:count]}
            codes = huffman_codes(widths.values())
            lengths: list[int] = []
            while len(lengths) < literal_count + distance_count:
                value = symbol(codes)
                if value < 16:
                    lengths.append(value)
                elif value == 16:
                    lengths += lengths[-1:] * (3 + number(2))
                else:
                    lengths += [0] * (3 + number(3) if value == 17 else 11 + number(7))
            literals = huffman_codes(lengths[:literal_count])
            distances = huffman_codes(lengths[literal_count:])
        yield 0, position - start
        value = None
        while value != 256:
            start = position
            value = symbol(literals)
            size = int(value < 256)
            if value > 256:
                size = match_size(value, number)
                distance = symbol(distances)
                number(max(0, distance // 2 - 1))
            yield size, position - start


def match_size(value, number):
    """Bytes that a length symbol (257-285) repeats; `number` reads its extra bits."""
    if value == 285:
        return 258
    if value < 265:
        return value - 254
    extra = (value - 261) // 4
    return 3 + ((4 + (value - 265) % 4) << extra) + number(extra)


def huffman_codes(lengths):
    """The canonical code with these lengths in bits: dict from bits, as text, to symbol."""
    lengths = list(lengths)
    codes, code = {}, 0
    for length in range(1, 16):
        for symbol, bits in enumerate(lengths):
            if bits == length:
                codes[f"{code:0{length}b}"] = symbol
                code += 1
        code *= 2
    return codes
