"""Scores a .tflite file that nobody vouches for, in a process with limits of its own.

A file that is damaged or made to do harm can crash, hang or fill the memory of that process
only. This is no sandbox, though: who expects attacks runs the checker in a container.
"""

import multiprocessing
import resource
import time
from typing import NamedTuple

import numpy as np

from signmnist.data import LABELS
from signmnist.tflite import ModelError, open_tflite, predict_tflite

MEMORY = 4 * 2**30  # bytes of address space
CHUNK = 2048  # images between two looks at the clock
BATCH = 64
KAGGLE = {25: LABELS, 26: LABELS}  # outputs with a place for J, or for J and Z

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tools.check_submission"])  # each child imports it again


class Score(NamedTuple):
    """How many of `total` images a model reads right, or, with total 0, why it was not run."""

    correct: int
    total: int
    problem: str = ""


def score(path, images, labels, seconds):
    """Scores the .tflite file at `path` in another process. Returns a Score.

    images, labels: paths of .npy files, float32 (n, 28, 28, 1) and int (n,). After
    `seconds` it stops with the images that it got through; a file that is not even
    through with the first ones by then is given up.
    """
    receiver, sender = PROCESSES.Pipe(duplex=False)
    child = PROCESSES.Process(target=_work, args=(path, images, labels, seconds, sender))
    child.start()
    sender.close()
    try:
        answered = receiver.poll(2 * seconds + 5)
        return Score(*receiver.recv()) if answered else Score(0, 0, "gave no answer in time")
    except EOFError:
        child.join()
        return Score(0, 0, f"crashed the interpreter (exit {child.exitcode})")
    finally:
        child.kill()
        child.join()
        receiver.close()


def _work(path, images, labels, seconds, sender):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
    try:
        sender.send(_score(path, np.load(images, "r"), np.load(labels, "r"), seconds))
    except ModelError:
        sender.send((0, 0, "LiteRT cannot load it"))
    except MemoryError:
        sender.send((0, 0, "needs too much memory"))
    except Exception as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        sender.send((0, 0, f"cannot be run: {reason[:80]}"))


def _score(path, images, labels, seconds):
    interpreter = open_tflite(path)
    details = *interpreter.get_input_details(), *interpreter.get_output_details()
    if len(details) != 2:
        return 0, 0, "needs one input and one output"
    shape, outputs = tuple(details[0]["shape"][1:].tolist()), int(np.prod(details[1]["shape"]))
    if shape != (28, 28, 1):
        return 0, 0, f"takes {shape}, not (28, 28, 1)"
    if outputs != len(LABELS) and outputs not in KAGGLE:
        return 0, 0, f"gives {outputs} scores, not {len(LABELS)}"
    try:
        predict_tflite(path, images[:BATCH], BATCH)
        batch = BATCH
    except (ValueError, RuntimeError):
        batch = 1  # some models take one image at a time only
    start, done, correct = time.monotonic(), 0, 0
    while done < len(images) and time.monotonic() - start < seconds:
        rows = slice(done, done + CHUNK)
        scores = predict_tflite(path, images[rows], batch)
        scores = scores[:, list(KAGGLE[outputs])] if outputs in KAGGLE else scores
        correct += int(np.sum(scores.argmax(axis=1) == labels[rows]))
        done += len(scores)
    return correct, done, "" if done else "gave no answer in time"
