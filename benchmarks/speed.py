"""Times training and evaluation on this machine.

    .venv/bin/python -m benchmarks.speed

Prints, and writes to benchmarks/speed.json: seconds per training epoch of the two
baselines; seconds to load both CSVs; seconds to score the whole test file in batches and
in the loop of the TensorFlow tutorial, image by image, with their ratio, for each model of
q1 in models/. Compare ratios, not seconds, between machines.
"""

import json
import time
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from signmnist.baseline import train_accurate, train_compact
from signmnist.data import load_sign_mnist
from toolkit.files import replacing
from toolkit.results import load_records
from toolkit.tflite import predict_tflite, quantize_input

FIGURES = Path(__file__).with_suffix(".json")


def tutorial_loop(path, images):
    """Predicted letters (n,), one `invoke` an image.

    Source: `run_tflite_model` of TensorFlow's guide to post-training integer quantization,
    https://ai.google.dev/edge/litert/models/post_training_integer_quant
    """
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    input_details = interpreter.get_input_details()[0]
    output_details = interpreter.get_output_details()[0]
    predictions = np.zeros(len(images), int)
    for i, image in enumerate(images):
        batch = quantize_input(np.expand_dims(image, axis=0), input_details)
        interpreter.set_tensor(input_details["index"], batch)
        interpreter.invoke()
        predictions[i] = interpreter.get_tensor(output_details["index"])[0].argmax()
    return predictions


def timed(function, *arguments):
    """What the function returns, and the seconds it took."""
    start = time.perf_counter()
    result = function(*arguments)
    return result, time.perf_counter() - start


def main():
    load_sign_mnist()
    data, load_seconds = timed(load_sign_mnist)
    accurate, history = train_accurate(data.x_train, data.y_train, 3, name="accurate, timed")
    _, compact_history = train_compact(data.x_train, accurate, 3, name="compact, timed")
    figures = {
        "load_seconds": load_seconds,
        "seconds_per_epoch": {
            "accurate": min(history["seconds"]),
            "compact": min(compact_history["seconds"]),
        },
        "evaluation": {},
    }
    for record in load_records():
        path = Path("models", record["file"])
        if record["notebook"] != "q1":
            continue
        looped, loop_seconds = timed(tutorial_loop, path, data.x_test)
        scores, batch_seconds = timed(predict_tflite, path, data.x_test)
        assert np.mean(scores.argmax(axis=1) == looped) > 0.999
        figures["evaluation"][record["technique"]] = {
            "loop_seconds": loop_seconds,
            "batch_seconds": batch_seconds,
            "ratio": loop_seconds / batch_seconds,
        }
    print(json.dumps(figures, indent=1))
    with replacing(FIGURES) as temporary:
        temporary.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
