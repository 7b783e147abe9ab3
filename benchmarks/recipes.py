"""Compares recipes for the accurate baseline on the group-aware validation split.

    .venv/bin/python -m benchmarks.recipes [NAME ...]

Trains each named recipe (by default those without figures yet) without the validation
groups and adds its validation accuracy and loss to benchmarks/recipes.json. The test file
is not read for the choice. About two minutes a recipe on 2 cores.
"""

import functools
import json
import sys
from pathlib import Path

from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf

from signmnist.baseline import BATCH_SIZE, augment, build_cnn, compile_cnn
from signmnist.data import load_sign_mnist
from signmnist.splits import group_split, photo_groups
from toolkit.files import replacing
from toolkit.training import accuracy, predict, train

FIGURES = Path(__file__).with_suffix(".json")
PLAIN = {
    "blocks": ((16, 16), (32, 32), (64, 64)),
    "dropout": 0.3,
    "epochs": 16,
    "learning_rate": 2e-3,
    "augment": {},
}
STRONG = dict(rotation=0.05, shift=0.15, zoom=0.2, contrast=0.3, brightness=0.2)
RECIPES = {
    "plain": PLAIN,
    "no augmentation": PLAIN | {"augment": None},
    "strong augmentation": PLAIN | {"augment": STRONG},
    "narrow first block": PLAIN | {"blocks": ((16,), (32, 32), (64, 64))},
}


def run(recipe, data, split, seed=0):
    """Trains one recipe and returns its validation figures as a dict."""
    training, validation = split
    tf.keras.utils.set_random_seed(seed)
    model = build_cnn(recipe["blocks"], dropout=recipe["dropout"])
    compile_cnn(model, len(training), recipe["epochs"], recipe["learning_rate"])
    strengths = recipe["augment"]
    train(
        model,
        data.x_train[training],
        data.y_train[training],
        epochs=recipe["epochs"],
        name="recipe",
        seed=seed,
        batch_size=BATCH_SIZE,
        augment=None if strengths is None else functools.partial(augment, **strengths),
    )
    x, y = data.x_train[validation], data.y_train[validation]
    loss = tf.keras.losses.sparse_categorical_crossentropy(y, predict(model, x), from_logits=True)
    return {
        "params": model.count_params(),
        "val_accuracy": accuracy(model, x, y),
        "val_loss": float(loss.numpy().mean()),
    }


def main(names):
    data = load_sign_mnist()
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    groups = photo_groups(data.x_train)
    split = group_split(data.y_train, groups)
    for name in names or [name for name in RECIPES if name not in figures]:
        recipe = RECIPES[name]
        figures[name] = {"recipe": recipe, **run(recipe, data, split)}
        print(name, {k: v for k, v in figures[name].items() if k != "recipe"}, flush=True)
        with replacing(FIGURES) as temporary:
            temporary.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
