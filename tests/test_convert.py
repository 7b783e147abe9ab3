import numpy as np
import pytest

from toolkit.convert import to_tflite, traced_to_tflite
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


@pytest.mark.parametrize("convert", [to_tflite, traced_to_tflite])
def test_the_file_is_where_it_says_gives_what_the_model_gives_and_nothing_is_printed(
    model, tmp_path, capfd, convert
):
    path = tmp_path / "new" / "model.tflite"
    assert convert(model, path) == path
    np.testing.assert_allclose(predict_tflite(path, INPUTS), model(INPUTS), atol=1e-5)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_float16_weights_halve_the_file(model, tmp_path):
    single = to_tflite(model, tmp_path / "single.tflite")
    half = to_tflite(
        model,
        tmp_path / "half.tflite",
        optimizations=[tf.lite.Optimize.DEFAULT],
        supported_types=[tf.float16],
    )
    assert half.stat().st_size / single.stat().st_size == pytest.approx(0.5, abs=0.02)
    assert np.dtype(np.float16) in {weight.dtype for weight in constants(half)}


@pytest.mark.parametrize("convert", [to_tflite, traced_to_tflite])
def test_settings_of_the_converter_and_of_its_target_reach_the_file(model, tmp_path, convert):
    path = convert(
        model,
        tmp_path / "int8.tflite",
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=lambda: ([row[None]] for row in INPUTS),
        supported_ops=[tf.lite.OpsSet.TFLITE_BUILTINS_INT8],
        inference_input_type=tf.int8,
        inference_output_type=tf.int8,
    )
    interpreter = open_tflite(path)
    assert interpreter.get_input_details()[0]["dtype"] == np.int8
    assert interpreter.get_output_details()[0]["dtype"] == np.int8


@pytest.mark.parametrize("convert", [to_tflite, traced_to_tflite])
def test_a_setting_that_the_converter_does_not_have_is_refused(model, tmp_path, convert):
    for name in ("optimisations", "supported_operators"):
        with pytest.raises(ValueError, match=name):
            convert(model, tmp_path / "model.tflite", **{name: []})
    assert not list(tmp_path.iterdir())
