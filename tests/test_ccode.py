"""Networks in C against TFLite Micro: every operator, every form of weights, every chip."""

import re
from pathlib import Path

import numpy as np
import pytest

from toolkit.ccode import DENSE, SPARSE, nibbles, pairs, runs, signs, to_c
from toolkit.compression import convert
from toolkit.firmware import CHIPS, SANITIZERS, build, emulate, missing, run_native, run_on
from toolkit.operators import multiplier, steps
from toolkit.rows import read_network
from toolkit.runtime import use_keras_2
from toolkit.standard import standard_form
from toolkit.tflite import ModelError, open_tflite, run_micro

use_keras_2()
import tensorflow as tf

ROOT = Path(__file__).parent.parent
FIRMWARE = ROOT / "firmware"
RNG = np.random.default_rng(0)


def int8_file(inputs, outputs, path):
    """An int8 .tflite file of a Keras graph with its random weights."""
    shape = inputs.shape[1:]
    samples = [[RNG.random((1, *shape), np.float32)] for _ in range(20)]
    return convert(
        tf.keras.Model(inputs, outputs),
        path,
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=lambda: samples,
        supported_ops=[tf.lite.OpsSet.TFLITE_BUILTINS_INT8],
        inference_input_type=tf.int8,
        inference_output_type=tf.int8,
    )


def chain(layers):
    """Convolutions with and without padding, poolings with and without overlap, a dense end."""
    inputs = x = layers.Input((40, 37, 3))
    x = layers.Conv2D(6, (5, 3), 2, activation="relu")(x)  # the last row is never read
    x = layers.MaxPool2D(3, 2, padding="same")(x)
    x = layers.Conv2D(8, 3, padding="same", activation="relu6")(x)
    x = layers.Conv2D(8, 3, 2, padding="same", activation="relu")(x)
    x = layers.MaxPool2D(2)(x)  # neither row nor column 5 is
    x = layers.AveragePooling2D(2, 1, padding="same")(x)
    return inputs, layers.Dense(5)(layers.Flatten()(x))


def branches(layers):
    """Depthwise convolutions, a sum, means and maxima side by side."""
    inputs = layers.Input((12, 10, 4))
    wide = layers.Conv2D(8, 1, activation="relu6")(inputs)
    x = layers.DepthwiseConv2D(5, padding="same", activation="relu")(wide)
    x = layers.Add()([wide, layers.Conv2D(8, 1)(x)])
    x = layers.DepthwiseConv2D(3, 2, padding="same", depth_multiplier=2, activation="relu")(x)
    both = layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)
    return inputs, layers.Dense(7)(layers.Concatenate()(both))


def sound(layers):
    """Convolutions over time, with pooling and a mean."""
    inputs = x = layers.Input((60, 2))
    x = layers.Conv1D(6, 9, 4, padding="same", activation="relu")(x)
    x = layers.Conv1D(8, 3, padding="same", activation="relu")(layers.MaxPool1D(2)(x))
    return inputs, layers.Dense(4)(layers.GlobalAveragePooling1D()(x))


def pooled(layers):
    """A mean over the image that a padded convolution reads."""
    inputs = layers.Input((6, 5, 3))
    x = layers.Conv2D(4, 3, activation="relu6")(inputs)
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Conv2D(5, 3, padding="same", activation="relu")(x)
    return inputs, layers.Dense(4)(layers.Flatten()(x))


@pytest.fixture(
    scope="module", params=[chain, branches, sound, pooled], ids=lambda make: make.__name__
)
def network(request, tmp_path_factory):
    """The bytes of a file, int8 inputs (6, ...) and TFLite Micro's scores of them."""
    tf.keras.utils.set_random_seed(1)
    path = tmp_path_factory.mktemp("network") / "small.tflite"
    inputs, outputs = request.param(tf.keras.layers)
    content = int8_file(inputs, outputs, path).read_bytes()
    code = to_c(content)
    scale, zero = code.ends[0]
    given = RNG.integers(-128, 128, (6, *open_tflite(path).get_input_details()[0]["shape"][1:]))
    given = given.astype(np.int8)
    run = run_micro(path, (given - np.float32(zero)) * np.float32(scale))
    if run.scores is None:
        pytest.skip(run.reason)
    return content, given, run.scores


@pytest.mark.parametrize("forms", [DENSE, SPARSE], ids=["dense", "sparse"])
def test_all_scores_are_those_of_tflite_micro_and_nothing_is_undefined(network, forms, tmp_path):
    content, given, expected = network
    scores = run_native(to_c(content, forms), given, FIRMWARE, tmp_path, ("-O1", *SANITIZERS))
    np.testing.assert_array_equal(scores, expected)


@pytest.mark.parametrize("name", ["size_race_clustered", "speech_race", "few_bits_ternary"])
def test_published_files_of_4_bits_too_in_every_form(name, tmp_path):
    path = ROOT / "studies" / "models" / f"{name}.tflite"
    for form in ("DENSE", "NIBBLES", "PAIRS", "SIGNS" if "ternary" in name else "RUNS"):
        code = to_c(path.read_bytes(), [form])
        given = RNG.integers(-128, 128, (3, *code.shape), np.int8)
        scale, zero = code.ends[0]
        run = run_micro(path, (given - np.float32(zero)) * np.float32(scale))
        scores = run_native(code, given, FIRMWARE, tmp_path)
        assert run.scores is None or np.array_equal(scores, run.scores)


@pytest.mark.parametrize("chip", CHIPS)
def test_a_chip_gives_the_scores_of_this_machine(chip, tmp_path):
    if lacks := missing(CHIPS[chip]):
        pytest.skip(f"{lacks[0]} is not installed")
    code = to_c((ROOT / "studies" / "models" / "size_race_clustered.tflite").read_bytes())
    given = RNG.integers(-128, 128, (2, *code.shape), np.int8)
    ran = run_on(CHIPS[chip], code, given, FIRMWARE, tmp_path)
    np.testing.assert_array_equal(ran.scores, run_native(code, given, FIRMWARE, tmp_path / "here"))
    assert code.weights < ran.flash < 8_000 and code.memory < ran.ram < 2_048
    assert 300_000 < ran.steps < 20_000_000


def test_the_timer_counts_what_qemu_records_one_by_one(tmp_path):
    chip = CHIPS["m4"]
    if lacks := missing(chip):
        pytest.skip(f"{lacks[0]} is not installed")
    inputs = tf.keras.layers.Input((20,))
    content = int8_file(inputs, tf.keras.layers.Dense(60)(inputs), tmp_path / "small.tflite")
    code = to_c(content.read_bytes())
    given, counted, log = RNG.integers(-128, 128, (3, *code.shape), np.int8), [], tmp_path / "log"
    for count in (1, 3):
        elf = build(chip, code, given[:count], FIRMWARE, tmp_path, ("-O2",))
        emulate(chip, elf, "-singlestep", "-d", "exec,nochain", "-D", log)
        counted.append(log.read_text().count("Trace"))
    ran = run_on(chip, code, given, FIRMWARE, tmp_path, ("-O2",))
    told = 61 * 70  # instructions that tell the time and the scores, about
    assert ran.steps == pytest.approx((counted[1] - counted[0]) / 2 - told, rel=0.1)


@pytest.mark.parametrize("factor, expected", [(0.5, (2**30, 0)), (1, (2**30, 1)), (1e-12, (0, 0))])
def test_factors_as_whole_numbers(factor, expected):
    assert multiplier(factor) == expected


def test_a_factor_that_rounds_up_to_a_power_of_two_stays_below_2_to_the_31():
    assert multiplier(1 - 2**-40) == (2**30, 1)


def test_forms_of_known_weights():
    weights = np.array([[[0, 0, 3, -2]], [[0, 0, 0, 0]]], np.int8)
    assert pairs(weights).tolist() == [2, 3, 0, -2, 0, 0, 0, 0]
    assert runs(weights).view(np.uint8).tolist() == [0x23, 0x0E, 0, 0]
    assert nibbles(weights).view(np.uint8).tolist() == [0x00, 0xE3, 0, 0]
    far = np.zeros((1, 1, 20), np.int8)
    far[..., 18] = 1
    assert runs(far).view(np.uint8).tolist() == [0xF0, 0x21, 0]
    assert signs(far).view(np.uint8).tolist() == [0x77, 0xF4]
    assert signs(np.sign(weights)).view(np.uint8).tolist() == [0x82, 0x0F, 0x0F]
    assert runs(weights * 3) is None and nibbles(weights * 3) is None and signs(weights) is None


def test_a_layer_keeps_the_rows_that_the_next_one_reads():
    content = (ROOT / "models" / "sign_mnist_quant_int8.tflite").read_bytes()
    kept = [(rows.shape, rows.keep) for rows in read_network(content).tensors]
    assert kept[:3] == [((28, 28, 1), 3), ((14, 14, 16), 3), ((14, 14, 24), 3)]
    assert kept[-2:] == [((1, 1, 48), 1), ((1, 1, 24), 1)]


@pytest.mark.parametrize(
    "file, reason",
    [
        ("models/sign_mnist.tflite", "FLOAT32"),
        ("models/sign_mnist_quant_dyn.tflite", "FLOAT32"),
        ("models/sign_mnist_quant_int16x8.tflite", "INT16"),
        ("studies/models/speech_lstm_int8.tflite", "UNIDIRECTIONAL_SEQUENCE_LSTM"),
    ],
)
def test_what_there_is_no_kernel_for_is_named(file, reason):
    with pytest.raises(ModelError, match=reason):
        to_c((ROOT / file).read_bytes())


def test_an_unknown_operator_is_named(tmp_path):
    inputs = tf.keras.layers.Input((4,))
    path = int8_file(inputs, tf.keras.activations.tanh(inputs), tmp_path / "tanh.tflite")
    with pytest.raises(ModelError, match="no kernel for TANH"):
        to_c(path.read_bytes())


def one_row(inputs):
    return tf.keras.layers.Conv2D(2, (5, 3))(inputs)


def over_a_column(inputs):
    return tf.keras.layers.Lambda(lambda x: tf.reduce_mean(x, [1, 3]))(inputs)


@pytest.mark.parametrize(
    "layer, reason",
    [(one_row, "single row of several columns"), (over_a_column, "other axes than height")],
)
def test_what_would_be_computed_wrongly_is_refused(layer, reason, tmp_path):
    inputs = tf.keras.layers.Input((5, 7, 5))
    outputs = tf.keras.layers.Dense(3)(tf.keras.layers.Flatten()(layer(inputs)))
    path = int8_file(inputs, outputs, tmp_path / "odd.tflite")
    with pytest.raises(ModelError, match=reason):
        to_c(path.read_bytes())


def test_an_activation_ends_at_the_step_of_tflite_micro():
    assert [steps(6, 2.4), steps(6, 12), steps(-1, 0.4), steps(6, 6 / 255)] == [3, 1, -3, 255]


def test_a_failing_compiler_is_told_with_what_it_says(tmp_path):
    code = to_c((ROOT / "studies" / "models" / "size_race_clustered.tflite").read_bytes())
    broken = code._replace(text=re.sub("#define LAYERS .*", "", code.text))
    with pytest.raises(ModelError, match="gcc failed.*LAYERS"):
        run_native(broken, np.zeros((1, *code.shape), np.int8), FIRMWARE, tmp_path)


def test_widened_for_vela_a_file_of_4_bits_gives_the_same_scores(tmp_path):
    path = ROOT / "studies" / "models" / "size_race_clustered.tflite"
    wide = tmp_path / "wide.tflite"
    wide.write_bytes(standard_form(path.read_bytes()))
    given = RNG.random((5, 28, 28, 1), np.float32)
    one, other = run_micro(path, given), run_micro(wide, given)
    assert wide.stat().st_size > path.stat().st_size
    assert one.scores is None or np.array_equal(one.scores, other.scores)
