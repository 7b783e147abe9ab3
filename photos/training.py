"""Heads on frozen features, altered copies of photos, and the loss of distillation."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image, ImageEnhance
from sklearn.linear_model import LogisticRegression

from photos.data import SIDE, resize
from photos.recipes import BASELINE
from photos.scoring import network_input
from toolkit.runtime import use_keras_2
from toolkit.training import distillation_loss

use_keras_2()
import tensorflow as tf

CHUNK_SIZE = 16  # photos of a forward pass; more are slower, as they leave the cache


def predict_keras(model, pixels):
    """What a Keras model gives: float32 (n, ...).

    pixels: photos uint8 (n, s, s, 3), which are resized to its side; or float32, what the lower
    part of a network gives for photos, as it is.
    """
    raw = pixels.dtype == np.uint8
    call = tf.function(lambda x: model(x, training=False), reduce_retracing=True)
    inputs = resize(pixels, model.input_shape[1]) if raw else pixels
    parts = (inputs[i : i + CHUNK_SIZE] for i in range(0, len(inputs), CHUNK_SIZE))
    return np.concatenate([call(tf.constant(network_input(p) if raw else p)) for p in parts])


def through(model, photos):
    """Photos with what a Keras model gives for them in place of their pixels."""
    return photos._replace(pixels=predict_keras(model, photos.pixels))


def keras_accuracy(model, photos):
    """The share of the Photos that a Keras model with two scores reads right."""
    return float(np.mean(predict_keras(model, photos.pixels).argmax(axis=1) == photos.y))


def altered(photo, rng):
    """A photo uint8 (224, 224, 3), randomly cropped, mirrored, and changed in light and colour.

    A crop has 60 to 100 % of the area and sides of 3 : 4 to 4 : 3, and is scaled back.
    """
    image = Image.fromarray(photo)
    area, ratio = rng.uniform(0.6, 1), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    width, height = (min(1, np.sqrt(area * r)) * SIDE for r in (ratio, 1 / ratio))
    left, top = rng.uniform(0, SIDE - width), rng.uniform(0, SIDE - height)
    box = left, top, left + width, top + height
    image = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box)
    for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = kind(image).enhance(rng.uniform(0.75, 1.25))
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(image)


def mixed(pixels, y, rng):
    """Each photo mixed with another one in a random share (mixup; Zhang et al., 2018).

    pixels: uint8 (n, side, side, 3). y: (n,) labels, 0 or 1. Returns both, labels now in between.
    """
    other, shares = rng.permutation(len(y)), rng.uniform(size=len(y))
    pairs = zip(pixels, pixels[other], shares, strict=True)
    mixtures = (Image.blend(Image.fromarray(a), Image.fromarray(b), s) for a, b, s in pairs)
    return np.stack(list(mixtures)), y + shares * (y[other] - y)


def altered_copies(photos, teacher, seed, count, mixtures, side):
    """Alterations of each photo, mixtures of such, and what a teacher gives for both.

    photos: Photos. teacher: a Keras model, which sees them at its own side. count: copies of each
    photo, of which so many, the last ones, are `mixtures`. side: of the copies. Returns (pixels
    uint8 (count * n, side, side, 3), scores float32 (count * n, 2), labels float32 (count * n,)).
    """
    bank = np.empty((count, len(photos.y), side, side, 3), np.uint8)
    scores, labels = [], []
    with ThreadPoolExecutor() as pool:
        for copy in range(count):
            rng = np.random.default_rng([seed, copy])
            rngs = rng.spawn(len(photos.y))
            pixels, y = np.stack(list(pool.map(altered, photos.pixels, rngs))), photos.y
            if copy >= count - mixtures:
                pixels, y = mixed(pixels, y, rng)
            scores.append(predict_keras(teacher, pixels))
            labels.append(np.float32(y))
            bank[copy] = resize(pixels, side)
    return bank.reshape(-1, *bank.shape[2:]), np.concatenate(scores), np.concatenate(labels)


def linear_probe(features, y, strength=BASELINE["strength"]):
    """[kernel, bias] of the dense layer with two scores that a logistic regression gives.

    features: float (n, k). strength: C of scikit-learn, the inverse of the penalty; it is applied
    to standardized features.
    """
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    fitted = LogisticRegression(C=strength, max_iter=1000).fit((features - mean) / spread, y)
    weights = fitted.coef_[0] / spread
    bias = fitted.intercept_[0] - weights @ mean
    kernel = np.stack([-weights, weights], axis=1) / 2
    return [kernel.astype(np.float32), np.array([-bias, bias], np.float32) / 2]


def with_classes(backbone, photos):
    """A backbone with average pooling and two scores, "cat" and "dog", from a linear probe."""
    x = tf.keras.layers.GlobalAveragePooling2D(name="average")(backbone.output)
    pooled = tf.keras.Model(backbone.input, x)
    dense = tf.keras.layers.Dense(2, name="animals")
    model = tf.keras.Model(backbone.input, dense(x))
    dense.set_weights(linear_probe(predict_keras(pooled, photos.pixels), photos.y))
    return model


def distillation(temperature, share):
    """Distillation's loss (Hinton, Vinyals and Dean, 2015) for targets (teacher's scores, label).

    targets: float32 (n, 3), labels from 0 to 1. share: of the teacher in the loss, the rest is the
    labels'.
    """
    taught = distillation_loss(temperature)

    def loss(targets, scores):
        labels = tf.stack([1 - targets[:, 2], targets[:, 2]], axis=1)
        told = tf.nn.softmax_cross_entropy_with_logits(labels, scores)
        return share * taught(targets[:, :2], scores) + (1 - share) * told

    return loss


def normalized(images, seed=None):
    """A batch of photos uint8 as every network here takes them, for `batches`; `seed` is unused."""
    return (tf.cast(images, tf.float32) - 127) / 128
