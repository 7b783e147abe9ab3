"""How the networks of the speech studies are trained: a dict each, for notebooks and trials.

A dict holds what the full profile trains with, in plain values, so that it can be stored as JSON.
Clips an update are BATCH_SIZE of `speech.networks`.
"""

# The thesis's networks: its LSTM as it trained it; its CNN, which had 100 epochs at 0.01, for the
# first few.
THESIS_LSTM = {"epochs": 100, "learning_rate": 0.01}
THESIS_CNN = {"epochs": 8, "learning_rate": 0.001}
# The same with every number in float16. epsilon: Adam's, 1e-7 in Keras
THESIS_HALF: dict = {**THESIS_CNN, "precision": "all float16", "epsilon": 1e-4}

WAVE_CNN = {"epochs": 40, "learning_rate": 0.003}
LSTM = {"epochs": 40, "learning_rate": 0.003}
PLAIN_LSTM = {"epochs": 40, "learning_rate": 0.003}  # on clips that are not altered

# For the comparison of precisions, by stochastic gradient descent on `copies` of each clip.
FRAMES_CNN: dict = {
    "network": {"widths": [32, 32, 40, 40], "strides": [2, 2, 1, 1], "kernel": 5},
    "copies": 6,
    "epochs": 2,
    "learning_rate": 0.2,
}
# dtype None is float32; scale is the loss's factor, None where it is found while training.
PRECISIONS: dict = {
    "float32": {"dtype": None, "master": True, "scale": 1.0},
    "all float16": {"dtype": "float16", "master": False, "scale": 1.0},
    "+ loss scaling": {"dtype": "float16", "master": False, "scale": 1024.0},
    "+ master weights": {"dtype": "float16", "master": True, "scale": 1024.0},
    "mixed_float16": {"dtype": "float16", "master": True, "scale": None},
    "bfloat16, master weights": {"dtype": "bfloat16", "master": True, "scale": 1.0},
}
# The layers before `trained` are given. base_updates: of the networks, in the trials only, that
# have seen no more clips than the share that the others learn from.
TRANSFER: dict = {
    "trained": "conv5",
    "copies": 4,
    "updates": 1500,
    "learning_rate": 0.3,
    "precision": "mixed_float16",
    "base_updates": 1200,
}

ROUNDED_LSTM = {"epochs": 6, "learning_rate": 0.001}  # trained on with rounded kernels
RACE: dict = {
    "network": {"widths": [16, 16, 16, 16, 16], "strides": [2, 2, 1, 1, 1], "kernel": 3},
    "copies": 12,
    "epochs": 4,
    "grid_epochs": 12,
    "grid_learning_rate": 5e-2,
    "penalty": 2e-4,
    "pair_penalty": 5e-5,
    "coded_from": 0.25,
    "coarse": 16,
}

# The recipes of which benchmarks/trials.json holds a trial on the validation speakers from before
# the notebook was first published. The notebooks call all others set, not chosen.
CHOSEN = ("RACE",)


def in_profile(recipe, profile):
    """A recipe with as many epochs, copies and updates as a profile takes.

    All of them for "full", about a quarter for "quick", one of each for "smoke".
    """
    part = {"full": 1, "quick": 4, "smoke": 1000}[profile]
    counted = [name for name in ("copies", "epochs", "grid_epochs", "updates") if name in recipe]
    return recipe | {name: max(1, recipe[name] // part) for name in counted}
