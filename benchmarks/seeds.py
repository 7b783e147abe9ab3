"""Trains the two baselines with other seeds than q1's and scores each on the test file.

    .venv/bin/python -m benchmarks.seeds [SEED ...]

The recipes are those of q1 at full length. The figures of every seed, that of the published
models among them, stand in benchmarks/seeds.json. About five minutes a seed on 2 cores.
"""

import json
import sys
from pathlib import Path

from signmnist.baseline import train_accurate, train_compact
from signmnist.data import load_sign_mnist, replacing
from signmnist.results import load_records
from signmnist.tflite import count_correct
from signmnist.training import predict

FIGURES = Path(__file__).with_suffix(".json")
EPOCHS, COMPACT_EPOCHS = 20, 9
PUBLISHED = {"accurate": "sign_mnist", "compact": "sign_mnist_compact"}


def score(model, data):
    """The test figures of a trained Keras model as a dict."""
    correct = count_correct(predict(model, data.x_test), data.y_test)
    total = len(data.y_test)
    return {"correct": correct, "total": total, "accuracy": correct / total}


def train_both(seed, data):
    """The figures of both baselines trained with `seed`."""
    accurate, _ = train_accurate(data.x_train, data.y_train, EPOCHS, seed)
    compact, _ = train_compact(data.x_train, accurate, COMPACT_EPOCHS, seed)
    return {"accurate": score(accurate, data), "compact": score(compact, data)}


def main(seeds):
    data = load_sign_mnist()
    records = {record["id"]: record for record in load_records()}
    published = {
        name: {key: records[file][key] for key in ("correct", "total", "accuracy")}
        for name, file in PUBLISHED.items()
    }
    figures = {str(records["sign_mnist"]["seed"]): published}
    for seed in seeds:
        figures[str(seed)] = train_both(seed, data)
        print(f"\nseed {seed}:", figures[str(seed)], flush=True)
        with replacing(FIGURES) as temporary:
            temporary.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or [1, 2])
