"""Whether two .tflite files give the same scores: both are run on random inputs and compared."""

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from toolkit.tflite import ModelError, quiet

RUNTIMES = {
    "with XNNPACK": OpResolverType.BUILTIN,
    "without XNNPACK": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
}


def prove_equal(before, after, tolerance=0.0):
    """Raises ModelError unless a rewritten model gives the scores of the one before.

    before, after: the bytes of .tflite files. Both run in LiteRT, with and without XNNPACK, on
    random inputs, one at a time and two at once where the one before takes two. tolerance: the
    share of the range of an output (of its type or, for floats, of its values) by which one
    may be off; with 0, all must be equal to the last bit.
    """
    compared = 0
    for name, runtime in RUNTIMES.items():
        for copies in (1, 2):
            expected, _ = outputs(before, runtime, copies)
            if expected is None:
                continue
            found, reason = outputs(after, runtime, copies)
            if found is None:
                raise ModelError(f"Rewritten, this model does not run {name} ({reason}).")
            if not all(map(alike, expected, found, [tolerance] * len(expected))):
                raise ModelError(f"Rewritten, this model gives other scores {name}.")
            compared += 1
    if not compared:
        reason = outputs(before, OpResolverType.BUILTIN, 1)[1]
        raise ModelError(f"LiteRT cannot run this file ({reason}), so nothing can be proved.")


def outputs(content, runtime, copies):
    """The outputs of a model for three random inputs one after the other: (list, "").

    Each is a tuple (array, quantization). copies: images at once, for inputs that take one.
    Where the model does not run: (None, why).
    """
    rng = np.random.default_rng(0)
    found = []
    try:
        with quiet():
            interpreter = Interpreter(
                model_content=content, num_threads=1, experimental_op_resolver_type=runtime
            )
            for detail in interpreter.get_input_details() if copies > 1 else ():
                if len(detail["shape"]) and detail["shape"][0] == 1:
                    interpreter.resize_tensor_input(detail["index"], [copies, *detail["shape"][1:]])
            interpreter.allocate_tensors()
            for level in (1.0, 0.3, 0.0):
                for detail in interpreter.get_input_details():
                    values = random_values(detail["shape"], detail["dtype"], level, rng)
                    interpreter.set_tensor(detail["index"], values)
                interpreter.invoke()
                for detail in interpreter.get_output_details():
                    found.append((interpreter.get_tensor(detail["index"]), detail["quantization"]))
    except (ValueError, RuntimeError) as error:
        return None, " ".join(str(error).split())[:200]
    return found, ""


def random_values(shape, dtype, level, rng):
    """Random values of a dtype: `level`, 0 to 1, is the share of its range that they take.

    Floats range from 0 to `level`. Integers of 32 bits and more are 0 or 1, as they are likely
    to be indices; with level 0, all are the least or 0.
    """
    if np.issubdtype(dtype, np.floating) or np.issubdtype(dtype, np.complexfloating):
        return (level * rng.random(shape)).astype(dtype)
    if dtype in (np.int8, np.uint8, np.int16):
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        return (low + level * (high - low) * rng.random(shape)).astype(dtype)
    if np.issubdtype(dtype, np.number) or dtype is np.bool_:
        return rng.integers(1 + (level > 0), size=shape).astype(dtype)
    return np.full(shape, b"a", object)


def alike(one, other, tolerance):
    """Whether two (array, quantization) are equal or, as real numbers, within the tolerance."""
    if one[0].shape != other[0].shape or one[0].dtype != other[0].dtype:
        return False
    if not tolerance:
        return one[0].tobytes() == other[0].tobytes()
    values = []
    for array, (scale, zero_point) in (one, other):
        numbers = array.astype(np.float64)
        values.append((numbers - zero_point) * scale if scale else numbers)
    bits = 8 * one[0].itemsize
    span = one[1][0] * (2**bits - 1) if one[1][0] else np.ptp(values[0])
    return bool(np.all(np.abs(values[0] - values[1]) <= tolerance * max(span, 1e-6)))
