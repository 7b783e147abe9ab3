"""Pruning and rounding a network of `build_backbone` layer by layer, without training it."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from threadpoolctl import threadpool_limits

from toolkit.compression import clone
from toolkit.runtime import use_keras_2
from toolkit.surgeon import damp, prune_and_round, step_for_noise

use_keras_2()
import tensorflow as tf

CHUNK = 8  # photos at once
ROWS = 32  # examples of each input that a layer is fitted to, at random among the positions


class Surgery(NamedTuple):
    """What becomes of a layer's weights.

    sparsity: the share pruned. noise: what rounding may add to the variance of its outputs, as a
    share, see `step_for_noise`; None leaves the weights unrounded. zeros_stay: prunes those that
    are zero, in place of a share.
    """

    sparsity: float = 0.0
    noise: float | None = None
    zeros_stay: bool = False


def operate(model, inputs, plan):
    """A copy of a network with kernels pruned and rounded from the first layer to the last.

    model: convolutions, depthwise convolutions, ReLU, Add, pooling, Concatenate and Dense. inputs:
    float (n, ...), what it takes for some hundred training photos. plan: a function from a layer
    to its Surgery, or to None, which leaves it as it is. Each layer is fitted, on what the layers
    before it in the copy give for the photos, to what it gives in the model; where its output is
    added to a block's input, to the sum. Biases then make the means equal.
    """

    def change(layer, x, target):
        surgery = plan(layer)
        return refitted(layer, x, target, surgery) if surgery else None

    return layer_by_layer(model, inputs, change)


def layer_by_layer(model, inputs, change):
    """A copy of a network whose layers get the weights that a function returns, one by one.

    model, inputs: as of `operate`. change: a function from a layer with weights, what it is given
    in the copy and what it should give there, see `refitted`, to its weights, or to None.
    """
    copy = clone(model)
    readers = count_readers(model)
    before: dict = {}
    after: dict = {}  # the same arrays as in `before` up to the first layer that is changed
    for layer in model.layers:
        sources = source_names(layer)
        if not sources:
            before[layer.name] = after[layer.name] = inputs
            continue
        target = before[layer.name] = apply(layer, [before[name] for name in sources])
        skip = added_to(model, layer)
        if skip is not None and before[skip] is not after[skip]:
            target = target + before[skip] - after[skip]
        twin = copy.get_layer(layer.name)
        new = change(layer, after[sources[0]], target) if layer.get_weights() else None
        if new:
            twin.set_weights(new)
        if new or any(before[name] is not after[name] for name in sources):
            after[layer.name] = apply(twin, [after[name] for name in sources])
        else:
            after[layer.name] = before[layer.name]
        for name in sources:
            readers[name] -= 1
            if not readers[name]:
                del before[name], after[name]
    return copy


def source_names(layer):
    """The names of the layers whose outputs a Keras layer takes."""
    if isinstance(layer, tf.keras.layers.InputLayer):
        return []
    inputs = layer.input if isinstance(layer.input, list) else [layer.input]
    return [tensor._keras_history.layer.name for tensor in inputs]


def count_readers(model):
    """How many layers take the output of each layer: {name: count}."""
    counts = dict.fromkeys((layer.name for layer in model.layers), 0)
    for layer in model.layers:
        for name in source_names(layer):
            counts[name] += 1
    return counts


def added_to(model, layer):
    """The name of the earlier layer to whose output that of `layer` is added, or None."""
    for other in model.layers:
        if isinstance(other, tf.keras.layers.Add):
            earlier, later = source_names(other)
            if later == layer.name:
                return earlier
    return None


def apply(layer, inputs):
    """What a layer gives for inputs (n, ...), some photos at a time, in their type."""
    count = len(inputs[0])
    given = None
    for i in range(0, count, CHUNK):
        some = [tf.cast(x[i : i + CHUNK], tf.float32) for x in inputs]
        part = layer(some if len(some) > 1 else some[0])
        part = tf.cast(part, inputs[0].dtype).numpy()  # by several threads, unlike NumPy's
        if given is None:  # what fills it part by part takes half the memory of np.concatenate
            given = np.empty((count, *part.shape[1:]), inputs[0].dtype)
        given[i : i + CHUNK] = part
    return given


def input_rows(layer, x, some):
    """The inputs of each weight of a layer for a few photos, (groups, rows, inputs).

    some: the numbers of the rows wanted, those of the layer's outputs. A depthwise convolution has
    a group a channel, all others have one.
    """
    if isinstance(layer, tf.keras.layers.Dense):
        return x[None, some]
    size, stride = layer.kernel_size[0], layer.strides[0]
    if size == 1:
        return x.reshape(1, -1, x.shape[-1])[:, some]
    counts = [-(-side // stride) for side in x.shape[1:3]]
    lacking = [
        max(0, (count - 1) * stride + size - side)
        for count, side in zip(counts, x.shape[1:3], strict=True)
    ]
    padded = np.pad(x, [(0, 0), *((n // 2, n - n // 2) for n in lacking), (0, 0)])
    photo, row, column = np.unravel_index(some, (len(x), *counts))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (1, size, size, 1))
    patches = windows[photo, row * stride, column * stride][:, :, 0, :, :, 0]
    patches = patches.transpose(0, 2, 3, 1).reshape(-1, size * size, x.shape[-1])
    if isinstance(layer, tf.keras.layers.DepthwiseConv2D):
        return np.ascontiguousarray(patches.transpose(2, 0, 1))
    return patches.reshape(1, -1, size * size * x.shape[-1])


def refitted(layer, x, target, surgery):
    """[kernel, bias] of a layer after its Surgery.

    x: float32 (n, ...), what the layer is given. target: float32 (n, ...), what it should give.
    """
    kernel, bias = layer.get_weights()
    depthwise = isinstance(layer, tf.keras.layers.DepthwiseConv2D)
    flat = flattened(layer)
    moments, products, mean_x, mean_y = sums(layer, x, target)
    damped = moments.copy()
    damp(damped)
    start = flat + np.linalg.solve(damped, products - moments @ flat)
    kept, new = None, start
    if surgery.zeros_stay or surgery.sparsity:
        new = flat if surgery.zeros_stay else prune_and_round(start, moments, surgery.sparsity)
        kept = new != 0
        new = refit(new, damped, products - moments @ new)
    if surgery.noise:
        step = step_for_noise(new, moments, surgery.noise)
        new = prune_and_round(new, moments, step=step, kept=kept)
    fitted_bias = (mean_y - (mean_x[:, None] @ new)[:, 0]).reshape(bias.shape)
    new = new[..., 0].T if depthwise else new
    return [new.reshape(kernel.shape), fitted_bias]


def refit(kernel, moments, missing):
    """A pruned kernel whose weights that are left are moved to where the output is off least.

    kernel: (groups, inputs, outputs). moments: those of the inputs, damped. missing: like the
    kernel, the products of the inputs with what the output lacks.
    """
    new = np.array(kernel, np.float64)
    with threadpool_limits(1):  # several threads wait for each other at matrices so small
        for group, output in np.ndindex(kernel.shape[0], kernel.shape[2]):
            left = np.flatnonzero(kernel[group, :, output])
            if len(left):
                factor = cho_factor(moments[group][np.ix_(left, left)])
                new[group, left, output] += cho_solve(factor, missing[group, left, output])
    return new


def flattened(layer):
    """A layer's kernel by its groups of `input_rows`: float32 (groups, inputs, outputs)."""
    kernel = layer.get_weights()[0]
    if isinstance(layer, tf.keras.layers.DepthwiseConv2D):  # (height, width, channels, 1)
        return kernel.reshape(-1, kernel.shape[2]).T[..., None]
    return kernel.reshape(1, -1, kernel.shape[-1])


def sums(layer, x, target):
    """Moments of a layer's inputs, their products with a target, and the means of both.

    x, target: as of `refitted`. The moments, float64 (groups, inputs, inputs), and products,
    (groups, inputs, outputs), are sums around the means, (groups, inputs) and (groups, outputs).
    """
    groups, inputs, outputs = flattened(layer).shape
    moments, products = np.zeros((groups, inputs, inputs)), np.zeros((groups, inputs, outputs))
    # Sums around a first guess of the mean, as those around zero would cancel
    places = target[0].size // target.shape[-1]
    few = x[:CHUNK].astype(np.float32)
    guess = np.broadcast_to(few.mean(axis=(0, *range(1, x.ndim - 1))), x[:1].shape)
    middle = input_rows(layer, guess, [places // 2]).astype(np.float32)
    mean_x, mean_y, count = np.zeros((groups, inputs)), np.zeros((groups, outputs)), 0
    share, rng = ROWS * inputs / (len(x) * places), np.random.default_rng(0)
    for i in range(0, len(x), CHUNK):
        given = target[i : i + CHUNK].reshape(-1, target.shape[-1])
        some = np.flatnonzero(rng.random(len(given)) < share)
        rows = input_rows(layer, x[i : i + CHUNK], some).astype(np.float32) - middle
        given = given[some].astype(np.float32)
        given = given.T[..., None] if groups > 1 else given[None]
        moments += rows.transpose(0, 2, 1) @ rows
        products += rows.transpose(0, 2, 1) @ given
        mean_x += rows.sum(axis=1)
        mean_y += given.sum(axis=1)
        count += rows.shape[1]
    mean_x, mean_y = mean_x / count, mean_y / count
    moments -= count * mean_x[:, :, None] * mean_x[:, None]
    products -= count * mean_x[:, :, None] * mean_y[:, None]
    return moments, products, mean_x + middle[:, 0], mean_y
