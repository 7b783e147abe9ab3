# %% [markdown] tags=["handout"]
# # Question 3: weights that are zero
#
# Magnitude pruning and quantization: **the smallest `.tflite` that reads 90 % of the signs.** The
# score is the size of `models/sign_mnist_pruned.tflite` after `gzip -9n`.

# %% [markdown] tags=["solution"]
# # Question 3: weights that are zero
#
# Magnitude pruning and quantization: **the smallest `.tflite` that reads 90 % of the signs**, made
# by public tools alone. The score is the size after `gzip -9n`.
#
# | what | file in `models/` | test accuracy | bytes | after gzip |
# |---|---|---|---|---|
# | **the answer**, from the compact network | `sign_mnist_pruned.tflite` | {{cells(small)}} |
# | from the accurate network, int4 | `sign_mnist_pruned_int4.tflite` | {{cells(accurate)}} |
# | from the accurate network, int8 | `sign_mnist_pruned_int8.tflite` | {{cells(by_book)}} |
#
# Both networks are those of question 1; all files are without names of tensors. A *twin* is a
# training image of the same photo. *PQAT* keeps zeros, *PCQAT* zeros and clusters, while training
# with rounded weights.
#
# {{answers["headline"]}}
#
# {{answers["book"]}}
#
# Smaller still, with custom layers and file writer:
# {{studies/size_race_clustered/bytes_gzip:,}} bytes at
# {{studies/size_race_clustered/accuracy:.2%}}, in the study `studies/size_race.ipynb`.

# %% [markdown] tags=["solution"]
# | what you learn | section |
# |---|---|
# | what `prune_low_magnitude` does, and when | 1 |
# | when a zero saves bytes | 2 |
# | what each quantization leaves of the zeros; the files from the accurate network | 3 |
# | which layers can spare weights | 4 |
# | **the answer**: zeros, 4 bits, one scale a layer, no names | 5 |
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

import matplotlib.pyplot as plt
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
tf.keras.utils.set_random_seed(SEED + 3)  # other fresh weights than question 1 began with

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
from signmnist.checks import check_file, check_network, check_pruned, check_started

check_network(baseline, data, at_least=0.9)

# %% [markdown] tags=["handout"]
# ## 1. Magnitude pruning
#
# `train(model, x, y, epochs=…, name="pruning", callbacks=[…])` fits a compiled Keras model and
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
# ### Task 2: prune `baseline` while it trains on, and strip; name the result `pruned`
#
# **Given:** `tfmot.sparsity.keras`. It wraps the very layers that it is given: give it a copy.
# Mind that `tf.keras.models.clone_model` copies layers, **not their weights**: the copy has fresh
# ones until `copy.set_weights(baseline.get_weights())`.
#
# **Afterwards there are:** `pruned`, a Keras model of ordinary layers of whose weights many are
# zero, and `pruned_history`, what `train` returned.

# %% [markdown] tags=["solution"]
# ## 1. Magnitude pruning
#
# `prune_low_magnitude` keeps a mask for each layer: during training the smallest weights are set to
# zero, ever more of them, as a **schedule** says. It wraps the very layer objects that it is given,
# so it gets a copy. Without the callback `UpdatePruningStep`, training stops with an error. At the
# end, `strip_pruning` removes masks and thresholds.

# %% tags=["solution"]
from toolkit.compression import (
    equalized,
    fold_norms,
    prune_layers,  # in sight
)

# %% [markdown] tags=["solution"]
# First, batch normalization is folded and the channels are equalized (question 2, section 1), so
# that what is pruned is what the file holds. Layers of up to `larger_than` weights stay whole.

# %% tags=["solution"]
from signmnist.baseline import BATCH_SIZE
from signmnist.recipes import PRUNED  # in sight


# %% tags=["solution"]
def steps(recipe):
    """Training steps of a recipe."""
    return recipe["epochs"] * recipe.get("copies", 1) * (len(data.x_train) // BATCH_SIZE)


images, without_norms = (data.x_train, data.y_train), equalized(fold_norms(baseline))
recipe = in_profile(PRUNED, PROFILE)
pruned, pruned_history = prune_layers(
    without_norms,
    PRUNED["sparsity"],
    PRUNED["larger_than"],
    steps(recipe),
    lambda wrapped, callbacks: tune(
        wrapped, *images, recipe, name="pruning", seed=SEED, callbacks=callbacks
    ),
)
print(f"test file {accuracy(pruned, data.x_test, data.y_test):.2%}")

# %% tags=["check"]
check_pruned(pruned, at_least=0.5)
check_started(pruned, baseline, data)

# %%
from toolkit.compression import kernels
from toolkit.results import answer, measure, results_table, save_record, say
from toolkit.plots import (
    BLUE,
    ORANGE,
    figure,
    show_accuracy_against_bytes,
    show_lines,
    show_masks,
    show_weights,
)

# %% tags=["handout"]
show_masks("What is left: blue is alive, white is zero", kernels(pruned), banner=data.banner)

# %% [markdown] tags=["handout"]
# ## 2. Pruning and quantization

# %% [markdown] tags=["solution"]
# Three pruned layers, above before, below after: what lay around zero is gone. `conv1` to `conv5`
# are the convolutions in order, `letters` is the dense layer.

# %% tags=["solution"]
before, after = kernels(without_norms), kernels(pruned)
large = [name for name, kernel in after.items() if kernel.size > PRUNED["larger_than"]]
chosen = large[0], large[len(large) // 2], large[-1]
fig, axes = figure("Three layers before and after pruning", 2, 3, (9, 4.5), data.banner)
for column, name in zip(axes.T, chosen, strict=True):
    for ax, kernel, colour in zip(column, (before[name], after[name]), (BLUE, ORANGE), strict=True):
        alive = kernel[kernel != 0]
        ax.hist(alive, bins=60, color=colour)
        ax.set_title(f"{name}, {1 - alive.size / kernel.size:.0%} zeros", fontsize=10)
    column[0].sharex(column[1])
    column[1].set_xlabel("weights other than zero")
for ax in axes[:, 0]:
    ax.set_ylabel("how many weights")
plt.show()

# %% [markdown] tags=["solution"]
# Their masks, each kernel as a table of weights: blue is kept, white is zero. (Of more rows than
# pixels, only some are drawn.)

# %% tags=["solution"]
show_masks("What is left", {name: after[name] for name in chosen}, banner=data.banner)

# %% [markdown] tags=["solution"]
# The **schedule** that led there rises fast at first, when there is much to spare, then slowly; at
# 60 % of the training it is done.

# %% tags=["solution"]
count = steps(recipe)
schedule = tfmot.sparsity.keras.PolynomialDecay(0, PRUNED["sparsity"], 0, int(0.6 * count))
at = np.linspace(0, count, 60).astype(int)
zeros = [100 * float(schedule(tf.constant(step, tf.int64))[1]) for step in at]
fig, ax = figure("The pruning schedule", size=(9, 2.6), banner=data.banner)
ax.plot(at / count * 100, zeros, color=BLUE)
ax.set(xlabel="share of the training, %", ylabel="zeros, %")
plt.show()

# %% [markdown] tags=["solution"]
# ## 2. When a zero saves bytes
#
# A `.tflite` file, the format of TensorFlow Lite (now named LiteRT), by default stores a zero like
# any other number: zeros only pay once the file is compressed. Or the converter's flag
# `EXPERIMENTAL_SPARSITY` writes a tensor with many zeros as a list of its other weights and their
# places. `convert` runs question 1's converter with settings like these:

# %% tags=["solution"]
from toolkit.compression import (
    DYNAMIC_RANGE,  # in sight
    INT8,  # in sight
    ONE_SCALE,  # in sight
    convert,
    representative_dataset,
    stripped,
)
from toolkit.tflite import ModelError, constants, predict_tflite, run_micro, sizes

# %% tags=["solution"]
build = Path("build_q3")
build.mkdir(exist_ok=True)
SPARSE = tf.lite.Optimize.EXPERIMENTAL_SPARSITY
FORMS = {
    # file: network, the converter's optimizations
    "float, not pruned": (without_norms, []),
    "float": (pruned, []),
    "float, sparse": (pruned, [SPARSE]),
    "dynamic range": (pruned, [tf.lite.Optimize.DEFAULT]),
    "dynamic range, sparse": (pruned, [tf.lite.Optimize.DEFAULT, SPARSE]),
}
few = data.x_test[:100]
rows = {}
for number, (name, (model, optimizations)) in enumerate(FORMS.items()):
    path = build / f"zeros_{number}.tflite"
    convert(model, path, optimizations=optimizations)
    expected = predict(model, few).argmax(axis=1)
    row = dict(zip(("bytes", "ZIP", "after gzip"), sizes(path).values(), strict=True))
    for runtime, xnnpack in (("LiteRT", True), ("LiteRT without XNNPACK", False)):
        try:
            found = predict_tflite(path, few, xnnpack=xnnpack).argmax(axis=1)
            row[runtime] = f"{np.sum(found == expected)} of {len(few)}"
        except ModelError:
            row[runtime] = "refuses it"
    micro = run_micro(path, few)
    row["TFLite Micro"] = micro.reason or (
        f"{np.sum(micro.scores.argmax(axis=1) == expected)} of {len(few)}"
    )
    rows[name] = row
rows = pd.DataFrame.from_dict(rows, orient="index").drop(columns="ZIP")
display(rows.style.format("{:,}", ["bytes", "after gzip"]).set_caption(data.banner))

# %% [markdown] tags=["solution"]
# The columns on the right count the images read as by the Keras network, or say why a runtime
# refuses the file. (`DENSIFY` is the operator that expands sparse weights, `CONV_2D` the
# convolution, XNNPACK LiteRT's library of fast CPU kernels.) The sparse form saves raw bytes, but
# not every runtime takes it, and after gzip it saves in float only:

# %% tags=["solution"]
alive = sum(np.count_nonzero(kernel) for kernel in after.values())
raw, packed = rows["bytes"], rows["after gzip"]
say(
    f"The sparse form takes {raw['float, sparse']:,} bytes raw instead of {raw['float']:,} in "
    f"float, and {raw['dynamic range, sparse']:,} instead of {raw['dynamic range']:,} in dynamic "
    f"range; after gzip {packed['float, sparse']:,} instead of {packed['float']:,}, and "
    f"{packed['dynamic range, sparse']:,} instead of {packed['dynamic range']:,}. The {alive:,} "
    f"weights that are left take {4 * alive:,} bytes as floats.",
    data.banner,
)

# %% [markdown] tags=["solution"]
# ## 3. What quantization leaves of the zeros
#
# In int8 a zero stays zero: weights are symmetric, so 0.0 is the number 0. Here they have one scale
# a tensor instead of the converter's scale for each channel (question 2, section 2). **PQAT** is
# sparsity-preserving quantization-aware training: the forward pass rounds to 8 bits, and a mask
# keeps the zeros. For **PCQAT** the weights that are left are first clustered to 16 values; then
# zeros and clusters are kept. (Its quantizer stops keeping zeros in all convolutions once one of
# them has none; so each layer's smallest weight is set to zero.)

# %% tags=["solution"]
from signmnist.recipes import (
    PCQAT,  # in sight
    PQAT,  # in sight
    SPARSE_CLUSTERED,  # in sight
)
from toolkit.compression import clone

# %% tags=["solution"]
combine, clustering = tfmot.experimental.combine, tfmot.clustering.keras


def quantization_aware(model, scheme, recipe, name):
    """Fine-tunes `model` under fake quantization. Returns (model, history)."""
    annotated = tfmot.quantization.keras.quantize_annotate_model(clone(model))
    aware = tfmot.quantization.keras.quantize_apply(annotated, scheme)
    return aware, tune(aware, *images, in_profile(recipe, PROFILE), name=name, seed=SEED)


prune_preserving = combine.Default8BitPrunePreserveQuantizeScheme()
pqat, pqat_history = quantization_aware(pruned, prune_preserving, PQAT, "PQAT")
with_zeros = clone(pruned)
for name, kernel in after.items():
    smallest = np.abs(kernel) == np.abs(kernel).min()
    with_zeros.get_layer(name).kernel.assign(np.where(smallest, 0, kernel))
wrapped = clustering.cluster_weights(
    with_zeros,
    number_of_clusters=SPARSE_CLUSTERED["clusters"],
    cluster_centroids_init=clustering.CentroidInitialization.LINEAR,
    preserve_sparsity=True,
)
tune(wrapped, *images, in_profile(SPARSE_CLUSTERED, PROFILE), name="sparse clustering", seed=SEED)
both_preserving = combine.Default8BitClusterPreserveQuantizeScheme()
pcqat, pcqat_history = quantization_aware(
    clustering.strip_clustering(wrapped), both_preserving, PCQAT, "PCQAT"
)

# %% [markdown] tags=["solution"]
# Below, *without twins* leaves out the test images that share a photo with the training file; the
# interval comes from drawing the test file's groups of photos anew (question 1, section 1).

# %%
records: dict = {}


def evaluate(technique, file, network, history, origin=baseline):
    """Scores and measures models/<file>.tflite and saves its record, which it returns."""
    path = Path("models", f"{file}.tflite")
    records[technique] = {
        "id": file,
        "notebook": "q3",
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
# The network is yours to choose, also a smaller one; what counts is that many of its weights are
# zero.
#
# **Afterwards there are:** `models/sign_mnist_pruned.tflite` and `race`, what `evaluate("size
# race", "sign_mnist_pruned", network, history, network)` returns.


# %% tags=["solution"]
def cells(record):
    return f"{record['accuracy']:.2%} | {record['bytes']:,} | {record['bytes_gzip']:,}"


CALIBRATION = {"representative_dataset": representative_dataset(data.x_train, seed=SEED)}
FILES = {
    # file in models/: network, the converter's settings
    "sign_mnist_pruned_int8.tflite": (pruned, INT8 | ONE_SCALE | CALIBRATION),
    "sign_mnist_pruned_pqat.tflite": (pqat, DYNAMIC_RANGE),
    "sign_mnist_pruned_pcqat.tflite": (pcqat, DYNAMIC_RANGE),
}
for file, (model, settings) in FILES.items():
    stripped(convert(model, build / file, **settings), Path("models", file))
by_book = evaluate("pruned, int8", "sign_mnist_pruned_int8", pruned, pruned_history)
by_pqat = evaluate("PQAT, int8", "sign_mnist_pruned_pqat", pqat, pqat_history)
by_pcqat = evaluate("PCQAT, int8", "sign_mnist_pruned_pcqat", pcqat, pcqat_history)

# %% [markdown] tags=["solution"]
# ### Four bits instead of eight
#
# What is left needs no whole byte either. The **LiteRT Quantizer** of question 1 writes weights in
# 4 bits: whole numbers from -7 to 7, two to a byte, times one scale a tensor. The pruned network is
# first rounded as it is, then trained with that rounding in its forward pass, by the quantizers of
# PQAT with 4 bits instead of 8, so that zeros stay zero. The largest weight of a layer sets its
# scale, so `clipped` limits the weights to the bound with the least squared error of rounding.
# `FourBitWeights` says what is rounded and how; `in_four_bits` puts it around each layer, trains
# and takes it off.

# %% tags=["solution"]
from toolkit.aware import (
    FourBitWeights,  # noqa: F401  (in sight)
    clipped,
    in_four_bits,
    in_steps,
)
from toolkit.quantizer import four_bit_file

# %% tags=["solution"]
examples = data.x_train[np.random.default_rng(SEED).choice(len(data.x_train), 300, replace=False)]

four_bit_file(pruned, build / "rounded.tflite", examples)
rounded = predict_tflite(build / "rounded.tflite", data.x_test).argmax(axis=1)
print(f"rounded, not trained: test file {np.mean(rounded == data.y_test):.2%}")
recipe = in_profile(PRUNED | PRUNED["rounding"], PROFILE)
in_4, in_4_history = in_four_bits(
    clipped(pruned),
    lambda aware: tune(aware, *images, recipe, name="4 bits", seed=SEED),
    keep_zeros=True,
)
four_bit_file(in_4, "models/sign_mnist_pruned_int4.tflite", examples)
accurate = evaluate("pruned, int4", "sign_mnist_pruned_int4", in_4, in_4_history)

# %% [markdown] tags=["solution"]
# The zeros in each file, and the different numbers; a scale for each channel, as in PQAT and PCQAT,
# makes several numbers of one value:

# %% tags=["solution"]
answered = [by_book, by_pqat, by_pcqat, accurate]
for record in answered:
    stored = [w for w in constants(f"models/{record['file']}") if w.ndim > 1]
    share = np.mean(np.concatenate([w.ravel() for w in stored]) == 0)
    most = max(len(np.unique(w)) for w in stored)
    print(f"{record['technique']}: {share:.1%} zeros, at most {most:,} values a layer")

# %% tags=["solution"]
answers = {}
answers["book"] = (
    f"From the accurate network the same steps give {accurate['bytes_gzip']:,} bytes at "
    f"{accurate['accuracy']:.2%} with weights of 4 bits and {by_book['bytes_gzip']:,} at "
    f"{by_book['accuracy']:.2%} with 8; PQAT and PCQAT, with a scale for each channel, "
    f"{by_pqat['bytes_gzip']:,} and {by_pcqat['bytes_gzip']:,} at {by_pqat['accuracy']:.2%} and "
    f"{by_pcqat['accuracy']:.2%}. In float and not pruned, it takes "
    f"{rows.loc['float, not pruned', 'after gzip']:,.0f} at {accurate_accuracy:.2%}."
)
say(answer("question 3, from the accurate network", answered, answers["book"], data.banner))

# %% [markdown] tags=["solution"]
# ## 4. Which layers bear it: sensitivity
#
# One layer at a time loses its smallest weights, without any fine-tuning, while all others stay
# whole. 1,500 augmented training images stand for unseen ones.

# %% tags=["solution"]
from signmnist.baseline import augment

# %% tags=["solution"]
sample = np.random.default_rng(SEED).permutation(len(data.x_train))[:1500]
x_probe, y_probe = augment(data.x_train[sample], [SEED, 7]).numpy(), data.y_train[sample]
LEVELS = [0.3, 0.5, 0.6, 0.7, 0.8, 0.9]
sensitivity = {}
probe = clone(without_norms)
for name, kernel in before.items():
    shares = []
    for level in LEVELS:
        threshold = np.quantile(np.abs(kernel), level)
        probe.get_layer(name).kernel.assign(np.where(np.abs(kernel) < threshold, 0, kernel))
        shares.append(100 * accuracy(probe, x_probe, y_probe))
    probe.get_layer(name).kernel.assign(kernel)
    sensitivity[name] = ([100 * level for level in LEVELS], shares)
show_lines(
    "Accuracy when one layer alone is pruned, not fine-tuned",
    sensitivity,
    "sparsity of the layer, %",
    "accuracy on augmented images, %",
    banner=data.banner,
)

# %% tags=["solution"]
at_70 = pd.Series({name: shares[LEVELS.index(0.7)] for name, (_, shares) in sensitivity.items()})
say(
    f"At 70 % sparsity, accuracy falls furthest with **{at_70.idxmin()}**, to "
    f"{at_70.min():.1f} %, and least with **{at_70.idxmax()}**, to {at_70.max():.1f} %.",
    data.banner,
)

# %% [markdown] tags=["solution"]
# ## 5. The answer
#
# The question leaves the network open. Here the steps to int4 of section 3 start from the compact
# network of question 1: fold, prune, train in 4 bits, convert, quantize at one scale a tensor, take
# out the names, which count in a file with so few weights. Both trainings learn the accurate
# network's scores (**distillation**), as the compact network itself did.
#
# This recipe was **chosen** on the held-out photos of question 1, before this run: networks trained
# without them, with three seeds each, were judged by them. Earlier recipes without
# `clipped` missed 90 % with one seed of three (`report.md` has the figures). The seed here is the
# first.

# %% tags=["solution"]
from signmnist.recipes import PRUNED_COMPACT  # in sight

# %% tags=["solution"]
recipe = in_profile(PRUNED_COMPACT, PROFILE)
taught, scores_taught = lessons(data.x_train, baseline, recipe, SEED)
sparse, _ = prune_layers(
    equalized(fold_norms(compact)),
    PRUNED_COMPACT["sparsity"],
    PRUNED_COMPACT["larger_than"],
    steps(recipe),
    lambda wrapped, callbacks: learn(
        wrapped, taught, scores_taught, recipe, SEED, name="compact, pruning", callbacks=callbacks
    ),
)
recipe = in_profile(PRUNED_COMPACT | PRUNED_COMPACT["rounding"], PROFILE)
headline, headline_history = in_four_bits(
    clipped(sparse),
    lambda aware: learn(aware, taught, scores_taught, recipe, SEED, name="compact, 4 bits"),
    keep_zeros=True,
)

# %% [markdown] tags=["solution"]
# Its weights before, and after, as the whole numbers that the file stores:

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
by_step = {"float, not pruned": sizes(convert(compact, build / "compact.tflite"))["bytes_gzip"]}
by_step |= four_bit_file(headline, "models/sign_mnist_pruned.tflite", examples)
small = evaluate("pruned compact, int4", "sign_mnist_pruned", headline, headline_history, compact)
empty = clone(headline)
for name, kernel in after_4.items():
    empty.get_layer(name).kernel.assign(np.ones_like(kernel))
container = four_bit_file(empty, build / "container.tflite", examples)["without names"]
by_step["the container alone"] = container
display(pd.DataFrame({"bytes after gzip": by_step}).style.format("{:,}").set_caption(data.banner))

# %% tags=["solution"]
values = np.concatenate([np.round(w).ravel() for w in after_4.values()])
answers["headline"] = (
    f"{values.size:,} weights, {np.mean(values == 0):.0%} of them zero: "
    f"**{small['bytes_gzip']:,} bytes** after gzip at {small['accuracy']:.2%}, "
    f"{small['accuracy_no_twin']:.2%} on images without a twin in training. In float and not "
    f"pruned, the same network takes {by_step['float, not pruned']:,} bytes at "
    f"{compact_accuracy:.2%}; the weights are {small['bytes_gzip'] - container:,} of the bytes, "
    f"{8 * (small['bytes_gzip'] - container) / values.size:.1f} bits each."
)
say(answer("question 3", [small], answers["headline"], data.banner))

# %% tags=["check"]
check_file("models/sign_mnist_pruned.tflite", data, at_least=0.9)

# %% [markdown] tags=["solution"]
# ## 6. All of them
#
# *Arena* is the working memory that TFLite Micro needs; a dash: it cannot run the model;
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
# accuracy? When does a zero save bytes, and when not? Which layers could spare weights?*


# %% [markdown] tags=["solution"]
# **How much smaller still?** {{studies/size_race_clustered/bytes_gzip:,}} bytes at
# {{studies/size_race_clustered/accuracy:.2%}}, with a smaller network, custom layers and a file
# written by custom code: `studies/size_race.ipynb` goes there step by step, with a penalty that
# makes the zeros, and shows what every byte is for. That is another question: TensorFlow's tools
# do not write such files.
#
# ### Exercises
#
# 1. Prune `conv1` as well in section 1. What does it cost, what does it save?
# 2. Draw accuracy against gzip bytes for sparsities of `PRUNED` from 0.7 to 0.95.
# 3. Prune whole channels (*structured pruning*). How many bytes does the raw file have?

# %% [markdown]
# ### Glossary
#
# - **Magnitude pruning**: zeroing the weights with the smallest absolute values.
# - **Mask**: which weights are kept. **Sparsity**: the share of zeros.
# - **Schedule**: the sparsity as a function of the training step.
# - **Structured pruning**: pruning blocks or channels, so that hardware can skip them.
#
# ### Sources
#
# - The assignment's pages, at tensorflow.org:
#   [pruning](https://www.tensorflow.org/model_optimization/guide/pruning),
#   [combining techniques](https://www.tensorflow.org/model_optimization/guide/combine/pqat_example).
# - M. Zhu, S. Gupta, "To prune, or not to prune", 2017. The polynomial schedule.
# - S. Han, H. Mao, W. Dally, "Deep Compression", ICLR 2016.

# %%
print(f"{PROFILE} profile, {(time.perf_counter() - started) / 60:.1f} minutes")
