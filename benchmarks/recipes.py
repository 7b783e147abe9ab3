"""Compares architectures and recipes for the accurate baseline on the held-out photos.

    .venv/bin/python -m benchmarks.recipes [NAME ...]

Trains each named recipe (by default those without figures yet) without the validation
photos of q1 and adds its accuracy on them, as they are and perturbed, to
benchmarks/recipes.json. The test file is not read. Two to eight minutes a recipe on 2 cores.
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
from signmnist.perturb import survival
from signmnist.splits import group_split
from toolkit.files import replacing
from toolkit.training import predict, train

FIGURES = Path(__file__).with_suffix(".json")
EPOCHS = 16
CHOSEN = {
    "blocks": ((16,), (24, 24), (48, 48)),
    "epochs": EPOCHS,
    "learning_rate": 6e-3,
    "seed": 0,
    "augment": {},
}
NONE = dict.fromkeys(("rotation", "shift", "zoom", "contrast", "brightness", "blur", "noise"), 0.0)
RECIPES = {
    "16, 24-24, 48-48": CHOSEN,
    "16-16, 32-32, 64-64": CHOSEN | {"blocks": ((16, 16), (32, 32), (64, 64))},
    "16, 32, 48-64": CHOSEN | {"blocks": ((16,), (32,), (48, 64))},
    "12, 24, 48, 96": CHOSEN | {"blocks": ((12,), (24,), (48,), (96,))},
    "learning rate 2e-3": CHOSEN | {"learning_rate": 2e-3},
    "no augmentation": CHOSEN | {"augment": NONE},
    "without noise and blur": CHOSEN | {"augment": {"noise": 0.0, "blur": 0.0}},
    "turned by 11 degrees at most": CHOSEN | {"augment": {"rotation": 0.03}},
}


def run(recipe, data, split):
    """Trains one recipe and returns its validation figures as a dict."""
    training, validation = split
    tf.keras.utils.set_random_seed(recipe["seed"])
    model = build_cnn(recipe["blocks"])
    compile_cnn(model, len(training), recipe["epochs"], recipe["learning_rate"])
    history = train(
        model,
        data.x_train[training],
        data.y_train[training],
        epochs=recipe["epochs"],
        name="recipe",
        seed=recipe["seed"],
        batch_size=BATCH_SIZE,
        augment=functools.partial(augment, **recipe["augment"]),
    )
    x, y = data.x_train[validation], data.y_train[validation]
    survived = survival(functools.partial(predict, model), x, y)
    return {
        "params": model.count_params(),
        "seconds": sum(history["seconds"]),
        "accuracy": survived["as they are"],
        "worst": min(survived.values()),
        "survival": survived,
    }


def main(names):
    data = load_sign_mnist()
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    split = group_split(data.y_train, data.train_groups)
    for name in names or [name for name in RECIPES if name not in figures]:
        recipe = RECIPES[name]
        figures[name] = {"recipe": recipe, **run(recipe, data, split)}
        print(f"\n{name}:", {k: v for k, v in figures[name].items() if k != "recipe"}, flush=True)
        with replacing(FIGURES) as temporary:
            temporary.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
