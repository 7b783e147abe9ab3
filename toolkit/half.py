"""Training in 16 bits: every number rounded to them, the arithmetic in float32.

TensorFlow's float16 kernels on a CPU take some 30 times as long as those of float32. Products of
rounded numbers, summed in float32 and rounded again, are what tensor cores compute.
"""

import numpy as np

from toolkit.compression import clone
from toolkit.runtime import use_keras_2
from toolkit.training import batches

use_keras_2()
import tensorflow as tf


def round_to(x, dtype):
    """A float32 tensor rounded to the values of `dtype`, tf.float16 or tf.bfloat16."""
    return tf.cast(tf.cast(x, dtype), tf.float32)


class Rounding(tf.keras.layers.Layer):
    """Rounds what passes through to a 16-bit type, and the gradient on its way back."""

    def __init__(self, kind, **settings):
        super().__init__(**settings)
        self.kind = kind

    def call(self, inputs):
        @tf.custom_gradient
        def both_ways(x):
            return round_to(x, self.kind), lambda gradient: round_to(gradient, self.kind)

        return both_ways(inputs)

    def get_config(self):
        return super().get_config() | {"kind": self.kind}


def rounded_network(model, dtype):
    """A copy of a chain of Keras layers, with its weights, that rounds what each layer gives.

    Batch normalization computes in float32 inside, as Keras's own does under mixed precision.
    """
    x = inputs = tf.keras.Input(model.input_shape[1:])
    x = Rounding(dtype)(x)
    for layer in model.layers[1:]:
        x = Rounding(dtype)(layer.__class__.from_config(layer.get_config())(x))
    copy = tf.keras.Model(inputs, x)
    copy.set_weights(model.get_weights())
    return copy


def cast_network(model, dtype):
    """`rounded_network` with its weights rounded too, all but those that are not trained."""
    copy = rounded_network(model, dtype)
    for variable in copy.trainable_variables:
        variable.assign(round_to(variable, dtype))
    return copy


class HalfTrainer:
    """Stochastic gradient descent with momentum on a network whose weights have 16 bits.

    model: from `rounded_network`; its weights, frozen ones too, are rounded at once, all but the
    running statistics of batch normalization. master: whether the weights and the momentum are also
    kept in float32, where the updates are added (Micikevicius et al., 2018). scale: by which the
    loss is multiplied and the gradients divided, so that small ones survive 16 bits; None for
    dynamic scaling: halved where a gradient overflows, and that update is left out, doubled after
    `patience` updates without. dtype: None for float32 throughout, for comparison.
    """

    def __init__(self, model, dtype, schedule, master, scale=1.0, momentum=0.9, patience=200):
        self.model, self.dtype, self.schedule = model, dtype, schedule
        self.use_master, self.momentum, self.patience = master, momentum, patience
        self.dynamic = scale is None
        self.scale = tf.Variable(2.0**15 if scale is None else scale, trainable=False)
        self.good, self.step, self.skipped = (tf.Variable(0, dtype=tf.int64) for _ in range(3))
        self.weights = model.trainable_variables
        self.master = [tf.Variable(weight) for weight in self.weights] if master else []
        self.velocity = [tf.Variable(tf.zeros_like(weight)) for weight in self.weights]
        for weight in model.weights:
            if "moving_" not in weight.name:
                weight.assign(self.round(weight))

    def round(self, x):
        return x if self.dtype is None else round_to(x, self.dtype)

    def gradients(self, x, y):
        """The gradients of the scaled loss, as 16 bits hold them, and the loss itself."""
        with tf.GradientTape() as tape:
            logits = self.model(x, training=True)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
            )
            scaled = loss * self.scale
        return [self.round(g) for g in tape.gradient(scaled, self.weights)], loss

    def direction(self, i, gradient, keep):
        """What an update of weight `i` goes along. keep: rounds as the moments are stored."""
        return self.velocity[i].assign(keep(self.momentum * self.velocity[i] + gradient))

    @tf.function(reduce_retracing=True)
    def update(self, x, y):
        """One update on inputs x and labels y. Returns the loss."""
        gradients, loss = self.gradients(x, y)
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in gradients])
        rate = self.schedule(tf.cast(self.step, tf.float32))
        if finite or not self.dynamic:
            keep = (lambda value: value) if self.use_master else self.round
            for i, (weight, gradient) in enumerate(zip(self.weights, gradients, strict=True)):
                change = keep(rate * self.direction(i, keep(gradient / self.scale), keep))
                if self.use_master:
                    self.master[i].assign_sub(change)
                    weight.assign(self.round(self.master[i]))
                else:
                    weight.assign(self.round(weight - change))
            self.good.assign_add(1)
        else:
            self.skipped.assign_add(1)
            self.good.assign(0)
            self.scale.assign(self.scale / 2)
        if self.dynamic and self.good >= self.patience:
            self.scale.assign(tf.minimum(self.scale * 2, 2.0**24))
            self.good.assign(0)
        self.step.assign_add(1)
        return loss


class HalfAdam(HalfTrainer):
    """HalfTrainer with Adam (Kingma and Ba, 2015) in place of plain momentum.

    Both of its moments are kept as the momentum is. epsilon: added to the root of the second.
    """

    squares_momentum = 0.999

    def __init__(self, *args, epsilon, **settings):
        super().__init__(*args, **settings)
        self.epsilon = epsilon
        self.squares = [tf.Variable(v) for v in self.velocity]

    def direction(self, i, gradient, keep):
        mean, square = self.velocity[i], self.squares[i]
        mean.assign(keep(mean + (1 - self.momentum) * (gradient - mean)))
        square.assign(keep(square + (1 - self.squares_momentum) * (keep(gradient**2) - square)))
        updates = tf.cast(self.step + 1, tf.float32)
        bias = tf.sqrt(1 - self.squares_momentum**updates) / (1 - self.momentum**updates)
        return bias * mean / keep(keep(tf.sqrt(square)) + keep(self.epsilon))


def train_half(
    model, x, y, updates, rate, precision, seed=0, constant=False, batch_size=100, watch=None,
    epsilon=None,
):  # fmt: skip
    """Trains a copy of `model` on x, y by HalfTrainer. Returns (copy, trainer, losses).

    precision: dtype, master and scale of HalfTrainer, a dict. constant: whether the learning rate
    stays `rate` instead of rising and falling. watch: called with the copy and the number of
    updates after each of them. epsilon: trains by HalfAdam with it. losses: float32 (updates,).
    """
    tf.keras.utils.set_random_seed(seed)
    warm_up = max(1, updates // 8)

    def schedule(step):
        turn = 0.5 * (1 + tf.cos(np.pi * step / updates))
        return rate * (1.0 if constant else tf.minimum(1.0, (step + 1) / warm_up) * turn)

    dtype = precision["dtype"]
    network = rounded_network(model, dtype) if dtype else clone(model)
    settings = precision | {"schedule": schedule}
    if epsilon is None:
        trainer = HalfTrainer(network, **settings)
    else:
        trainer = HalfAdam(network, epsilon=epsilon, **settings)
    losses: list = []
    while len(losses) < updates:
        for part in batches(x, y, batch_size, [seed, len(losses)]):
            losses.append(trainer.update(*part))
            if watch:
                watch(network, len(losses))
            if len(losses) == updates:
                break
    return network, trainer, np.array(losses)
