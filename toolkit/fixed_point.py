"""Weights as fixed-point numbers: whole multiples of a power of two, of a limited word length."""

import numpy as np


def fixed_point(weights, word, fraction, overflow="drop", signed=False):
    """Weights as the thesis stores them: their magnitudes cut to `word` bits.

    weights: float array of any shape, returned in the same form. Each magnitude is multiplied by
    2**fraction and cut to an integer, the sign is kept apart. Its `fraction` lowest bits are
    the fraction. What happens when the bits above them, up to the highest that any of the
    weights has, exceed the word length is `overflow`: "drop" keeps as many of the bits above the
    fraction as fit, counted from the highest down, and clears those between; "floor" does so with
    floor(log2) of the largest, which is the place of its highest bit, taken for the number of its
    bits, so that this bit is lost; "top" keeps the `word` highest bits of all and clears the rest;
    "saturate" puts the largest number of `word` bits in place of larger ones. signed: whether the
    sign takes one of the `word` bits. Raises ValueError if no bit is left for the number.
    """
    bits = word - signed
    if not 0 <= fraction <= bits or bits < 1:
        raise ValueError(f"{fraction} bits of fraction do not fit into {bits} bits")
    numbers = np.floor(np.abs(weights) * 2.0**fraction).astype(np.int64)
    highest = int(numbers.max(initial=0)).bit_length()
    if overflow == "floor":
        highest = max(0, highest - 1)
        numbers &= (1 << highest) - 1
    if overflow in ("drop", "floor"):
        gap = max(0, highest - bits)
        kept = (numbers >> (fraction + gap)) << (fraction + gap)
        numbers = kept | (numbers & ((1 << fraction) - 1))
    elif overflow == "top":
        gap = max(0, highest - bits)
        numbers = (numbers >> gap) << gap
    elif overflow == "saturate":
        numbers = np.minimum(numbers, 2**bits - 1)
    else:
        raise ValueError(f"overflow={overflow!r}: only drop, floor, top and saturate are known")
    return (np.sign(weights) * numbers / 2.0**fraction).astype(np.float32)


def to_nearest(weights, bits, step):
    """Weights rounded to the nearest of the 2**bits - 1 multiples of `step` around 0.

    step: a number, or an array that broadcasts against the weights. Larger ones saturate.
    """
    most = 2 ** (bits - 1) - 1
    return (np.clip(np.round(weights / step), -most, most) * step).astype(np.float32)


def choose_step(weights, bits, channels=False, clip=False, powers=True):
    """The step of `to_nearest` for a tensor, or for each channel, its last axis.

    By default the smallest that leaves no weight outside; with `clip` the one of the least squared
    error, which may saturate a few (Sung, Shin and Hwang, 2015). powers: only powers of two,
    as fixed point has them. Returns a float array that broadcasts against the weights.
    """
    axes = tuple(range(weights.ndim - 1)) if channels else None
    largest = np.maximum(np.abs(weights).max(axis=axes, keepdims=True), 1e-12)
    most = 2 ** (bits - 1) - 1
    if not clip:
        step = largest / most
        return 2.0 ** np.ceil(np.log2(step)) if powers else step
    if powers:
        highest = np.ceil(np.log2(largest / most))
        steps = [2.0 ** (highest - shift) for shift in range(6)]
    else:
        steps = [largest / most * share for share in np.linspace(0.15, 1, 60)]
    errors = [
        np.sum((to_nearest(weights, bits, step) - weights) ** 2, axis=axes, keepdims=True)
        for step in steps
    ]
    return np.take_along_axis(np.array(steps), np.argmin(errors, axis=0)[None], axis=0)[0]
