import numpy as np
import pytest

from signmnist.baseline import augment, build_cnn
from signmnist.recipes import ACCURATE, COMPACT
from toolkit.runtime import use_keras_2
from toolkit.training import batches, compile_model, train

use_keras_2()
import tensorflow as tf

X = np.random.default_rng(0).random((64, 28, 28, 1), np.float32)
Y = np.arange(64) % 24


def tiny():
    tf.keras.utils.set_random_seed(0)
    return compile_model(build_cnn(((2,),), stride=4), 3, 6e-3)


def fit(model, name="tiny", **settings):
    return train(model, X, Y, epochs=3, name=name, batch_size=16, augment=augment, **settings)


def test_the_same_seed_gives_the_same_batches_and_another_seed_others():
    def images(seed):
        return np.concatenate([x for x, _ in batches(X, Y, 16, seed, augment)])

    assert (images([0, 1]) == images([0, 1])).all()
    assert (images([0, 1]) != images([0, 2])).any()


def test_an_epoch_sees_each_image_once_with_its_target():
    seen = [(x.numpy(), y.numpy()) for x, y in batches(X, Y, 16, [0])]
    x, y = (np.concatenate(part) for part in zip(*seen, strict=True))
    order = [int(np.flatnonzero((image == X).all(axis=(1, 2, 3)))[0]) for image in x]
    assert sorted(order) == list(range(64))
    assert (Y[order] == y).all()


NONE = dict.fromkeys(("rotation", "shift", "zoom", "contrast", "brightness", "blur", "noise"), 0.0)


def test_augmentation_of_no_strength_changes_nothing_and_any_stays_in_range():
    none = augment(X, [0, 0], **NONE)
    np.testing.assert_allclose(none, X, atol=1e-6)
    strong = augment(X, [0, 0], brightness=0.9).numpy()
    assert strong.min() >= 0 and strong.max() <= 1 and strong.shape == X.shape


def test_augmentation_adds_noise_and_blur_up_to_the_given_strength():
    flat = np.full((200, 28, 28, 1), 0.5, np.float32)
    noisy = augment(flat, [1, 2], **NONE | {"noise": 0.08}).numpy().std(axis=(1, 2, 3))
    assert noisy.min() < 0.01 and 0.06 < noisy.max() < 0.09
    dot = np.zeros((200, 28, 28, 1), np.float32)
    dot[:, 14, 14] = 1
    blurred = augment(dot, [1, 2], **NONE | {"blur": 1.0}).numpy()
    peaks = blurred[:, 14, 14, 0]
    assert 36 / 256 - 1e-6 <= peaks.min() < 0.2 and 0.9 < peaks.max() <= 1
    np.testing.assert_allclose(blurred.sum(axis=(1, 2, 3)), 1, atol=1e-5)


def test_augmentation_shifts_by_at_most_the_given_share():
    dot = np.zeros((50, 28, 28, 1), np.float32)
    dot[:, 14, 14] = 1
    moved = augment(dot, [3, 4], **NONE | {"shift": 0.1}).numpy()
    rows, columns = np.divmod(moved.reshape(50, -1).argmax(axis=1), 28)
    assert np.abs(rows - 14).max() <= 3 and np.abs(columns - 14).max() <= 3
    assert len(set(zip(rows, columns, strict=True))) > 5


def test_an_interrupted_training_resumes_and_ends_like_an_uninterrupted_one(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    whole = tiny()
    expected = fit(whole)

    class Stop(tf.keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tiny(), callbacks=[Stop()])
    resumed = tiny()
    history = fit(resumed)
    assert "resuming tiny after epoch 2" in capsys.readouterr().out
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-4)
    for ours, theirs in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert list((tmp_path / "checkpoints").iterdir()) == []


class StopAfterOne(tf.keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


def interrupted(model, **settings):
    with pytest.raises(KeyboardInterrupt):
        fit(model, callbacks=[StopAfterOne()], **settings)


def network(activation="relu", loss="mse", metrics=(), **settings):
    """Two layers with the same weights' shapes whatever the activation."""
    tf.keras.utils.set_random_seed(0)
    layers = tf.keras.layers
    inputs = layers.Input((28, 28, 1))
    x = layers.Dense(1)(layers.Dense(2, activation)(layers.Flatten()(inputs)))
    model = tf.keras.Model(inputs, x)
    model.compile("sgd", loss, metrics=list(metrics), **settings)
    return model


def scaled(factor):
    return lambda y, scores: factor * tf.reduce_mean((tf.cast(y, tf.float32) - scores) ** 2)


HUBER = tf.keras.losses.Huber
OTHERS = {
    "seed": (network, network, {"seed": 7}),
    "activation": (network, lambda: network("tanh"), {}),
    "loss": (network, lambda: network(loss="mae"), {}),
    "setting of a loss": (
        lambda: network(loss=HUBER(1.0)), lambda: network(loss=HUBER(2.0)), {}
    ),
    "setting of a loss of one's own": (
        lambda: network(loss=scaled(1.0)), lambda: network(loss=scaled(2.0)), {}
    ),
    "a loss of one's own": (
        lambda: network(loss=lambda y, s: tf.reduce_mean(s**2)),
        lambda: network(loss=lambda y, s: tf.reduce_mean(s**4)), {}
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERS)
def test_an_interrupted_training_of_another_kind_starts_anew_and_says_so(
    kind, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    first, second, settings = OTHERS[kind]
    interrupted(first())
    fit(second(), **settings)
    shown = capsys.readouterr().out
    assert "resuming" not in shown and "starting tiny anew" in shown
    fit(first())
    assert "resuming tiny after epoch 1" in capsys.readouterr().out


@pytest.mark.parametrize("loss", ["mse", HUBER(2.0), scaled(2.0)])
def test_the_same_network_resumes_whatever_its_loss_and_its_metrics(
    loss, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    interrupted(network(loss=loss))
    fit(network(loss=loss, metrics=["mae"]))
    assert "resuming tiny after epoch 1" in capsys.readouterr().out


def test_a_cell_run_again_trains_the_same_model_anew_and_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model = tiny()
    first = fit(model)
    weights = model.get_weights()
    assert "anew" not in capsys.readouterr().out
    second = fit(model)
    assert "starting tiny anew, from the weights" in capsys.readouterr().out
    assert second["loss"] == pytest.approx(first["loss"], rel=1e-4)
    for ours, theirs in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_a_cell_run_again_after_it_was_stopped_in_its_first_epoch_starts_anew(
    tmp_path, monkeypatch, capsys
):
    class StopAtOnce(tf.keras.callbacks.Callback):
        def on_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    expected = fit(tiny())
    model = tiny()
    with pytest.raises(KeyboardInterrupt):
        fit(model, callbacks=[StopAtOnce()])
    assert fit(model)["loss"] == pytest.approx(expected["loss"], rel=1e-4)
    assert "starting tiny anew" in capsys.readouterr().out


def test_a_model_is_trained_on_under_another_name_and_from_weights_of_ones_own(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    model = tiny()
    first = fit(model)
    second = fit(model, name="more")
    model.set_weights([weight / 2 for weight in model.get_weights()])
    fit(model)
    assert "anew" not in capsys.readouterr().out and second["loss"][0] < first["loss"][0]


def test_the_accurate_baseline_has_at_most_100_000_parameters_and_the_compact_4_000():
    assert build_cnn(**ACCURATE["network"]).count_params() <= 100_000
    assert build_cnn(**COMPACT["network"]).count_params() <= 4_000


@pytest.mark.parametrize("recipe", [ACCURATE, COMPACT])
def test_batch_normalization_stands_only_directly_before_an_activation(recipe):
    layers = build_cnn(**recipe["network"]).layers
    for layer, following in zip(layers, layers[1:], strict=False):
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            assert isinstance(following, tf.keras.layers.ReLU)
        assert type(layer).__module__.startswith("tf_keras.")
