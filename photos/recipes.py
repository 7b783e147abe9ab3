"""How the networks of the study of photos are trained, pruned and rounded.

In each `training`, epochs are those over all altered copies that it is given, and with each side of
the photos the learning rate of Adam falls by a cosine to zero.
"""

# The recipes that a trial on validation photos chose, recorded in benchmarks/trials.json before the
# notebook was published with them. All others are set.
CHOSEN = "PRUNED", "SMALL", "SRAM", "TINY"

# The lab report's head on the maxima of the features, for each number of epochs; the rate stays
HEAD: dict = {
    "units": 128,
    "dropout": 0.5,
    "epochs": (3, 15),
    "seeds": 5,
    "learning_rate": 1e-3,
    "batch_size": 32,
}
# Logistic regression, in the baseline and at the start of each student: C of scikit-learn
BASELINE: dict = {"strength": 1e-2}
# The baseline's blocks above one of its layers, trained further; the rate stays
UNFROZEN: dict = {
    "above": "block11_add",
    "epochs": 3,
    "learning_rates": (1e-5, 1e-4),
    "batch_size": 32,
}
# How many training photos, drawn, the integers' ranges and the students' layers are fitted to
FITTED: dict = {"photos": 134}
# Altered copies of each training photo, how many of them are mixtures of two, and their side
COPIES: dict = {"count": 6, "mixtures": 3, "side": 160}
# Temperature of the scores, and the teacher's share in the loss; the rest is the labels'
DISTILLED: dict = {"temperature": 4.0, "share": 0.5}
QAT: dict = {"epochs": 1, "learning_rate": 1e-5, "batch_size": 8}  # the rate stays
# The large network above one of its layers, on so many training photos. `sparsity`: %, the trials';
# the study takes others as well
PRUNED: dict = {"above": "block5_add", "sparsity": 80, "photos": 1200}
# The same, rounded, pruned before or not
ROUNDED: dict = {"noise": 1.5, "noise_pruned": 1.2}
# Blocks of the large network that the students keep
KEPT_BLOCKS = 1, 2, 3, 4, 5, 6, 9, 11
# The students. copies: what they learn from. stem: channels of the first convolution. widths:
# expanded channels of a block, by its number in the large network. sides: pixels of the photos, and
# epochs with them. noise: of rounding to levels, after which the weights are trained on among them,
# with `penalty` on those that are not zero. SRAM and TINY begin with the weights of SMALL before
# its rounding.
SMALL: dict = {
    "copies": COPIES,
    "side": 160,
    "stem": 32,
    "widths": [],
    "training": {"sides": [[96, 3], [160, 2]], "learning_rate": 1e-3, "batch_size": 32},
    "noise": 2.4,
    "penalty": 2e-6,
    "levels": {"sides": [[160, 2]], "learning_rate": 1e-3, "batch_size": 32},
}
SRAM: dict = {
    "copies": COPIES,
    "side": 128,
    "stem": 24,
    "widths": [[2, 36], [3, 88]],
    "training": {"sides": [[128, 4]], "learning_rate": 1e-3, "batch_size": 32},
    "noise": 0.3,
    "penalty": 0.0,
    "levels": {"sides": [[128, 1]], "learning_rate": 3e-4, "batch_size": 32},
}
TINY: dict = {
    "copies": COPIES,
    "side": 128,
    "stem": 32,
    "widths": [[2, 64], [3, 64], [4, 80], [5, 96], [6, 120], [9, 216], [11, 240]],
    "training": {"sides": [[96, 3], [128, 2]], "learning_rate": 1e-3, "batch_size": 32},
    "noise": 11.5,
    "penalty": 5e-6,
    "levels": {"sides": [[128, 6]], "learning_rate": 2e-3, "batch_size": 32},
}
