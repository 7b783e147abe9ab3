"""Scores a .tflite file on images, in whatever form of input suits it, and measures it."""

import time
from pathlib import Path

import numpy as np

from grader.kinds import lookalike
from grader.measures import measures
from grader.processes import SECONDS, Unfit
from signmnist.data import LABELS
from toolkit.tflite import ModelError, gzip_size, open_tflite

BATCH = 32
TRIAL = 32  # images on which the conventions for the input are tried
CHANCE = 4  # of them, by which a later convention may be ahead for no reason
CLASSES = len(LABELS), 25, 26  # scores an image: without J and Z, with a place for J, or for both
PIXELS = {
    "pixels / 255": lambda images: images,
    "pixels 0 to 255": lambda images: np.round(255 * images),
    "pixels -1 to 1": lambda images: 2 * images - 1,
}


def score(path, images, labels, seconds=SECONDS):
    """What a File needs to know of a .tflite file: size, measures, and correct of total with
    pixels, or the problem.

    images, labels: paths of .npy files, float32 (n, 28, 28, 1) and int (n,). After `seconds` of
    processor time it stops, and that is its problem. The form of the input is the one,
    of PIXELS or "raw integers", in which the model reads most of TRIAL images.
    """
    content = Path(path).read_bytes()
    found = {"size": gzip_size(content)}
    try:
        open_tflite(path, threads=1)
        found["measures"] = measures(content)
        return found | _score(path, np.load(images, "r"), np.load(labels, "r"), seconds)
    except Unfit as error:
        return found | {"problem": str(error)}
    except ModelError as error:
        damaged = "damaged" in str(error) and str(error)
        what = lookalike(content, "a .tflite file") or damaged or "LiteRT cannot load it"
        return found | {"problem": what}


def _score(path, images, labels, seconds):
    interpreter = open_tflite(path, threads=1)
    details = *interpreter.get_input_details(), *interpreter.get_output_details()
    if len(details) != 2:
        raise Unfit("needs one input and one output")
    shape = details[0]["shape"].tolist()
    if 784 not in (np.prod(shape[1:], dtype=int), np.prod(shape, dtype=int)):
        raise Unfit(f"takes {tuple(shape[1:])}, not 28 x 28 pixels an image")
    deadline = time.process_time() + seconds
    conventions = _conventions(details[0])
    tried: dict[str, int] = {}
    seen: list[np.ndarray] = []
    for name, convert in conventions.items():
        inputs = convert(images[:TRIAL])
        if not any(np.array_equal(inputs, other) for other in seen):
            seen.append(inputs)
            tried[name], _ = _count(path, convert, images[:TRIAL], labels[:TRIAL], deadline)
    best = next(name for name, right in tried.items() if right >= max(tried.values()) - CHANCE)
    correct, total = _count(path, conventions[best], images, labels, deadline)
    if total < len(images):
        raise Unfit(f"did not get through all images in {seconds:g} s of processor time")
    return {"correct": correct, "total": total, "pixels": best}


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
    """(correct, total) of these images in the form that `convert` gives them. Raises Unfit.

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
            raise Unfit(f"gives {shown} scores for {rows} images, not 24 for each: not ranked")
        scores = scores.reshape(rows, -1)[: len(part)]
        scores = scores[:, LABELS] if scores.shape[1] in CLASSES[1:] else scores
        correct += int(np.sum(scores.argmax(axis=1) == labels[done : done + batch]))
        done += len(part)
    if not done:
        raise Unfit("gave no answer in time")
    return correct, done


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
