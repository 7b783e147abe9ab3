"""Writing a .tflite file so that equal parts of the model become equal bytes."""

import dataclasses
import struct
from typing import Any

import numpy as np


def lay_out(model):
    """The bytes of a schema.ModelT, for gzip: longer than usual, but full of repetitions.

    Nothing is shared, as flatbuffers would share it: each table has its vtable in front
    of it and what it refers to behind it, so that equal parts have equal offsets too.
    Data stand on multiples of 4 bytes, which LiteRT and TFLite Micro are content with.
    """
    recorder = Recorder()
    root = recorder.nodes[model.Pack(recorder)]
    # Reversed, the buffers come last: with their bytes the offsets before them would grow
    out = bytearray(b"....TFL3")
    out[:4] = struct.pack("<I", place(dict(reversed(root.items())), out))
    return bytes(out)


def place(node, out):
    """Appends a node of a Recorder and then all that it refers to; returns its position."""
    links = []
    if isinstance(node, Vector):
        out += bytes(-(len(out) + 4) % max(4, node.item_size))
        start = len(out)
        out += struct.pack("<I", node.count)
        for item in node.items:
            if not isinstance(item, bytes):
                links.append((len(out), item))
                item = bytes(4)
            out += item
    else:
        vtable, end, alignment = [0] * (3 + max(node, default=-1)), 4, 4
        for slot, value in sorted(node.items()):
            width = len(value) if isinstance(value, bytes) else 4
            vtable[2 + slot] = end + -end % width
            end, alignment = vtable[2 + slot] + width, max(alignment, width)
        vtable[:2] = 2 * len(vtable), end
        out += bytes(-(len(out) + vtable[0]) % alignment)
        out += struct.pack(f"<{len(vtable)}H", *vtable)
        start = len(out)
        out += struct.pack(f"<i{end - 4}x", vtable[0])
        for slot, value in reversed(node.items()):
            position = start + vtable[2 + slot]
            if isinstance(value, bytes):
                out[position : position + len(value)] = value
            else:
                links.append((position, value))
    for position, linked in links:
        struct.pack_into("<I", out, position, place(linked, out) - position)
    return start


@dataclasses.dataclass
class Vector:
    """A vector of `count` items: its bytes, in one or several pieces, or nodes."""

    count: int
    item_size: int
    items: list


class Recorder:
    """Takes the place of flatbuffers.Builder and keeps what is packed as a tree.

    A table becomes a dict from slot to value, the bytes of a scalar or another node.
    The generated code knows nodes by their index in `nodes`; 0 means none.
    """

    def __init__(self):
        self.nodes: list[Any] = [None]
        self.node: Any = None

    def keep(self, node):
        self.nodes.append(node)
        return len(self.nodes) - 1

    def StartObject(self, slots):
        self.node = {}

    def EndObject(self):
        return self.keep(self.node)

    def StartVector(self, item_size, count, alignment):
        self.node = Vector(count, item_size, [])

    def EndVector(self):
        self.node.items.reverse()
        return self.keep(self.node)

    def CreateNumpyVector(self, array):
        return self.keep(Vector(array.size, array.itemsize, [array.tobytes()]))

    def CreateString(self, text):
        return self.keep(Vector(len(text), 1, [text + b"\0"]))

    def PrependUOffsetTRelative(self, index):
        self.node.items.append(self.nodes[index])

    def PrependUOffsetTRelativeSlot(self, slot, index, default):
        if index:
            self.node[slot] = self.nodes[index]

    def __getattr__(self, name):
        """PrependInt32 and its like append to a vector, PrependInt32Slot ... set a field."""
        scalar = np.dtype(name.removeprefix("Prepend").removesuffix("Slot").lower()).type

        def append(value):
            self.node.items.append(scalar(value).tobytes())

        def set_field(slot, value, default):
            if value != default:
                self.node[slot] = scalar(value).tobytes()

        return set_field if name.endswith("Slot") else append
