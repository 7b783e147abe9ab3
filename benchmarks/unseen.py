"""Scores the committed models on the part of the test file that is really unseen.

    .venv/bin/python -m benchmarks.unseen

A quarter of the test images are variants of photos that the training file has too. For each
model of models/results.json: accuracy on the images without such a twin, and the 95 % interval
by photo group of that on the whole file. The figures go to benchmarks/unseen.json. About five
minutes on 2 cores.
"""

import json
from pathlib import Path

import numpy as np

from signmnist.data import load_sign_mnist
from signmnist.splits import photo_groups
from toolkit.files import replacing
from toolkit.results import load_records
from toolkit.tflite import predict_tflite

FIGURES = Path(__file__).with_suffix(".json")


def accuracy_interval(right, groups, resamples=10_000):
    """The 95 % interval of an accuracy whose images come in groups: (low, high).

    right: bool (n,), whether each image was read right. groups: int (n,). The bootstrap
    (Efron, 1979; percentiles) draws whole groups, as images of one group are not
    independent. Without errors both ends are 1: it cannot see what it never drew.
    """
    size, correct = np.bincount(groups), np.bincount(groups, right)
    correct, size = correct[size > 0], size[size > 0]
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(size), np.full(len(size), 1 / len(size)), resamples)
    low, high = np.percentile(drawn @ correct / (drawn @ size), [2.5, 97.5])
    return float(low), float(high)


def main():
    data = load_sign_mnist()
    groups = photo_groups(np.concatenate([data.x_train, data.x_test]))
    training, test = np.split(groups, [len(data.x_train)])
    alone = ~np.isin(test, training)
    models = {}
    for record in load_records():
        scores = predict_tflite(Path("models", record["file"]), data.x_test)
        right = scores.argmax(axis=1) == data.y_test
        low, high = accuracy_interval(right, test)
        models[record["id"]] = {
            "accuracy_no_twin": float(right[alone].mean()),
            "accuracy_low": low,
            "accuracy_high": high,
        }
        print(record["technique"], models[record["id"]], flush=True)
    figures = {
        "images": len(test),
        "without_twin": int(alone.sum()),
        "groups": len(np.unique(test)),
        "models": models,
    }
    with replacing(FIGURES) as temporary:
        temporary.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
