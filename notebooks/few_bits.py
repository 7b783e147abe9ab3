# %% [markdown]
# # Few bits
#
# **Weights of three values in every layer read {{record["accuracy"]:.2%}} of the test file, in
# {{record["bytes_gzip"]:,}} bytes after `gzip -9n`.** Question 4 gives each weight and bias 4 bits.
# This study asks what else QKeras's quantizers do, what 4-bit activations cost, and how far down
# the weights can go. The networks, before they become files:
#
# | network | bits a weight | test file | without twins | against float, points | file |
# |---|---|---|---|---|---|
# | float, question 1 | 32 | {{cells("float")}} | |
# | 4-bit weights, question 4 | 4 | {{cells("4-bit weights")}} | |
# | 4-bit weights and activations | 4 | {{cells("4-bit weights and activations")}} | |
# | ternary weights | 2 | {{cells("ternary weights")}} | `few_bits_ternary.tflite` |
#
# *Without twins* leaves out the test images that share a photo with the training file. *Against
# float* is the 95 % interval of the difference on the test file, groups of photos drawn anew: where
# it holds 0, the two networks cannot be told apart. It knows nothing of other seeds. The file, in
# `studies/models/`, takes {{record["bytes"]:,}} bytes raw: its format has 4 bits a weight, and only
# gzip makes use of the three values.
#
# **What you learn:** what the arguments of a QKeras quantizer do; how much of the differences
# between quantizers is left after training; what becomes of activations in 4 bits; how ternary
# weights are trained, checked, counted and stored.
#
# | section | subject |
# |---|---|
# | 1 | what quantizers do to weights |
# | 2, 3 | quantizers for weights, compared; and for biases |
# | 4 | 4 bits for activations too |
# | 5, 6 | ternary weights; their bits, and their file |
# | 7 | side by side |
#
# **In Colab:** upload this one file, then *Runtime > Run all*. Folded cells named *Helpers* hold
# the plumbing. Figures in the text are those of the published run; your own run's stand in the
# outputs, and those from a GPU differ slightly, as it adds in another order.

# %% [markdown]
# ## Setup
#
# QKeras needs Keras 2, and that choice is made once, when TensorFlow is first imported. So this
# comes first.

# %%
from toolkit.runtime import install_missing, use_keras_2

# %%
install_missing(
    "tensorflow",
    "tf_keras",
    "qkeras",
    "tensorflow-model-optimization",
    "pyparsing",
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
from IPython.display import display
from matplotlib.ticker import LogLocator
from qkeras import (
    QActivation,
    QConv2D,
    QDense,
    binary,
    quantized_bits,
    quantized_po2,
    quantized_relu,
    ternary,
)

# %% [markdown]
# `PROFILE` sets how long to train: `full` is the recipe behind the published figures, `quick` a
# tour, `smoke` only proves that every cell runs. A **recipe** is a dict that holds how a network is
# trained, and `in_profile` shortens it. The recipes of this study were **set**: no trial of its
# networks on held-out photos is on record.

# %%
PROFILE = os.environ.get("PROFILE", "full")
SEED = 0

tf.keras.utils.set_random_seed(SEED)
started = time.perf_counter()

# %%
from signmnist.data import load_sign_mnist
from signmnist.recipes import ACCURATE, in_profile

# %%
data = load_sign_mnist()

# %% [markdown]
# Everything starts from the accurate network of question 1. Where its file is not at hand, as in
# Colab, it is trained here first, which takes some minutes more.

# %%
from signmnist.baseline import (
    augment,
    build_cnn,  # noqa: F401  (in sight)
    train_accurate,
    tune,  # in sight
)
from toolkit.compression import saved_or_trained
from toolkit.training import accuracy, predict

# %%
baseline = saved_or_trained(
    "../models/sign_mnist_baseline.keras",
    lambda: train_accurate(data.x_train, data.y_train, in_profile(ACCURATE, PROFILE), SEED),
)

# %% [markdown]
# ## 1. What quantizers do to weights
#
# QKeras has layers that take **quantizers**: functions that round the weights in the forward pass,
# while gradients pass them as if they were not there. The float weights stay underneath and are
# what training changes. The arguments of `quantized_bits(bits, integer)`, and its relatives:
#
# - **alpha**: 1 (steps fixed for all layers), `auto` (a float scale for each output channel, so
#   that its largest weight is just within range), `auto_po2` (a power of two for each, which
#   hardware multiplies by shifting);
# - **symmetric**: with 4 bits -7 to 7, or -8 to 7;
# - **integer bits** set the range: 0 is ±1, 1 is ±2. Negative ones, for ranges below 1, stop QKeras
#   0.9.0 with an error; a number below 1 for alpha would not do: it multiplies the result only, and
#   the weights are still rounded to eighths first;
# - **stochastic rounding** rounds up or down at random, the nearer the likelier. In QKeras 0.9.0
#   the argument has an effect only with a fixed alpha, and only where Keras's learning phase is set
#   by hand, as `learning_phase` does here;
# - `quantized_po2`: the weights themselves are powers of two, with no zero and none below 1/16;
# - `ternary`: -1, 0 and 1 times a scale, `binary`: -1 and 1 times a scale.
#
# `quantized_linear`, which QKeras's repository describes, is not in the released version.


# %%
def auto(bits=4):
    """Quantizes to so many bits with one scale for each output channel."""
    return quantized_bits(bits, 0, symmetric=1, alpha="auto")


WEIGHT_QUANTIZERS = {
    # name: bits a weight, quantizer
    "alpha 1": (4, lambda: quantized_bits(4, 0, alpha=1)),
    "alpha 1, symmetric": (4, lambda: quantized_bits(4, 0, symmetric=1, alpha=1)),
    "alpha 1, 1 integer bit": (4, lambda: quantized_bits(4, 1, alpha=1)),
    "alpha 1, stochastic": (
        4,
        lambda: quantized_bits(4, 0, alpha=1, use_stochastic_rounding=True),
    ),
    "auto": (4, auto),
    "auto_po2": (4, lambda: quantized_bits(4, 0, symmetric=1, alpha="auto_po2")),
    "powers of two": (4, lambda: quantized_po2(4)),
    "auto, 8 bits": (8, lambda: auto(8)),
    "auto, 6 bits": (6, lambda: auto(6)),
    "auto, 3 bits": (3, lambda: auto(3)),
    "ternary": (2, lambda: ternary(alpha="auto")),
    "binary": (1, lambda: binary(alpha="auto")),
}

# %%
from toolkit.fourbit import (
    bit_count,
    learning_phase,
    plain_copy,
    quantized_layers,
    stored_numbers,
)
from toolkit.plots import BLUE, ORANGE, figure, show_errors
from toolkit.results import accuracy_interval, accuracy_three_ways, measure, write_records

# %% [markdown]
# On the left one channel of the fourth convolution under each of them. On the right what weights
# from 0 to 1/2 become on the fixed grid: to the nearest step, or at random, where the mean of 400
# times is shown.

# %%
channel = baseline.get_layer("conv4").get_weights()[0][..., :1]
fig, axes = figure("What quantizers make of weights", 1, 2, (9, 4.6), data.banner)
levels = {"float": channel} | {
    name: quantizer()(tf.constant(channel)).numpy()
    for name, (_, quantizer) in WEIGHT_QUANTIZERS.items()
}
for height, values in enumerate(map(np.unique, levels.values())):
    axes[0].plot(values, np.full(values.size, height), "|", color=BLUE, markersize=11)
axes[0].set_yticks(range(len(levels)), levels)
axes[0].invert_yaxis()
axes[0].set(xlabel="weight", xticks=[-1, -0.5, 0, 0.5])
weights = np.linspace(0, 0.5, 101, dtype=np.float32)
nearest = quantized_bits(4, 0, alpha=1)(tf.constant(weights)).numpy()
with learning_phase():
    at_random = quantized_bits(4, 0, alpha=1, use_stochastic_rounding=True)
    mean = at_random(tf.constant(np.tile(weights, (400, 1)))).numpy().mean(axis=0)
axes[1].plot(weights, nearest, color=BLUE)
axes[1].plot(weights, mean, color=ORANGE)
axes[1].text(0.5, 0.2, "stochastic, mean", color=ORANGE, ha="right")
axes[1].text(0.01, 0.3, "nearest", color=BLUE)
axes[1].set(xlabel="weight", ylabel="rounded")
plt.show()

# %%
eighths = {
    layer.name: quantized_bits(4, 0, alpha=1)(tf.constant(layer.get_weights()[0])).numpy()
    for layer in baseline.layers
    if isinstance(layer, tf.keras.layers.Conv2D)
}
used = [len(np.unique(w)) for w in eighths.values()]
become_zero = [np.mean(w == 0) for w in eighths.values()]

# %% [markdown]
# On the fixed grid of eighths the convolutions of the float network use {{min(used)}} to
# {{max(used)}} of the 16 levels, and {{min(become_zero):.0%}} to {{max(become_zero):.0%}} of a
# layer become zero. Rounded at random, a weight is right on average (the orange line).
#
# ## 2. Which quantizer for the weights
#
# Each candidate starts from the same float weights and is trained for one epoch. Three are only
# rounded, to save their epochs: each has a close relative among those that are trained.


# %%
def in_few_bits(model, kernel_quantizer=auto, activation=None):
    """A Keras CNN with QKeras layers in place of its convolutions and dense layers.

    The weights are those of `model`, as they are. kernel_quantizer: makes a quantizer; biases
    have 4 bits. activation: makes one that takes the place of each ReLU.
    """

    def with_quantizers(layer):
        if isinstance(layer, tf.keras.layers.Conv2D):
            return QConv2D(
                layer.filters,
                layer.kernel_size,
                layer.strides,
                padding=layer.padding,
                use_bias=False,  # the batch normalization behind it has one
                kernel_quantizer=kernel_quantizer(),
                kernel_initializer="zeros",  # the weights of `model` follow
                name=layer.name,
            )
        if isinstance(layer, tf.keras.layers.Dense):
            return QDense(
                layer.units,
                kernel_quantizer=kernel_quantizer(),
                bias_quantizer=auto(),
                kernel_initializer="zeros",
                name=layer.name,
            )
        if activation and isinstance(layer, tf.keras.layers.ReLU):
            return QActivation(activation(), name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    copy = tf.keras.models.clone_model(model, clone_function=with_quantizers)
    copy.set_weights(model.get_weights())
    return copy


# %% [markdown]
# Each candidate is compared with `auto` on the same 1,500 training images, augmented once more:
# that spares the test file, but these are no unseen photos. The interval of the difference draws
# their groups of photos anew.

# %%
from signmnist.recipes import QUANTIZER_TRIAL  # in sight

# %%
ONLY_ROUNDED = "alpha 1, symmetric", "alpha 1, 1 integer bit", "auto, 6 bits"

sample = np.random.default_rng(SEED).permutation(len(data.x_train))[:1500]
x_probe, y_probe = augment(data.x_train[sample], [SEED, 7]).numpy(), data.y_train[sample]

# %%
rounded, right = {}, {}  # right: whether each image is read so, 1 or 0
for name, (_, quantizer) in WEIGHT_QUANTIZERS.items():
    model = in_few_bits(baseline, quantizer)
    rounded[name] = accuracy(model, x_probe, y_probe)
    if name not in ONLY_ROUNDED:
        with learning_phase():
            recipe = in_profile(QUANTIZER_TRIAL, PROFILE)
            tune(model, data.x_train, data.y_train, recipe, name=name, seed=SEED)
        right[name] = (predict(model, x_probe).argmax(axis=1) == y_probe).astype(float)


# %%
def points(share):
    """A difference of two shares as text, in points."""
    return f"{100 * share:+.2f}"


rows, against_auto = {}, {}
for name, candidate in WEIGHT_QUANTIZERS.items():
    rows[name] = {"bits a weight": candidate[0], "only rounded": rounded[name]}
    if name in right:
        difference = right[name] - right["auto"]
        low, high = accuracy_interval(difference, data.train_groups[sample])
        against_auto[name] = low, high
        rows[name] |= {"after an epoch": right[name].mean(), "against auto: from": low, "to": high}
trials = pd.DataFrame.from_dict(rows, orient="index")
formats = {"only rounded": "{:.2%}", "after an epoch": "{:.2%}"}
signed = {"against auto: from": points, "to": points}
display(trials.style.format(formats | signed, na_rep="–").set_caption(data.banner))

# %%
fig, axes = figure(
    "Errors on augmented images after one epoch: by bits a weight, and in 4 bits",
    1,
    2,
    size=(9, 3.6),
    banner=data.banner,
)
half_an_image = 50 / len(y_probe)  # a log scale has no zero
errors = (100 * (1 - trials["after an epoch"].dropna())).clip(lower=half_an_image)
by_bits = ["binary", "ternary", "auto, 3 bits", "auto", "auto, 8 bits"]
axes[0].plot(trials.loc[by_bits, "bits a weight"], errors[by_bits], marker="o", color=BLUE)
for name in by_bits:
    axes[0].annotate(name, (trials.loc[name, "bits a weight"], errors[name]), xytext=(4, 6),
                     textcoords="offset points", fontsize=9)  # fmt: skip
axes[0].set_xticks(trials.loc[by_bits, "bits a weight"])
axes[0].set(
    xlabel="bits a weight", ylabel="images read wrongly, % (log scale)", yscale="log", xlim=(0, 10)
)
axes[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
axes[0].yaxis.set_major_formatter("{x:g}")
axes[0].minorticks_off()
four = [name for name in errors.index if trials.loc[name, "bits a weight"] == 4]
bars = axes[1].barh(four, errors[four], color=BLUE)
axes[1].bar_label(bars, fmt=" %.1f", fontsize=9)
axes[1].set_xlabel("images read wrongly, %")
axes[1].margins(x=0.15)
axes[1].invert_yaxis()
axes[1].grid(axis="y", visible=False)
plt.show()

# %%
not_apart = [
    name for name, (low, high) in against_auto.items() if low <= 0 <= high and name != "auto"
]
apart = [name for name, (low, high) in against_auto.items() if not low <= 0 <= high]

# %% [markdown]
# Before any training the steps decide: `auto` reads {{rounded["auto"]:.1%}}, the fixed grid of
# eighths {{rounded["alpha 1"]:.1%}}. After one epoch these cannot be told from `auto`, as their
# intervals hold 0: {{"; ".join(not_apart) or "none"}}. These can: {{"; ".join(apart) or "none"}}.
# All of that is one epoch and one seed, on photos that the networks were trained on; one epoch says
# little about quantizers that start from far below, and ternary gets more of them in section 5. The
# stochastic form is trained with random rounding and judged with rounding to the nearest.
#
# ## 3. And for the biases
#
# Only the dense layer has biases of its own, 24 of them; the convolutions leave theirs to batch
# normalization. With `alpha="auto"` the grid shrinks to their range. (`auto_po2` gives each bias a
# scale of its own: 4 bits by name only.)

# %%
bias = baseline.layers[-1].get_weights()[1]
fig, axes = figure("24 biases, float and in 4 bits", 1, 2, size=(9, 3), banner=data.banner)
rows = {}
for ax, name in zip(axes, ("alpha 1", "auto"), strict=True):
    values = WEIGHT_QUANTIZERS[name][1]()(tf.constant(bias)).numpy()
    ax.plot(bias, values, "o", color=ORANGE, markersize=4)
    ax.axline((0, 0), slope=1, color="0.7", linewidth=1, zorder=0)
    ax.set(title=name, xlabel="float")
    rows[name] = {
        "become zero": np.sum(values == 0),
        "levels in use": len(np.unique(values)),
        "mean error": np.abs(values - bias).mean(),
    }
axes[0].set_ylabel("in 4 bits")
plt.show()
formats = {"become zero": "{:.0f} of 24", "levels in use": "{:.0f}", "mean error": "{:.4f}"}
rows = pd.DataFrame.from_dict(rows, orient="index")
display(rows.style.format(formats).set_caption(data.banner))

# %% [markdown]
# ## 4. 4 bits for activations too
#
# Each ReLU becomes a `quantized_relu(4, 2)`: sixteen levels from 0 to 3.75. The pixels that come in
# keep their 8 bits. It starts from the network of question 4, which has 4 bits for weights and
# biases, and goes through the same training once more. Where that file is not at hand, the network
# is trained here first.

# %%
from signmnist.recipes import FOUR_BITS  # in sight


# %%
def train_in_4_bits(model, activation=None):
    """Trains a copy of `model` in 4 bits by question 4's recipe. Returns (model, history)."""
    tf.keras.utils.set_random_seed(SEED)
    copy = in_few_bits(model, activation=activation)
    name = "4-bit activations" if activation else "4 bits"
    recipe = in_profile(FOUR_BITS, PROFILE)
    return copy, tune(copy, data.x_train, data.y_train, recipe, name=name, seed=SEED)


def relu_4_bits():
    """Unsigned activations of 4 bits, two of them before the point: 0 to 3.75 by quarters."""
    return quantized_relu(4, 2)


LAYERS_OF_QKERAS = {"QConv2D": QConv2D, "QDense": QDense, "quantized_bits": quantized_bits}
with tf.keras.utils.custom_object_scope(LAYERS_OF_QKERAS):
    four_bit = saved_or_trained(
        "../models/sign_mnist_qkeras_4bit.keras", lambda: train_in_4_bits(baseline)
    )
narrower, narrower_history = train_in_4_bits(four_bit, relu_4_bits)

# %% [markdown]
# What the levels make of activations: those behind the last ReLU of the float network, of 100
# images.

# %%
last = [layer for layer in baseline.layers if isinstance(layer, tf.keras.layers.ReLU)][-1]
behind = tf.keras.Model(baseline.input, last.output)
activations = predict(behind, x_probe[:100]).ravel()
in_4_bits = relu_4_bits()(tf.constant(activations)).numpy()
steps = np.arange(16) / 4
fig, ax = figure("Activations behind the last ReLU of the float network", banner=data.banner)
ax.bar(steps, [100 * np.mean(in_4_bits == step) for step in steps], width=0.2, color=BLUE)
ax.set(xlabel="level of quantized_relu(4, 2)", ylabel="share of activations, %")
plt.show()

# %% [markdown]
# {{np.mean(activations == 0):.0%}} of them are zero in float, {{np.mean(in_4_bits == 0):.0%}} in
# 4 bits; {{np.mean(activations > 3.75):.1%}} lie above the range and are clipped to its end.
#
# ## 5. Ternary weights
#
# -1, 0 and 1, times a scale a channel, in every layer: 2 bits each. It starts from the float
# network.

# %%
from signmnist.recipes import TERNARY  # in sight

# %%
tf.keras.utils.set_random_seed(SEED)
three_valued = in_few_bits(baseline, lambda: ternary(alpha="auto"))
recipe = in_profile(TERNARY, PROFILE)
ternary_history = tune(three_valued, data.x_train, data.y_train, recipe, name="ternary", seed=SEED)

# %%
show_errors(
    "Errors on training images with fewer bits",
    {
        "4 bits, activations too": narrower_history["accuracy"],
        "ternary weights": ternary_history["accuracy"],
    },
    data.banner,
)

# %% [markdown]
# **Are they really three values?** For every layer, what the network computes with is divided by
# its scale; that must give -1, 0 and 1. **Entropy** is what an ideal code of the three would take
# in bits a weight.

# %%
from toolkit.anatomy import value_entropy

# %%
rows = {}
for layer in quantized_layers(three_valued):
    numbers = stored_numbers(layer)[0][0]
    whole = np.round(numbers)
    assert set(np.unique(whole)) <= {-1, 0, 1} and np.abs(numbers - whole).max() < 1e-4
    rows[layer.name] = {"weights": whole.size}
    rows[layer.name] |= {f"{value:g}": np.mean(whole == value) for value in (-1, 0, 1)}
    rows[layer.name]["entropy"] = value_entropy(whole)
values_of = pd.DataFrame.from_dict(rows, orient="index")
formats = dict.fromkeys(("-1", "0", "1"), "{:.1%}") | {"weights": "{:,}", "entropy": "{:.2f}"}
display(values_of.style.format(formats).set_caption(data.banner))

# %% [markdown]
# **How many bits** from the arrays themselves, 4 for each bias; the scales, and batch normalization
# with its four numbers a channel, are in float here.

# %%
bits = bit_count(three_valued)
bits.loc["total"] = bits.sum()
display(bits.style.format("{:,}").set_caption(data.banner))
core = bits.loc["total", ["weights", "biases"]].sum() / 8  # bytes
float_core = 4 * (values_of["weights"].sum() + bias.size)
ideal = (values_of["weights"] * values_of["entropy"]).sum() / 8

# %% [markdown]
# Weights and biases take {{core:,.0f}} bytes, those of the float network {{float_core / core:.1f}}
# times as many. An ideal code of each layer's values would take {{ideal:,.0f}} bytes for the
# weights.
#
# ## 6. The ternary file
#
# The quantized values go into an ordinary Keras network and through the converter in float, which
# folds batch normalization into a scale for each channel. Then the **LiteRT Quantizer** stores the
# weights in 4 bits, the fewest that it has beside activations in int8. It scales -7 to 7 to each
# channel's largest weight, so that ternary weights become -7, 0 and 7. `plain_copy` writes the
# dense layer as a 1x1 convolution, which is the same function: TFLite Micro has an INT4 kernel with
# a scale a channel for convolutions only.

# %%
from toolkit.compression import convert
from toolkit.quantizer import quantize  # in sight
from toolkit.tflite import constants, predict_tflite

# %%
build = Path("build_few_bits")
build.mkdir(exist_ok=True)
float_file = convert(plain_copy(three_valued), build / "ternary_float.tflite")
calibration = data.x_train[np.random.default_rng(SEED).permutation(len(data.x_train))[:300]]
ternary_file = quantize(float_file, Path("models/few_bits_ternary.tflite"), calibration, weights=4)

# %% [markdown]
# Are the whole numbers in the file those of the network? A negative gain of batch normalization
# turns the sign of its channel.

# %%
stored = {weights.shape: weights for weights in constants(ternary_file) if weights.ndim == 4}
for layer in quantized_layers(three_valued):
    whole = np.round(stored_numbers(layer)[0][0])
    expected = 7 * np.moveaxis(whole if whole.ndim == 4 else whole[None, None], -1, 0)
    for ours, theirs in zip(expected, stored[expected.shape], strict=True):
        assert np.array_equal(ours, theirs) or np.array_equal(ours, -theirs)
scores = predict_tflite(ternary_file, data.x_test)
agree = np.sum(scores.argmax(axis=1) == predict(three_valued, data.x_test).argmax(axis=1))
print(f"all whole numbers are equal; {agree:,} of {len(scores):,} letters as QKeras reads them")

# %%
record = {
    "id": ternary_file.stem,
    "notebook": "few_bits",
    "technique": "QKeras ternary, int4",
    "params": three_valued.count_params(),
    "train_accuracy": accuracy(three_valued, data.x_train, data.y_train),
    "profile": PROFILE,
    "seed": SEED,
    "seconds": sum(ternary_history["seconds"]),
    **measure(ternary_file, scores, data),
}
write_records([record], "few_bits", "results.json")

# %% [markdown]
# {{record["bytes"]:,}} bytes, {{record["bytes_gzip"]:,}} after `gzip -9n`; on TFLite Micro:
# {{record["micro"]}}, in an arena (its working memory) of {{record["arena_bytes"] or 0:,}} bytes.
# The file reads {{record["accuracy"]:.2%}} of the test file. No other runtime was tried.
#
# ## 7. Side by side
#
# All four on the test file, as QKeras runs them. Intervals come from drawing the test file's groups
# of photos anew (question 1).

# %%
networks = {
    "float": baseline,
    "4-bit weights": four_bit,
    "4-bit weights and activations": narrower,
    "ternary weights": three_valued,
}
test_scores = {name: predict(model, data.x_test) for name, model in networks.items()}
right_in_test = {
    name: (scores.argmax(axis=1) == data.y_test).astype(float)
    for name, scores in test_scores.items()
}
rows, against_float = {}, {}
for name, scores in test_scores.items():
    difference = right_in_test[name] - right_in_test["float"]
    against_float[name] = accuracy_interval(difference, data.test_groups)
    figures = accuracy_three_ways(scores, data)
    rows[name] = {
        "test file": figures["accuracy"],
        "without twins": figures["accuracy_no_twin"],
        "95 % interval: from": figures["accuracy_low"],
        "to": figures["accuracy_high"],
        "errors": figures["total"] - figures["correct"],
    }
found = pd.DataFrame.from_dict(rows, orient="index", dtype=float)
formats = dict.fromkeys(found.columns[:-1], "{:.2%}") | {"errors": "{:,.0f}"}
display(found.style.format(formats, na_rep="–").set_caption(data.banner))


# %%
def cells(name):
    """Three cells of the table on the first page."""
    span = " to ".join(map(points, against_float[name])) if name != "float" else ""
    alone = f"{found.loc[name, 'without twins']:.2%}".replace("nan%", "–")  # all have twins
    return f"{found.loc[name, 'test file']:.2%} | {alone} | {span}"


def verdict(name):
    """Whether a network can be told from the float one by the test file, in words."""
    low, high = against_float[name]
    return "cannot be told from float" if low <= 0 <= high else "differ from float"


# %% [markdown]
# By the intervals on the first page 4-bit weights {{verdict("4-bit weights")}}, 4-bit weights and
# activations {{verdict("4-bit weights and activations")}}, and ternary weights
# {{verdict("ternary weights")}}; each is one training.
#
# ## 8. What you should know now
#
# - What `alpha`, integer bits and stochastic rounding do in a quantizer.
# - How much of the differences between quantizers is left after training.
# - How to prove that a layer holds three values, and how many bits they take.
# - Which bits a `.tflite` file can store, and what is left to gzip.
#
# ### Exercises
#
# 1. Give only the largest layer 2 bits and leave 4 to the others. What is left of the accuracy?
# 2. Try `quantized_relu(3, 2)` and `(4, 1)` for the activations.
# 3. Start the ternary network from the 4-bit one instead of the float one.
# 4. Train the three candidates of section 2 that were only rounded. Which can be told from `auto`?
#
# A cell to start from, for the second: what each leaves of an activation.

# %%
for arguments in ((4, 2), (3, 2), (4, 1)):
    rounded_so = quantized_relu(*arguments)(tf.constant(activations)).numpy()
    error = np.abs(rounded_so - activations).mean() / activations.mean()
    print(f"quantized_relu{arguments}: mean error {error:.1%} of the mean activation")

# %% [markdown]
# ### Glossary
#
# - **alpha**, scale: the factor between a stored whole number and the weight.
# - **Fake quantization**: rounding in the forward pass, with float weights underneath.
# - **INT4**: two signed numbers of 4 bits to a byte.
# - **Ternary**: the values -1, 0 and 1.
#
# ### Sources
#
# - C. Coelho et al., "Automatic heterogeneous quantization of deep neural networks", Nature Machine
#   Intelligence, 2021. QKeras.
# - F. Li, B. Zhang, B. Liu, "Ternary Weight Networks", 2016.
# - S. Zhou et al., "DoReFa-Net", 2016. Low-bit weights and activations.

# %%
print(f"{PROFILE} profile, {(time.perf_counter() - started) / 60:.1f} minutes")
