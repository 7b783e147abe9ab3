"""Searches recipes for the size races of q2 and q3 on the group-aware validation split.

    .venv/bin/python -m benchmarks.search TRIALS

Optuna proposes a penalty, a sparsity and a learning rate and keeps what is best in two
respects: the accuracy on held-out photos and the bytes after `gzip -9`. All trials are kept
in checkpoints/search.log, which several processes can share: start this as often as there are
cores. It prints the trials that no other beats in both respects. About five minutes a trial.
"""

import sys
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from benchmarks.race import held_out, score, shrink
from signmnist.data import load_sign_mnist

JOURNAL = Path("checkpoints", "search.log")
EPOCHS = 12


def main(trials):
    (x, _), judged, teacher, compact = held_out(load_sign_mnist())

    def objective(trial):
        recipe = {
            "penalty": trial.suggest_float("penalty", 2e-4, 2e-3, log=True),
            "sparsity": trial.suggest_categorical("sparsity", [0.0, 0.4, 0.5, 0.6, 0.7]),
            "learning_rate": trial.suggest_float("learning_rate", 3e-3, 2e-2, log=True),
        }
        content = shrink(compact, teacher, x, trial.number, epochs=EPOCHS, **recipe)
        figures = score(content, *judged)
        return figures["accuracy"], figures["bytes_gzip"]

    JOURNAL.parent.mkdir(exist_ok=True)
    study = optuna.create_study(
        study_name="race",
        storage=JournalStorage(JournalFileBackend(str(JOURNAL))),
        directions=["maximize", "minimize"],
        load_if_exists=True,
    )
    study.optimize(objective, n_trials=trials)
    print("\nbest trials: accuracy on held-out photos, bytes, recipe")
    for trial in sorted(study.best_trials, key=lambda trial: trial.values[1]):
        print(f"{trial.values[0]:.2%}  {trial.values[1]:,.0f}  {trial.params}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
