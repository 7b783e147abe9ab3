import numpy as np
import pytest

from toolkit.compression import (
    FLOAT16,
    INT8,
    clone,
    cluster_layers,
    convert,
    kernels,
    prune_layers,
    representative_dataset,
    saved_or_trained,
    stripped,
)
from toolkit.runtime import use_keras_2
from toolkit.tflite import constants, gzip_size, open_tflite, predict_tflite
from toolkit.training import compile_model

use_keras_2()
import tensorflow as tf

INPUTS = np.random.default_rng(0).normal(size=(20, 100)).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    tf.keras.utils.set_random_seed(0)
    inputs = tf.keras.Input((100,))
    x = tf.keras.layers.Dense(500, activation="relu")(inputs)
    return tf.keras.Model(inputs, tf.keras.layers.Dense(9)(x))


@pytest.mark.parametrize("traced", [False, True])
def test_the_file_is_where_it_says_gives_what_the_model_gives_and_nothing_is_printed(
    model, tmp_path, capfd, traced
):
    path = tmp_path / "new" / "model.tflite"
    assert convert(model, path, traced) == path
    np.testing.assert_allclose(predict_tflite(path, INPUTS), model(INPUTS), atol=1e-5)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_float16_weights_halve_the_file(model, tmp_path):
    single = convert(model, tmp_path / "single.tflite")
    half = convert(model, tmp_path / "half.tflite", **FLOAT16)
    assert half.stat().st_size / single.stat().st_size == pytest.approx(0.5, abs=0.02)
    assert np.dtype(np.float16) in {weight.dtype for weight in constants(half)}


@pytest.mark.parametrize("traced", [False, True])
def test_settings_of_the_converter_and_of_its_target_reach_the_file(model, tmp_path, traced):
    examples = representative_dataset(INPUTS)
    path = tmp_path / "int8.tflite"
    interpreter = open_tflite(convert(model, path, traced, representative_dataset=examples, **INT8))
    assert interpreter.get_input_details()[0]["dtype"] == np.int8
    assert interpreter.get_output_details()[0]["dtype"] == np.int8


def test_a_setting_that_the_converter_does_not_have_is_refused(model, tmp_path):
    for name in ("optimisations", "supported_operators"):
        with pytest.raises(ValueError, match=name):
            convert(model, tmp_path / "model.tflite", **{name: []})
    assert not list(tmp_path.iterdir())


def test_a_representative_dataset_gives_single_inputs_each_once_and_can_be_read_again():
    examples = representative_dataset(INPUTS, count=5)
    first, second = list(examples()), list(examples())
    assert [example[0].shape for example in first] == 5 * [(1, 100)]
    assert len({example[0].tobytes() for example in first}) == 5
    np.testing.assert_array_equal(first, second)
    assert len(list(representative_dataset(INPUTS)())) == len(INPUTS)


def test_a_clone_has_the_weights_and_leaves_the_original_alone(model):
    copy = clone(model)
    for layer in copy.layers[1:]:
        np.testing.assert_array_equal(kernels(copy)[layer.name], kernels(model)[layer.name])
    before = next(iter(kernels(model).values()))
    copy.layers[1].kernel.assign(0 * before)
    np.testing.assert_array_equal(next(iter(kernels(model).values())), before)


def test_a_network_is_trained_once_and_then_found(model, tmp_path, capsys):
    path = tmp_path / "models" / "network.keras"
    assert saved_or_trained(path, lambda: (model, {})) is model
    found = saved_or_trained(path, None)
    np.testing.assert_array_equal(found(INPUTS), model(INPUTS))
    assert capsys.readouterr().out.splitlines() == [
        f"{path}: not here, so it is trained first",
        f"{path}: as saved before",
    ]


def fit(wrapped, callbacks=()):
    """Trains a network of 100 inputs and 9 outputs for ten steps. Returns a history."""
    labels = np.arange(20) % 9
    fitted = compile_model(wrapped, 10, 1e-2).fit(
        INPUTS, labels, batch_size=2, verbose=0, callbacks=list(callbacks)
    )
    return fitted.history


@pytest.mark.parametrize("centroids", ["LINEAR", "KMEANS_PLUS_PLUS"])
def test_a_clustered_layer_shares_its_values_and_the_others_keep_theirs(model, centroids):
    before = kernels(model)
    name = list(before)[0]
    clustered, history = cluster_layers(model, {name: 5}, centroids, fit)
    assert list(kernels(clustered)) == list(before) and len(history["loss"]) == 1
    counts = {layer: len(np.unique(kernel)) for layer, kernel in kernels(clustered).items()}
    assert counts[name] <= 5 and min(counts.values()) != max(counts.values())
    assert not any(hasattr(layer, "layer") for layer in clustered.layers)
    np.testing.assert_array_equal(kernels(model)[name], before[name])


def test_large_layers_lose_the_share_of_weights_asked_for_and_small_ones_none(model):
    before = kernels(model)
    large, small = before
    pruned, history = prune_layers(model, 0.7, before[small].size, 10, fit)
    zeros = {name: np.mean(kernel == 0) for name, kernel in kernels(pruned).items()}
    assert zeros[large] == pytest.approx(0.7, abs=0.01) and zeros[small] == 0
    assert len(history["loss"]) == 1
    assert not any(hasattr(layer, "layer") for layer in pruned.layers)
    np.testing.assert_array_equal(kernels(model)[large], before[large])


def test_a_stripped_file_is_smaller_and_gives_the_same_scores(model, tmp_path):
    path = convert(model, tmp_path / "model.tflite")
    small = stripped(path, tmp_path / "small.tflite")
    assert gzip_size(small.read_bytes()) < gzip_size(path.read_bytes())
    np.testing.assert_array_equal(predict_tflite(small, INPUTS), predict_tflite(path, INPUTS))
    assert not any(detail["name"] for detail in open_tflite(small).get_tensor_details())
