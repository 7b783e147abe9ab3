import ml_dtypes
import numpy as np
import pytest

from toolkit.half import (
    HalfAdam,
    HalfTrainer,
    Rounding,
    cast_network,
    round_to,
    rounded_network,
    train_half,
)
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf

INPUTS = np.random.default_rng(0).normal(size=(20, 30, 2)).astype(np.float32)


def small_network():
    """A chain with the kinds of layers that a convolutional network has."""
    tf.keras.utils.set_random_seed(0)
    layers = tf.keras.layers
    x = inputs = layers.Input((30, 2))
    x = layers.Conv1D(6, 5, padding="same", use_bias=False)(x)
    x = layers.MaxPooling1D(2)(layers.ReLU()(layers.BatchNormalization()(x)))
    return tf.keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling1D()(x)))


def two_logits(kernel=(0.0, 0.0)):
    """One number times two weights. With equal weights each class has a probability of 1/2, and
    the gradient for the input x and label 0 is (-x / 2, x / 2)."""
    inputs = tf.keras.Input((1,))
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(2, use_bias=False)(inputs))
    model.set_weights([np.array([kernel], np.float32)])
    return model


def pair(x):
    """An input and its label for `two_logits`."""
    return tf.constant([[x]], tf.float32), tf.constant([0])


def exponent(trainer):
    """The scale as a power of two."""
    return np.log2(trainer.scale.numpy())


@pytest.mark.parametrize("dtype, same", [("float16", np.float16), ("bfloat16", ml_dtypes.bfloat16)])
def test_rounding_is_that_of_numpy(dtype, same):
    rng = np.random.default_rng(1)
    values = (rng.normal(size=2000) * 10.0 ** rng.uniform(-8, 4, 2000)).astype(np.float32)
    values = np.append(values, [0, 1 + 2**-11, 1 + 3 * 2**-11, 1 + 2**-8, 1 + 3 * 2**-8])
    rounded = round_to(tf.constant(values, tf.float32), dtype).numpy()
    assert rounded.dtype == np.float32
    assert np.array_equal(rounded, values.astype(np.float32).astype(same).astype(np.float32))
    assert np.any(rounded != values)


def test_float16_ends_at_65504_and_at_6e_minus_8_where_bfloat16_goes_on():
    values = tf.constant([65504, 65519, 65520, -1e6, 6e-8, 2e-8])
    inf = float("inf")
    assert round_to(values, tf.float16).numpy().tolist() == [65504, 65504, inf, -inf, 2**-24, 0]
    np.testing.assert_allclose(round_to(values, tf.bfloat16), values, rtol=2**-8)


def test_the_layer_rounds_what_passes_and_the_gradient_on_its_way_back():
    x = tf.constant([0.1, 1 / 3, 1000.3])
    slopes = tf.constant([1e-9, 1 / 3, 1e6])
    with tf.GradientTape() as tape:
        tape.watch(x)
        passed = Rounding(tf.float16)(x)
        total = tf.reduce_sum(passed * slopes)
    third = np.float32(np.float16(1 / 3))
    assert passed.numpy().tolist() == np.float16(x).tolist() and passed.dtype == tf.float32
    assert tape.gradient(total, x).numpy().tolist() == [0, third, float("inf")]


def test_every_number_in_a_rounded_network_has_16_bits_and_its_scores_are_almost_the_same():
    model = small_network()
    network = rounded_network(model, tf.float16)
    steps = [layer.output for layer in network.layers if isinstance(layer, Rounding)]
    assert len(steps) == len(model.layers)
    for values in tf.keras.Model(network.input, steps)(INPUTS):
        assert np.array_equal(values, np.float16(values))
    before, after = model(INPUTS).numpy(), network(INPUTS).numpy()
    assert np.abs(before).max() > 0.1
    assert 0 < np.abs(before - after).max() < 2e-3
    for weight, copied in zip(model.get_weights(), network.get_weights(), strict=True):
        assert np.array_equal(weight, copied)


@pytest.mark.parametrize("master", [False, True])
def test_in_float32_it_is_plain_gradient_descent_with_momentum(master):
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(6, 8, 3)).astype(np.float32), rng.integers(4, size=(6, 8))
    kernel, bias = rng.normal(size=(3, 4)), np.zeros(4)
    inputs = tf.keras.Input((3,))
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(4)(inputs))
    model.set_weights([kernel, bias])
    trainer = HalfTrainer(model, None, lambda step: 0.5 / (1 + step), master, momentum=0.8)

    kernel_velocity, bias_velocity = 0, 0
    for step in range(6):
        power = np.exp(x[step] @ kernel + bias)
        shares = power / power.sum(axis=1, keepdims=True)
        loss = -np.mean(np.log(shares[np.arange(8), y[step]]))
        slope = (shares - np.eye(4)[y[step]]) / 8
        kernel_velocity = 0.8 * kernel_velocity + x[step].T @ slope
        bias_velocity = 0.8 * bias_velocity + slope.sum(axis=0)
        kernel = kernel - 0.5 / (1 + step) * kernel_velocity
        bias = bias - 0.5 / (1 + step) * bias_velocity
        assert float(trainer.update(x[step], y[step])) == pytest.approx(loss, rel=1e-4)
    for trained, expected in zip(model.get_weights(), (kernel, bias), strict=True):
        np.testing.assert_allclose(trained, expected, atol=1e-5)


@pytest.mark.parametrize("master", [False, True])
def test_in_float32_with_an_epsilon_it_is_keras_s_adam(master):
    model, same = small_network(), small_network()
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    same.compile(tf.keras.optimizers.Adam(0.01, epsilon=1e-3), loss)
    trainer = HalfAdam(model, None, lambda step: 0.01, master, epsilon=1e-3)
    for _ in range(4):
        trainer.update(INPUTS, np.arange(20) % 4)
        same.train_on_batch(INPUTS, np.arange(20) % 4)
    for own, expected in zip(model.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_allclose(own, expected, atol=2e-5)


@pytest.mark.parametrize("epsilon, step", [(1e-7, 839), (1e-4, 1)])
def test_where_a_square_underflows_epsilon_alone_limits_the_step_of_adam(epsilon, step):
    model = two_logits()
    trainer = HalfAdam(model, tf.float16, lambda step: 1.0, False, epsilon=epsilon)
    trainer.update(*pair(2e-4))  # the gradient is 1e-4, its square below half of 2**-24
    # bias 0.316; the mean is 1e-5; 1e-7 is 2**-23 in float16
    np.testing.assert_allclose(model.get_weights()[0], [[0.0316 * step, -0.0316 * step]], rtol=0.02)


def test_weights_have_16_bits_from_the_start_and_after_each_update():
    for dtype, same, master in (
        (tf.float16, np.float16, False),
        (tf.bfloat16, ml_dtypes.bfloat16, True),
    ):
        network = rounded_network(small_network(), dtype)
        trainer = HalfTrainer(network, dtype, lambda step: 0.1, master)
        before = network.get_weights()
        for _ in range(2):
            for weight in network.trainable_variables:
                values = weight.numpy()
                assert np.array_equal(values, values.astype(same).astype(np.float32))
            trainer.update(INPUTS, np.arange(20) % 4)
        assert not np.array_equal(network.get_weights()[0], before[0])


def test_a_small_update_vanishes_in_16_bits_and_adds_up_in_master_weights():
    after = {}
    for master in (False, True):
        model = two_logits((1, 1))
        trainer = HalfTrainer(model, tf.float16, lambda step: 2e-4, master, momentum=0.0)
        for _ in range(100):
            trainer.update(*pair(1))
        after[master] = model.get_weights()[0].ravel()
    # each update is 0.0001, the neighbours of 1 in float16 are 1.00098 and 0.99951
    assert after[False].tolist() == [1, 1]
    np.testing.assert_allclose(after[True], [1.01, 0.99], atol=5e-4)


def test_scaling_carries_gradients_over_the_end_of_float16():
    model = two_logits()
    (lost, loss), (kept, same_loss) = (
        HalfTrainer(model, tf.float16, lambda step: 0.1, True, scale).gradients(*pair(1e-8))
        for scale in (1.0, 2.0**15)
    )
    assert not np.any(lost[0]) and float(loss) == float(same_loss)
    np.testing.assert_allclose(kept[0] / 2**15, [[-5e-9, 5e-9]], rtol=1e-3)


def test_scaling_changes_nothing_in_float32():
    trained = []
    for scale in (1.0, 1024.0, None):
        model = small_network()
        trainer = HalfTrainer(model, None, lambda step: 0.1, True, scale)
        for _ in range(3):
            trainer.update(INPUTS, np.arange(20) % 4)
        trained.append(model.get_weights())
    for plain, *others in zip(*trained, strict=True):
        for other in others:
            np.testing.assert_allclose(other, plain, atol=1e-6)
    assert np.abs(trained[0][0] - small_network().get_weights()[0]).max() > 1e-3


@pytest.mark.parametrize("master", [False, True])
def test_an_update_whose_gradient_overflows_is_left_out_and_halves_the_scale(master):
    model = two_logits()
    trainer = HalfTrainer(model, tf.float16, lambda step: 0.1, master, scale=None)
    history = []
    for _ in range(3):  # the gradient is 4: 4 * 2**15 and 4 * 2**14 are above 65504
        trainer.update(*pair(8))
        history.append((exponent(trainer), int(trainer.skipped), np.any(model.get_weights()[0])))
    assert history == [(14, 1, False), (13, 2, False), (13, 2, True)]
    np.testing.assert_allclose(model.get_weights()[0], [[0.4, -0.4]], rtol=1e-3)


def test_the_scale_doubles_after_so_many_updates_without_an_overflow():
    trainer = HalfTrainer(two_logits(), tf.float16, lambda step: 0.0, True, None, patience=3)
    history = []
    for _ in range(10):  # the gradient is 1/2: with 2**17 it is above 65504
        trainer.update(*pair(1))
        history.append(exponent(trainer))
    assert history == [15, 15, 16, 16, 16, 17, 16, 16, 16, 17]
    assert int(trainer.skipped) == 1 and int(trainer.step) == 10


def test_without_dynamic_scaling_an_overflow_ruins_the_weights():
    model = two_logits()
    trainer = HalfTrainer(model, tf.float16, lambda step: 0.1, True, scale=2.0**15)
    trainer.update(*pair(8))
    assert not np.any(np.isfinite(model.get_weights()[0]))


def test_frozen_weights_are_rounded_too_but_not_the_statistics_of_batch_normalization():
    frozen = tf.keras.layers.Dense(3)
    norm = tf.keras.layers.BatchNormalization()
    model = tf.keras.Sequential([tf.keras.Input((2,)), frozen, norm, tf.keras.layers.Dense(1)])
    frozen.set_weights([np.full((2, 3), 1 / 3), np.zeros(3)])
    norm.moving_mean.assign(np.full(3, 1 / 3))
    frozen.trainable = False
    HalfTrainer(model, tf.float16, lambda step: 0.1, True)
    assert (frozen.kernel.numpy() == np.float16(1 / 3)).all()
    assert (norm.moving_mean.numpy() == np.float32(1 / 3)).all()


def test_a_cast_network_has_rounded_weights_but_the_statistics_of_its_normalization():
    model = small_network()
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 1, w.shape) for w in model.get_weights()])
    for own, weight in zip(model.weights, cast_network(model, tf.float16).weights, strict=True):
        expected = own if "moving" in weight.name else np.float16(own)
        assert np.array_equal(weight, expected)


def test_train_half_leaves_its_model_alone_and_makes_as_many_updates_as_asked_for():
    x = np.array([[-1], [1]] * 10, np.float32)
    y = np.array([0, 1] * 10)
    model = two_logits()
    how = {"dtype": "float16", "master": True, "scale": None}
    seen = []
    network, trainer, losses = train_half(
        model, x, y, 7, 1.0, how, batch_size=8, watch=lambda *now: seen.append(now)
    )
    assert seen == [(network, updates) for updates in range(1, 8)]
    assert len(losses) == trainer.step.numpy() == 7
    assert losses[0] == pytest.approx(np.log(2), abs=1e-3) and losses[-1] < 0.1
    kernel = network.get_weights()[0]
    assert kernel[0, 0] < 0 < kernel[0, 1] and np.array_equal(kernel, np.float16(kernel))
    assert not np.any(model.get_weights()[0])
