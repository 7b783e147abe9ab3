"""The recipes by which the networks are trained: the notebooks and the trials use the same."""

# Recipes of which benchmarks/trials.json holds a trial from before they were first published; all
# others were set.
CHOSEN = "CASCADES_M", "CASCADES_END"

# The study of cascades: its network M, and M at the end of the line
CASCADES_M = {"epochs": 8, "learning_rate": 2e-3, "dropout": 0.5}
CASCADES_END: dict = {
    "network": CASCADES_M,
    "sparsities": {"conv2": 0.6, "conv3": 0.8, "dense": 0.9945, "letters": 0.93},
    "initial": 0.5,  # sparsity at the start, of each of these layers
    "block": [8, 1],  # inputs and units of the dense layer that go as one
    "epochs": 8,
    "learning_rate": 6e-3,
    "clusters": 16,
    "centroids": "KMEANS_PLUS_PLUS",
    "clustering_epochs": 1,
    "clustering_rate": 1e-3,
}
