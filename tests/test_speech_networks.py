import numpy as np
import pytest

from speech import recipes
from speech.features import as_float, features
from speech.networks import (
    BATCH_SIZE,
    WARM_UP,
    altered_mfcc,
    altered_waveform,
    as_column,
    as_waveform,
    build_frames_cnn,
    build_lstm,
    build_thesis_cnn,
    build_thesis_lstm,
    build_wave_cnn,
    compile_network,
    for_litert,
    race_network,
    train_lstm,
    train_thesis_cnn,
    train_thesis_half,
    train_thesis_lstm,
    train_wave_cnn,
)
from speech.recipes import CHOSEN, LSTM, RACE, THESIS_HALF, in_profile
from toolkit.grid import whole_numbers
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf


@pytest.mark.parametrize(
    "build, parameters, shape, words",
    [
        (lambda: build_thesis_cnn(10), 1_611_498, (8000, 1), 10),
        (build_thesis_lstm, 2_617, (81, 12), 9),
        (build_wave_cnn, 188_569, (8000, 1), 9),
        (build_lstm, 63_849, (81, 12), 9),
        # 3 * 12 * 8 and four times 3 * 8 * 8 weights, 4 * 8 five times, 8 * 9 + 9
        (lambda: build_frames_cnn([8] * 5), 288 + 768 + 160 + 81, (81, 1, 12), 9),
    ],
)
def test_networks_have_the_parameters_and_shapes_that_they_say(build, parameters, shape, words):
    model = build()
    assert model.count_params() == parameters
    assert model.input_shape == (None, *shape)
    scores = model(np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)).numpy()
    assert scores.shape == (3, words)
    assert scores.min() < 0  # logits, not probabilities


def test_strides_halve_the_frames_and_must_be_as_many_as_the_widths():
    outputs = [layer.output_shape for layer in build_frames_cnn([4, 5, 6], (2, 2, 1)).layers]
    frames = [shape[1] for shape in outputs[1:] if len(shape) == 4]
    assert frames == [41] * 3 + [21] * 6
    with pytest.raises(ValueError):
        build_frames_cnn([4, 5])


def test_a_fixed_batch_and_a_written_out_recurrence_are_the_same_function():
    x = np.random.default_rng(0).normal(size=(4, 81, 12)).astype(np.float32)
    tf.keras.utils.set_random_seed(0)
    model = build_lstm()
    unrolled, single = build_lstm(unroll=True), for_litert(model)
    unrolled.set_weights(model.get_weights())
    assert single.input_shape == (1, 81, 12)
    assert for_litert(model, unroll=True).input_shape == (1, 81, 12)
    np.testing.assert_allclose(unrolled(x), model(x), atol=1e-5)
    np.testing.assert_allclose(single(x[2:3]), model(x)[2:3], atol=1e-5)


def test_altered_clips_have_the_form_that_the_networks_take(speech_sample):
    waves, seed = speech_sample.training.waves[:6], tf.constant([3, 4])
    wave, other = (altered_waveform(waves, s).numpy() for s in (seed, seed + 1))
    assert wave.shape == (6, 8000, 1) and np.any(wave != other)
    np.testing.assert_allclose(np.sqrt(np.mean(wave**2, axis=(1, 2))), 0.1, rtol=0.05)
    np.testing.assert_allclose(as_waveform(wave[..., 0] / 5), wave, rtol=0.02)
    assert altered_mfcc(waves, seed).shape == (6, 81, 12)


@pytest.mark.parametrize("clips, epochs", [(7893, 10), (600, 3), (54, 8)])
def test_the_learning_rate_rises_from_0_and_falls_to_0_when_the_training_ends(clips, epochs):
    model = compile_network(build_frames_cnn([4] * 5), clips, epochs, 0.003)
    updates = max(1, clips // BATCH_SIZE) * epochs  # smaller sets are one batch
    rates = np.array([model.optimizer._learning_rate(step) for step in range(updates + 1)])
    top = min(WARM_UP, updates // 2)
    assert rates[0] == 0 and rates[top] == pytest.approx(0.003) == rates.max()
    assert rates[-1] == pytest.approx(0, abs=1e-8) and rates[-2] > 1e-8
    assert np.all(np.diff(rates[: top + 1]) > 0) and np.all(np.diff(rates[top:]) < 0)


@pytest.mark.parametrize("train", [train_wave_cnn, train_lstm])
def test_a_short_training_lowers_the_loss(train, speech_sample, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, history = train(speech_sample.training, epochs=6, learning_rate=0.003)
    assert len(history["loss"]) == 6
    assert history["loss"][-1] < history["loss"][0] - 0.2
    assert model.output_shape == (None, 9)


def test_the_thesis_s_networks_learn_as_well(speech_sample, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clips, waves = speech_sample.training, as_float(speech_sample.training.waves).numpy()
    judged = {"val": (waves[:9, :, None], clips.y[:9])}
    _, history = train_thesis_cnn(waves[..., None], clips.y, 2, 0.001, validation=judged)
    assert len(history["loss"]) == len(history["val_accuracy"]) == 2
    model, history = train_thesis_lstm(features(clips.waves), clips.y, 8, 0.01)
    assert isinstance(model.optimizer, tf.keras.optimizers.RMSprop)
    assert history["loss"][-1] < history["loss"][0]


def test_in_float16_the_thesis_s_cnn_needs_the_thesis_s_epsilon(speech_sample):
    clips = speech_sample.training
    x, finite = as_float(clips.waves).numpy()[..., None], {}
    for epsilon in (1e-7, THESIS_HALF["epsilon"]):
        recipe = THESIS_HALF | {"epochs": 3, "epsilon": epsilon}
        model, losses = train_thesis_half(x, clips.y, recipe)
        finite[epsilon] = np.isfinite(losses).all()
    assert finite == {1e-7: False, 1e-4: True}
    for weight in model.get_weights():
        assert np.array_equal(weight, np.float16(weight))


def test_a_seed_trains_the_same_network_again(speech_sample, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = in_profile(LSTM, "smoke")
    seeds = (5, 5, 6)
    first, again, other = (
        train_lstm(speech_sample.training, **recipe, seed=seed)[1]["loss"] for seed in seeds
    )
    assert first == again != other


def test_profiles_take_all_of_a_recipe_a_quarter_or_one_of_each():
    assert in_profile(LSTM, "full") == LSTM == {"epochs": 40, "learning_rate": 0.003}
    assert in_profile(LSTM, "quick") == LSTM | {"epochs": 10}
    smoke = in_profile(RACE, "smoke")
    assert smoke == RACE | {"copies": 1, "epochs": 1, "grid_epochs": 1}


def test_what_the_notebooks_call_chosen_is_a_recipe():
    assert set(CHOSEN) <= vars(recipes).keys()


def test_the_race_s_network_has_few_whole_numbers_and_the_penalties_make_them_fewer(
    speech_sample, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    x = as_column(features(speech_sample.training.waves))
    scores = np.eye(9, dtype=np.float32)[speech_sample.training.y] * 5
    recipe = {"network": {"widths": [8, 8], "strides": [2, 2]}, "epochs": 1, "grid_epochs": 20}
    recipe |= {"grid_learning_rate": 0.3, "penalty": 0, "pair_penalty": 0, "coded_from": 0}
    dear = recipe | {"penalty": 0.1, "pair_penalty": 0.1}
    free, penalized = (race_network(x, scores, which, 0) for which in (recipe, dear))
    numbers = [np.concatenate([k.ravel() for k in whole_numbers(m)]) for m, _ in (free, penalized)]
    assert all(len(some) == 8 * 3 * (12 + 8) + 8 * 9 and abs(some).max() <= 7 for some in numbers)
    assert np.mean(numbers[1] == 0) > 2 * np.mean(numbers[0] == 0)
    assert [len(history["loss"]) for history in free[1]] == [1, 20]
