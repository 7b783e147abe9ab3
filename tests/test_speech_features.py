import numpy as np
import pytest

from speech.features import alter, as_float, features, waveforms
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf

SEED = tf.constant([1, 2])
UNALTERED = {"speed": 0.0, "shift": 0.0, "colour": 0.0, "noise": 0.0, "gain": 0.0}


@pytest.fixture(scope="module")
def waves(speech_sample):
    """Every third test clip of the sample."""
    return speech_sample.testing.waves[::3]


def tone(frequency, amplitude=4000):
    """A second of a sine under a little noise: int16 (1, 8000)."""
    time = np.arange(8000) / 8000
    hiss = np.random.default_rng(0).normal(0, 300, 8000)
    return (amplitude * np.sin(2 * np.pi * frequency * time) + hiss).astype(np.int16)[None]


def power(waves):
    return np.mean(np.square(waves, dtype=float), axis=1)


def test_a_clip_becomes_81_frames_of_12_numbers_whose_mean_over_time_is_0(waves):
    cepstra = features(waves)
    assert cepstra.shape == (len(waves), 81, 12) and cepstra.dtype == np.float32
    assert np.abs(cepstra.mean(axis=1)).max() < 1e-5
    assert cepstra.std() == pytest.approx(1, abs=0.5)


def test_clips_are_given_in_order_however_many_there_are(waves):
    many = np.concatenate([waves] * 45)  # more than the 1,000 that are taken at a time
    cepstra = features(many)
    np.testing.assert_allclose(cepstra[-len(waves) :], features(waves), atol=1e-4)
    assert len(many) == len(cepstra) > 1000


def test_over_the_training_clips_each_coefficient_has_a_standard_deviation_of_1(real_speech):
    cepstra = features(real_speech.training.waves)
    deviations = cepstra.std(axis=(0, 1), dtype=np.float64)
    np.testing.assert_allclose(deviations, np.ones(12), atol=0.01)


def test_loudness_leaves_little_trace_where_there_is_sound(waves):
    quiet = waves[np.abs(waves.astype(int)).max(axis=1) < 16000]
    assert len(quiet) > 5
    before, after = features(quiet), features(quiet * 2)
    assert np.abs(before - after).mean() < 0.1
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.99
    assert np.abs(features(tone(440)) - features(tone(440) * 2)).max() < 0.05


def test_silence_is_all_zeros_in_either_form():
    silence = np.zeros((2, 8000), np.int16)
    assert np.abs(features(silence)).max() < 1e-4
    assert not np.any(waveforms(silence))


def test_tones_are_told_apart_by_how_they_change_and_not_by_where_they_stay():
    step, leap = (
        np.concatenate([tone(300)[:, :4000], tone(then)[:, :4000]], axis=1) for then in (500, 2000)
    )
    apart = np.abs(features(step) - features(leap)).mean()
    # the mean over the frames is taken off, and with it what a steady tone is
    steady = np.abs(features(tone(300)) - features(tone(2000))).mean()
    assert apart > 0.5 and steady < apart / 2


def test_waveforms_are_clips_at_one_loudness(waves):
    quiet = np.round(waves / 8).astype(np.int16)
    for clips in (waves, quiet):
        levelled = waveforms(clips)
        assert levelled.shape == (len(waves), 8000, 1) and levelled.dtype == np.float32
        np.testing.assert_allclose(np.sqrt(power(levelled[..., 0])), 0.1, rtol=0.05)
    correlations = [np.corrcoef(a, b)[0, 1] for a, b in zip(waves, levelled[..., 0], strict=True)]
    assert min(correlations) > 0.99


def test_the_same_seed_alters_a_clip_alike_and_another_one_otherwise(waves):
    clips = as_float(waves)
    first, again, other = (alter(clips, tf.constant([1, s])).numpy() for s in (2, 2, 3))
    assert first.shape == clips.shape and first.dtype == np.float32
    assert np.all(np.isfinite(first)) and np.all(power(first) > 0)
    assert np.array_equal(first, again)
    assert np.all(np.any(first != other, axis=1)) and np.all(np.any(first != clips, axis=1))


def test_without_any_strength_a_clip_stays_as_it_was(waves):
    np.testing.assert_allclose(alter(as_float(waves), SEED, **UNALTERED), waves / 32768, atol=1e-6)


def test_noise_has_the_ratio_that_is_asked_for_and_comes_to_the_share_of_the_clips(waves):
    clips = as_float(np.concatenate([waves] * 10))
    settings = UNALTERED | {"noise": 1.0, "snr": (10.0, 10.0)}
    noise = (alter(clips, SEED, **settings) - clips).numpy()
    ratios = 10 * np.log10(power(clips) / noise.var(axis=1))
    np.testing.assert_allclose(ratios, 10, atol=0.05)
    some = (alter(clips, SEED, **settings | {"noise": 0.5}) - clips).numpy()
    assert np.mean(np.abs(some).max(axis=1) > 1e-3) == pytest.approx(0.5, abs=0.12)


def test_gain_changes_the_loudness_and_nothing_else(waves):
    louder = alter(as_float(waves), SEED, **UNALTERED | {"gain": 10.0}).numpy()
    decibels = 10 * np.log10(power(louder) / power(waves / 32768))
    assert np.abs(decibels).max() <= 10.01 and decibels.min() < -2 and decibels.max() > 2
    scaled = waves / 32768 * 10 ** (decibels[:, None] / 20)
    np.testing.assert_allclose(louder, scaled, atol=1e-4)


def click(place):
    """Silence with one click: float32 (50, 8000)."""
    clips = np.zeros((50, 8000), np.float32)
    clips[:, place] = 0.5
    return clips


def test_a_shift_moves_a_clip_by_up_to_so_many_seconds():
    shifted = alter(click(4000), SEED, **UNALTERED | {"shift": 0.1}).numpy()
    moves = np.abs(shifted).argmax(axis=1) - 4000
    assert moves.min() < -500 and moves.max() > 500 and np.abs(moves).max() <= 801


def test_speed_stretches_a_clip_around_its_middle():
    faster = alter(click(6000), SEED, **UNALTERED | {"speed": 0.12}).numpy()
    distances = np.abs(faster).argmax(axis=1) - 4000
    assert 2000 / 1.12 - 1 <= distances.min() < 1850
    assert 2150 < distances.max() <= 2000 / 0.88 + 1
    middle = alter(click(4000), SEED, **UNALTERED | {"speed": 0.12}).numpy()
    assert np.all(np.abs(middle).argmax(axis=1) == 4000)


def test_colour_raises_and_lowers_parts_of_the_spectrum_by_up_to_so_many_decibels():
    coloured = alter(click(4000), SEED, **UNALTERED | {"colour": 6.0}).numpy()
    decibels = 20 * np.log10(np.abs(np.fft.rfft(coloured)) / 0.5)  # a click has a flat spectrum
    assert np.abs(decibels).max() <= 6.01
    assert np.all(np.ptp(decibels, axis=1) > 1)
