"""The two baseline networks and how they are trained."""

import math
from functools import partial

import numpy as np

from signmnist.recipes import MILD, STRONG
from toolkit.compression import fine_tune
from toolkit.runtime import use_keras_2
from toolkit.training import distillation_loss, predict

use_keras_2()
import tensorflow as tf

layers = tf.keras.layers

BATCH_SIZE = 128


def build_cnn(blocks, kernel=3, stride=1, dense_bias=True):
    """A plain CNN: blocks of 3x3 convolutions, max-pooling between blocks.

    blocks: for each block the widths of its convolutions, such as ((16, 16), (32, 32)).
    Each convolution (conv1, conv2, ...) is followed by batch normalization (norm1, norm2,
    ...) and ReLU. kernel, stride: of the first convolution. Behind a global average comes the
    dense layer (letters), with biases or without.
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
    return tf.keras.Model(inputs, layers.Dense(24, use_bias=dense_bias, name="letters")(x))


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


def augment(images, seed, **strengths):
    """Turns, shifts, zooms, relights and blurs each image at random, and adds noise.

    images: float32 (n, 28, 28, 1) in [0, 1], returned in the same form. seed: int32 (2,), the
    same for the same images. strengths: take the place of those in STRONG. Each is the largest
    change, either way where there are two: rotation in turns, shift and zoom as shares of the
    image, contrast as a factor around the mean, brightness in units of the pixel range, blur as
    the share of the image blurred with a standard deviation of one pixel, noise as the standard
    deviation of Gaussian noise.
    One affine map an image, so that it is resampled only once.
    """
    strengths = STRONG | strengths
    seed, noise_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    u = tf.random.stateless_uniform((8, tf.shape(images)[0]), seed, -1, 1)
    angle, scale = u[0] * strengths["rotation"] * 2 * math.pi, 1 + u[1] * strengths["zoom"]
    a, b = scale * tf.cos(angle), scale * tf.sin(angle)
    centre, zero = 13.5, tf.zeros_like(a)
    dx = centre - centre * (a - b) + u[2] * strengths["shift"] * 28
    dy = centre - centre * (a + b) + u[3] * strengths["shift"] * 28
    images = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([a, -b, dx, b, a, dy, zero, zero], axis=1),
        output_shape=(28, 28),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    u = tf.reshape(u, (8, -1, 1, 1, 1))
    factor, offset = u[4] * strengths["contrast"], u[5] * strengths["brightness"]
    mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
    images += (images - mean) * factor + offset
    if strengths["blur"]:
        binomial = np.array([1, 4, 6, 4, 1], np.float32) / 16
        kernel = np.outer(binomial, binomial).reshape(5, 5, 1, 1)
        padded = tf.pad(images, [[0, 0], [2, 2], [2, 2], [0, 0]], "REFLECT")
        blurred = tf.nn.conv2d(padded, kernel, 1, "VALID")
        images += (blurred - images) * strengths["blur"] * tf.abs(u[6])
    if strengths["noise"]:
        noise = tf.random.stateless_normal(tf.shape(images), noise_seed) * strengths["noise"]
        images += noise * tf.abs(u[7])
    return tf.clip_by_value(images, 0, 1)


def augment_mildly(images, seed):
    """`augment` as mild as MILD: for networks with no room for more."""
    return augment(images, seed, **MILD)


def tune(model, x, y, recipe, **settings):
    """Trains a Keras model further by a recipe. Returns the history.

    x: float32 (n, 28, 28, 1). y: int (n,). settings: name, seed, callbacks ... as of `train`.
    """
    rate, augmentation = recipe["learning_rate"], partial(augment, **recipe["augmentation"])
    settings |= {"epochs": recipe["epochs"], "learning_rate": rate, "augment": augmentation}
    return fine_tune(model, x, y, **settings)


def train_accurate(x, y, recipe, seed=0, name="accurate", validation=None):
    """Trains the accurate baseline. Returns (model, history). validation: see `train`.

    x: float32 (n, 28, 28, 1). y: int (n,).
    """
    tf.keras.utils.set_random_seed(seed)
    model = build_cnn(**recipe["network"])
    return model, tune(model, x, y, recipe, seed=seed, name=name, validation=validation)


def lessons(x, teacher, recipe, seed=0):
    """What `learn` learns from: augmented images and the scores that a teacher gives them.

    x: float32 (n, 28, 28, 1). teacher: a Keras model. Each image comes in as many augmentations as
    the recipe has `copies`. Returns float32 (copies * n, 28, 28, 1) and (copies * n, 24).
    """
    strengths = recipe["augmentation"]
    copies = [augment(x, [seed, copy], **strengths) for copy in range(recipe["copies"])]
    images = np.concatenate(copies)
    return images, predict(teacher, images)


def learn(model, images, scores, recipe, seed=0, name="student", callbacks=()):
    """Trains a Keras model to give the `scores` of `images`, by a recipe. Returns the history.

    The loss is that of distillation at the recipe's `temperature`. callbacks: see `train`.
    """
    settings = {key: recipe[key] for key in ("epochs", "learning_rate")}
    settings |= {"seed": seed, "name": name, "callbacks": callbacks}
    loss = distillation_loss(recipe["temperature"])
    return fine_tune(model, images, scores, loss=loss, **settings)


def train_compact(x, teacher, recipe, seed=0, name="compact"):
    """Distils the compact baseline from `teacher`. Returns (model, history); see `lessons`."""
    tf.keras.utils.set_random_seed(seed)
    model = build_cnn(**recipe["network"])
    images, scores = lessons(x, teacher, recipe, seed)
    return model, learn(model, images, scores, recipe, seed, name)
