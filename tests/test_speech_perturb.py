import numpy as np
import pytest

from speech.perturb import louder, perturbations, shifted, with_noise


@pytest.fixture(scope="module")
def waves(speech_sample):
    """Every third test clip of the sample, loud enough that rounding to int16 is nothing."""
    return speech_sample.testing.waves[::3] * 2


def power(waves):
    return np.mean(np.square(waves, dtype=float), axis=1)


def below_500_hz(waves):
    """The share of each clip's power that lies below 500 Hz."""
    spectrum = np.abs(np.fft.rfft(waves.astype(float))) ** 2
    return spectrum[:, :500].sum(axis=1) / spectrum.sum(axis=1)


def test_the_changes_are_these_and_keep_the_form_of_the_clips(waves):
    changes = perturbations()
    assert list(changes) == [
        *("as recorded", "white noise, 20 dB", "white noise, 10 dB", "white noise, 5 dB"),
        *("pink noise, 20 dB", "pink noise, 10 dB", "pink noise, 5 dB"),
        *("-100 ms", "+100 ms", "-20 dB", "+20 dB"),
    ]
    original = waves.copy()
    for name, change in changes.items():
        changed = change(waves)
        assert changed.shape == waves.shape and changed.dtype == np.int16
        assert np.array_equal(changed, waves) == (name == "as recorded")
        assert np.array_equal(changed, change(waves))
    assert np.array_equal(waves, original)


def test_a_change_does_what_its_name_says(waves):
    changes = perturbations()
    early, late = changes["-100 ms"](waves), changes["+100 ms"](waves)
    assert np.array_equal(early[:, :7200], waves[:, 800:])
    assert np.array_equal(late[:, 800:], waves[:, :7200])
    quiet = changes["-20 dB"](waves)
    np.testing.assert_allclose(quiet, waves / 10, atol=0.5)
    for name, pink in (("white noise, 5 dB", False), ("pink noise, 5 dB", True)):
        assert np.array_equal(changes[name](waves), with_noise(waves, 5, pink))


def test_a_shift_moves_the_samples_and_leaves_zeros_behind():
    clips = np.arange(1, 8001, dtype=np.int16)[None]
    assert shifted(clips, 8)[0, :10].tolist() == [0] * 8 + [1, 2]
    assert shifted(clips, 8)[0, -1] == 7992
    assert shifted(clips, -8)[0, :2].tolist() == [9, 10]
    assert shifted(clips, -8)[0, -9:].tolist() == [8000] + [0] * 8
    assert np.array_equal(shifted(clips, 0), clips)


def test_six_decibels_are_twice_as_loud_and_too_loud_is_clipped():
    clips = np.array([[100, -250, 16000, 20000, -20000, -32768]], np.int16)
    assert louder(clips, 6.0206).tolist() == [[200, -500, 32000, 32767, -32768, -32768]]
    assert louder(clips, -6.0206).tolist() == [[50, -125, 8000, 10000, -10000, -16384]]


@pytest.mark.parametrize("pink", [False, True])
@pytest.mark.parametrize("snr", [20, 5])
def test_noise_has_the_ratio_that_is_asked_for(waves, snr, pink):
    noise = with_noise(waves, snr, pink).astype(int) - waves
    np.testing.assert_allclose(10 * np.log10(power(waves) / power(noise)), snr, atol=0.2)


def test_white_noise_is_even_and_pink_noise_lies_low(waves):
    white, pink = (with_noise(waves, 5, pink).astype(int) - waves for pink in (False, True))
    np.testing.assert_allclose(below_500_hz(white), 500 / 4000, atol=0.05)
    assert below_500_hz(pink).min() > 0.4


def test_silence_stays_silent_and_another_seed_is_another_noise(waves):
    assert not np.any(with_noise(np.zeros((2, 8000), np.int16), 5))
    assert np.any(with_noise(waves, 5, seed=1) != with_noise(waves, 5, seed=2))
