"""Scores a .tflite file that nobody vouches for, in a process with limits of its own.

A file that is damaged or made to do harm can crash, hang or fill the memory of that process
only. This is no sandbox, though: who expects attacks runs the checker in a container.
"""

import json
import multiprocessing
import resource
import time
from typing import NamedTuple

import numpy as np

from signmnist.data import LABELS
from signmnist.tflite import ModelError, open_tflite, quantize_input

MEMORY = 4 * 2**30  # bytes of address space
BATCH = 32
KAGGLE = 25, 26  # outputs, with a place for J, or for J and Z

PROCESSES = multiprocessing.get_context("forkserver")
# each child imports what the command imports
PROCESSES.set_forkserver_preload(["pandas", "tabulate", "tqdm", "tools.scoring"])


class Score(NamedTuple):
    """How many of `total` images a model reads right, or, with total 0, why it was not run."""

    correct: int
    total: int
    problem: str = ""


def score_all(jobs, seconds):
    """Scores .tflite files, one after the other, in another process. Yields a Score for each.

    jobs: tuples (path, images, labels), the latter paths of .npy files, float32 (n, 28, 28, 1)
    and int (n,). After `seconds` a model stops with the images that it got through; one that
    is not even through with the first ones by then is given up. After a crash the next
    process goes on with the next model.
    """
    jobs = list(jobs)
    while jobs:
        receiver, sender = PROCESSES.Pipe(duplex=False)
        child = PROCESSES.Process(target=_work, args=(jobs, seconds, sender))
        child.start()
        sender.close()
        try:
            while jobs:
                if not receiver.poll(2 * seconds + 5):
                    problem = "gave no answer in time"
                    break
                # JSON, since unpickling what the child sends would trust it
                answer = json.loads(receiver.recv_bytes(1000))
                jobs.pop(0)
                yield Score(*answer)
        except EOFError:
            child.join()
            problem = f"crashed the interpreter (exit {child.exitcode})"
        finally:
            child.kill()
            child.join()
            receiver.close()
        if jobs:
            jobs.pop(0)
            yield Score(0, 0, problem)


def _work(jobs, seconds, sender):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
    for path, images, labels in jobs:
        try:
            answer = _score(path, np.load(images, "r"), np.load(labels, "r"), seconds)
        except ModelError:
            answer = 0, 0, "LiteRT cannot load it"
        except MemoryError:
            answer = 0, 0, "needs too much memory"
        except Exception as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            answer = 0, 0, f"cannot be run: {reason[:80]}"
        sender.send_bytes(json.dumps(answer).encode())


def _score(path, images, labels, seconds):
    interpreter = open_tflite(path, threads=1)
    details = *interpreter.get_input_details(), *interpreter.get_output_details()
    if len(details) != 2:
        return 0, 0, "needs one input and one output"
    shape, outputs = tuple(details[0]["shape"][1:].tolist()), int(np.prod(details[1]["shape"]))
    if shape != (28, 28, 1):
        return 0, 0, f"takes {shape}, not (28, 28, 1)"
    if outputs != len(LABELS) and outputs not in KAGGLE:
        return 0, 0, f"gives {outputs} scores, not {len(LABELS)}"
    start, done, correct, batch = time.monotonic(), 0, 0, BATCH
    while done < len(images) and time.monotonic() - start < seconds:
        rows = slice(done, done + batch)
        try:
            scores = _invoke(interpreter, images[rows])
        except (ValueError, RuntimeError):
            if batch == 1:
                raise
            interpreter, batch = open_tflite(path, threads=1), 1  # some take one image at a time
            continue
        scores = scores[:, LABELS] if outputs in KAGGLE else scores
        correct += int(np.sum(scores.argmax(axis=1) == labels[rows]))
        done += len(scores)
    return correct, done, "" if done else "gave no answer in time"


def _invoke(interpreter, images):
    (detail,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
    inputs = quantize_input(images, detail)
    interpreter.resize_tensor_input(detail["index"], inputs.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(detail["index"], inputs)
    interpreter.invoke()
    return interpreter.get_tensor(output["index"])
