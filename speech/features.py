"""What the networks are given: MFCC of a clip, and clips made different on purpose."""

import numpy as np

from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf

RATE_HZ = 8000
WINDOW, STEP, FFT = 200, 100, 256  # samples: 25 ms every 12.5 ms
MELS, COEFFICIENTS = 40, 12
# standard deviation of each coefficient over the training clips
SCALE = np.array(
    [14.789, 2.596, 2.018, 1.57, 1.245, 0.949, 0.928, 0.802, 0.831, 0.731, 0.701, 0.638], np.float32
)


def as_float(waves):
    """Clips int16 (n, 8000) as float32 in [-1, 1)."""
    return tf.cast(waves, tf.float32) / 32768


@tf.function(reduce_retracing=True)
def mfcc(waves):
    """Mel-frequency cepstral coefficients: float32 (n, 81, 12), standardized, for clips.

    waves: float32 (n, 8000) in [-1, 1). 81 frames: Hann windows of 200 samples, 100 apart, the
    clip padded by 100 zeros at either end. Magnitudes of an FFT of 256, 40 mel bands from 20 to
    4,000 Hz, the logarithm of band + 1e-3, the first 12 coefficients of the cosine transform
    (Davis and Mermelstein, 1980). The mean over the clip's frames is taken off (cepstral mean
    normalization, Atal 1974), so that loudness and a microphone's colour leave little trace.
    """
    padded = tf.pad(waves, [[0, 0], [WINDOW // 2, WINDOW // 2]])
    spectrum = tf.abs(tf.signal.stft(padded, WINDOW, STEP, FFT))
    bands = tf.signal.linear_to_mel_weight_matrix(MELS, FFT // 2 + 1, RATE_HZ, 20.0, 4000.0)
    logarithms = tf.math.log(tf.matmul(spectrum, bands) + 1e-3)
    cepstra = tf.signal.mfccs_from_log_mel_spectrograms(logarithms)[..., :COEFFICIENTS]
    return (cepstra - tf.reduce_mean(cepstra, axis=1, keepdims=True)) / SCALE


def features(waves):
    """`mfcc` of clips int16 (n, 8000), as a numpy array float32 (n, 81, 12)."""
    parts = np.split(waves, range(1000, len(waves), 1000))
    return np.concatenate([mfcc(as_float(part)) for part in parts])


def level(waves):
    """Clips float32 (n, 8000), each brought to a root mean square of about 0.1."""
    power = tf.reduce_mean(tf.square(waves), axis=1, keepdims=True)
    return waves * 0.1 / (tf.sqrt(power) + 1e-4)


def waveforms(waves):
    """Clips int16 (n, 8000) as the CNNs take them: at one `level`, float32 (n, 8000, 1)."""
    return level(as_float(waves)).numpy()[..., None]


@tf.function(reduce_retracing=True)
def alter(waves, seed, speed=0.12, shift=0.1, colour=6.0, noise=0.7, snr=(0.0, 30.0), gain=10.0):
    """Clips as other microphones in other rooms might have heard them.

    waves: float32 (n, 8000) in [-1, 1), returned in the same form. seed: int32 (2,), the same
    for the same clips. Each clip is played up to `speed` faster or slower and shifted by up to
    `shift` seconds; six points of its spectrum are raised or lowered by up to `colour` dB; the
    share `noise` of the clips gets noise between white and pink at a signal-to-noise ratio in the
    range `snr`, in dB; then all of it up to `gain` dB louder or quieter.
    """
    count, length = tf.shape(waves)[0], waves.shape[1]
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    u = tf.random.stateless_uniform((6, count, 1), seeds[0], -1, 1)
    time = tf.range(length, dtype=tf.float32) - length / 2
    place = time * (1 + u[0] * speed) + length / 2 + u[1] * shift * RATE_HZ
    below = tf.floor(place)
    padded = tf.pad(waves, [[0, 0], [1, 2]])
    index = tf.clip_by_value(tf.cast(below, tf.int32) + 1, 0, length + 1)
    first = tf.gather(padded, index, batch_dims=1)
    second = tf.gather(padded, index + 1, batch_dims=1)
    waves = first + (second - first) * (place - below)
    waves = tf.where((place > -1) & (place < length), waves, 0.0)

    points = tf.random.stateless_uniform((count, 6, 1, 1), seeds[1], -colour, colour)
    bins = length // 2 + 1
    curve = tf.image.resize(points, (bins, 1))[..., 0, 0]
    spectrum = tf.signal.rfft(waves) * tf.cast(10 ** (curve / 20), tf.complex64)
    waves = tf.signal.irfft(spectrum, [length])

    hiss = tf.signal.rfft(tf.random.stateless_normal((count, length), seeds[2]))
    frequency = tf.maximum(tf.range(bins, dtype=tf.float32), 20) / bins
    hiss = tf.signal.irfft(hiss * tf.cast(frequency ** -((u[2] + 1) / 2), tf.complex64), [length])
    hiss /= tf.math.reduce_std(hiss, axis=1, keepdims=True)
    loudness = tf.sqrt(tf.reduce_mean(tf.square(waves), axis=1, keepdims=True))
    ratio = snr[0] + (u[3] + 1) / 2 * (snr[1] - snr[0])
    heard = tf.cast((u[4] + 1) / 2 < noise, tf.float32)
    waves += hiss * loudness * 10 ** (-ratio / 20) * heard
    return waves * 10 ** (u[5] * gain / 20)
