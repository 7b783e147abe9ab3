"""Whether two .tflite files give the same scores: both are run on random inputs and compared."""

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from toolkit.tflite import ModelError, in_litert

ROUNDING = 1 / 8  # of the range of an output: what storing a network in 4 bits may change in all
RUNTIMES = {
    "with XNNPACK": OpResolverType.BUILTIN,
    "without XNNPACK": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
}


def prove_equal(before, after, tolerance=0.0):
    """Raises ModelError unless a rewritten model gives the scores of the one before.

    before, after: the bytes of .tflite files. Both run in LiteRT, with and without XNNPACK, on
    random inputs in each of the `shapes_to_try` that the one before takes. tolerance: the
    share of the range of an output (of its type or, for floats, of its values) by which one
    may be off; with 0, all must be equal to the last bit.
    """
    compared, reason = 0, ""
    for name, runtime in RUNTIMES.items():
        for shapes in shapes_to_try(before):
            expected, problem = outputs(before, runtime, shapes)
            reason = reason or problem
            found, failure = outputs(after, runtime, shapes) if expected else ([], "")
            if len(found) < len(expected):
                raise ModelError(f"Rewritten, this model does not run {name}: {failure}")
            if not all(map(alike, expected, found, [tolerance] * len(expected))):
                raise ModelError(f"Rewritten, this model gives other scores {name}.")
            compared += len(expected)
    if not compared:
        raise ModelError(f"{reason} So nothing can be proved.")


def require_running(content):
    """Raises ModelError unless LiteRT can make a .tflite file ready to run, in any shape."""
    reasons = []
    for runtime in reversed(RUNTIMES.values()):  # XNNPACK looks less closely
        for shapes in shapes_to_try(content):
            try:
                prepared(content, runtime, shapes)
                return
            except ModelError as error:
                reasons.append(str(error))
    raise ModelError(reasons[0])


def shapes_to_try(content):
    """The shapes of the inputs to try, a list of one list for each run.

    As they are in the file; two images at once, where it takes one; and 16 and 2,048 for
    what the file leaves open. Raises ModelError if LiteRT cannot tell.
    """
    with in_litert("LiteRT cannot load this file"):
        details = Interpreter(model_content=content).get_input_details()
    stored = [detail["shape"].tolist() for detail in details]
    twice = [[2, *shape[1:]] if shape[:1] == [1] else shape for shape in stored]
    found = [stored, twice]
    for size in (16, 2048):
        found.append([])
        for shape, detail in zip(stored, details, strict=True):
            fixed = [True, *(detail["shape_signature"][1:] != -1)]
            found[-1].append([n if keep else size for n, keep in zip(shape, fixed, strict=False)])
    return [shapes for i, shapes in enumerate(found) if shapes not in found[:i]]


def prepared(content, runtime, shapes):
    """An interpreter that is ready for inputs in these shapes, or a ModelError."""
    with in_litert("LiteRT cannot run this file"):
        interpreter = Interpreter(
            model_content=content, num_threads=1, experimental_op_resolver_type=runtime
        )
        for detail, shape in zip(interpreter.get_input_details(), shapes, strict=True):
            if detail["shape"].tolist() != shape:
                interpreter.resize_tensor_input(detail["index"], shape)
        interpreter.allocate_tensors()
    return interpreter


def outputs(content, runtime, shapes):
    """What a model gives for three random inputs in these shapes: (list, why it stopped).

    The list holds a tuple (array, quantization) for each output of each run that went well.
    """
    rng = np.random.default_rng(0)
    found, failure = [], ""
    try:
        interpreter = prepared(content, runtime, shapes)
    except ModelError as error:
        return [], str(error)
    for level in (1.0, 0.3, 0.0):
        try:
            with in_litert("LiteRT cannot run this file"):
                for detail in interpreter.get_input_details():
                    values = random_values(detail["shape"], detail["dtype"], level, rng)
                    interpreter.set_tensor(detail["index"], values)
                interpreter.invoke()
                found += [
                    (interpreter.get_tensor(detail["index"]), detail["quantization"])
                    for detail in interpreter.get_output_details()
                ]
        except ModelError as error:
            failure = str(error)
    return found, failure


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
