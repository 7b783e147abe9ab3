"""The training loop's trimmings: seeded batches, one line of progress, resuming."""

import hashlib
import pickle
import re
import time
from glob import escape
from pathlib import Path

import numpy as np

from toolkit.files import replacing
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf


def batches(x, y, batch_size, seed, augment=None):
    """One epoch as a tf.data.Dataset of shuffled (images, targets) batches.

    x: float32 (n, 28, 28, 1). y: (n,) labels or (n, k) targets. augment, if given, maps images
    and a seed, int32 (2,), to images. The same `seed`, a list of integers, gives the same
    batches. The last, incomplete batch is left out.
    """
    batch_size = min(batch_size, len(x))
    order = np.random.default_rng(seed).permutation(len(x))
    order = order[: len(x) // batch_size * batch_size].reshape(-1, batch_size)
    seeds = np.random.default_rng(seed).integers(2**31, size=(len(order), 2), dtype=np.int32)
    x, y = tf.convert_to_tensor(x), tf.convert_to_tensor(y)

    def pick(rows, seed):
        images = tf.gather(x, rows)
        return augment(images, seed) if augment else images, tf.gather(y, rows)

    steps = tf.data.Dataset.from_tensor_slices((order, seeds))
    options = tf.data.Options()
    options.autotune.enabled = False  # nothing to tune, and ending its thread can take seconds
    steps = steps.map(pick, num_parallel_calls=2, deterministic=True)
    return steps.prefetch(4).with_options(options)


def train(
    model, x, y, *, epochs, name, seed=0, batch_size=128, augment=None, validation=(), callbacks=()
):
    """Fits a compiled model and returns its history: a list per metric, one value an epoch.

    `seconds`, the time of each epoch, stands beside Keras's metrics. x, y, batch_size, augment:
    see `batches`. validation: dict of (x, y) pairs, scored after each epoch as `<key>_accuracy`.
    Interrupted and run again with the same network, loss, data and settings, it goes on from the
    last whole epoch, kept under checkpoints/. A model that was trained under this name before
    starts anew, from what it was then.
    """
    recipe = [described(part) for part in (model, model.optimizer, model.loss, augment)]
    recipe += [[tuple(weight.shape) for weight in model.weights], epochs, seed, batch_size]
    digest = hashlib.sha256(repr(recipe).encode())
    for array in (x, y):
        digest.update(np.ascontiguousarray(array).data)
    saved = Path("checkpoints", f"{name}-{digest.hexdigest()[:12]}")
    start_anew(model, name, saved)
    history: dict = {}
    if saved.exists():
        history, values = pickle.loads(saved.read_bytes())
        for variable, value in zip(variables(model), values, strict=True):
            variable.assign(value)
        print(f"resuming {name} after epoch {len(history['loss'])} (delete {saved} to start over)")
    x, y = tf.constant(x), tf.constant(y)  # once, not at every epoch
    for epoch in range(len(history.get("loss", ())), epochs):
        start = time.perf_counter()
        settings = {"initial_epoch": epoch, "epochs": epoch + 1, "callbacks": list(callbacks)}
        steps = batches(x, y, batch_size, [seed, epoch], augment)
        logs = model.fit(steps, verbose=0, **settings).history
        for key, (images, labels) in (validation or {}).items():
            logs[f"{key}_accuracy"] = [accuracy(model, images, labels)]
        figures = "  ".join(f"{metric} {values[-1]:.4f}" for metric, values in logs.items())
        logs["seconds"] = [time.perf_counter() - start]
        for metric, values in logs.items():
            history.setdefault(metric, []).append(float(values[-1]))
        with replacing(saved) as temporary:
            values = [variable.numpy() for variable in variables(model)]
            temporary.write_bytes(pickle.dumps((history, values)))
        total = sum(history["seconds"])
        print(f"\r{name}: epoch {epoch + 1}/{epochs}  {figures}  {total:.0f} s", end="", flush=True)
    print()
    saved.unlink(missing_ok=True)
    vars(model)["trained"][name].append(model.get_weights())
    return history


def start_anew(model, name, saved):
    """Puts a model whose training under `name` is run again back to what it was before.

    Says so, and if another training than `saved` was interrupted under this name.
    """
    past = vars(model).setdefault("trained", {})  # name -> weights before and, if done, after it
    before, *after = past.get(name, [None])
    now = model.get_weights()
    if before and (not after or all(map(np.array_equal, *after, now))):  # not set since
        model.set_weights(before)
        for variable in model.optimizer.variables:
            if "learning_rate" not in variable.name:  # all others start at zero
                variable.assign(tf.zeros_like(variable))
        if not saved.exists():
            print(f"starting {name} anew, from the weights that this model had before")
    past[name] = [model.get_weights()]
    others = list(saved.parent.glob(f"{escape(name)}-{'[0-9a-f]' * 12}"))
    if others and saved not in others:
        print(f"starting {name} anew: {others[0]} is of another network, loss, data or settings")


def variables(model):
    """All that training changes in a compiled model and its optimizer: a list of variables."""
    model.optimizer.build(model.trainable_variables)
    return [*model.weights, *model.optimizer.variables]


def described(part):
    """A text that differs where a network, a loss or another function does, whatever its name."""
    code = getattr(part, "__code__", None)
    if code:
        held = [cell.cell_contents for cell in part.__closure__ or ()]
        text = f"{code.co_code.hex()} {code.co_consts} {part.__defaults__} {held}"
    elif hasattr(part, "layers"):
        text = " ".join(map(described, part.layers))
    else:
        try:
            text = f"{type(part).__qualname__} {part.get_config()}"
        except (AttributeError, NotImplementedError):
            text = repr(part)
    return re.sub(r"'name': '[^']*'|<code object .*?>| at 0x[0-9a-f]+", "", text)


def predict(model, x):
    """Scores of a Keras model: float32 (n, 24) for images float32 (n, 28, 28, 1).

    Layer by layer: `model.predict` merges layers with a reciprocal square root whose last bits
    depend on the processor, and distillation would amplify them.
    """
    parts = np.split(x, range(512, len(x), 512))
    return np.concatenate([model(part, training=False) for part in parts])


def accuracy(model, x, y):
    """Share of the images that a Keras model reads right; y: int (n,)."""
    return float(np.mean(predict(model, x).argmax(axis=1) == y))


def compile_model(model, steps, learning_rate, loss=None):
    """Compiles for training with Adam, cosine decay to zero in so many steps, and cross-entropy.

    loss: takes the place of the cross-entropy with integer labels. Returns the model.
    """
    schedule = tf.keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    labels = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    metrics = [] if loss else ["accuracy"]
    model.compile(tf.keras.optimizers.Adam(schedule), loss or labels, metrics=metrics)
    return model


def distillation_loss(temperature):
    """The loss of distillation (Hinton, Vinyals and Dean, 2015) as a Keras loss.

    Cross-entropy between the scores of teacher and student, both softened by
    `temperature`, times its square, which keeps the size of the gradients.
    """

    def loss(teacher_logits, logits):
        targets = tf.nn.softmax(teacher_logits / temperature)
        entropy = tf.nn.softmax_cross_entropy_with_logits(targets, logits / temperature)
        return temperature**2 * entropy

    return loss
