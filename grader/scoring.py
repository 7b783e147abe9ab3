"""Scores a .tflite file that nobody vouches for, in a process with limits of its own.

A file that is damaged or made to do harm can crash, hang or fill the memory of that process
only. This is no sandbox, though: who expects attacks runs the checker in a container.
"""

import contextlib
import json
import multiprocessing
import signal
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from signmnist.data import LABELS
from toolkit.graph import weight_bits
from toolkit.tflite import ModelError, open_tflite

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

SYSTEMS = "The checker works on Linux and macOS. On Windows, run it in WSL (wsl --install)."
MEMORY = 4 * 2**30  # bytes of address space
BATCH = 32
TRIAL = 32  # images on which the conventions for the input are tried
CHANCE = 4  # of them, by which a later convention may be ahead for no reason
STALLED = 300  # seconds without any processor time after which a process is given up
CLASSES = len(LABELS), 25, 26  # scores an image: without J and Z, with a place for J, or for both
PIXELS = {
    "pixels / 255": lambda images: images,
    "pixels 0 to 255": lambda images: np.round(255 * images),
    "pixels -1 to 1": lambda images: 2 * images - 1,
}

if resource:
    PROCESSES = multiprocessing.get_context("forkserver")
    # each child imports what the command imports
    imported = ["pandas", "tabulate", "tqdm", "grader.feedback", "grader.scoring"]
    PROCESSES.set_forkserver_preload(imported)


class Score(NamedTuple):
    """How many of `total` images a model reads right, or, with total 0, why it was not run.

    pixels: the form of input that it was given, a key of PIXELS or "raw integers". bits: the
    most that it stores for a weight, 0 where that is not known.
    """

    correct: int
    total: int
    problem: str = ""
    pixels: str = ""
    bits: int = 0


def score_all(jobs, seconds):
    """Scores .tflite files, one after the other, in another process. Yields a Score for each.

    jobs: tuples (path, images, labels), the latter paths of .npy files, float32 (n, 28, 28, 1)
    and int (n,). After `seconds` of processor time, whatever else the machine does meanwhile,
    a model stops with the images that it got through. After a crash the next process goes on
    with the next model.
    """
    jobs = list(jobs)
    while jobs:
        receiver, sender = PROCESSES.Pipe(duplex=False)
        child = PROCESSES.Process(target=_work, args=(jobs, seconds, sender))
        child.start()
        sender.close()
        try:
            while jobs:
                if not _answers(receiver, child.pid):
                    problem = "gave no answer"
                    break
                # JSON, since unpickling what the child sends would trust it
                answer = json.loads(receiver.recv_bytes(1000))
                jobs.pop(0)
                yield Score(*answer)
        except EOFError:
            child.join()
            if child.exitcode == -signal.SIGXCPU:
                problem = f"took more than {seconds:g} s of processor time"
            else:
                problem = f"crashed the interpreter (exit {child.exitcode})"
        finally:
            child.kill()
            child.join()
            receiver.close()
        if jobs:
            jobs.pop(0)
            yield Score(0, 0, problem)


def _answers(receiver, pid):
    """Waits for an answer; False if the process has stood still for STALLED seconds."""
    import psutil  # does not load where `resource` is missing

    spent, since = -1.0, time.monotonic()
    while not receiver.poll(1):
        with contextlib.suppress(psutil.Error):
            now = sum(psutil.Process(pid).cpu_times()[:2])
            if now > spent:
                spent, since = now, time.monotonic()
        if time.monotonic() - since > STALLED:
            return False
    return True


def _limit(kind, soft, hard=None):
    """Sets a limit of this process where the system knows it; macOS has none on memory."""
    with contextlib.suppress(ValueError, OSError, AttributeError):
        resource.setrlimit(getattr(resource, kind), (soft, soft if hard is None else hard))


def _work(jobs, seconds, sender):
    _limit("RLIMIT_CORE", 0)
    _limit("RLIMIT_AS", MEMORY)
    _limit("RLIMIT_FSIZE", 2**20)
    for path, images, labels in jobs:
        # ends a model that does not come back from a call
        used = int(time.process_time() + seconds) + 5
        _limit("RLIMIT_CPU", used, resource.getrlimit(resource.RLIMIT_CPU)[1])
        try:
            answer = _score(path, np.load(images, "r"), np.load(labels, "r"), seconds)
        except ModelError:
            answer = Score(0, 0, "LiteRT cannot load it")
        except MemoryError:
            answer = Score(0, 0, "needs too much memory")
        except Exception as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            answer = Score(0, 0, f"cannot be run: {reason[:80]}")
        sender.send_bytes(json.dumps(answer).encode())


def _score(path, images, labels, seconds):
    """The Score of a model, in the form of input of which it reads most of TRIAL images."""
    interpreter = open_tflite(path, threads=1)
    details = *interpreter.get_input_details(), *interpreter.get_output_details()
    if len(details) != 2:
        return Score(0, 0, "needs one input and one output")
    shape = details[0]["shape"].tolist()
    if 784 not in (np.prod(shape[1:], dtype=int), np.prod(shape, dtype=int)):
        return Score(0, 0, f"takes {tuple(shape[1:])}, not 28 x 28 pixels an image")
    deadline = time.process_time() + seconds
    conventions = _conventions(details[0])
    tried: dict[str, Score] = {}
    seen: list[np.ndarray] = []
    for name, convert in conventions.items():
        inputs = convert(images[:TRIAL])
        if not any(np.array_equal(inputs, other) for other in seen):
            seen.append(inputs)
            tried[name] = _count(path, convert, images[:TRIAL], labels[:TRIAL], deadline)
    most = max(one.correct for one in tried.values())
    best = next(name for name, one in tried.items() if one.correct >= most - CHANCE)
    if not tried[best].total:
        return tried[best]
    found = _count(path, conventions[best], images, labels, deadline)
    return found._replace(pixels=best, bits=weight_bits(Path(path).read_bytes()))


def _conventions(detail):
    """The forms that the input may be meant to have: name -> function of images in [0, 1].

    detail: the entry of `get_input_details()`.
    """
    dtype, (scale, zero_point) = detail["dtype"], detail["quantization"]
    if np.issubdtype(dtype, np.floating):
        return {
            name: lambda images, form=form: form(images).astype(dtype)
            for name, form in PIXELS.items()
        }
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max

    def integers(values):
        return np.clip(np.round(values), low, high).astype(dtype)

    raw = -128 if dtype == np.int8 else 0
    forms = {"raw integers": lambda images: integers(255 * images + raw)}
    if not scale:
        return forms
    return {
        name: lambda images, form=form: integers(form(images) / scale + zero_point)
        for name, form in PIXELS.items()
    } | forms


def _count(path, convert, images, labels, deadline):
    """The Score on these images in the form that `convert` gives them.

    Batches of BATCH or, where the model does not take them, of the number of images that its file
    names, the last one filled up; a model must answer with one row of scores for each image.
    """
    interpreter = open_tflite(path, threads=1)
    shape = interpreter.get_input_details()[0]["shape"]
    batched = shape[1:].prod() == 784
    own = int(shape[0]) if batched else 1
    done, correct, batch = 0, 0, BATCH if batched else 1
    while done < len(images) and time.process_time() < deadline:
        part = images[done : done + batch]
        inputs = convert(part)
        if batch == own:
            inputs = np.concatenate([inputs, np.repeat(inputs[-1:], own - len(part), axis=0)])
        try:
            scores = _invoke(interpreter, inputs, batched)
        except (ValueError, RuntimeError):
            if batch == own:
                raise
            interpreter, batch = open_tflite(path, threads=1), own
            continue
        rows = len(inputs)
        whole = scores.size in [rows * classes for classes in CLASSES]
        if not whole or (rows > 1 and scores.shape[0] != rows):
            shown = " x ".join(map(str, scores.shape))
            problem = f"gives {shown} scores for {rows} images, not 24 for each: not ranked"
            return Score(0, 0, problem)
        scores = scores.reshape(rows, -1)[: len(part)]
        scores = scores[:, LABELS] if scores.shape[1] in CLASSES[1:] else scores
        correct += int(np.sum(scores.argmax(axis=1) == labels[done : done + batch]))
        done += len(part)
    return Score(correct, done, "" if done else "gave no answer in time")


def _invoke(interpreter, inputs, batched):
    """The output for a batch (n, 28, 28, 1) in the shape that the model takes."""
    (detail,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
    shape = [len(inputs) if batched else detail["shape"][0], *detail["shape"][1:]]
    inputs = inputs.reshape(shape)
    if list(detail["shape"]) != shape:
        interpreter.resize_tensor_input(detail["index"], shape)
        interpreter.allocate_tensors()
    interpreter.set_tensor(detail["index"], inputs)
    interpreter.invoke()
    return interpreter.get_tensor(output["index"])
