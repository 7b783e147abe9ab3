# %% [markdown] tags=["handout"]
# # Question 2: weights that share values
#
# Weight clustering and quantization: **the smallest `.tflite` that reads 90 % of the signs.** The
# score is the size of `models/sign_mnist_clustered.tflite` after `gzip -9n`.

# %% [markdown] tags=["solution"]
# # Question 2: weights that share values
#
# Weight clustering and quantization: **the smallest `.tflite` that reads 90 % of the signs**, made
# by public tools alone. The score is the size after `gzip -9n`.
#
# | what | file in `models/` | test accuracy | bytes | after gzip |
# |---|---|---|---|---|
# | **the answer**, from the compact network | `sign_mnist_clustered.tflite` | {{cells(small)}} |
# | from the accurate network, int4 | `sign_mnist_clustered_int4.tflite` | {{cells(accurate)}} |
# | from the accurate network, int8 | `sign_mnist_clustered_int8.tflite` | {{cells(by_book)}} |
# | that one, with codebooks | `sign_mnist_clustered_codebook.tflite` | {{cells(codebook)}} |
#
# Both networks are those of question 1; all files are without names of tensors. A *twin* is a
# training image of the same photo. *CQAT* keeps the clusters while it trains with rounded weights.
#
# {{answers["headline"]}}
#
# {{answers["book"]}}
#
# {{answers["chip"]}}
#
# Smaller still, with custom layers and file writer:
# {{studies/size_race_clustered/bytes_gzip:,}} bytes at
# {{studies/size_race_clustered/accuracy:.2%}}, in the study `studies/size_race.ipynb`.

# %% [markdown] tags=["solution"]
# | what you learn | section |
# |---|---|
# | what `cluster_weights` does to a layer, and why batch normalization is folded first | 1 |
# | what each quantization leaves of the sharing; the files from the accurate network | 2 |
# | which layers bear few values | 3 |
# | **the answer**: few values, 4 bits, one scale a layer, no names | 4 |
# | shared values as a codebook, which TFLite Micro reads | 5 |
#
# **In Colab:** upload this one file, then *Runtime > Run all*. Folded cells named *Helpers* hold
# the plumbing. Figures in the text are those of the published run, yours stand in the outputs. A
# GPU adds in another order, so its figures differ slightly.

# %% [markdown]
# ## Setup
#
# The model optimization toolkit needs Keras 2, and that choice is made once, when TensorFlow
# is first imported. So this comes first.

# %%
from toolkit.runtime import install_missing, use_keras_2

# %%
install_missing(
    "tensorflow",
    "tf_keras",
    "tensorflow-model-optimization",
    "setuptools",
    "ai-edge-litert",
    "litert-quantizer",
    "tflite-micro",
    "kaggle",
    "pandas",
    "pyarrow",
    "matplotlib",
    "adjustText",
    "scikit-learn",
    "scipy",
)
use_keras_2()

# %%
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf
import tensorflow_model_optimization as tfmot
from IPython.display import display

# %% [markdown] tags=["handout"]
# `SEED` makes trainings come out the same again. `PROFILE` is noted beside what you measure and
# shortens nothing by itself. To try things out, in Colab as in Jupyter, write `PROFILE = "smoke"`
# in its place and let your code ask for it: `epochs=1 if PROFILE == "smoke" else 20`. What you hand
# in is run as `full`.

# %% [markdown] tags=["solution"]
# `PROFILE` sets how long to train: `full` is the recipe behind the published figures, `quick` a
# tour, `smoke` only proves that every cell runs. A **recipe** is a dict that holds how a network is
# trained, and `in_profile` shortens it.

# %%
PROFILE = os.environ.get("PROFILE", "full")
SEED = 0

tf.keras.utils.set_random_seed(SEED)
started = time.perf_counter()

# %%
from signmnist.data import load_sign_mnist

# %%
data = load_sign_mnist()

# %% [markdown] tags=["handout"]
# ## The baseline of question 1
#
# Colab runs each notebook on a machine of its own. So where `models/` lacks your network of
# question 1, it is taken from `q1.zip`, which the last cell of `q1.ipynb` made; Colab asks for it.

# %% tags=["handout"]
from toolkit.bundle import bring

bring("sign_mnist_baseline.keras", "q1.zip")
tf.keras.utils.set_random_seed(SEED + 2)  # other fresh weights than question 1 began with

# %% tags=["handout"]
from toolkit.tflite import predict_tflite, save_tflite  # noqa: F401
from toolkit.training import accuracy, predict, train  # noqa: F401

# %% [markdown] tags=["task"]
# ### Task 1: load your network of question 1; name it `baseline`
#
# **Given:** `models/sign_mnist_baseline.keras`, which your `q1.ipynb` wrote.
#
# **Afterwards there is:** `baseline`, a Keras model.

# %% [markdown] tags=["solution"]
# Both networks come from question 1. Where its files are not at hand, as in Colab, they are trained
# here first, which takes some minutes more. `tune` trains a network further on labels, `learn` on
# the scores of another one (**distillation**), each by a recipe.

# %% tags=["solution"]
from signmnist.baseline import (
    learn,  # in sight
    lessons,
    train_accurate,
    train_compact,
    tune,  # in sight
)
from signmnist.recipes import ACCURATE, COMPACT, in_profile
from toolkit.compression import (
    fine_tune,  # noqa: F401  (in sight)
    saved_or_trained,
)
from toolkit.training import accuracy, predict

# %% tags=["solution"]
baseline = saved_or_trained(
    "models/sign_mnist_baseline.keras",
    lambda: train_accurate(data.x_train, data.y_train, in_profile(ACCURATE, PROFILE), SEED),
)
compact = saved_or_trained(
    "models/sign_mnist_compact.keras",
    lambda: train_compact(data.x_train, baseline, in_profile(COMPACT, PROFILE), SEED),
)
accurate_accuracy = accuracy(baseline, data.x_test, data.y_test)
compact_accuracy = accuracy(compact, data.x_test, data.y_test)
print(f"accurate: {baseline.count_params():,} parameters, test file {accurate_accuracy:.2%}")
print(f"compact: {compact.count_params():,} parameters, test file {compact_accuracy:.2%}")

# %% tags=["check"]
from signmnist.checks import check_clustered, check_file, check_network, check_started

check_network(baseline, data, at_least=0.9)

# %% [markdown] tags=["handout"]
# ## 1. Weight clustering
#
# `train(model, x, y, epochs=…, name="clustering")` fits a compiled Keras model and
# returns the history; `accuracy(model, x, y)` is the share that it reads right. The training images
# are variants of far fewer photos (question 1), so whole photos are held out. With
# `validation=held_out` the history has the accuracy on them, as `group_accuracy`: choose by that,
# trained on `training_rows`, then train what you chose on all rows. The test file has no say.

# %% tags=["handout"]
from signmnist.splits import group_split

training_rows, validation_rows = group_split(data.y_train, data.train_groups, seed=SEED)
held_out = {"group": (data.x_train[validation_rows], data.y_train[validation_rows])}
photos = len(np.unique(data.train_groups[validation_rows]))
print(f"held out: {len(validation_rows):,} of {len(data.y_train):,} images, of {photos} photos")

# %% [markdown] tags=["task"]
# ### Task 2: cluster the weights of `baseline`, train on and strip; name the result `clustered`
#
# **Given:** `tfmot.clustering.keras`. It wraps the very layers that it is given: give it a copy.
# Mind that `tf.keras.models.clone_model` copies layers, **not their weights**: the copy has fresh
# ones until `copy.set_weights(baseline.get_weights())`.
#
# **Afterwards there are:** `clustered`, a Keras model of ordinary layers whose kernels have few
# values each, and `clustered_history`, what `train` returned.

# %% [markdown] tags=["solution"]
# ## 1. Weight clustering
#
# All channels of a layer share the same few values. But batch normalization multiplies each output
# channel by its own factor, and the converter **folds** these factors into the kernel before it,
# which would undo the sharing; so they are folded first. The values also have to suit large and
# small channels alike: `equalized` divides each channel by a factor by which the next layer
# multiplies again; ReLU lets it pass (Nagel et al., 2019). Neither step changes what the network
# computes:

# %% tags=["solution"]
from toolkit.compression import equalized, fold_norms

# %% tags=["solution"]
without_norms = equalized(fold_norms(baseline))
off = np.abs(predict(without_norms, data.x_test[:500]) - predict(baseline, data.x_test[:500])).max()
print(f"{baseline.count_params():,} -> {without_norms.count_params():,} parameters; ", end="")
print(f"scores of 500 images differ by {off:.0e} at most")

# %% [markdown] tags=["solution"]
# `cluster_weights` then starts from a few **centroids** a layer and replaces every weight by the
# nearest one; training moves the centroids. It wraps the very layer objects that it is given, so it
# gets a copy. At the end, `strip_clustering` removes what only training needs: each weight's
# original and the number of its centroid.

# %% tags=["solution"]
from toolkit.compression import cluster_layers  # in sight

# %% [markdown] tags=["solution"]
# The recipe says how many values each layer gets, where they start and how the network is trained:

# %% tags=["solution"]
from signmnist.recipes import CLUSTERED  # in sight

# %% tags=["solution"]
images = data.x_train, data.y_train
recipe = in_profile(CLUSTERED, PROFILE)
clustered, clustered_history = cluster_layers(
    without_norms,
    CLUSTERED["clusters"],
    CLUSTERED["centroids"],
    lambda wrapped: tune(wrapped, *images, recipe, name="clustering", seed=SEED),
)
print(f"test file {accuracy(clustered, data.x_test, data.y_test):.2%}")

# %% tags=["check"]
check_clustered(clustered, at_most=32)
check_started(clustered, baseline, data)

# %%
from toolkit.compression import kernels
from toolkit.plots import show_accuracy_against_bytes, show_lines, show_weights

# %% tags=["handout"]
shown = kernels(baseline), kernels(clustered)
show_weights("Before and after clustering", *shown, banner=data.banner)

# %% [markdown] tags=["handout"]
# ## 2. Clustering and quantization

# %% [markdown] tags=["solution"]
# Above, the weights before; the small ticks at the foot mark the values that are left, below.
# `conv1` to `conv5` are the convolutions in order, `letters` is the dense layer.

# %% tags=["solution"]
before, after = kernels(without_norms), kernels(clustered)
chosen = list(before)[0], list(before)[3], list(before)[-1]
show_weights(
    "Three layers before and after clustering",
    {name: before[name] for name in chosen},
    {name: after[name] for name in chosen},
    banner=data.banner,
)

# %% [markdown] tags=["solution"]
# The **codebook** of every layer, its values in order:

# %% tags=["solution"]
for name, kernel in after.items():
    print(f"{name:8}", *(f"{value:5.2f}" for value in np.unique(kernel)))

# %% [markdown] tags=["solution"]
# ## 2. What quantization leaves of the sharing
#
# A `.tflite` file, the format of TensorFlow Lite (now named LiteRT), stores each weight in full,
# whatever its value: sharing shows only once the file is compressed. `convert` runs the converter
# of question 1 with these settings:

# %% tags=["solution"]
from toolkit.compression import (
    BIAS_32,  # in sight
    DYNAMIC_RANGE,  # in sight
    INT8,  # in sight
    INT16X8,  # in sight
    ONE_SCALE,  # in sight
    convert,
    representative_dataset,
    stripped,
)
from toolkit.tflite import constants, gzip_size, predict_tflite, run_micro, sizes  # noqa: F401

# %% tags=["solution"]
build = Path("build_q2")
build.mkdir(exist_ok=True)
CALIBRATION = {"representative_dataset": representative_dataset(data.x_train, seed=SEED)}
FORMATS = {
    # name: network, the converter's settings
    "float, not clustered": (without_norms, {}),
    "float": (clustered, {}),
    "dynamic range": (clustered, DYNAMIC_RANGE),
    "int16x8": (clustered, INT16X8 | BIAS_32 | CALIBRATION),
    "int8": (clustered, INT8 | CALIBRATION),
    "int8, one scale a tensor": (clustered, INT8 | ONE_SCALE | CALIBRATION),
}


def different_weights(path):
    """How many numbers the kernels of a .tflite file are made of, summed over the layers."""
    return sum(len(np.unique(weights)) for weights in constants(path) if weights.ndim > 1)


rows = {}
for name, (model, settings) in FORMATS.items():
    path = convert(model, build / f"{name}.tflite", **settings)
    read = predict_tflite(path, data.x_test).argmax(axis=1)
    rows[name] = {
        "test accuracy": np.mean(read == data.y_test),
        "different weights": different_weights(path),
        "bytes": path.stat().st_size,
        "after gzip": gzip_size(path.read_bytes()),
    }
rows = pd.DataFrame.from_dict(rows, orient="index")
formats = {"test accuracy": "{:.2%}"} | dict.fromkeys(rows.columns[1:], "{:,.0f}")
display(rows.style.format(formats).set_caption(data.banner))

# %% [markdown] tags=["solution"]
# Raw, clustering changes nothing: float has as many bytes as before. *Different weights* counts the
# different numbers that each layer's kernel stores, and adds them up. A **scale for each channel**,
# the converter's default, divides each channel's weights by another number, so one value may become
# several; with **one scale a tensor** it stays one. (The converter's flag for it is
# `_experimental_`; the LiteRT Quantizer, below, calls it the granularity.)
#
# **CQAT** is cluster-preserving quantization-aware training: weights and activations are rounded to
# 8 bits in the forward pass (*fake quantization*), while the weights of a cluster move together.

# %% tags=["solution"]
from signmnist.recipes import CQAT  # in sight
from toolkit.compression import clone

# %% tags=["solution"]
scheme = tfmot.experimental.combine.Default8BitClusterPreserveQuantizeScheme(False)
annotated = tfmot.quantization.keras.quantize_annotate_model(clone(clustered))
aware = tfmot.quantization.keras.quantize_apply(annotated, scheme)
cqat_history = tune(aware, *images, in_profile(CQAT, PROFILE), name="CQAT", seed=SEED)

# %% [markdown] tags=["solution"]
# Below, *without twins* leaves out the test images that share a photo with the training file; the
# interval comes from drawing the test file's groups of photos anew (question 1, section 1).

# %%
from toolkit.results import answer, measure, results_table, save_record, say

# %%
records: dict = {}


def evaluate(technique, file, network, history, origin=baseline):
    """Scores and measures models/<file>.tflite and saves its record, which it returns."""
    path = Path("models", f"{file}.tflite")
    records[technique] = {
        "id": file,
        "notebook": "q2",
        "technique": technique,
        "params": origin.count_params(),
        "train_accuracy": accuracy(network, data.x_train, data.y_train),
        "profile": PROFILE,
        "seed": SEED,
        "seconds": sum(history["seconds"]),
        **measure(path, predict_tflite(path, data.x_test), data),
    }
    save_record(records[technique])
    return records[technique]


# %% [markdown] tags=["handout"]
# `evaluate(technique, file, network, history)` scores `models/<file>.tflite` on the test file,
# measures it, saves its record and returns it; the tables at the end show all of them.

# %% [markdown] tags=["task"]
# ### Task 3: make the smallest file that reads 90 %; measure it as `race`
#
# **Given:** `save_tflite(converter, path)` runs a `tf.lite.TFLiteConverter` and writes the file.
# The network is yours to choose, also a smaller one; what counts is that its weights share values.
#
# **Afterwards there are:** `models/sign_mnist_clustered.tflite` and `race`, what `evaluate("size
# race", "sign_mnist_clustered", network, history, network)` returns.


# %% tags=["solution"]
def cells(record):
    return f"{record['accuracy']:.2%} | {record['bytes']:,} | {record['bytes_gzip']:,}"


stripped(build / "int8, one scale a tensor.tflite", "models/sign_mnist_clustered_int8.tflite")
by_book = evaluate("clustered, int8", "sign_mnist_clustered_int8", clustered, clustered_history)
convert(aware, build / "CQAT.tflite", **DYNAMIC_RANGE)
stripped(build / "CQAT.tflite", "models/sign_mnist_clustered_cqat.tflite")
cqat = evaluate("CQAT, int8", "sign_mnist_clustered_cqat", aware, cqat_history)

# %% [markdown] tags=["solution"]
# ### Four bits instead of eight
#
# Few values need no byte each. The **LiteRT Quantizer** of question 1 writes weights in 4 bits:
# whole numbers from -7 to 7, two to a byte, times one scale a tensor. The clustered network is
# first rounded as it is, then trained with that rounding in its forward pass, by TensorFlow's
# quantizers with 4 bits instead of 8. A cluster's weights may then part again, by whole steps; a
# layer keeps at most 15 values. Weights below half a step are set to zero first and stay zero.
# `FourBitWeights` says what is rounded and how; `in_four_bits` puts it around each layer, trains
# and takes it off.

# %% tags=["solution"]
from toolkit.aware import (
    FourBitWeights,  # noqa: F401  (in sight)
    in_four_bits,
    in_steps,
    without_small_weights,
)
from toolkit.quantizer import four_bit_file  # in sight

# %% tags=["solution"]
examples = data.x_train[np.random.default_rng(SEED).choice(len(data.x_train), 300, replace=False)]

four_bit_file(clustered, build / "rounded.tflite", examples)
rounded = predict_tflite(build / "rounded.tflite", data.x_test).argmax(axis=1)
print(f"rounded, not trained: test file {np.mean(rounded == data.y_test):.2%}")
recipe = in_profile(CLUSTERED | CLUSTERED["rounding"], PROFILE)
in_4, in_4_history = in_four_bits(
    without_small_weights(clustered),
    lambda aware: tune(aware, *images, recipe, name="4 bits", seed=SEED),
    keep_zeros=True,
)
four_bit_file(in_4, "models/sign_mnist_clustered_int4.tflite", examples)
accurate = evaluate("clustered, int4", "sign_mnist_clustered_int4", in_4, in_4_history)
answered = [by_book, cqat, accurate]
for record in answered:
    count = different_weights(Path("models", record["file"]))
    print(f"{record['technique']}: {count:,} different weights")

# %% tags=["solution"]
answers = {}
answers["book"] = (
    f"The accurate network takes {accurate['bytes_gzip']:,} bytes after gzip at "
    f"{accurate['accuracy']:.2%} with weights of 4 bits and "
    f"{by_book['bytes_gzip']:,} at {by_book['accuracy']:.2%} with 8; with CQAT and a scale for "
    f"each channel {cqat['bytes_gzip']:,} at {cqat['accuracy']:.2%}; in float and not clustered "
    f"{rows.loc['float, not clustered', 'after gzip']:,.0f} at {accurate_accuracy:.2%}."
)
say(answer("question 2, from the accurate network", answered, answers["book"], data.banner))

# %% [markdown] tags=["solution"]
# ## 3. Which layers bear it: sensitivity
#
# One layer at a time is clustered by k-means, without any fine-tuning, while all others keep their
# weights. 1,500 augmented training images stand for unseen ones.

# %% tags=["solution"]
from sklearn.cluster import KMeans

from signmnist.baseline import augment

# %% tags=["solution"]
sample = np.random.default_rng(SEED).permutation(len(data.x_train))[:1500]
x_probe, y_probe = augment(data.x_train[sample], [SEED, 7]).numpy(), data.y_train[sample]
COUNTS = [2, 3, 4, 6, 8, 16]
sensitivity = {}
probe = clone(without_norms)
for name, kernel in before.items():
    shares = []
    for count in COUNTS:
        found = KMeans(count, n_init=1, random_state=SEED).fit(kernel.reshape(-1, 1))
        values = found.cluster_centers_[found.labels_].reshape(kernel.shape)
        probe.get_layer(name).kernel.assign(values)
        shares.append(100 * accuracy(probe, x_probe, y_probe))
    probe.get_layer(name).kernel.assign(kernel)
    sensitivity[name] = (COUNTS, shares)
show_lines(
    "Accuracy when one layer alone is clustered, not fine-tuned",
    sensitivity,
    "clusters",
    "accuracy on augmented images, %",
    banner=data.banner,
    xscale="log",
)

# %% tags=["solution"]
few = pd.Series({name: shares[COUNTS.index(4)] for name, (_, shares) in sensitivity.items()})
say(
    f"With 4 values left, accuracy falls furthest with **{few.idxmin()}**, to {few.min():.1f} %, "
    f"and least with **{few.idxmax()}**, to {few.max():.1f} %.",
    data.banner,
)

# %% [markdown] tags=["solution"]
# ## 4. The answer
#
# The question leaves the network open. Here the steps to int4 of section 2 start from the compact
# network of question 1: fold, cluster, train in 4 bits, convert, quantize at one scale a tensor,
# take out the names, which count in a file with so few weights. Both trainings learn the accurate
# network's scores (**distillation**), as the compact network itself did.
#
# This recipe was **chosen** on the held-out photos of question 1, before this run: networks trained
# without them, with three seeds each, were judged by them (`report.md` has the figures).
# The seed here is the first.

# %% tags=["solution"]
from signmnist.recipes import CLUSTERED_COMPACT  # in sight

# %% tags=["solution"]
recipe = in_profile(CLUSTERED_COMPACT, PROFILE)
taught, scores_taught = lessons(data.x_train, baseline, recipe, SEED)
few_values, _ = cluster_layers(
    equalized(fold_norms(compact)),
    CLUSTERED_COMPACT["clusters"],
    CLUSTERED_COMPACT["centroids"],
    lambda wrapped: learn(wrapped, taught, scores_taught, recipe, SEED, name="compact, clustering"),
)
recipe = in_profile(CLUSTERED_COMPACT | CLUSTERED_COMPACT["rounding"], PROFILE)
headline, headline_history = in_four_bits(
    without_small_weights(few_values),
    lambda aware: learn(aware, taught, scores_taught, recipe, SEED, name="compact, 4 bits"),
    keep_zeros=True,
)

# %% [markdown] tags=["solution"]
# Its weights before, and after, as the whole numbers that the file stores. The training in 4 bits
# has parted the clusters of the recipe; what a layer shares now are these numbers, at most 15:

# %% tags=["solution"]
after_4 = in_steps(headline)
show_weights(
    "The compact network: before, and as whole numbers afterwards",
    in_steps(equalized(fold_norms(compact))),
    after_4,
    banner=data.banner,
    xlabel="weight, in steps",
)

# %% [markdown] tags=["solution"]
# The bytes after gzip: before, then (*float*) after both trainings, in 4 bits and without names.
# Last, the **container**: the file with all weights equal, which leaves operators, tensors, scales
# and biases. `stripped` takes out the tensors' names, which no runtime here needs, by TensorFlow's
# `flatbuffer_utils.strip_strings`.

# %% tags=["solution"]
by_step = {"float, not clustered": sizes(convert(compact, build / "compact.tflite"))["bytes_gzip"]}
by_step |= four_bit_file(headline, "models/sign_mnist_clustered.tflite", examples)
small = evaluate(
    "clustered compact, int4", "sign_mnist_clustered", headline, headline_history, compact
)
empty = clone(headline)
for name, kernel in after_4.items():
    empty.get_layer(name).kernel.assign(np.ones_like(kernel))
container = four_bit_file(empty, build / "container.tflite", examples)["without names"]
by_step["the container alone"] = container
display(pd.DataFrame({"bytes after gzip": by_step}).style.format("{:,}").set_caption(data.banner))

# %% tags=["solution"]
count = sum(w.size for w in after_4.values())
answers["headline"] = (
    f"{count:,} weights with at most "
    f"{max(len(np.unique(np.round(w))) for w in after_4.values())} different values a layer: "
    f"**{small['bytes_gzip']:,} bytes** after gzip at {small['accuracy']:.2%}, "
    f"{small['accuracy_no_twin']:.2%} on images without a twin in training. In float and not "
    f"clustered, the same network takes {by_step['float, not clustered']:,} bytes at "
    f"{compact_accuracy:.2%}; the weights are {small['bytes_gzip'] - container:,} of the bytes, "
    f"{8 * (small['bytes_gzip'] - container) / count:.1f} bits each."
)
say(answer("question 2", [small], answers["headline"], data.banner))

# %% tags=["check"]
check_file("models/sign_mnist_clustered.tflite", data, at_least=0.9)

# %% [markdown] tags=["solution"]
# ## 5. On the chip: shared values as a codebook
#
# LiteRT has no codebooks, but TFLite Micro, the interpreter for microcontrollers, has: its package
# `compression` stores a tensor's values once, and for each weight the number of its value in few
# bits; an operator `DECODE`, which LiteRT does not know, looks them up when the model runs. So
# sharing saves **raw** bytes, in flash, where nothing is unpacked first. `with_codebooks` calls
# `compressed` for one kernel after another and keeps what makes the file smaller: a small layer's
# table may take more than it saves.

# %% tags=["solution"]
from toolkit.codebook import (
    compressed,  # noqa: F401  (in sight)
    with_codebooks,
)
from toolkit.files import file_sha256

# %% tags=["solution"]
in_flash = with_codebooks(
    "models/sign_mnist_clustered_int8.tflite", "models/sign_mnist_clustered_codebook.tflite"
)
scores = {
    name: run_micro(f"models/sign_mnist_clustered_{name}.tflite", data.x_test[:1000])
    for name in ("int8", "codebook")
}
equal = "equal" if np.array_equal(*(run.scores for run in scores.values())) else "differ from"
codebook = by_book | {
    "id": "sign_mnist_clustered_codebook",
    "technique": "clustered, codebook",
    "file": "sign_mnist_clustered_codebook.tflite",
    "sha256": file_sha256("models/sign_mnist_clustered_codebook.tflite"),
    "arena_bytes": scores["codebook"].arena_bytes,
    "micro": scores["codebook"].reason
    or f"its scores of {len(data.x_test[:1000]):,} images {equal} those of int8",
    **dict.fromkeys(field for field in by_book if field.startswith("latency")),
    **sizes("models/sign_mnist_clustered_codebook.tflite"),
}
records["clustered, codebook"] = codebook
save_record(codebook)
answers["chip"] = (
    f"On TFLite Micro, with {len(in_flash)} of its {len(after)} kernels as codebooks, the accurate "
    f"network in int8 takes {codebook['bytes']:,} bytes **raw** instead of "
    f"{by_book['bytes']:,}, and its arena, the working memory, "
    f"{codebook['arena_bytes'] or 0:,} instead of {by_book['arena_bytes'] or 0:,}; "
    f"{codebook['micro']}."
)
say(answers["chip"], data.banner)

# %% [markdown] tags=["solution"]
# The codebook file's accuracy is that of the int8 file; LiteRT cannot run it, so it has no latency.
# The arena is larger, as `DECODE` writes each layer's weights out there.
#
# ## 6. All of them
#
# *Arena* is the working memory that TFLite Micro needs; a dash: the runtime cannot run the model;
# latency is the median and, in brackets, the quartiles. In the plot, the step line joins the models
# for which no smaller file is at least as accurate.

# %%
table = results_table(records.values())
display(table.style.set_caption(data.banner) if data.banner else table)

# %%
show_accuracy_against_bytes("Accuracy against bytes", list(records.values()), data.banner)

# %% [markdown] tags=["handout"]
# ## 3. Your conclusions
#
# *Which steps did you try, and what did each save in bytes, raw and after gzip, and cost in
# accuracy? Why does clustering alone leave the raw file as large as it was? What fills your file
# now?*

# %% [markdown] tags=["solution"]
# **How much smaller still?** {{studies/size_race_clustered/bytes_gzip:,}} bytes at
# {{studies/size_race_clustered/accuracy:.2%}}, with a smaller network, custom layers and a file
# written by custom code: `studies/size_race.ipynb` goes there step by step and shows what every
# byte is for. That is another question: TensorFlow's tools do not write such files.
#
# ### Exercises
#
# 1. Give `conv1` 4 values instead of its number in section 1. What happens to accuracy and bytes?
# 2. Cluster `baseline` instead of `without_norms`. How many values has each kernel in the file?
# 3. Leave out the training in 4 bits of section 4. What does rounding alone cost?

# %% [markdown]
# ### Glossary
#
# - **Centroid**: one of the values that a layer's weights share; **codebook**: all of them.
# - **Folding**: multiplying batch normalization into the kernel before it.
# - **k-means**: giving each weight to its nearest centroid and moving each centroid to the mean of
#   its weights, again and again.
#
# ### Sources
#
# - The assignment's pages, at tensorflow.org:
#   [weight clustering](https://www.tensorflow.org/model_optimization/guide/clustering),
#   [combining techniques](https://www.tensorflow.org/model_optimization/guide/combine/cqat_example).
# - S. Han, H. Mao, W. Dally, "Deep Compression", ICLR 2016. Shared weights, pruning, codes.
# - M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV
#   2019.
# - G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural Network", 2015.

# %%
print(f"{PROFILE} profile, {(time.perf_counter() - started) / 60:.1f} minutes")
