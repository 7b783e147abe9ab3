"""Pruning and rounding the weights of one layer so that its output changes least.

Optimal Brain Surgeon (Hassibi and Stork, 1993): a weight that is changed is made up for by those
that are still free, as the inverse of the inputs' second moments says. Done input by input, as in
GPTQ (Frantar et al., 2023) and SparseGPT (Frantar and Alistarh, 2023), it takes seconds a layer.
"""

import numpy as np

DAMPING = 0.01  # added to the diagonal, as a share of its mean
BLOCK = 128  # inputs among which the weights to prune are chosen at once


def prune_and_round(kernel, moments, sparsity=0.0, step=None, kept=None, most=127):
    """A kernel with zeros, on a grid or both, whose layer gives nearly what it gave.

    kernel: float (groups, inputs, outputs); each group has its own inputs, as the channels of a
    depthwise convolution. moments: float (groups, inputs, inputs), the sums of products of two
    inputs. sparsity: the share that becomes zero, in each BLOCK those whose loss costs least.
    step: float that broadcasts against the kernel, each of whose weights becomes step times one
    of -most to most; None leaves them unrounded. kept: bool like the kernel, where weights may
    be nonzero, in place of `sparsity`. Returns float32 like the kernel.
    """
    weights = np.array(kernel, np.float64)
    damped = np.array(moments, np.float64)
    damp(damped)
    diagonal = np.einsum("gii->gi", damped)
    # The inputs that matter most come first, while there are others to make up for them
    order = np.argsort(-diagonal.sum(axis=0), kind="stable")
    weights, damped = weights[:, order], damped[:, order][:, :, order]
    allowed = np.ones(weights.shape, bool) if kept is None else kept[:, order]
    steps = None if step is None else np.broadcast_to(step, weights.shape)[:, order]
    factor = np.linalg.cholesky(np.linalg.inv(damped)).transpose(0, 2, 1)
    pivots = np.einsum("gii->gi", factor)
    for start in range(0, len(order), BLOCK):
        block, rest = slice(start, start + BLOCK), slice(start + BLOCK, None)
        if sparsity and kept is None:
            cost = (weights[:, block] / pivots[:, block, None]) ** 2
            allowed[:, block] = cost >= np.quantile(cost, sparsity)
        errors = np.empty_like(weights[:, block])
        for i in range(start, start + errors.shape[1]):
            new = np.where(allowed[:, i], weights[:, i], 0)
            if steps is not None:
                new = np.clip(np.round(new / steps[:, i]), -most, most) * steps[:, i]
            error = errors[:, i - start] = (weights[:, i] - new) / pivots[:, i, None]
            weights[:, i] = new
            later = slice(i + 1, start + BLOCK)
            weights[:, later] -= factor[:, i, later, None] * error[:, None]
        weights[:, rest] -= factor[:, block, rest].transpose(0, 2, 1) @ errors
    result = np.empty(weights.shape, np.float32)
    result[:, order] = weights
    return result


def damp(moments):
    """Adds to the diagonal of moments (groups, inputs, inputs), in place, to invert them safely."""
    diagonal = np.einsum("gii->gi", moments)
    diagonal += DAMPING * diagonal.mean(axis=1, keepdims=True) + 1e-4 * diagonal.mean() + 1e-8


def step_for_noise(kernel, moments, noise):
    """The step whose rounding adds, as noise, a given share to the variance of the outputs.

    kernel, moments: as in `prune_and_round`, the moments taken around the mean. Rounding to a step
    d moves a weight by d^2 / 12 on average, squared; what the other weights make up for is not
    counted. Of several groups it is the geometric mean of their steps. Returns a float.
    """
    signal = np.sum(kernel * (moments @ kernel), axis=(1, 2)) / kernel.shape[2]
    spread = np.einsum("gii->g", moments)
    squares = 12 * noise * np.maximum(signal, 1e-12) / np.maximum(spread, 1e-12)
    return float(np.exp(np.log(squares).mean() / 2))
