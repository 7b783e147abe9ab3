"""Trains the two baselines with several seeds and scores each on the test file.

    .venv/bin/python -m benchmarks.seeds [SEED ...]

The recipes are the ones of q1 at full length. The figures of every seed are added to
benchmarks/seeds.json. About five minutes a seed on 2 cores.
"""

import json
import sys
from pathlib import Path

from signmnist.baseline import train_accurate, train_compact
from signmnist.data import load_sign_mnist, replacing
from signmnist.tflite import count_correct
from signmnist.training import predict

FIGURES = Path(__file__).with_suffix(".json")
EPOCHS, COMPACT_EPOCHS = 20, 9


def score(model, history, data):
    """The figures of one trained model as a dict."""
    correct = count_correct(predict(model, data.x_test), data.y_test)
    return {
        "correct": correct,
        "total": len(data.y_test),
        "accuracy": correct / len(data.y_test),
        "params": model.count_params(),
        "seconds": sum(history["seconds"]),
    }


def main(seeds):
    data = load_sign_mnist()
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    for seed in seeds:
        accurate, history = train_accurate(data.x_train, data.y_train, EPOCHS, seed)
        figures[str(seed)] = {"accurate": score(accurate, history, data)}
        compact, history = train_compact(data.x_train, accurate, COMPACT_EPOCHS, seed)
        figures[str(seed)]["compact"] = score(compact, history, data)
        print(f"seed {seed}:", figures[str(seed)], flush=True)
        with replacing(FIGURES) as temporary:
            temporary.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or [0, 1, 2])
