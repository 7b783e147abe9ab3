"""How the networks of the assignment are trained: one dict a recipe, each value written once.

A recipe holds `epochs`, `learning_rate` and the strengths of its `augmentation` (`augment`); some
more as their names say. All are plain values, so that a recipe can be stored as JSON.
"""

# Recipes of which benchmarks/trials.json holds a trial from before they were first published; all
# others were set.
CHOSEN = (
    *("CLUSTERED_COMPACT", "PRUNED_COMPACT", "CASCADES_M", "CASCADES_END"),
    *("SIZE_RACE", "RACE_97", "RACE_ACCURATE", "SMALL_MEMORY", "FOUR_BY_FOUR", "TERNARY", "BINARY"),
)

STRONG = {
    "rotation": 0.07,
    "shift": 0.1,
    "zoom": 0.12,
    "contrast": 0.2,
    "brightness": 0.1,
    "blur": 1.0,
    "noise": 0.08,
}
MILD = {
    "rotation": 0.015,
    "shift": 0.05,
    "zoom": 0.06,
    "contrast": 0.1,
    "brightness": 0.05,
    "blur": 0.0,
    "noise": 0.0,
}

# Question 1
ACCURATE: dict = {
    "network": {"blocks": [[16], [24, 24], [48, 48]]},
    "epochs": 20,
    "learning_rate": 6e-3,
    "augmentation": STRONG,
}
COMPACT: dict = {
    "network": {"blocks": [[8, 10], [10], [12]], "kernel": 5, "stride": 2, "dense_bias": False},
    "epochs": 6,
    "learning_rate": 3e-2,
    "augmentation": MILD,
    "copies": 8,
    "temperature": 2.0,
}
QAT: dict = {"epochs": 2, "learning_rate": 2e-4, "augmentation": STRONG}

# Question 2; `rounding`: the training with weights of 4 bits that follows
CLUSTERED: dict = {
    "clusters": {"conv1": 15, "conv2": 5, "conv3": 4, "conv4": 4, "conv5": 4, "letters": 7},
    "centroids": "LINEAR",
    "epochs": 8,
    "learning_rate": 3e-3,
    "augmentation": STRONG,
    "rounding": {"epochs": 2, "learning_rate": 5e-4},
}
CQAT: dict = {"epochs": 2, "learning_rate": 1e-4, "augmentation": STRONG}
CLUSTERED_COMPACT: dict = {
    "start": COMPACT,
    "clusters": {"conv1": 15, "conv2": 7, "conv3": 7, "conv4": 7, "letters": 7},
    "centroids": "LINEAR",
    "epochs": 4,
    "learning_rate": 2e-3,
    "augmentation": MILD,
    "copies": 8,
    "temperature": 2.0,
    "rounding": {"epochs": 8, "learning_rate": 1e-3},
}

# Question 3; `larger_than`: only layers with more weights than that are pruned
PRUNED: dict = {
    "sparsity": 0.82,
    "larger_than": 3000,
    "epochs": 10,
    "learning_rate": 4e-3,
    "augmentation": STRONG,
    "rounding": {"epochs": 4, "learning_rate": 1e-3},
}
PQAT: dict = {"epochs": 2, "learning_rate": 1e-4, "augmentation": STRONG}
SPARSE_CLUSTERED: dict = {
    "clusters": 16,
    "epochs": 1,
    "learning_rate": 3e-4,
    "augmentation": STRONG,
}
PCQAT: dict = {"epochs": 1, "learning_rate": 1e-4, "augmentation": STRONG}
PRUNED_COMPACT: dict = {
    "start": COMPACT,
    "sparsity": 0.6,
    "larger_than": 200,
    "epochs": 6,
    "learning_rate": 3e-3,
    "augmentation": MILD,
    "copies": 8,
    "temperature": 2.0,
    "rounding": {"epochs": 6, "learning_rate": 1e-3},
}

# The study of the size race
CLUSTERED_GRID: dict = {"penalty": 8e-5, "epochs": 8, "learning_rate": 2e-2, "augmentation": MILD}
SIZE_RACE: dict = {
    "network": {"blocks": [[10, 10], [10], [10]]},
    "start": {"epochs": 1, "learning_rate": 3e-2},
    "penalty": 7e-5,
    "pair_penalty": 7e-5,
    "coded_from": 0.25,
    "epochs": 8,
    "learning_rate": 0.2,
    "augmentation": MILD,
    "copies": 8,
    "temperature": 2.0,
    "coarse": 16,
}
RACE_ACCURATE: dict = {
    "penalty": 1e-4,
    "epochs": 1,
    "learning_rate": 0.2,
    "augmentation": MILD,
    "copies": 8,
    "temperature": 2.0,
    "coarse": 1,
}
RACE_97: dict = RACE_ACCURATE | {"penalty": 1.5e-4}
SMALL_MEMORY: dict = {
    "network": {"blocks": [[6, 10], [20], [48]]},
    "start": {"epochs": 8, "learning_rate": 2e-2},
    "augmentation": MILD,
    "copies": 8,
    "temperature": 2.0,
}
PRUNED_GRID: dict = CLUSTERED_GRID | {"sparsity": 0.75, "larger_than": 3000}

# Question 4
QUANTIZER_TRIAL: dict = {
    "quantizer": "none",
    "epochs": 1,
    "learning_rate": 1e-3,
    "augmentation": STRONG,
}
FOUR_BITS: dict = {"epochs": 8, "learning_rate": 1e-3, "augmentation": STRONG}
FOUR_BY_FOUR: dict = FOUR_BITS | {"integer_bits": 2}
TERNARY: dict = {
    "values": 3,
    "penalty": 3e-5,
    "epochs": 1,
    "learning_rate": 3e-2,
    "augmentation": MILD,
    "copies": 8,
    "temperature": 2.0,
}
BINARY: dict = TERNARY | {"values": 2, "penalty": 0.0, "epochs": 2}

# The study of cascades: its network M, the steps of its sections 3 to 7, and M at the end of the
# line. `copies`: augmented images of each that a training sees, once where there are no `epochs`
CASCADES_M: dict = {
    "copies": 8,
    "epochs": 2,
    "learning_rate": 2e-3,
    "dropout": 0.3,
    "augmentation": MILD,
    "temperature": 2.0,
}
CASCADES_STEPS: dict = {
    "network": CASCADES_M,
    "layers": ["dense", "letters"],  # that P1 prunes
    "sparsity": 0.8,
    "pruning_copies": 4,
    "pruning_rate": 4e-3,
    "learning_rate": 1e-3,
    "quantizing_rate": 1e-4,
}
CASCADES_END: dict = {
    "network": CASCADES_M,
    "sparsities": {"conv2": 0.4, "conv3": 0.65, "dense": 0.9915, "letters": 0.9},
    "initial": 0.5,  # sparsity at the start, at most, of each of these layers
    "block": [8, 1],  # inputs and units of the dense layer that go as one
    "epochs": 1,
    "copies": 8,
    "learning_rate": 4e-3,
    "clusters": 8,
    "centroids": "KMEANS_PLUS_PLUS",
    "clustering_copies": 8,
    "clustering_rate": 3e-3,
}


def in_profile(recipe, profile):
    """A recipe as a profile trains it: `full` as it is, `quick` a sixth, `smoke` one epoch."""
    epochs = {"full": recipe["epochs"], "quick": max(1, recipe["epochs"] // 6), "smoke": 1}
    return recipe | {"epochs": epochs[profile]}
