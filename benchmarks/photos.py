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
    """The large network with ever more zeros: name -> figures, before and after its training."""
    training, validation = data.training, data.validation
    lower, upper = split(fitted_baseline(SIDE, training), recipe["above"])
    held_out = predict_keras(lower, validation.pixels)
    fitted_to = predict_keras(lower, drawn(training, recipe["photos"], seed).pixels)
    taught = lessons(training, recipe["copies"], seed, lower, upper)
    figures = {"float": {"accuracy": share_read(upper, held_out, validation.y)}}
    latest = upper
    for sparsity in recipe["sparsities"]:
        name = f"{sparsity} % zeros"
        latest = prune_by_cost(latest, fitted_to, sparsity / 100)
        surgeon = share_read(latest, held_out, validation.y)
        train_on(latest, taught, recipe, f"trial, {name}", seed)
        read = share_read(latest, held_out, validation.y)
        figures[name] = {"accuracy": read, "accuracy_untrained": surgeon}
    return figures


def run(data, name, recipe, seed):
    """Trains by a recipe. Returns on what it was judged, and kind of file -> its figures."""
    if name != "PRUNED":
        raise ValueError(f"photos.{name}: there is no program yet that tries it")
    return f"{len(data.validation.y)} held-out photos", prune(data, recipe, seed)
