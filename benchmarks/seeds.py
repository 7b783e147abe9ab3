"""Trains the accurate baseline with other seeds than q1's and scores each on the test file.

    .venv/bin/python -m benchmarks.seeds [SEED ...]

The recipe is that of q1 at full length. The figures of every seed, that of the published
models among them, stand in benchmarks/seeds.json. About four minutes a seed on 2 cores.
"""

import json
import sys
from pathlib import Path

from signmnist.baseline import train_accurate
from signmnist.data import load_sign_mnist
from toolkit.files import replacing
from toolkit.results import load_records
from toolkit.tflite import count_correct
from toolkit.training import predict

FIGURES = Path(__file__).with_suffix(".json")
EPOCHS = 20


def score(model, data):
    """The test figures of a trained Keras model as a dict."""
    correct = count_correct(predict(model, data.x_test), data.y_test)
    total = len(data.y_test)
    return {"correct": correct, "total": total, "accuracy": correct / total}


def main(seeds):
    data = load_sign_mnist()
    published = next(record for record in load_records() if record["id"] == "sign_mnist")
    accurate = {key: published[key] for key in ("correct", "total", "accuracy")}
    figures = {str(published["seed"]): {"accurate": accurate}}
    for seed in seeds:
        model, _ = train_accurate(data.x_train, data.y_train, EPOCHS, seed)
        figures[str(seed)] = {"accurate": score(model, data)}
        print(f"\nseed {seed}:", figures[str(seed)], flush=True)
        with replacing(FIGURES) as temporary:
            temporary.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or [1, 2])
