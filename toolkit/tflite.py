"""Running and measuring .tflite files: scores, constants, latency, bytes, TFLite Micro."""

import contextlib
import gzip
import io
import os
import re
import sys
import tempfile
import time
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from toolkit.files import replacing

# Notes of the converter and of LiteRT that no setting silences
NOISE = re.compile(
    r"All log messages before absl|tf_tfl_flatbuffer_helpers|mlir_graph_optimization_pass"
    r"|MLIR V1 optimization pass|^fully_quantize: |^INFO: |^I0000 |^\s*$"
)


class ModelError(Exception):
    """A .tflite file that cannot be used; the message names it and says why."""


@contextlib.contextmanager
def captured_stderr():
    """Yields a StringIO that holds, after the block, what C code wrote to stderr."""
    text = io.StringIO()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield text
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            file.seek(0)
            text.write(file.read().decode(errors="replace"))


@contextlib.contextmanager
def quiet():
    """Drops the NOISE that C code writes to stderr in the block and passes on the rest."""
    try:
        with captured_stderr() as text, warnings.catch_warnings():
            # the converter expects, for integer types, statistics that calibration replaces
            warnings.filterwarnings("ignore", "Statistics for quantized inputs were expected")
            yield
    finally:
        for line in text.getvalue().splitlines():
            if not NOISE.search(line):
                print(line, file=sys.stderr)


@contextlib.contextmanager
def in_litert(problem):
    """Turns what LiteRT raises in the block into a ModelError that begins with `problem`."""
    try:
        with quiet():
            yield
    except (ValueError, RuntimeError, TypeError, MemoryError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{problem} ({reason}).") from error


def save_tflite(converter, path):
    """Runs a configured tf.lite.TFLiteConverter, writes the file and prints its size."""
    with quiet():
        model = converter.convert()
    with replacing(path) as temporary:
        temporary.write_bytes(model)
    print(f"{Path(path).name}  {len(model):,} bytes")


def open_tflite(path, threads=None, xnnpack=True):
    """A LiteRT interpreter for a .tflite file. Raises ModelError if it does not load.

    xnnpack: whether XNNPACK, the library of fast kernels, may run what it can.
    """
    kinds = OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    with in_litert(f"{path}: LiteRT cannot load it"):
        interpreter = Interpreter(
            str(path), num_threads=threads, experimental_op_resolver_type=kinds[not xnnpack]
        )
        interpreter.allocate_tensors()
    return interpreter


def constants(path):
    """The weights, biases and other constants of a .tflite file: arrays, INT4 as int8."""
    with in_litert(f"{path}: LiteRT cannot load it"):
        interpreter = Interpreter(str(path))
    found = []
    for detail in interpreter.get_tensor_details():
        # nothing is allocated, so that what would be computed has no value
        with contextlib.suppress(ValueError):
            found.append(interpreter.get_tensor(detail["index"]))
    return found


def quantize_input(images, detail):
    """Images in [0, 1] as an input, an entry of `get_input_details()`, wants them.

    Integer inputs take round(x / scale) + zero_point, clipped to their type.
    """
    if detail["dtype"] == np.float32:
        return images
    scale, zero_point = detail["quantization"]
    limits = np.iinfo(detail["dtype"])
    steps = np.round(images / scale) + zero_point
    return np.clip(steps, limits.min, limits.max).astype(detail["dtype"])


def predict_tflite(path, images, batch_size=64, xnnpack=True):
    """Scores of a .tflite model for images (n, 28, 28, 1): (n, 24), in its output type.

    One interpreter a processor core, on batches that stay in the cache. xnnpack: see `open_tflite`.
    """
    shares = np.array_split(images, min(os.cpu_count() or 1, len(images)))
    interpreters = [open_tflite(path, 1, xnnpack) for _ in shares]

    def score(interpreter, share):
        detail = interpreter.get_input_details()[0]
        output = interpreter.get_output_details()[0]["index"]
        scores = []
        for start in range(0, len(share), batch_size):
            batch = quantize_input(share[start : start + batch_size], detail)
            interpreter.resize_tensor_input(detail["index"], batch.shape)
            interpreter.allocate_tensors()
            interpreter.set_tensor(detail["index"], batch)
            interpreter.invoke()
            scores.append(interpreter.get_tensor(output))
        return np.concatenate(scores)

    with ThreadPoolExecutor() as pool:
        return np.concatenate(list(pool.map(score, interpreters, shares)))


def dequantized(path, scores):
    """Scores of `predict_tflite` as float32 in the model's units, whatever its output type."""
    scale, zero_point = open_tflite(path).get_output_details()[0]["quantization"]
    return (np.float32(scores) - zero_point) * np.float32(scale or 1)


def count_correct(scores, labels):
    """How many rows of `scores` (n, 24) have their largest value at the label (n,)."""
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        # argmax of a scalar label is always 0: it would count how often A is predicted
        raise ValueError(
            f"need scores (n, classes) and labels (n,), got {scores.shape} and {labels.shape}"
        )
    return int(np.sum(scores.argmax(axis=1) == labels))


def latency(path, images, runs=200, warmup=20):
    """Microseconds of single-image invocations on one thread: float64 (runs,)."""
    interpreter = open_tflite(path, threads=1)
    detail = interpreter.get_input_details()[0]
    inputs = quantize_input(images[: runs + warmup], detail)
    seconds = []
    for i in range(runs + warmup):
        interpreter.set_tensor(detail["index"], inputs[i % len(inputs)][None])
        start = time.perf_counter()
        interpreter.invoke()
        seconds.append(time.perf_counter() - start)
    return np.array(seconds[warmup:]) * 1e6


def sweeps(path, images, count=10):
    """Microseconds an image in each of `count` sweeps: float64 (count,).

    A sweep takes the images, float32 (n, 28, 28, 1), one by one on one thread; one more
    before them is not counted.
    """
    runs = latency(path, images, runs=len(images) * count, warmup=len(images))
    return runs.reshape(count, len(images)).mean(axis=1)


def gzip_size(content):
    """Bytes of `content` after gzip at level 9, without a name or a time."""
    return len(gzip.compress(content, 9, mtime=0))


def sizes(path):
    """Bytes of a file: raw, in a ZIP (the course's measure), after `gzip -9n`.

    The ZIP holds the bare file name and a fixed date: neither folder nor clock changes its size.
    """
    content, archive = Path(path).read_bytes(), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(zipfile.ZipInfo(Path(path).name), content, zipfile.ZIP_DEFLATED)
    return {"bytes": len(content), "bytes_zip": archive.tell(), "bytes_gzip": gzip_size(content)}


class MicroRun(NamedTuple):
    """What TFLite Micro made of a model, or, where it refuses the model, only the `reason`."""

    scores: np.ndarray | None = None  # (n, 24)
    arena_bytes: int | None = None
    reason: str = ""


def run_micro(path, images):
    """Runs a .tflite model image by image on TFLite Micro. Returns a MicroRun."""
    try:
        from tflite_micro.python.tflite_micro import runtime
    except ImportError:
        return MicroRun(reason="TFLite Micro is not installed: it has no package for this machine")
    scores = []
    with captured_stderr() as log:
        try:
            interpreter = runtime.Interpreter.from_file(str(path), arena_size=8_000_000)
            detail = interpreter.get_input_details(0)
            if detail["dtype"] != np.float32:
                grid = detail["quantization_parameters"]
                detail["quantization"] = grid["scales"][0], grid["zero_points"][0]
            for image in quantize_input(images, detail):
                interpreter.set_input(image[None], 0)
                interpreter.invoke()
                scores.append(interpreter.get_output(0)[0])
            interpreter.print_allocations()
        except RuntimeError as error:
            os.write(2, str(error).encode())
    text = log.getvalue()
    if arena := re.search(r"Arena allocation total (\d+)", text):
        return MicroRun(np.array(scores), int(arena[1]))
    operator = re.search(r"^Node (\w+) .* failed to prepare", text, re.MULTILINE)
    return MicroRun(reason=f"refuses {operator[1]}" if operator else text.strip().splitlines()[0])
