"""How the recipes of the study of cascades are tried."""

from benchmarks.held_out import files, gradual, pruned
from signmnist.baseline import BATCH_SIZE, augment_mildly, build_dense_cnn
from toolkit.compression import clone, fine_tune
from toolkit.runtime import use_keras_2

use_keras_2()
import tensorflow as tf
import tensorflow_model_optimization as tfmot

clustering = tfmot.clustering.keras


def mildly(model, held, seed, **settings):
    """Trains as the study of cascades does."""
    fine_tune(model, held.x, held.y, name="trial", augment=augment_mildly, seed=seed, **settings)


def train_m(recipe, seed, held):
    """M of the study of cascades, without its dropout. Returns (model, {})."""
    tf.keras.utils.set_random_seed(seed)
    trained, model = build_dense_cnn(dropout=recipe["dropout"]), build_dense_cnn()
    rate = recipe["learning_rate"]
    mildly(trained, held, seed, epochs=recipe["epochs"], learning_rate=rate)
    model.set_weights(trained.get_weights())
    return model, {}


def cascades_m(recipe, seed, held, folder):
    return {"float": train_m(recipe, seed, held)[0]}


def cascades_end(recipe, seed, held, folder):
    """M at the end of the line: pruned in blocks, then clustered with its zeros kept."""

    def train_it(model, callbacks):
        settings = {key: recipe[key] for key in ("epochs", "learning_rate")}
        mildly(model, held, seed, callbacks=callbacks, **settings)

    network, end = recipe["network"], int(0.6 * recipe["epochs"] * (len(held.x) // BATCH_SIZE))
    model = held.kept(lambda: train_m(network, 0, held), network)
    schedules = {
        name: gradual(min(recipe["initial"], sparsity), sparsity, 0, end)
        for name, sparsity in recipe["sparsities"].items()
    }
    few = pruned(model, schedules, train_it, recipe["block"])
    model = clustering.cluster_weights(
        clone(few),
        number_of_clusters=recipe["clusters"],
        cluster_centroids_init=clustering.CentroidInitialization[recipe["centroids"]],
        preserve_sparsity=True,
    )
    epochs, rate = recipe["clustering_epochs"], recipe["clustering_rate"]
    mildly(model, held, seed, epochs=epochs, learning_rate=rate)
    model = clustering.strip_clustering(model)
    return {"pruned, float": few} | files(model, held, folder, "int8", "int8, one scale")
