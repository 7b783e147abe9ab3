"""A rewritten file in the form that other tools read, and as a QR code."""

import gzip

import numpy as np
import pytest
import zxingcpp

from signmnist.baseline import build_cnn
from toolkit.code import MOST, qr_code
from toolkit.compression import INT8, ONE_SCALE, convert, representative_dataset
from toolkit.graph import LAYERS, OPERATORS, TYPES, as_array, read_model, scales
from toolkit.grid import grid_network, plain_network
from toolkit.int4 import to_int4
from toolkit.packing import repack
from toolkit.runtime import use_keras_2
from toolkit.standard import standard_form
from toolkit.tflite import ModelError, predict_tflite, run_micro

use_keras_2()
import tensorflow as tf

IMAGES = np.random.default_rng(0).random((40, 28, 28, 1), np.float32)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A file of the race, untrained: its path."""
    tf.keras.utils.set_random_seed(0)
    model = build_cnn([[4], [6], [6]], kernel=5, stride=2)
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.beta.assign(tf.random.normal(layer.beta.shape, stddev=0.1))
    path = tmp_path_factory.mktemp("standard") / "packed.tflite"
    settings = INT8 | ONE_SCALE | {"representative_dataset": representative_dataset(IMAGES)}
    convert(plain_network(grid_network(model, dense_bias=False)), path, **settings)
    path.write_bytes(repack(to_int4(path.read_bytes(), 16, fixed_size=True), 50, fixed_size=True))
    return path


@pytest.fixture(scope="module")
def standard(packed):
    path = packed.with_name("standard.tflite")
    path.write_bytes(standard_form(packed.read_bytes()))
    return path


def test_the_standard_form_gives_the_same_scores_to_the_last_bit(packed, standard):
    before, after = (predict_tflite(path, IMAGES) for path in (packed, standard))
    assert len(np.unique(before)) > 20
    assert np.abs(before - after).max() <= 3 * np.diff(np.unique(before)).min()  # XNNPACK
    before, after = (run_micro(path, IMAGES).scores for path in (packed, standard))
    np.testing.assert_array_equal(before, after)


def test_weights_keep_their_values_in_8_bits(packed, standard):
    before, after = (read_model(path.read_bytes()).subgraphs[0] for path in (packed, standard))
    for one, other in zip(before.operators, after.operators, strict=True):
        if one.kind in LAYERS:
            assert one.sources[1].type == TYPES.INT4 and other.sources[1].type == TYPES.INT8
            np.testing.assert_array_equal(as_array(one.sources[1]), as_array(other.sources[1]))


def test_what_the_specification_wants_is_back(packed, standard):
    before, after = (read_model(path.read_bytes()).subgraphs[0] for path in (packed, standard))
    assert all(tensor.name for tensor in after.tensors)
    dense = [op for op in after.operators if op.kind == OPERATORS.FULLY_CONNECTED]
    assert dense and all(op.builtinOptions for op in dense)

    def off(graph):
        """How far the scale of each bias is from that of the input times the weights'."""
        layers = [op for op in graph.operators if op.kind in LAYERS and any(op.sources[2:])]
        triples = [[scales(tensor)[0][0] for tensor in op.sources[:3]] for op in layers]
        return [abs(bias / (source * weights) - 1) for source, weights, bias in triples]

    assert max(off(after)) < 1e-6 < max(off(before))


def test_a_standard_file_stays_as_it_is(standard):
    assert standard_form(standard.read_bytes()) == standard.read_bytes()


def test_what_is_no_model_is_refused():
    with pytest.raises(ModelError):
        standard_form(b"no model")


def test_a_reader_of_qr_codes_gives_the_file_back(packed):
    content = gzip.compress(packed.read_bytes(), 9, mtime=0)
    modules = qr_code(content).repeat(4, axis=0).repeat(4, axis=1)
    (found,) = zxingcpp.read_barcodes(np.where(modules, 0, 255).astype(np.uint8))
    assert found.bytes == content


def test_what_fits_into_no_qr_code_is_refused():
    assert qr_code(bytes(MOST)).shape == (185, 185)
    with pytest.raises(ValueError, match="2,953 bytes, not 2,954"):
        qr_code(bytes(MOST + 1))
