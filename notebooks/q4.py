# %% [markdown] tags=["handout"]
# # Question 4: four bits for every weight
#
# QKeras: all weights and biases of the convolutions and the dense layers in 4 bits, **as accurate
# as you can**. The score is the accuracy of `models/sign_mnist_qkeras_4bit.tflite` on the test
# file.
#
# Each **task** says what is given and what has to be there afterwards; write your code in place of
# the line below it that raises an error. A **check** tells whether that does what is asked.
# Loading, plots and measuring are there already; folded cells named *Helpers* hold the plumbing.
#
# **In Colab:** upload this one file and work from the top. Before you hand it in, *Runtime >
# Restart and run all*, so that every output is saved, and download the folder `models/`.

# %% [markdown] tags=["solution"]
# # Question 4: four bits for every weight
#
# **QKeras: all weights and biases of the convolutions and the dense layer in 4 bits, as accurate as
# float.** Quantization-aware training from the accurate baseline of question 1. The score is the
# accuracy. Then the parts that are usually left out: 4 bits for the activations too, 2 bits for the
# weights, and the bits counted, proved and stored as INT4 in `.tflite` files that run on LiteRT
# (the new name of TensorFlow Lite) and on TFLite Micro, its interpreter for microcontrollers.
#
# **What you learn:** what a QKeras quantizer does to weights and gradients; why the step matters as
# much as the number of bits; how to count bits so that both sides of a comparison hold the same;
# what becomes of 4-bit weights in a file.
#
# | section | what | file in `models/` |
# |---|---|---|
# | 1 | a QKeras network in its smallest form | |
# | 2, 3 | quantizers for weights and biases, compared | |
# | 4 | **the 4-bit network** | `sign_mnist_qkeras_4bit.keras` |
# | 5 | 4 bits for activations too, and weights of 2 bits | |
# | 6, 7 | bits, counted and proved | |
# | 8 | deployed: INT4 weights on LiteRT | `sign_mnist_qkeras_4bit.tflite`, `..._ternary.tflite` |
# | 9, 10 | in the common table; exercises, glossary, sources | |
#
# **In Colab:** upload this one file, then *Runtime > Run all*. Folded cells named *Helpers* hold
# the plumbing (loading, the training loop, drawing); what the question is about stays in sight. On
# a GPU the weights come out slightly otherwise than on a CPU. The figures in the text are those of
# the published run; those of your own stand in the outputs.

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
import contextlib
import io
import os
import re
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import tensorflow as tf
from IPython.display import Markdown, display
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
from qkeras.estimate import print_qstats

# %% [markdown] tags=["handout"]
# `SEED` makes trainings come out the same again; `PROFILE` is noted beside what you measure.

# %% tags=["handout"]
PROFILE = os.environ.get("PROFILE", "full")
SEED = 0

tf.keras.utils.set_random_seed(SEED)
started = time.perf_counter()

# %% [markdown] tags=["solution"]
# `PROFILE` sets how long to train: `full` is the recipe behind the published figures, `quick` a
# tour, `smoke` only proves that every cell runs. A **recipe** is a dict that holds how a network is
# trained, and `in_profile` shortens it.

# %% tags=["solution"]
PROFILE = os.environ.get("PROFILE", "full")
SEED = 0

tf.keras.utils.set_random_seed(SEED)
started = time.perf_counter()

# %%
from signmnist.data import load_sign_mnist
from toolkit.files import replacing

# %%
data = load_sign_mnist()

# %% [markdown] tags=["handout"]
# ## The 4-bit network
#
# `train(model, x, y, epochs=…, name="4 bits")` fits a compiled Keras model, prints a line an epoch
# and returns the history; `accuracy(model, x, y)` is the share that it reads right. Choose by
# training images or held-out photos, not by the test file. Your network of question 1 is a good
# start.

# %% tags=["handout"]
from toolkit.fourbit import bit_count, pack_int4, plain_copy, quiet_qkeras
from toolkit.tflite import predict_tflite, save_tflite  # noqa: F401
from toolkit.training import accuracy, predict, train  # noqa: F401

# %% [markdown] tags=["task"]
# ### Task 1: build a QKeras network with quantizers of 4 bits and train it; name it `network`
#
# **Given:** `qkeras`. **Write** a network of `QConv2D` and `QDense` layers in which each kernel and
# each bias has a quantizer of at most 4 bits.
#
# **Afterwards there are:** `network`, a Keras model that takes float32 (n, 28, 28, 1) from 0 to 1
# and gives 24 scores, and `history`, what `train` returned.

# %% [markdown] tags=["solution"]
# The accurate baseline comes from question 1, built by `build_cnn`. `tune` trains a network by a
# recipe.

# %% tags=["solution"]
from signmnist.recipes import ACCURATE, in_profile

# %% tags=["solution"]
from signmnist.baseline import (
    augment,
    build_cnn,  # noqa: F401  (in sight)
    train_accurate,
    tune,  # in sight
)
from toolkit.compression import saved_or_trained
from toolkit.training import accuracy, predict

# %% [markdown] tags=["solution"]
# Where question 1's file is not at hand, as in Colab, the network is trained here first, which
# takes some minutes more.

# %% tags=["solution"]
baseline = saved_or_trained(
    "models/sign_mnist_baseline.keras",
    lambda: train_accurate(data.x_train, data.y_train, in_profile(ACCURATE, PROFILE), SEED),
)
float_accuracy = accuracy(baseline, data.x_test, data.y_test)
print(f"float baseline: {baseline.count_params():,} parameters, test file {float_accuracy:.2%}")

# %% [markdown] tags=["solution"]
# ## 1. A QKeras network in its smallest form
#
# For the common layers of Keras, QKeras has one that takes **quantizers**: functions that round the
# weights in the forward pass, while gradients pass them as if they were not there. The float
# weights stay underneath and are what training changes.
#
# `quantized_bits(4, 0, alpha=1)` are 4 bits with no integer bit: the multiples of 1/8 from -1 to
# 7/8. With `alpha="auto"` each output channel gets a step of its own, a seventh of its largest
# absolute weight, and, being `symmetric`, the whole numbers from -7 to 7.


# %% tags=["solution"]
def auto():
    """Four bits with one scale for each output channel."""
    return quantized_bits(4, 0, symmetric=1, alpha="auto")


def quantized_copy(model, kernel_quantizer=auto, bias_quantizer=auto, activation=None):
    """A Keras CNN with QKeras layers in place of its convolutions and dense layers.

    The weights are those of `model`, still in float. The quantizers are functions that make
    one; `activation`, if given, makes one that takes the place of each ReLU.
    """

    def with_quantizers(layer):
        if isinstance(layer, tf.keras.layers.Conv2D):
            return QConv2D(
                layer.filters,
                layer.kernel_size,
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
                bias_quantizer=bias_quantizer(),
                kernel_initializer="zeros",
                name=layer.name,
            )
        if activation and isinstance(layer, tf.keras.layers.ReLU):
            return QActivation(activation(), name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    copy = tf.keras.models.clone_model(model, clone_function=with_quantizers)
    copy.set_weights(model.get_weights())
    return copy


# %% tags=["solution"]
rounded = quantized_copy(baseline)
print(f"test file, rounded without training: {accuracy(rounded, data.x_test, data.y_test):.2%}")

# %% [markdown] tags=["solution"]
# One kernel, before and after its quantizer: sixteen channels, each with its own step.

# %% tags=["solution"]
from toolkit.plots import BLUE, ORANGE, figure, show_errors

# %% tags=["solution"]
first = baseline.layers[1]
kernel = first.get_weights()[0]
quantized = auto()(tf.constant(kernel)).numpy()
fig, axes = figure("The first convolution: each channel is rounded on its own scale", 1, 2,
                   banner=data.banner)  # fmt: skip
for ax, values, name in zip(axes, (kernel, quantized), ("float", "4 bits"), strict=True):
    for channel in range(kernel.shape[-1]):
        column = values[..., channel].ravel()
        ax.plot(column, np.full(column.size, channel), "|", color=BLUE, markersize=9)
    ax.set(title=name, xlabel="weight", ylabel="output channel")
plt.show()

# %% [markdown] tags=["solution"]
# ## 2. Which quantizer for the weights
#
# Each candidate starts from the same float weights and is trained for one epoch, as in question 1
# but at a sixth of its learning rate. 1,500 augmented training images stand for unseen ones.
#
# - **alpha**: 1 (fixed steps for all layers), `auto` (a float scale a channel), `auto_po2` (a
#   power of two a channel, which hardware multiplies by shifting);
# - **symmetric**: -7 to 7, or -8 to 7;
# - **integer bits** set the range: 0 is ±1, 1 is ±2. Negative ones, for ranges below 1, stop QKeras
#   0.9.0 with an error; a number below 1 for alpha would not do: it multiplies the result only, and
#   the weights are still rounded to eighths first;
# - **stochastic rounding** rounds up or down at random, the nearer the likelier. In QKeras 0.9.0
#   the argument has an effect only with a fixed alpha, and only where Keras's learning phase is set
#   by hand, as `learning_phase` does here;
# - `quantized_po2`: the weights themselves are powers of two, with no zero and none below 1/16;
# - the far end: `ternary` (-1, 0, 1) and `binary` (-1, 1); and 3, 6 and 8 bits.
#
# `quantized_linear`, which QKeras's repository describes, is not in the released version.

# %% tags=["solution"]
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
    "binary": (1, lambda: binary(alpha="auto")),
    "ternary": (2, lambda: ternary(alpha="auto")),
    "auto, 3 bits": (3, lambda: quantized_bits(3, 0, symmetric=1, alpha="auto")),
    "auto, 6 bits": (6, lambda: quantized_bits(6, 0, symmetric=1, alpha="auto")),
    "auto, 8 bits": (8, lambda: quantized_bits(8, 0, symmetric=1, alpha="auto")),
}

# %% tags=["solution"]
from toolkit.fourbit import (
    bit_count,
    learning_phase,
    pack_int4,
    plain_copy,
    quantized_layers,
    quantized_weights,
    quiet_qkeras,
    stored_numbers,
)

# %% tags=["solution"]
sample = np.random.default_rng(SEED).permutation(len(data.x_train))[:1500]
x_probe, y_probe = augment(data.x_train[sample], [SEED, 7]).numpy(), data.y_train[sample]

# %% tags=["solution"]
from signmnist.recipes import QUANTIZER_TRIAL  # in sight

# %% tags=["solution"]
trials = []
for name, (bits, quantizer) in WEIGHT_QUANTIZERS.items():
    model = quantized_copy(baseline, quantizer)
    before = accuracy(model, x_probe, y_probe)
    with learning_phase(), quiet_qkeras():
        recipe = in_profile(QUANTIZER_TRIAL, PROFILE)
        tried = tune(model, data.x_train, data.y_train, recipe, name=name, seed=SEED)
    trials.append(
        {
            "quantizer": name,
            "bits a weight": bits,
            "only rounded": before,
            "during the epoch": tried["accuracy"][-1],
            "augmented training images": accuracy(model, x_probe, y_probe),
        }
    )
trials = pd.DataFrame(trials)

# %% tags=["solution"]
shown = trials.style.format(dict.fromkeys(trials.columns[2:], "{:.2%}")).hide(axis="index")
display(shown.set_caption(data.banner))

# %% tags=["solution"]
fig, axes = figure(
    "Accuracy after one epoch: by bits a weight, and of the 4-bit quantizers",
    1,
    2,
    size=(9, 4),
    banner=data.banner,
)
share = 100 * trials.set_index("quantizer")["augmented training images"]
auto_bits = {3: "auto, 3 bits", 4: "auto", 6: "auto, 6 bits", 8: "auto, 8 bits"}
axes[0].plot(list(auto_bits), share[list(auto_bits.values())], marker="o", color=BLUE)
axes[0].text(8, share["auto, 8 bits"] - 0.3, "auto", color=BLUE, ha="right", va="top")
for count, name in ((1, "binary"), (2, "ternary")):
    axes[0].plot(count, share[name], "o", color=ORANGE)
    axes[0].text(count + 0.2, share[name], name, color=ORANGE, va="bottom")
axes[0].set_xticks([1, 2, 3, 4, 6, 8])
axes[0].set(
    xlabel="bits a weight", ylabel="accuracy on augmented images, %\n(axis does not start at 0)"
)
four = share[list(trials["quantizer"][trials["bits a weight"] == 4])]
bars = axes[1].barh(four.index, four, color=BLUE)
axes[1].bar_label(bars, fmt=" %.1f", fontsize=9)
axes[1].set_xlabel("accuracy on augmented images, %")
axes[1].margins(x=0.15)
axes[1].invert_yaxis()
axes[1].grid(axis="y", visible=False)
plt.show()

# %% tags=["solution"]
eighths = [
    quantized_bits(4, 0, alpha=1)(tf.constant(layer.get_weights()[0])).numpy()
    for layer in baseline.layers
    if isinstance(layer, tf.keras.layers.Conv2D)
]
levels = [len(np.unique(w)) for w in eighths]
zeros = [np.mean(w == 0) for w in eighths]
best = " and ".join(f"**{name}**" for name in four.index[four == four.max()])
display(
    Markdown(
        f"With 4 bits, best: {best} ({four.max():.2f} %); worst: **{four.idxmin()}** "
        f"({four.min():.2f} %). On the fixed grid of eighths the float weights of the convolutions "
        f"take {min(levels)} to {max(levels)} of the 16 levels, and {min(zeros):.0%} to "
        f"{max(zeros):.0%} of a layer become zero."
    )
)

# %% [markdown] tags=["solution"]
# Before any training the steps decide: only rounded, `auto` reads far more than the fixed grid of
# eighths, as most weights are far below 1 and many become zero. One epoch closes most of the gap:
# the symmetric fixed grid comes within half a point of `auto`. The stochastic form is trained with
# random rounding and judged with rounding to the nearest; its accuracy after the epoch is far below
# that during it, but `binary`, without random rounding, falls as far, so the table does not say
# why. One epoch says little about the quantizers that start from far below: ternary gets more of
# them in section 5.

# %% [markdown] tags=["solution"]
# ## 3. And for the biases
#
# Only the dense layer has biases of its own, 24 of them; the convolutions leave theirs to batch
# normalization. With `alpha="auto"` the
# grid shrinks to their range. (`auto_po2` gives each bias a scale of its own: 4 bits by name only.)

# %% tags=["solution"]
bias = baseline.layers[-1].get_weights()[1]
BIAS_QUANTIZERS = {
    "alpha 1": lambda: quantized_bits(4, 0, alpha=1),
    "auto": auto,
}
fig, axes = figure("24 biases, float and in 4 bits", 1, 2, size=(9, 3), banner=data.banner)
rows = []
for ax, (name, quantizer) in zip(axes, BIAS_QUANTIZERS.items(), strict=True):
    values = quantizer()(tf.constant(bias)).numpy()
    ax.plot(bias, values, "o", color=ORANGE, markersize=4)
    ax.axline((0, 0), slope=1, color="0.7", linewidth=1, zorder=0)
    ax.set(title=name, xlabel="float")
    rows.append(
        {
            "quantizer": name,
            "become zero": f"{np.sum(values == 0)} of {values.size}",
            "levels in use": len(np.unique(values)),
            "mean error": np.abs(values - bias).mean(),
        }
    )
axes[0].set_ylabel("in 4 bits")
plt.show()
shown = pd.DataFrame(rows).style.format({"mean error": "{:.4f}"}).hide(axis="index")
display(shown.set_caption(data.banner))

# %% [markdown] tags=["solution"]
# ## 4. The 4-bit network
#
# `auto` for weights and biases: the best 4 bits of section 2, on training images, whose scales cost
# nothing once batch normalization is folded into them. Epochs and learning rate were **set**, here
# and in section 5: no trial on held-out photos is on record. If the run is interrupted, running the
# cell again continues where it stopped.

# %% tags=["solution"]
from signmnist.recipes import FOUR_BITS  # in sight

# %% tags=["solution"]
tf.keras.utils.set_random_seed(SEED)
trained = quantized_copy(baseline)
recipe = in_profile(FOUR_BITS, PROFILE)
with quiet_qkeras():
    history = tune(trained, data.x_train, data.y_train, recipe, name="4 bits", seed=SEED)

# %% tags=["solution"]
show_errors(
    "Errors on training images during quantization-aware training",
    {"4 bits": history["accuracy"]},
    data.banner,
)

# %% tags=["solution"]
reached = accuracy(trained, data.x_test, data.y_test)
display(
    Markdown(
        f"The 4-bit network reads **{reached:.2%}** of the test file, the float baseline "
        f"{float_accuracy:.2%}."
    )
)

# %% [markdown] tags=["solution"]
# The file gets the values that the network computes with, already rounded. Rounding them again
# changes nothing beyond float rounding: the largest of each channel stays, and so does its scale.
#
# In the answer, *without twins* leaves out the test images that share a photo with the training
# file; the interval comes from drawing the test file's groups of photos anew (question 1,
# section 1).

# %% tags=["solution"]
network = quantized_copy(baseline)
network.set_weights(quantized_weights(trained))
scores = [predict(model, data.x_test) for model in (trained, network)]
change = np.abs(scores[0] - scores[1]).max()
print(f"scores of up to {np.abs(scores[0]).max():.1f} change by at most {change:.1e}")
with quiet_qkeras(), replacing("models/sign_mnist_qkeras_4bit.keras") as temporary:
    network.save(temporary)

# %%
from toolkit.results import accuracy_three_ways, answer, measure, results_table, save_record

# %% tags=["check"]
from signmnist.checks import check_bits, check_file, check_network, check_quantizers

check_quantizers(network, bits=4)
check_network(network, data, at_least=0.85)

# %% tags=["handout"]
Path("models").mkdir(exist_ok=True)
with quiet_qkeras(), replacing("models/sign_mnist_qkeras_4bit.keras") as temporary:
    network.save(temporary)

# %% tags=["solution"]
three_ways = accuracy_three_ways(scores[1], data)
display(
    Markdown(
        f"> **Answer to question 4.** `models/sign_mnist_qkeras_4bit.keras`: all weights and "
        f"biases of the convolutions and the dense layer in 4 bits. Test file **{reached:.2%}** "
        f"({three_ways['total'] - three_ways['correct']} errors of {three_ways['total']:,}), "
        f"without twins {three_ways['accuracy_no_twin']:.2%}, 95 % interval "
        f"{three_ways['accuracy_low']:.2%} to {three_ways['accuracy_high']:.2%}; float baseline "
        f"{float_accuracy:.2%}. Calls: `QConv2D`, `QDense`, "
        '`quantized_bits(4, 0, symmetric=1, alpha="auto")`, `compile`, `fit`.'
    )
)

# %% [markdown] tags=["solution"]
# Batch normalization, which holds the offsets of the convolutions, stays in float (section 6 counts
# it).
#
# ## 5. Further: 4-bit activations, ternary weights
#
# **4 bits for activations as well.** Each ReLU becomes a `quantized_relu(4, 2)`: sixteen levels
# from 0 to 3.75. (The pixels that come in keep their 8 bits.) It starts from the 4-bit network.


# %% tags=["solution"]
def relu_4_bits():
    """Unsigned activations of 4 bits, two of them before the point: 0 to 3.75 by quarters."""
    return quantized_relu(4, 2)


tf.keras.utils.set_random_seed(SEED)
narrower = quantized_copy(trained, activation=relu_4_bits)
with quiet_qkeras():
    narrow_history = tune(
        narrower, data.x_train, data.y_train, recipe, name="4-bit activations", seed=SEED
    )

# %% [markdown] tags=["solution"]
# **Ternary weights**: -1, 0 and 1, times a scale a channel, in every layer: 2 bits each.

# %% tags=["solution"]
from signmnist.recipes import TERNARY  # in sight

# %% tags=["solution"]
tf.keras.utils.set_random_seed(SEED)
three_valued = quantized_copy(baseline, lambda: ternary(alpha="auto"))
recipe = in_profile(TERNARY, PROFILE)
with quiet_qkeras():
    ternary_history = tune(
        three_valued, data.x_train, data.y_train, recipe, name="ternary", seed=SEED
    )

# %% tags=["solution"]
show_errors(
    "Errors on training images with fewer bits",
    {
        "4 bits": history["accuracy"],
        "4 bits, activations too": narrow_history["accuracy"],
        "ternary weights": ternary_history["accuracy"],
    },
    data.banner,
)

# %% tags=["solution"]
found = {}
for name, model in {
    "float": baseline,
    "4-bit weights": network,
    "4-bit weights and activations": narrower,
    "ternary weights": three_valued,
}.items():
    figures = accuracy_three_ways(predict(model, data.x_test), data)
    found[name] = {
        "test accuracy": figures["accuracy"],
        "without twins": figures["accuracy_no_twin"],
        "95 % interval, from": figures["accuracy_low"],
        "to": figures["accuracy_high"],
    }
found = pd.DataFrame.from_dict(found, orient="index")
display(found.style.format("{:.2%}").set_caption(data.banner))

# %% [markdown] tags=["handout"]
# ## How many bits
#
# What `print_qstats` of QKeras counts, and below it a count from the arrays themselves.

# %% [markdown] tags=["solution"]
# ## 6. How many bits
#
# What `print_qstats` of QKeras says, less its notes on progress:

# %%
report = io.StringIO()
with contextlib.redirect_stdout(report), quiet_qkeras():
    print_qstats(network)
print("\n".join(line for line in report.getvalue().splitlines() if "quantiz" not in line))

# %% [markdown] tags=["solution"]
# `sfmult_4_32` is a multiplication of 4 bits by 32-bit float, `smult_4_8` one by the 8-bit integers
# that QKeras takes the input for. It prints no total of the bits and leaves batch normalization
# (`norm1` to `norm5`), float here, out of its count. So here is an independent count from the
# arrays themselves, and the comparison of both.

# %%
bits = bit_count(network)
bits.loc["total"] = bits.sum()
display(bits.style.format("{:,}").set_caption(data.banner))

# %% tags=["solution"]
lines = re.findall(r": +(\d+) +\((\d+)-bit unit\)", report.getvalue())
by_qkeras = sum(int(count) * int(width) for count, width in lines)
total = bits.loc["total"]
core = total["weights"] + total["biases"]
assert by_qkeras == core, (by_qkeras, core)
own = [layer for layer in baseline.layers if hasattr(layer, "kernel")]
baseline_core = 32 * sum(array.size for layer in own for array in layer.get_weights())
baseline_bits = 32 * baseline.count_params()
rows = pd.DataFrame(
    {
        # what is counted: 4 bits, float
        "weights and biases of convolutions and dense layer": (core, baseline_core),
        "... with their scales": (core + total["scales"], baseline_core),
        "... and batch normalization": (total.sum(), baseline_bits),
    },
    index=["bits", "bits of the float baseline"],
).T
rows["times smaller"] = rows["bits of the float baseline"] / rows["bits"]
formats = {"bits": "{:,.0f}", "bits of the float baseline": "{:,.0f}", "times smaller": "{:.2f}"}
display(rows.style.format(formats).set_caption(data.banner))
print(f"print_qstats counts {by_qkeras:,} bits, the independent count {core:,}: they agree")

# %% [markdown] tags=["solution"]
# The same count of the ternary network, whose biases have 4 bits:

# %% tags=["solution"]
in_ternary = bit_count(three_valued)
in_ternary.loc["total"] = in_ternary.sum()
display(in_ternary.style.format("{:,}").set_caption(data.banner))

# %% [markdown] tags=["solution"]
# ## 7. Are they really 4 bits?
#
# For every layer: the values the network computes with, divided by their step, must be whole
# numbers between -8 and 7, so that each step has at most 16 multiples.

# %% tags=["solution"]
proof = {}
for layer in quantized_layers(network):
    for kind, (numbers, step) in zip(("weights", "biases"), stored_numbers(layer), strict=False):
        whole = np.round(numbers)
        off = np.abs(numbers - whole).max()
        assert off < 1e-4 and whole.min() >= -8 and whole.max() <= 7
        proof[f"{layer.name}, {kind}"] = {
            "values": numbers.size,
            "steps": step.size,
            "least": whole.min(),
            "most": whole.max(),
            "levels": len(np.unique(whole)),
            "off by at most": off,
        }
proof = pd.DataFrame.from_dict(proof, orient="index")
formats = dict.fromkeys(proof.columns[:-1], "{:,.0f}") | {"off by at most": "{:.0e}"}
display(proof.style.format(formats).set_caption(data.banner))

# %% tags=["solution"]
four_bit = quantized_layers(network)
fig, axes = figure("The whole numbers of each layer", 2, 4, (9, 4.6), data.banner)
for ax, layer in zip(axes.flat, four_bit, strict=False):
    whole, counts = np.unique(np.round(stored_numbers(layer)[0][0]), return_counts=True)
    ax.bar(whole, counts, color=BLUE)
    ax.set_title(layer.name, fontsize=10)
    ax.set_xticks([-7, 0, 7])
whole, counts = np.unique(np.round(stored_numbers(four_bit[-1])[1][0]), return_counts=True)
axes.flat[len(four_bit)].bar(whole, counts, color=ORANGE)
axes.flat[len(four_bit)].set_title(f"{four_bit[-1].name}, biases", fontsize=10)
axes.flat[len(four_bit)].set_xticks([-7, 0, 7])
for ax in axes[1]:
    ax.set_xlabel("stored whole number")
for ax in axes[:, 0]:
    ax.set_ylabel("how many")
plt.show()

# %% [markdown] tags=["handout"]
# ## Deployed in 4 bits

# %% [markdown] tags=["task"]
# ### Task 2: convert it so that the file stores at most 4 bits a weight
#
# **Given:** `plain_copy(network)` writes a QKeras network as one of ordinary layers with the same
# values, for the converter. It takes `QConv2D`, `QDense` and Keras's own layers, each reading the
# one before, and refuses what it cannot copy. `pack_int4(content)` makes of the bytes of an int8
# file those of one with INT4 weights, where these are whole numbers from -7 to 7 times a step a
# channel. For other networks write your own.
#
# **Afterwards there is:** `models/sign_mnist_qkeras_4bit.tflite`.

# %% [markdown] tags=["solution"]
# ## 8. Deployed in 4 bits
#
# The quantized values go into an ordinary Keras network and through the int8 converter of question
# 1, which folds batch normalization into a **scale for each channel** and leaves the whole numbers
# as they are, only stretched from ±7 to ±127. `pack_int4` takes that stretch back and stores them
# as INT4, two to a byte. Activations are int8 and biases int32, as LiteRT's integer kernels want
# them: the biases that batch normalization adds are folded in here.
#
# One layer needs another form. TFLite Micro has no INT4 kernel for a dense layer with a scale for
# each channel, only for convolutions; so `plain_copy` writes the dense layer as a 1x1 convolution,
# which is the same function.

# %% tags=["solution"]
from toolkit.compression import DYNAMIC_RANGE, convert, representative_dataset
from toolkit.tflite import gzip_size, predict_tflite, sizes

# %% tags=["solution"]
WEIGHTS_IN_INT8 = DYNAMIC_RANGE | {
    "supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8],
    "representative_dataset": representative_dataset(data.x_train, seed=SEED),
}
build = Path("build_q4")
build.mkdir(exist_ok=True)
in_int8 = convert(plain_copy(network), build / "4bit_in_int8.tflite", **WEIGHTS_IN_INT8)

# %% tags=["solution"]
from toolkit.packing import repack

# %% tags=["solution"]
deployed = Path("models/sign_mnist_qkeras_4bit.tflite")
packed = repack(pack_int4(in_int8.read_bytes()), 0, fixed_size=True)
with replacing(deployed) as temporary:
    temporary.write_bytes(packed)
print(f"{deployed.name}  {len(packed):,} bytes, {gzip_size(packed):,} after gzip -9n")

# %% tags=["solution"]
letters = predict(network, data.x_test).argmax(axis=1)
forms = {
    "QKeras on the desktop": (letters, None),
    "LiteRT, the same values in int8": (None, in_int8),
    "LiteRT, INT4": (None, deployed),
}
comparison = {}
for name, (read, path) in forms.items():
    if path:
        read = predict_tflite(path, data.x_test).argmax(axis=1)
    size = sizes(path) if path else {"bytes": None, "bytes_gzip": None}
    comparison[name] = {
        "test accuracy": f"{np.mean(read == data.y_test):.2%}",
        "letters as QKeras": f"{np.sum(read == letters):,} of {len(letters):,}",
        "equal": f"{np.mean(read == letters):.3%}",
        "raw bytes": f"{size['bytes']:,}" if path else "–",
        "gzip bytes": f"{size['bytes_gzip']:,}" if path else "–",
    }
display(pd.DataFrame.from_dict(comparison, orient="index").style.set_caption(data.banner))

# %% [markdown] tags=["solution"]
# The ternary network goes the same way: its three values are stored in 4 bits too, the least that
# the format has; only gzip makes use of the fewer values.

# %% tags=["solution"]
in_int8 = convert(plain_copy(three_valued), build / "ternary_in_int8.tflite", **WEIGHTS_IN_INT8)
ternary_file = Path("models/sign_mnist_qkeras_ternary.tflite")
with replacing(ternary_file) as temporary:
    temporary.write_bytes(repack(pack_int4(in_int8.read_bytes()), 0, fixed_size=True))
for layer in quantized_layers(three_valued):
    numbers = stored_numbers(layer)[0][0]
    whole = np.round(numbers)
    assert set(np.unique(whole)) <= {-1, 0, 1} and np.abs(numbers - whole).max() < 1e-4
read = predict_tflite(ternary_file, data.x_test).argmax(axis=1)
expected = predict(three_valued, data.x_test).argmax(axis=1)
print(f"ternary: {np.sum(read == expected):,} of {len(read):,} letters as QKeras")

# %% tags=["check"]
check_file("models/sign_mnist_qkeras_4bit.tflite", data, at_least=0.85)
check_bits("models/sign_mnist_qkeras_4bit.tflite", at_most=4)

# %% [markdown] tags=["solution"]
# ## 9. In the common table
#
# The columns are those of questions 1 to 3: latency is the median of single images and, in
# brackets, the quartiles; *arena* is the working memory that TFLite Micro needs.

# %% [markdown] tags=["handout"]
# ## What it measures

# %% tags=["handout"]
stored = Path("models/sign_mnist_qkeras_4bit.tflite")
record = {
    "id": stored.stem,
    "notebook": "q4",
    "technique": "QKeras, 4 bits",
    "params": network.count_params(),
    "train_accuracy": accuracy(network, data.x_train, data.y_train),
    "profile": PROFILE,
    "seed": SEED,
    "seconds": sum(history["seconds"]),
    **measure(stored, predict_tflite(stored, data.x_test), data),
}
save_record(record)
display(results_table([record]))

# %% [markdown] tags=["handout"]
# ## Your conclusions
#
# *Which quantizers did you try, for weights and for biases, and what did they read? How many bits
# does your network take in all, and how many the float baseline, counted in the same way?*

# %% tags=["solution"]
records = []
for file, technique, model, trained_for in (
    (deployed, "QKeras 4 bits, int4", network, history),
    (ternary_file, "QKeras ternary, int4", three_valued, ternary_history),
):
    record = {
        "id": file.stem,
        "notebook": "q4",
        "technique": technique,
        "params": model.count_params(),
        "train_accuracy": accuracy(model, data.x_train, data.y_train),
        "profile": PROFILE,
        "seed": SEED,
        "seconds": sum(trained_for["seconds"]),
        **measure(file, predict_tflite(file, data.x_test), data),
    }
    save_record(record)
    records.append(record)
table = results_table(records)
display(table.style.set_caption(data.banner) if data.banner else table)

# %% tags=["solution"]
display(
    Markdown(
        answer(
            "question 4, as files",
            records,
            note=f"TFLite Micro: {records[0]['micro']} and {records[1]['micro']}. Calls: "
            "`plain_copy`, the int8 converter, `pack_int4`, `repack`.",
            banner=data.banner,
        )
    )
)

# %% [markdown] tags=["solution"]
# ## 10. What you should know now
#
# - What `alpha` does in a quantizer, and why a scale a channel costs nothing after folding.
# - Why the float weights stay in a QKeras network while it is trained.
# - How to prove that a layer holds 4 bits.
# - What LiteRT and TFLite Micro can and cannot do with INT4 weights.
#
# ### Exercises
#
# 1. Give only the largest layer 2 bits and leave 4 to the others. What is left of the accuracy?
# 2. Try `quantized_relu(3, 2)` and `(4, 1)` for the activations.
# 3. Start the ternary network from the 4-bit one instead of the float one.
# 4. How many bits would the weights of the ternary network take in an ideal code?
#
# A cell to start from, for the last:

# %% tags=["solution"]
for layer in quantized_layers(three_valued):
    whole, counts = np.unique(np.round(stored_numbers(layer)[0][0]), return_counts=True)
    shares = zip(whole, counts / counts.sum(), strict=True)
    print(layer.name, {int(w): f"{share:.1%}" for w, share in shares})

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
