"""How a recipe of photos/recipes.py is tried: on the validation photos."""

from photos.data import SIDE
from photos.pruning import (
    drawn,
    fitted_baseline,
    lessons,
    prune_by_cost,
    share_read,
    split,
    train_on,
)
from photos.training import predict_keras


def prune(data, recipe, seed):
    """The large network with many zeros: kind -> figures; `surgeon` is before the training."""
    training, validation = data.training, data.validation
    lower, upper = split(fitted_baseline(SIDE, training), recipe["above"])
    given_val = predict_keras(lower, validation.pixels)
    fitted_to = predict_keras(lower, drawn(training, recipe["photos"], seed).pixels)
    taught = lessons(training, recipe["copies"], seed, lower, upper)
    few = prune_by_cost(upper, fitted_to, recipe["sparsity"] / 100)
    shares = [share_read(model, given_val, validation.y) for model in (upper, few)]
    train_on(few, taught, recipe, "trial", seed)
    shares.append(share_read(few, given_val, validation.y))
    kinds = "float", "surgeon", "trained"
    return {kind: {"accuracy": share} for kind, share in zip(kinds, shares, strict=True)}


def run(data, name, recipe, seed):
    """Trains by a recipe. Returns on what it was judged, and kind of file -> its figures."""
    if name != "PRUNED":
        raise ValueError(f"photos.{name}: there is no program yet that tries it")
    return f"{len(data.validation.y)} held-out photos", prune(data, recipe, seed)
