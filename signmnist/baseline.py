"""The two baseline networks and how they are trained."""

import math

import numpy as np

from toolkit.compression import fine_tune
from toolkit.runtime import use_keras_2
from toolkit.training import distillation_loss, predict

use_keras_2()
import tensorflow as tf

layers = tf.keras.layers

ACCURATE = {"blocks": ((16,), (24, 24), (48, 48))}
COMPACT = {"blocks": ((6, 8), (8,), (10,)), "kernel": 5, "stride": 2}
BATCH_SIZE = 128
COPIES = 8  # of each image in an epoch of distillation


def build_cnn(blocks, kernel=3, stride=1):
    """A plain CNN: blocks of 3x3 convolutions, max-pooling between blocks.

    blocks: for each block the widths of its convolutions, such as ((16, 16), (32, 32)).
    Each convolution (conv1, conv2, ...) is followed by batch normalization (norm1, norm2,
    ...) and ReLU. kernel, stride: of the first convolution. Behind a global average comes the
    dense layer (letters).
    Takes (n, 28, 28, 1) in [0, 1] and gives (n, 24) logits.
    """
    inputs = x = layers.Input((28, 28, 1), name="pixels")
    number = 0
    for i, widths in enumerate(blocks):
        if i:
            x = layers.MaxPooling2D()(x)
        for width in widths:
            number += 1
            size, step = (kernel, stride) if number == 1 else (3, 1)
            convolution = layers.Conv2D(
                width, size, step, padding="same", use_bias=False, name=f"conv{number}"
            )
            x = layers.BatchNormalization(name=f"norm{number}")(convolution(x))
            x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return tf.keras.Model(inputs, layers.Dense(24, name="letters")(x))


def build_dense_cnn(widths=(16, 32, 64), dense=384, dropout=0.0):
    """A CNN whose first dense layer holds most of its weights: the study of cascades' M.

    3x3 convolutions of the given widths (conv1, ...), each with batch normalization and ReLU,
    2x2 max-pooling between them; then dense layers of `dense` units (dense) and 24 (letters),
    before each of which training drops the share `dropout` of the values.
    Takes (n, 28, 28, 1) in [0, 1] and gives (n, 24) logits.
    """
    inputs = x = layers.Input((28, 28, 1), name="pixels")
    for i, width in enumerate(widths):
        if i:
            x = layers.MaxPooling2D()(x)
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"conv{i + 1}")(x)
        x = layers.ReLU()(layers.BatchNormalization(name=f"norm{i + 1}")(x))
    x = layers.Dropout(dropout)(layers.Flatten()(x))
    x = layers.Dropout(dropout)(layers.Dense(dense, activation="relu", name="dense")(x))
    return tf.keras.Model(inputs, layers.Dense(24, name="letters")(x))


def augment(
    images,
    seed,
    rotation=0.07,
    shift=0.1,
    zoom=0.12,
    contrast=0.2,
    brightness=0.1,
    blur=1.0,
    noise=0.08,
):
    """Turns, shifts, zooms, relights and blurs each image at random, and adds noise.

    images: float32 (n, 28, 28, 1) in [0, 1], returned in the same form. seed: int32 (2,), the
    same for the same images. Each strength is the largest change, either way where there are
    two: rotation in turns, shift and zoom as shares of the image, contrast as a factor around
    the mean, brightness in units of the pixel range, blur as the share of the image blurred
    with a standard deviation of one pixel, noise as the standard deviation of Gaussian noise.
    One affine map an image, so that it is resampled only once.
    """
    seed, noise_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    u = tf.random.stateless_uniform((8, tf.shape(images)[0]), seed, -1, 1)
    angle, scale = u[0] * rotation * 2 * math.pi, 1 + u[1] * zoom
    a, b = scale * tf.cos(angle), scale * tf.sin(angle)
    centre, zero = 13.5, tf.zeros_like(a)
    dx = centre - centre * (a - b) + u[2] * shift * 28
    dy = centre - centre * (a + b) + u[3] * shift * 28
    images = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([a, -b, dx, b, a, dy, zero, zero], axis=1),
        output_shape=(28, 28),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    u = tf.reshape(u, (8, -1, 1, 1, 1))
    factor, offset = u[4] * contrast, u[5] * brightness
    mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
    images += (images - mean) * factor + offset
    if blur:
        binomial = np.array([1, 4, 6, 4, 1], np.float32) / 16
        kernel = np.outer(binomial, binomial).reshape(5, 5, 1, 1)
        padded = tf.pad(images, [[0, 0], [2, 2], [2, 2], [0, 0]], "REFLECT")
        blurred = tf.nn.conv2d(padded, kernel, 1, "VALID")
        images += (blurred - images) * blur * tf.abs(u[6])
    if noise:
        images += tf.random.stateless_normal(tf.shape(images), noise_seed) * noise * tf.abs(u[7])
    return tf.clip_by_value(images, 0, 1)


def augment_mildly(images, seed):
    """`augment` at about half strength: for networks with no room for more."""
    return augment(images, seed, 0.015, 0.05, 0.06, 0.1, 0.05, blur=0, noise=0)


def train_accurate(x, y, epochs, seed=0, name="accurate", validation=None):
    """Trains the accurate baseline under augmentation. Returns (model, history).

    x: float32 (n, 28, 28, 1). y: int (n,). validation: see `train`.
    """
    tf.keras.utils.set_random_seed(seed)
    model = build_cnn(**ACCURATE)
    settings = {"epochs": epochs, "learning_rate": 6e-3, "seed": seed, "validation": validation}
    return model, fine_tune(model, x, y, name=name, augment=augment, **settings)


def distil(model, x, teacher, epochs, learning_rate, seed=0, name="student", callbacks=()):
    """Trains a Keras model to give the scores of `teacher`, another one. Returns the history.

    x: float32 (n, 28, 28, 1). Each epoch sees every image in the same COPIES mild
    augmentations, which the teacher scores once, beforehand. callbacks: see `train`.
    """
    x = np.concatenate([augment_mildly(x, [seed, copy]) for copy in range(COPIES)])
    settings = {"epochs": epochs, "learning_rate": learning_rate, "seed": seed}
    settings |= {"name": name, "callbacks": callbacks, "loss": distillation_loss(2.0)}
    return fine_tune(model, x, predict(teacher, x), **settings)


def train_compact(x, teacher, epochs, seed=0, name="compact"):
    """Distils the compact baseline from `teacher`. Returns (model, history); see `distil`."""
    tf.keras.utils.set_random_seed(seed)
    model = build_cnn(**COMPACT)
    return model, distil(model, x, teacher, epochs, 3e-2, seed, name)
