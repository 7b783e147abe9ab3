"""Speaks a small set of synthetic words in the format of the Speech Commands of `speech.data`.

It stands in where the data set cannot be had, so that everything can be tried.
"""

import hashlib
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

from speech.archives import COLUMNS, RATE, WORDS, speaker_split, write_set
from speech.data import SPLITS

RELEASE = "synthetic"

# Sounds: loudness of the voice and of the noise, then the first three formants in Hz. Vowels as
# Peterson and Barney (1952) measured them in men, the others roughly.
SOUNDS = {
    "a": (1, 0, 730, 1090, 2440),  # father
    "e": (1, 0, 530, 1840, 2480),  # bet
    "i": (0.8, 0, 270, 2290, 3010),  # see
    "o": (1, 0, 570, 840, 2410),  # law
    "u": (0.8, 0, 300, 870, 2240),  # boot
    "v": (1, 0, 640, 1190, 2390),  # but
    "n": (0.4, 0, 270, 1650, 2600),
    "l": (0.5, 0, 360, 1100, 2650),
    "r": (0.5, 0, 350, 1150, 1650),
    "s": (0, 0.5, 2700, 3300, 3800),
    "f": (0, 0.15, 1200, 2400, 3600),
    "d": (0.2, 0.5, 350, 1750, 2700),
    "t": (0, 0.7, 400, 2600, 3500),
    "p": (0, 0.4, 350, 800, 2200),
    "-": (0, 0, 500, 1500, 2500),  # lips or tongue closed
}

# Each word's sounds, and how long they are held in hundredths of a second
SPOKEN = {
    "down": "d2 a14 u10 n14",
    "left": "l10 e14 f9 -4 t4",
    "no": "n12 o14 u14",
    "off": "o22 f20",
    "on": "a22 n18",
    "right": "r10 a14 i9 -5 t4",
    "stop": "s14 -5 t3 a16 -6 p3",
    "up": "v16 -7 p4",
    "yes": "i8 e16 s18",
}


def write_sample(folder, seed=0, clips=(24, 8, 8)):
    """Speaks the sample into `folder` and returns it, a Path.

    clips: of each word for training, validation and testing. Every speaker says every word once
    and, as in the original, belongs to the split to which the name gives them. The same seed
    speaks the same files. Raises DataError if they cannot be written.
    """
    rng = np.random.default_rng(seed)
    names = [
        (name, split)
        for split, count in zip(SPLITS, clips, strict=True)
        for name in draw_names(split, count, rng)
    ]
    voices = [draw_voice(rng) for _ in names]
    pairs = []
    for word in WORDS:
        spoken = speak(word, voices, rng)
        for (name, split), samples in zip(names, spoken, strict=True):
            digest = hashlib.sha1(samples.tobytes()).hexdigest()
            values = word, f"{name}_nohash_0.wav", split, RELEASE, 2 * RATE, digest
            pairs.append((dict(zip(COLUMNS, values, strict=True)), samples))
    write_set(pairs, folder)
    return Path(folder)


def draw_names(split, count, rng):
    """Names of `count` speakers whom the data set's own rule gives to `split`."""
    names: set[str] = set()
    while len(names) < count:
        name = f"{rng.integers(2**32):08x}"
        if speaker_split(name) == split:
            names.add(name)
    return sorted(names)


def draw_voice(rng):
    """A speaker: pitch in Hz, factors on formants and durations, signal-to-noise ratio in dB."""
    height = rng.uniform(-1, 1)
    return {
        "pitch": 160 * 1.5**height,
        "scale": 1.1 ** (height + rng.normal(0, 0.3)),
        "tempo": 1.2 ** rng.uniform(-1, 1),
        "snr": rng.uniform(15, 35),
    }


def speak(word, voices, rng):
    """The word as each of the voices says it: int16 (voices, 8000).

    A source, pulses or noise, through three resonators whose frequencies glide from sound to
    sound (Fant 1960; the resonator is that of Klatt 1980).
    """
    tracks = np.stack([score(word, voice, rng) for voice in voices])
    voiced, noisy, formants = tracks[..., 0], tracks[..., 1], tracks[..., 2:]
    pitch = np.array([[voice["pitch"]] for voice in voices]) * np.linspace(1.1, 0.85, RATE)
    phase = np.cumsum(pitch / RATE, axis=1) + rng.uniform(size=(len(voices), 1))
    pulses = lfilter([1], [1, -0.9], np.diff(np.floor(phase), axis=1, prepend=0))
    source = voiced * pulses + noisy * rng.normal(0, 0.3, phase.shape)
    waves = resonate(source, formants, bandwidths=np.array([80, 110, 160]))

    waves /= waves.std(axis=1, keepdims=True)
    level = 10 ** -(np.array([voice["snr"] for voice in voices]) / 20)
    waves += level[:, None] * rng.normal(size=waves.shape)
    loudness = 10 ** rng.uniform(-1.7, -1.2, (len(voices), 1))
    return (waves * loudness * 32768).round().clip(-32768, 32767).astype(np.int16)


def score(word, voice, rng):
    """What a voice does in a second to say a word: float (8000, 5), columns as in SOUNDS."""
    sounds = SPOKEN[word].split()
    lengths = np.array([int(sound[1:]) / 100 for sound in sounds]) * voice["tempo"]
    lengths *= rng.normal(1, 0.08, len(lengths)).clip(0.7, 1.3)
    ends = rng.uniform(0.12, 0.25) + np.cumsum(lengths)
    targets = np.array([SOUNDS[sound[0]] for sound in sounds], float)
    targets[:, 2:] *= voice["scale"] * rng.normal(1, 0.03, (len(sounds), 1))
    # each sound holds its target but for a glide of 30 ms, or half of it, at either end
    glides = np.minimum(0.03, lengths / 2)
    times = np.stack([ends - lengths + glides / 2, ends - glides / 2], axis=1).ravel()
    values = targets.repeat(2, axis=0)
    quiet = values[[0, -1]] * [0, 0, 1, 1, 1]  # the mouth is set before and after it sounds
    times = np.concatenate([[times[0] - 0.03], times, [times[-1] + 0.05]])
    values = np.concatenate([quiet[:1], values, quiet[1:]])
    clock = np.arange(RATE) / RATE
    return np.stack([np.interp(clock, times, column) for column in values.T], axis=1)


def resonate(source, formants, bandwidths):
    """`source` through parallel resonators: float (n, time).

    formants: (n, time, k), Hz, kept below half the rate; bandwidths: (k,), Hz. Neighbours are
    added with opposite signs, so that no notch comes between them (Klatt 1980).
    """
    frequency = np.minimum(formants, 0.48 * RATE)
    c = -np.exp(-2 * np.pi * bandwidths / RATE)
    b = 2 * np.exp(-np.pi * bandwidths / RATE) * np.cos(2 * np.pi * frequency / RATE)
    driven = (1 - b - c) * source[..., None] * [1.0, -1.0, 1.0]
    last, before = np.zeros((2, len(source), formants.shape[2]))
    waves = np.zeros_like(source)
    for time in range(source.shape[1]):
        last, before = driven[:, time] + b[:, time] * last + c * before, last
        waves[:, time] = last.sum(axis=1)
    return waves
