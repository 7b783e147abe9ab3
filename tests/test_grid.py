import gzip

import numpy as np
import pytest

from signmnist.baseline import build_cnn
from toolkit.anatomy import container_floor
from toolkit.graph import LAYERS, OPERATORS, as_array, read_model
from toolkit.grid import GRID, grid_network, plain_network, whole_numbers
from toolkit.int4 import to_int4
from toolkit.packing import repack
from toolkit.runtime import use_keras_2
from toolkit.tflite import ModelError, constants, predict_tflite, run_micro, save_tflite

use_keras_2()
import tensorflow as tf
import tensorflow_model_optimization as tfmot

IMAGES = np.random.default_rng(0).random((60, 28, 28, 1), np.float32)


def trained_norm(model):
    """The model, with its batch normalization as training might leave it."""
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            layer.set_weights([rng.uniform(low, high, shape) for low, high in RANGES])
    return model


RANGES = (0.5, 1.5), (-0.2, 0.3), (-0.3, 0.3), (0.5, 1.5)


@pytest.fixture(scope="module")
def network():
    tf.keras.utils.set_random_seed(0)
    return trained_norm(build_cnn([[6, 8], [8], [10]], kernel=5, stride=2))


@pytest.fixture(scope="module")
def files(network, tmp_path_factory):
    """A grid network as converted to int8, and stored in 4 bits: two paths."""
    grid = grid_network(network, dense_bias=False)
    converter = tf.lite.TFLiteConverter.from_keras_model(plain_network(grid, average_pool=True))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None]] for image in IMAGES)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    converter._experimental_disable_per_channel = True
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    folder = tmp_path_factory.mktemp("grid")
    save_tflite(converter, folder / "int8.tflite")
    content = (folder / "int8.tflite").read_bytes()
    (folder / "int4.tflite").write_bytes(repack(to_int4(content, coarse=16), tries=100))
    return folder / "int8.tflite", folder / "int4.tflite"


def test_weights_are_whole_numbers_of_at_most_seven(network):
    for kernel in whole_numbers(grid_network(network)):
        assert np.abs(kernel).max() == GRID == 7
        assert len(np.unique(kernel)) <= 15


def test_a_grid_network_starts_close_to_the_network_it_comes_from(network):
    grid = grid_network(network).predict(IMAGES, verbose=0)
    original = network.predict(IMAGES, verbose=0)
    assert np.corrcoef(grid.ravel(), original.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("frugal", [False, True])
def test_the_plain_network_is_the_same_function_in_ordinary_layers(network, frugal):
    grid = grid_network(network, dense_bias=not frugal)
    plain = plain_network(grid, average_pool=frugal)
    scores = grid.predict(IMAGES, verbose=0), plain.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-5)
    assert {type(layer).__module__.split(".")[0] for layer in plain.layers} == {"tf_keras"}


def test_training_uses_the_rounded_weights_and_moves_those_behind_them(network):
    grid = grid_network(network, penalty=1e-4)
    before = [weight.numpy() for weight in grid.trainable_weights]
    grid.compile(tf.keras.optimizers.Adam(0.01), tf.keras.losses.MeanSquaredError())
    grid.fit(IMAGES, np.ones((60, 24), np.float32), epochs=1, verbose=0)
    after = [weight.numpy() for weight in grid.trainable_weights]
    assert all(np.any(one != other) for one, other in zip(before, after, strict=True))


def test_pruning_of_a_grid_network_leaves_zeros_in_the_whole_numbers(network):
    pruning = tfmot.sparsity.keras
    wrapped = pruning.prune_low_magnitude(
        grid_network(network), pruning_schedule=pruning.ConstantSparsity(0.75, 0, frequency=1)
    )
    wrapped.compile(tf.keras.optimizers.Adam(1e-3), tf.keras.losses.MeanSquaredError())
    callbacks = [pruning.UpdatePruningStep()]
    wrapped.fit(IMAGES, np.ones((60, 24), np.float32), verbose=0, callbacks=callbacks)
    for kernel in whole_numbers(pruning.strip_pruning(wrapped)):
        assert np.mean(kernel == 0) >= 0.74


def test_a_file_in_4_bits_predicts_what_the_int8_file_does_up_to_the_bias(files):
    int8, int4 = (predict_tflite(path, IMAGES).astype(int) for path in files)
    assert np.abs(int8 - int4).max() <= 4
    assert np.corrcoef(int8.ravel(), int4.ravel())[0, 1] > 0.999


def test_a_file_in_4_bits_holds_coarse_biases_none_for_the_dense_layer_and_few_operators(files):
    operators = read_model(files[1].read_bytes()).subgraphs[0].operators
    *convolutions, dense = [op for op in operators if op.kind in LAYERS]
    biases = np.concatenate([as_array(op.sources[2]) for op in convolutions])
    assert np.any(biases) and not np.any(biases % 16)
    assert not any(dense.sources[2:])
    assert not {op.kind for op in operators} & {OPERATORS.MEAN, OPERATORS.RESHAPE}


def test_constants_of_4_bits_are_whole_numbers(files):
    weights = [array for array in constants(files[1]) if array.ndim > 1]
    assert {array.dtype for array in weights} == {np.dtype(np.int8)}
    assert max(np.abs(array).max() for array in weights) <= 7


def test_a_file_in_4_bits_runs_on_tflite_micro_as_on_litert(files):
    micro = run_micro(files[1], IMAGES)
    if micro.scores is None:
        pytest.skip(micro.reason)
    assert np.abs(micro.scores.astype(int) - predict_tflite(files[1], IMAGES)).max() <= 1


def test_a_file_in_4_bits_is_smaller_and_above_the_floor(files):
    int8, int4 = (path.read_bytes() for path in files)
    packed = repack(int8, tries=100)
    sizes = [len(gzip.compress(content, 9, mtime=0)) for content in (packed, int4)]
    assert container_floor(int4) < sizes[1] < sizes[0] - 200


def test_other_weights_are_refused(network, tmp_path):
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    save_tflite(converter, tmp_path / "float.tflite")
    with pytest.raises(ModelError, match="int8 weights"):
        to_int4((tmp_path / "float.tflite").read_bytes())
