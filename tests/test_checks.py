"""What the checks tell, on answers that are known to be right or wrong."""

import types
from pathlib import Path

import numpy as np
import pytest

from signmnist import checks
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf
import tensorflow_model_optimization as tfmot
from qkeras import QDense, quantized_bits

ROOT = Path(__file__).parent.parent
LETTERS = np.repeat(np.arange(24), 5)
PIXELS = np.random.default_rng(0).random((len(LETTERS), 28, 28, 1)).astype(np.float32)


@pytest.fixture
def told(capsys):
    """Calls a check; returns its mark and the rest of its line."""

    def call(check, *arguments, **settings):
        check(*arguments, **settings)
        (line,) = capsys.readouterr().out.splitlines()
        return line[0], line[2:]

    return call


def data(letters=LETTERS):
    return types.SimpleNamespace(x_test=PIXELS[: len(letters)], y_test=letters)


def dense():
    """A model that reads A from every image."""
    model = tf.keras.Sequential(
        [tf.keras.layers.Input((28, 28, 1)), tf.keras.layers.Flatten(), tf.keras.layers.Dense(24)]
    )
    model.layers[-1].set_weights([np.zeros((784, 24)), np.eye(24)[0]])
    return model


def test_a_label_among_the_pixels_is_found_in_any_scale(told):
    assert told(checks.check_pixels, PIXELS, LETTERS)[0] == checks.YES
    for place, label in ((0, LETTERS / 255), (783, LETTERS), (5, 24 - LETTERS)):
        pixels = PIXELS.reshape(-1, 784).copy()
        pixels[:, place] = label
        mark, text = told(checks.check_pixels, pixels, LETTERS)
        assert mark == checks.NO and f"pixel {place} " in text
    assert told(checks.check_pixels, np.zeros((9, 785)), np.arange(9) % 3)[0] == checks.NO


def test_twins_in_training_and_validation_are_counted(told):
    groups = np.array([0, 0, 1, 1, 2, 2])
    assert told(checks.check_validation, groups, [0, 1, 2, 3], [4, 5])[0] == checks.YES
    mark, text = told(checks.check_validation, groups, [0, 2, 4], [1, 3])
    assert mark == checks.NO and text.startswith("2 photos")


def test_a_history_of_the_test_file_is_told_from_one_of_held_out_photos(told):
    """The model says A: of the validation rows 3 in 4 are one, of the test file 1 in 24."""
    rows, letters = np.arange(4), np.array([0, 0, 0, 1, 5])
    both = types.SimpleNamespace(x_train=PIXELS[:5], y_train=letters, **vars(data()))

    def check(**history):
        return told(checks.check_history, dense(), history, both, rows)

    assert check(group_accuracy=[0.1, 0.75]) == (
        checks.YES,
        "`group_accuracy` ends at 75.00%, on the held-out photos",
    )
    mark, text = check(group_accuracy=[1 / 24])
    assert mark == checks.NO and "of the test file" in text
    mark, text = check(group_accuracy=[0.5])
    assert mark == checks.NO and "50.00%" in text and "75.00%" in text
    assert check(accuracy=[0.75])[0] == checks.NO


def test_a_loss_that_takes_scores_for_what_they_are_not_is_told(told, capsys):
    layers, losses = tf.keras.layers, tf.keras.losses

    def check(softmax, loss):
        ends = [layers.Softmax()] if softmax else []
        model = tf.keras.Sequential([layers.Flatten(), layers.Dense(24), *ends])
        model.compile("adam", loss)
        return told(checks.check_loss, model, PIXELS)

    logits = losses.SparseCategoricalCrossentropy(from_logits=True)
    shares = "sparse_categorical_crossentropy"
    assert check(False, logits) == (checks.YES, "the loss takes the scores for logits")
    assert check(True, shares) == (checks.YES, "the loss takes the scores for probabilities")
    mark, text = check(False, shares)
    assert mark == checks.NO and text.startswith("no softmax")
    mark, text = check(True, logits)
    assert mark == checks.NO and text.startswith("a softmax")
    own = dense()
    own.compile("adam", lambda y, scores: tf.reduce_mean(scores))
    checks.check_loss(own, PIXELS)
    assert capsys.readouterr().out == ""


def test_layers_of_ones_own_and_normalization_without_activation_are_named(told):
    layers = tf.keras.layers

    class Mine(tf.keras.layers.Layer):
        pass

    def check(*parts):
        return told(checks.check_rules, tf.keras.Sequential([layers.Input((8, 8, 1)), *parts]))

    norm = {"name": "norm"}
    assert check(layers.Conv2D(2, 3), layers.BatchNormalization(), layers.ReLU())[0] == checks.YES
    assert check(layers.BatchNormalization(), layers.Activation("tanh"))[0] == checks.YES
    for behind in ([], [layers.Conv2D(2, 3, activation="relu")]):
        mark, text = check(layers.BatchNormalization(**norm), *behind)
        assert mark == checks.NO and text == "not directly before an activation: norm"
    for own in (Mine(name="own"), layers.Lambda(lambda x: x, name="own")):
        mark, text = check(own, layers.BatchNormalization(**norm))
        assert mark == checks.NO and text.startswith("not a layer of Keras: own; not directly")


def test_a_training_from_fresh_weights_is_told_from_one_that_went_on(told):
    layers = tf.keras.layers
    origin = tf.keras.Sequential(
        [layers.Input((8, 8, 3)), layers.Conv2D(32, 3), layers.ReLU(), layers.Flatten()]
    )
    origin.add(layers.Dense(24))
    origin.layers[-1].bias.assign(9 * np.eye(24)[3])  # it reads D from every image

    def copy(fresh):
        model = tf.keras.models.clone_model(origin)
        if not fresh:
            model.set_weights(origin.get_weights())
        return model

    images = PIXELS[:24, :8, :8].repeat(3, axis=3)
    some = types.SimpleNamespace(x_train=images, y_train=np.full(24, 3))
    quantize, cluster = tfmot.quantization.keras.quantize_model, tfmot.clustering.keras
    start = cluster.CentroidInitialization.KMEANS_PLUS_PLUS
    for fresh in (False, True):
        clustered = cluster.strip_clustering(cluster.cluster_weights(copy(fresh), 8, start))
        pruned = copy(fresh)
        kernel, bias = pruned.layers[-1].get_weights()
        pruned.layers[-1].set_weights(
            [np.where(abs(kernel) > np.median(abs(kernel)), kernel, 0), bias]
        )
        for model in (copy(fresh), quantize(copy(fresh)), clustered, pruned):
            mark, text = told(checks.check_started, model, origin, some)
            assert mark == (checks.NO if fresh else checks.YES)
            assert ("clone_model" in text) == fresh
    scaled, factor = copy(fresh=False), np.linspace(0.5, 2, 32)  # as equalizing channels does
    (kernel, bias), (last, ends) = (scaled.layers[place].get_weights() for place in (0, -1))
    scaled.layers[0].set_weights([kernel * factor, bias * factor])
    scaled.layers[-1].set_weights([last / np.tile(factor, 36)[:, None], ends])
    assert told(checks.check_started, scaled, origin, some)[0] == checks.YES
    mark, text = told(checks.check_started, dense(), origin, some)
    assert mark == checks.NO and text.startswith("other kernels")
    lost = copy(fresh=False)  # as from the very weights that `origin` began with
    lost.layers[-1].bias.assign(9 * np.eye(24)[4])
    mark, text = told(checks.check_started, lost, origin, some)
    assert mark == checks.NO and "reads 0% of 24 training images, the one before 100%" in text


def test_an_evaluator_that_takes_the_argmax_of_a_label_is_found(told):
    letters = np.repeat(np.arange(24), np.arange(24, 0, -1))

    def right(scores):
        return np.mean(scores.argmax(axis=1) == letters)

    def mistaken(scores):
        return np.mean([np.argmax(s) == np.argmax(y) for s, y in zip(scores, letters, strict=True)])

    mark, text = told(checks.check_evaluator, right, letters)
    assert mark == checks.YES and f"{24 / 300:.2%}" in text
    mark, text = told(checks.check_evaluator, mistaken, letters)
    assert mark == checks.NO and "100.00% by this evaluator" in text


def test_a_network_is_told_what_it_reads_and_what_was_asked(told):
    mark, text = told(checks.check_network, dense(), data(), at_least=0.9)
    assert (mark, "4.17%" in text, "90%" in text) == (checks.NO, True, True)
    assert told(checks.check_network, dense(), data(np.zeros(5, int)), 0.9)[0] == checks.YES


def test_a_file_is_missing_damaged_or_reads_enough(told, real, tmp_path):
    path = tmp_path / "a.tflite"
    assert told(checks.check_file, path, real, 0.9) == (
        checks.NO,
        f"{path} is not there: write it with save_tflite(converter, {str(path)!r})",
    )
    path.write_bytes(b"nothing")
    assert told(checks.check_file, path, real, 0.9)[0] == checks.NO
    small = ROOT / "models" / "sign_mnist_clustered.tflite"
    mark, text = told(checks.check_file, small, real, 0.9)
    assert mark == checks.YES and "96.63%" in text
    assert told(checks.check_file, small, real, 0.98)[0] == checks.NO


def test_few_values_and_zeros_are_counted_in_a_stripped_model_only(told):
    model = dense()
    model.layers[-1].set_weights([np.arange(784 * 24).reshape(784, 24) % 10, np.zeros(24)])
    assert told(checks.check_clustered, model, at_most=10)[0] == checks.YES
    assert told(checks.check_clustered, model, at_most=9)[0] == checks.NO
    assert told(checks.check_pruned, model, at_least=0.1)[0] == checks.YES
    assert told(checks.check_pruned, model, at_least=0.2)[0] == checks.NO
    wrapped = tfmot.sparsity.keras.prune_low_magnitude(dense())
    for check in (checks.check_clustered, checks.check_pruned):
        mark, text = told(check, wrapped, 0)
        assert mark == checks.NO and "strip" in text


def test_a_layer_without_a_quantizer_is_named(told):
    four = quantized_bits(4, 0, alpha=1)

    def network(**quantizers):
        inputs = tf.keras.Input((10,))
        return tf.keras.Model(inputs, QDense(24, name="letters", **quantizers)(inputs))

    fine = network(kernel_quantizer=four, bias_quantizer=four)
    assert told(checks.check_quantizers, fine, 4)[0] == checks.YES
    assert told(checks.check_quantizers, fine, 3)[0] == checks.NO
    mark, text = told(checks.check_quantizers, network(kernel_quantizer=four), 4)
    assert mark == checks.NO and "the bias of letters" in text and "kernel" not in text
    mark, text = told(checks.check_quantizers, dense(), 4)
    assert mark == checks.NO and "the kernel of dense" in text


def test_bits_are_those_of_the_file(told, tmp_path):
    models = ROOT / "models"
    four = models / "sign_mnist_qkeras_4bit.tflite"
    assert told(checks.check_bits, four, at_most=4)[0] == checks.YES
    mark, text = told(checks.check_bits, models / "sign_mnist_quant_int8.tflite", at_most=4)
    assert mark == checks.NO and "8 bits" in text
    assert told(checks.check_bits, tmp_path / "none.tflite", at_most=4)[0] == checks.NO
