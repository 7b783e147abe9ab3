"""What a microphone does to a clip: noise, a word said early or late, other loudness."""

from functools import partial

import numpy as np


def with_noise(waves, snr, pink=False, seed=0):
    """Clips int16 (n, 8000) under noise, white or pink (1/f), at a signal-to-noise ratio in dB."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(waves.shape).astype(np.float32)
    if pink:
        spectrum = np.fft.rfft(noise)
        spectrum /= np.sqrt(np.maximum(np.arange(spectrum.shape[1]), 20))
        noise = np.fft.irfft(spectrum, waves.shape[1])
    noise /= np.sqrt(np.mean(noise**2, axis=1, keepdims=True))
    loudness = np.sqrt(np.mean(np.float32(waves) ** 2, axis=1, keepdims=True))
    return to_int16(waves + noise * loudness * 10 ** (-snr / 20))


def shifted(waves, samples):
    """Clips int16 (n, 8000) later by so many samples, earlier for negative ones, zeros beyond."""
    moved = np.zeros_like(waves)
    if samples >= 0:
        moved[:, samples:] = waves[:, : waves.shape[1] - samples]
    else:
        moved[:, :samples] = waves[:, -samples:]
    return moved


def louder(waves, gain):
    """Clips int16 (n, 8000) louder by `gain` dB, quieter for negative ones, clipped."""
    return to_int16(np.float32(waves) * 10 ** (gain / 20))


def to_int16(waves):
    """Waves rounded and clipped to int16."""
    return np.clip(np.round(waves), -32768, 32767).astype(np.int16)


def perturbations():
    """The changes of the studies: name -> function from int16 (n, 8000) to the same."""
    changes: dict = {"as recorded": to_int16}
    for colour in ("white", "pink"):
        for snr in (20, 10, 5):
            changes[f"{colour} noise, {snr} dB"] = partial(
                with_noise, snr=snr, pink=colour == "pink"
            )
    for milliseconds in (-100, 100):
        changes[f"{milliseconds:+d} ms"] = partial(shifted, samples=8 * milliseconds)
    for gain in (-20, 20):
        changes[f"{gain:+d} dB"] = partial(louder, gain=gain)
    return changes
