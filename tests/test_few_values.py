"""Networks of two and three values a layer, and their weights in INT2."""

import numpy as np
import pytest

from signmnist.baseline import build_cnn
from toolkit.compression import INT8, ONE_SCALE, convert, representative_dataset
from toolkit.few_values import few_valued, in_2_bits, least_error_step, plain_few_valued, values_of
from toolkit.fourbit import quantized_layers
from toolkit.graph import LAYERS, OPERATORS, read_model, weight_bits
from toolkit.int4 import to_int4
from toolkit.runtime import use_keras_2
from toolkit.tflite import predict_tflite, run_micro
from toolkit.training import predict

use_keras_2()
import tensorflow as tf

RNG = np.random.default_rng(0)
IMAGES = RNG.random((64, 28, 28, 1), np.float32)


@pytest.fixture(scope="module")
def network():
    tf.keras.utils.set_random_seed(0)
    return build_cnn(((4,), (8,)))


@pytest.fixture(scope="module")
def ternary_file(network, tmp_path_factory):
    """The bytes of an INT4 file of three values a layer."""
    path = tmp_path_factory.mktemp("ternary") / "int8.tflite"
    settings = INT8 | ONE_SCALE | {"representative_dataset": representative_dataset(IMAGES)}
    return to_int4(convert(plain_few_valued(few_valued(network, 3)), path, **settings).read_bytes())


@pytest.mark.parametrize(("count", "values"), [(2, {-1, 1}), (3, {-1, 0, 1})])
def test_each_layer_has_these_values_and_the_plain_copy_is_the_same_function(
    network, count, values
):
    few = few_valued(network, count)
    assert [set(np.unique(values_of(layer))) for layer in quantized_layers(few)] == [values] * 3
    plain = plain_few_valued(few)
    np.testing.assert_allclose(predict(plain, IMAGES), predict(few, IMAGES), atol=1e-5)
    assert {type(layer).__module__.split(".")[0] for layer in plain.layers} == {"tf_keras"}


def test_the_penalty_is_the_sum_of_the_sizes_of_the_weights(network):
    few = few_valued(network, 3, penalty=0.5)
    sizes = sum(np.abs(layer.get_weights()[0]).sum() for layer in quantized_layers(few))
    assert float(sum(few.losses)) == pytest.approx(0.5 * sizes, rel=1e-4)


def test_the_least_error_step_of_weights_of_few_values_is_theirs():
    three = RNG.choice([-0.3, 0, 0.3], (50, 20)).astype(np.float32)
    assert least_error_step(three, 3) == pytest.approx(0.3, rel=0.05)
    two = RNG.choice([-0.3, 0.3], (50, 20)).astype(np.float32)
    assert least_error_step(two, 2) == pytest.approx(0.3, rel=0.05)


def test_int2_holds_four_weights_a_byte(ternary_file):
    assert weight_bits(ternary_file) == 4 and weight_bits(in_2_bits(ternary_file)) == 2
    sizes = []
    for content in (ternary_file, in_2_bits(ternary_file, [OPERATORS.FULLY_CONNECTED])):
        layers = [op for op in read_model(content).subgraphs[0].operators if op.kind in LAYERS]
        sizes.append(len(layers[-1].sources[1].data))
    assert sizes == [8 * 24 / 2, 8 * 24 / 4]


def test_litert_runs_int2_in_dense_layers_as_it_runs_int4(ternary_file, tmp_path):
    four, two = tmp_path / "four.tflite", tmp_path / "two.tflite"
    four.write_bytes(ternary_file)
    two.write_bytes(in_2_bits(ternary_file, [OPERATORS.FULLY_CONNECTED]))
    scores = [predict_tflite(path, IMAGES, xnnpack=False) for path in (four, two)]
    np.testing.assert_array_equal(*scores)
    assert run_micro(two, IMAGES[:1]).reason == "refuses FULLY_CONNECTED"


def test_nothing_runs_int2_in_convolutions_beside_int8(ternary_file, tmp_path):
    path = tmp_path / "two.tflite"
    path.write_bytes(in_2_bits(ternary_file))
    with pytest.raises(RuntimeError, match="INT2"):
        predict_tflite(path, IMAGES[:1])
    assert run_micro(path, IMAGES[:1]).reason == "refuses CONV_2D"
