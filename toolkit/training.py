"""The training loop's trimmings: seeded batches, one line of progress, resuming."""

import hashlib
import json
import re
import shutil
import time
import weakref
from pathlib import Path

import numpy as np

from toolkit.files import replacing
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf

# model -> name of a training -> the weights before it and, once it is through, after it
trained_before: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def batches(x, y, batch_size, seed, augment=None):
    """One epoch as a tf.data.Dataset of shuffled (images, targets) batches.

    x: float32 (n, 28, 28, 1). y: (n,) labels or (n, k) targets. augment, if given, maps
    (images, seed) to images, `seed` being two int32. The same `seed`, a list of
    integers, gives the same batches. The last, incomplete batch is left out.
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
    model,
    x,
    y,
    *,
    epochs,
    name,
    seed=0,
    batch_size=128,
    augment=None,
    validation=None,
    callbacks=(),
):
    """Fits a compiled model and returns its history: a list per metric, one value an epoch.

    The history has `seconds`, the time of each epoch, beside Keras's metrics.

    x, y, batch_size, augment: see `batches`. validation: dict of (x, y) pairs, scored after
    each epoch as `<key>_accuracy`. After each epoch the state is saved under
    checkpoints/, so that a training that was interrupted, run again with the same network, loss,
    data and settings, goes on where it stopped; a finished one leaves nothing there. A model
    that was trained under this name before starts anew, from what it was then.
    """
    recipe = [described(part) for part in (model, model.optimizer, model.loss, augment)]
    recipe += [[tuple(weight.shape) for weight in model.weights], epochs, seed, batch_size]
    digest = hashlib.sha256(repr(recipe).encode())
    for array in (x, y):
        digest.update(np.ascontiguousarray(array).data)
    folder = Path("checkpoints", f"{name}-{digest.hexdigest()[:12]}")
    start_anew(model, name, folder)
    checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
    manager = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=1)
    history = {}
    done = 0
    if manager.latest_checkpoint:
        checkpoint.restore(manager.latest_checkpoint)
        done = int(manager.latest_checkpoint.rsplit("-", 1)[1])
        saved = json.loads((folder / "history.json").read_text())
        history = {metric: values[:done] for metric, values in saved.items()}
        print(f"resuming {name} after epoch {done} (delete {folder} to start over)")
    x, y = tf.constant(x), tf.constant(y)  # once, not at every epoch
    for epoch in range(done, epochs):
        start = time.perf_counter()
        logs = model.fit(
            batches(x, y, batch_size, [seed, epoch], augment),
            initial_epoch=epoch,
            epochs=epoch + 1,
            callbacks=list(callbacks),
            verbose=0,
        ).history
        for key, (images, labels) in (validation or {}).items():
            logs[f"{key}_accuracy"] = [accuracy(model, images, labels)]
        logs["seconds"] = [time.perf_counter() - start]
        for metric, values in logs.items():
            history.setdefault(metric, []).append(float(values[-1]))
        with replacing(folder / "history.json") as temporary:
            temporary.write_text(json.dumps(history))
        manager.save(checkpoint_number=epoch + 1)
        figures = "  ".join(f"{m} {v[-1]:.4f}" for m, v in logs.items() if m != "seconds")
        total = sum(history["seconds"])
        print(f"\r{name}: epoch {epoch + 1}/{epochs}  {figures}  {total:.0f} s", end="", flush=True)
    print()
    shutil.rmtree(folder, ignore_errors=True)
    trained_before[model][name] = trained_before[model][name][0], model.get_weights()
    return history


def start_anew(model, name, folder):
    """Puts a model whose training under `name` is run again back to what it was before, if so.

    Says so, and if what was interrupted under this name is another training than that in `folder`.
    """
    past = trained_before.setdefault(model, {})
    before, left = past.get(name, (None, None))
    now = model.get_weights()
    if before and (left is None or all(map(np.array_equal, left, now))):  # not set since
        model.set_weights(before)
        for variable in model.optimizer.variables():
            if "learning_rate" not in variable.name:  # all others start at zero
                variable.assign(tf.zeros_like(variable))
        if not folder.exists():
            print(f"starting {name} anew, from the weights that this model had before")
    past[name] = model.get_weights(), None
    pattern = re.compile(re.escape(name) + "-[0-9a-f]{12}")
    others = [path for path in folder.parent.glob("*") if pattern.fullmatch(path.name)]
    if others and folder not in others:
        print(f"starting {name} anew: {others[0]} is of another network, loss, data or settings")


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

    Layer by layer: the graph behind `model.predict` merges layers with a reciprocal square
    root whose last bits depend on the processor, and distillation would amplify them.
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
