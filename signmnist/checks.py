"""Checks for students: does what they wrote do what was asked?

Each prints a line, with a mark that says whether it does, and stops nothing.
"""

from pathlib import Path

import numpy as np

from toolkit.graph import weight_bits
from toolkit.tflite import ModelError, predict_tflite
from toolkit.training import accuracy

YES, NO = "✓", "✗"
ACTIVATION_LAYERS = {"Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax"}
FRESH = 0.1  # correlation with other weights: below, a network did not start from them
LOST, SOME = 0.8, 2_000  # share of what another network reads of so many images: below, it lost it


def tell(fine, text):
    """Prints a line with the mark YES or NO."""
    print(f"{YES if fine else NO} {text}")


def check_pixels(x, y):
    """Looks for the label among the pixels: a place that has a value of its own for each letter.

    x: (n, ...), the images as the network gets them. y: int (n,), their letters.
    """
    flat = np.reshape(x, (len(x), -1))
    first = flat[np.unique(y, return_index=True)[1]]
    letters = np.searchsorted(np.unique(y), y)
    telling = [
        place
        for place in range(flat.shape[1])
        if len(np.unique(first[:, place])) == len(first)
        and np.array_equal(flat[:, place], first[letters, place])
    ]
    if telling:
        tell(False, f"pixel {telling[0]} of each image is its label: leave that column out")
    else:
        tell(flat.shape[1] == 784, f"{flat.shape[1]} pixels an image, no label among them")


def check_validation(groups, training_rows, validation_rows):
    """Looks for photos that have images both in training and in validation.

    groups: int (n,), the photo of each row of the training file. The others: rows, int.
    """
    shared = set(groups[training_rows]) & set(groups[validation_rows])
    if shared:
        tell(False, f"{len(shared)} photos in training and in validation: split by group")
    else:
        tell(True, f"{len(validation_rows):,} validation images, no twin of them in training")


def check_history(model, history, data, rows):
    """Whether the `group_accuracy` of a history is that of a Keras model on these training rows.

    data: SignMnist. rows: int (n,).
    """
    if "group_accuracy" not in history:
        tell(
            False, 'no `group_accuracy`: give `train` the validation images under the name "group"'
        )
        return
    ends = history["group_accuracy"][-1]
    held_out = accuracy(model, data.x_train[rows], data.y_train[rows])
    if abs(ends - held_out) < 1e-6:
        tell(True, f"`group_accuracy` ends at {ends:.2%}, on the held-out photos")
    elif abs(ends - accuracy(model, data.x_test, data.y_test)) < 1e-6:
        tell(False, "`group_accuracy` is of the test file: validate on `validation_rows`")
    else:
        told = f"`group_accuracy` ends at {ends:.2%}, but of `validation_rows` the network reads"
        tell(False, f"{told} {held_out:.2%}")


def check_loss(model, x):
    """Whether the scores of a compiled Keras model are what its loss takes them for.

    x: some images. Says nothing of losses other than Keras's cross-entropies.
    """
    loss = model.loss
    if isinstance(loss, str):
        logits = False if loss.endswith("categorical_crossentropy") else None
    else:
        settings = loss.get_config() if hasattr(loss, "get_config") else {}
        logits = settings.get("from_logits")
    if logits is None:
        return
    scores = np.asarray(model(x[:64]))
    shares = bool(np.all(scores >= 0) and np.allclose(scores.sum(axis=1), 1, atol=1e-3))
    if shares == (not logits):
        tell(True, f"the loss takes the scores for {'probabilities' if shares else 'logits'}")
    elif logits:
        tell(False, "a softmax at the end, but from_logits=True in the loss: leave one of them out")
    else:
        tell(False, "no softmax at the end: the loss needs from_logits=True, or the network one")


def check_rules(model):
    """Whether a Keras model has Keras's own layers only, each batch normalization directly before
    an activation."""
    own = [
        layer.name
        for layer in model.layers
        if type(layer).__name__ == "Lambda"
        or type(layer).__module__.partition(".")[0] not in ("keras", "tf_keras")
    ]
    late = [
        layer.name
        for layer in model.layers
        if type(layer).__name__.endswith("BatchNormalization")
        and not {type(node.layer).__name__ for node in layer.outbound_nodes} & ACTIVATION_LAYERS
    ]
    told = [f"not a layer of Keras: {', '.join(own)}"] if own else []
    told += [f"not directly before an activation: {', '.join(late)}"] if late else []
    fine = "layers of Keras only, batch normalization, if any, directly before an activation"
    tell(not told, "; ".join(told) or fine)


def check_started(model, origin, data):
    """Whether a Keras model was trained on from the weights of another one, `origin`.

    Compared are the kernels, by the correlation of the weights of each output channel, which
    folding batch normalization does not change; fresh weights have none, unless `origin` began
    with the same ones. So what both read of some training images of a SignMnist counts as well.
    """
    new, old = ([w.numpy() for w in m.weights if len(w.shape) > 1] for m in (model, origin))
    if [kernel.shape for kernel in new] != [kernel.shape for kernel in old]:
        tell(False, "other kernels than the network that it should start from: wrap a copy of that")
        return
    sizes = [kernel.size for kernel in new]
    alike = np.average([likeness(*pair) for pair in zip(new, old, strict=True)], weights=sizes)
    some = data.x_train[:SOME], data.y_train[:SOME]
    reads, before = accuracy(model, *some), accuracy(origin, *some)
    remedy = "after clone_model, which drops them, copy.set_weights(baseline.get_weights())"
    if alike < FRESH:
        tell(False, f"trained from fresh weights (correlation {alike:.2f}): {remedy}")
    elif reads < LOST * before:
        told = f"reads {reads:.0%} of {len(some[1]):,} training images, the one before {before:.0%}"
        tell(False, f"{told}: if it started from fresh weights, {remedy}")
    else:
        tell(True, f"trained on from the weights it should start from (correlation {alike:.2f})")


def likeness(one, other):
    """The mean over the output channels, the last axis, of the cosine between two kernels."""
    one, other = (kernel.reshape(-1, kernel.shape[-1]) for kernel in (one, other))
    lengths = np.linalg.norm(one, axis=0) * np.linalg.norm(other, axis=0)
    return np.mean((one * other).sum(axis=0) / np.maximum(lengths, 1e-12))


def check_evaluator(share_right, y):
    """Tries a function that counts right answers on a model that always says A.

    share_right: from scores float32 (n, 24) to the share that is right. y: int (n,), letters.
    """
    always_a = np.zeros((len(y), 24), np.float32)
    always_a[:, 0] = 1
    found, true = share_right(always_a), np.mean(y == 0)
    tell(
        abs(found - true) < 1e-6,
        f"a model that always says A: {found:.2%} by this evaluator, {true:.2%} in truth",
    )


def check_network(model, data, at_least):
    """Whether a Keras model reads a share `at_least` of the test file of a SignMnist."""
    scores = np.concatenate(
        [model(data.x_test[i : i + 512]) for i in range(0, len(data.y_test), 512)]
    )
    told_share("the network", scores, data, at_least)


def check_file(path, data, at_least):
    """Whether a .tflite file is there, loads and reads a share `at_least` of the test file.

    data: SignMnist.
    """
    if not Path(path).exists():
        tell(False, f"{path} is not there: write it with save_tflite(converter, {str(path)!r})")
        return
    try:
        scores = predict_tflite(path, data.x_test)
    except (ModelError, ValueError, RuntimeError) as error:
        tell(False, f"{path} does not take the images: {str(error).splitlines()[0]}")
        return
    told_share(path, scores, data, at_least)


def told_share(name, scores, data, at_least):
    """Tells what share of the test file these scores, (n, 24), read, and what was asked."""
    if scores.shape != (len(data.y_test), 24):
        tell(False, f"{name} gives scores of shape {scores.shape}, not {(len(data.y_test), 24)}")
        return
    share = np.mean(scores.argmax(axis=1) == data.y_test)
    tell(
        share >= at_least,
        f"{name} reads {share:.2%} of the test file; asked: at least {at_least:.0%}",
    )


def check_clustered(model, at_most):
    """Whether each kernel of a Keras model, stripped, has few values."""
    counts = {name: len(np.unique(kernel)) for name, kernel in stripped_kernels(model).items()}
    most = max(counts, key=counts.__getitem__, default=None)
    if most:
        asked = f"asked: at most {at_most}"
        tell(counts[most] <= at_most, f"at most {counts[most]:,} values a layer, {most}; {asked}")


def check_pruned(model, at_least):
    """Whether a share of the kernels of a Keras model, stripped, is zero."""
    kernels = stripped_kernels(model).values()
    if kernels:
        share = np.mean(np.concatenate([kernel.ravel() for kernel in kernels]) == 0)
        tell(
            share >= at_least,
            f"{share:.0%} of the weights are zero; asked: at least {at_least:.0%}",
        )


def stripped_kernels(model):
    """Name -> kernel of the layers of a Keras model; tells of wrappers and then gives none."""
    wrapped = [layer.name for layer in model.layers if hasattr(layer, "layer")]
    if wrapped:
        tell(False, f"{wrapped[0]} is a wrapper: strip the model before you convert it")
        return {}
    layers = [layer for layer in model.layers if hasattr(layer, "kernel")]
    return {layer.name: layer.kernel.numpy() for layer in layers}


def check_quantizers(model, bits):
    """Whether each kernel and bias of a QKeras model has a quantizer of at most so many bits."""
    loose = []
    for layer in model.layers:
        if not hasattr(layer, "kernel"):
            continue
        found = dict(
            zip(("kernel", "bias"), getattr(layer, "get_quantizers", list)(), strict=False)
        )
        for kind in ("kernel", "bias") if layer.use_bias else ("kernel",):
            if getattr(found.get(kind), "bits", 32) > bits:
                loose.append(f"the {kind} of {layer.name}")
    told = f"no quantizer of {bits} bits: {', '.join(loose)}" if loose else ""
    tell(not loose, told or f"every kernel and bias has a quantizer of at most {bits} bits")


def check_bits(path, at_most):
    """Whether a .tflite file stores at most so many bits a weight."""
    if Path(path).exists():
        bits = weight_bits(Path(path).read_bytes())
        tell(0 < bits <= at_most, f"{path} stores {bits} bits a weight; asked: at most {at_most}")
    else:
        tell(False, f"{path} is not there")
