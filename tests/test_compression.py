import numpy as np
import pytest

from toolkit.compression import (
    FLOAT16,
    INT8,
    clone,
    convert,
    kernels,
    representative_dataset,
    saved_or_trained,
)
from toolkit.graph import constants
from toolkit.runtime import use_keras_2
from toolkit.tflite import open_tflite, predict_tflite

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
