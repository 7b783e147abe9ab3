# %% [markdown]
# # Few bits
#
# **Three values a weight read {{kept["ternary"]["accuracy"]:.2%}} of the test file in
# {{kept["ternary"]["bytes_gzip"]:,}} bytes after `gzip -9n`, two values
# {{kept["binary"]["accuracy"]:.2%}} in {{kept["binary"]["bytes_gzip"]:,}}, and 4 bits for weights
# and activations {{kept["activations"]["accuracy"]:.2%}} in
# {{kept["activations"]["bytes_gzip"]:,}}.** All three are files for LiteRT and TFLite Micro.
# Question 4 gives each weight 4 bits; here weights and activations go as far down as they can.
#
# | weights | held-out photos | test file | against float, points |
# |---|---|---|---|
# | float | {{trials/signmnist.FOUR_BITS//float/accuracy:.2%}} | {{cells("float")}} |
# | 4 bits, in QKeras | {{trials/signmnist.FOUR_BITS//int4/accuracy:.2%}} | {{cells("4 bits")}} |
# | … and activations | {{trials/signmnist.FOUR_BY_FOUR//int4/accuracy:.2%}} | {{cells("4 by 4")}} |
# | -1, 0, 1 | {{trials/signmnist.TERNARY//int4/accuracy:.2%}} | {{cells("ternary")}} |
# | -1, 1 | {{trials/signmnist.BINARY//int4/accuracy:.2%}} | {{cells("binary")}} |
#
# *Held-out photos* come from trials: trained by the same recipe without these photos and judged by
# them; where there are several seeds, the lowest and the highest. Seeds differ by more than the
# rows near float do: it is no ranking. *Against float* is the 95 % interval of the difference on
# the test file, groups of photos drawn anew: where it holds 0, the two cannot be told apart there.
# It knows nothing of other seeds.
#
# **What you learn:** what each quantizer of QKeras does, and what is left of the differences after
# training; how 4-bit activations become a file although neither runtime takes such a type; how
# weights of three and two values are trained and stored; which runtime takes which few bits.
#
# | section | subject |
# |---|---|
# | 1 | what QKeras's quantizers do, and what they cost |
# | 2 | 4 bits for activations too, in a file |
# | 3, 4 | three values a weight; two |
# | 5 | INT4, INT2 and codebooks: what runs where |
# | 6 | what QKeras counts |
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
from IPython.display import display
from qkeras import QConv2D, QDense, quantized_bits, quantized_relu
from qkeras.estimate import print_qstats

# %% [markdown]
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
from signmnist.recipes import ACCURATE, in_profile

# %%
data = load_sign_mnist()

# %% [markdown]
# Everything starts from the accurate network of question 1. Where its file is not at hand, as in
# Colab, it is trained here first, which takes some minutes more.

# %%
from signmnist.baseline import (
    build_cnn,  # noqa: F401  (in sight)
    learn,  # in sight
    lessons,  # in sight
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
# ## 1. What QKeras's quantizers do
#
# QKeras has layers that take **quantizers**: functions that round in the forward pass, while
# gradients pass them as if they were not there. The float weights stay underneath and are what
# training changes. What follows are all that QKeras 0.9.0 has. Each trained the same network for
# one epoch, on the same images, by the same recipe, alone: as quantizer of all weights, or in
# place of each ReLU; `none` is the same epoch without a quantizer. One seed each.
#
# | quantizer, of weights | levels |
# |---|---|
# | `quantized_bits`, alpha 1 | steps of 1/8 for all layers; with 1 integer bit 1/4 |
# | … stochastic | the same steps, up or down at random while training, the nearer the likelier |
# | … alpha `auto` | -7 to 7 times a float scale a channel, for its largest weight |
# | … alpha `auto_po2` | the scale is a power of two, a shift in hardware |
# | `quantized_po2` | the weights are powers of two: no zero, each product a shift |
# | `quantized_ulaw` | even steps bent by the µ-law of telephones: few near zero |
# | `ternary` | -1, 0, 1 times a scale; `stochastic_ternary` draws while training |
# | `binary` | -1, 1 times a scale; `stochastic_binary` draws while training |
# | `bernoulli` | 0, 1 times a scale, drawn while training |
#
# | quantizer, of activations | levels |
# |---|---|
# | `quantized_relu` | 0 to 3.75 by quarters |
# | `quantized_relu_po2` | powers of two up to 4 |
# | `quantized_bits` | -4 to 3.5 by halves: no ReLU |
# | `quantized_hswish` | x · relu6(x + 3) / 6 by halves |
# | `quantized_tanh`, `quantized_sigmoid` | -1 to 7/8 by eighths; 0 to 15/16 by sixteenths |
#
# Where nothing else is said, they have 4 bits. What each read of the held-out photos; by one seed
# neighbours a few tenths apart cannot be told apart:
#
# | quantizer | held-out photos |
# |---|---|
# {{trials/signmnist.QUANTIZER_TRIAL/quantizer/QKeras/accuracy:.1%}}
#
# One epoch says little about what starts from far below: sections 3 and 4 train ternary and binary
# weights by distillation and on one step a layer, which cannot be compared with these rows.
# `learning_phase` is needed for what is drawn at random: QKeras asks Keras's
# learning phase, which `fit` leaves at prediction. `quantized_linear`, which QKeras's repository
# describes, is not in the released version.

# %%
from toolkit.few_bits import (
    ACTIVATION_QUANTIZERS,  # in sight
    WEIGHT_QUANTIZERS,  # in sight
    at_random,  # in sight
    auto,  # noqa: F401  (in sight)
)
from toolkit.fourbit import learning_phase, plain_copy
from toolkit.plots import BLUE, ORANGE, figure
from toolkit.results import accuracy_interval, accuracy_three_ways, measure, write_records

# %% [markdown]
# Of weights: on the left one channel of the fourth convolution under each of them. On the right
# what weights from 0 to 1/2 become on the fixed grid of eighths: the nearest step or, at random,
# either neighbour, whose mean over 400 times is shown.

# %%
channel = baseline.get_layer("conv4").get_weights()[0][..., :1]
fig, axes = figure("What quantizers make of weights", 1, 2, (9, 5), data.banner)
levels = {"float": channel} | {
    name: quantizer()(tf.constant(channel)).numpy()
    for name, (_, quantizer) in WEIGHT_QUANTIZERS.items()
}
for height, values in enumerate(map(np.unique, levels.values())):
    axes[0].plot(values, np.full(values.size, height), "|", color=BLUE, markersize=11)
axes[0].set_yticks(range(len(levels)), levels)
axes[0].invert_yaxis()
axes[0].set(xlabel="weight")
weights = np.linspace(0, 0.5, 101, dtype=np.float32)
nearest = WEIGHT_QUANTIZERS["quantized_bits, alpha 1"][1]()(tf.constant(weights)).numpy()
with learning_phase():
    mean = at_random()(tf.constant(np.tile(weights, (400, 1)))).numpy().mean(axis=0)
axes[1].plot(weights, nearest, color=BLUE)
axes[1].plot(weights, mean, color=ORANGE)
axes[1].text(0.5, 0.2, "stochastic, mean", color=ORANGE, ha="right")
axes[1].text(0.01, 0.3, "nearest", color=BLUE)
axes[1].set(xlabel="weight", ylabel="rounded")
plt.show()

# %% [markdown]
# Of activations: what each gives for inputs from -4 to 6.

# %%
inputs = np.linspace(-4, 6, 2001, dtype=np.float32)
fig, axes = figure("What quantizers make of activations", 2, 3, (9, 5), data.banner)
for ax, (name, (_, quantizer)) in zip(axes.flat, ACTIVATION_QUANTIZERS.items(), strict=True):
    given = quantizer()(tf.constant(inputs)).numpy()
    ax.plot(inputs, given, color=BLUE)
    ax.set_title(f"{name}\n{len(np.unique(given.round(5)))} levels", fontsize=10)
for ax in axes[1]:
    ax.set_xlabel("input")
for ax in axes[:, 0]:
    ax.set_ylabel("output")
plt.show()

# %% [markdown]
# ## 2. 4 bits for activations too
#
# Each ReLU becomes a `quantized_relu(4, 2)`: sixteen levels from 0 to 3.75. The pixels that come
# in, the averages behind the last convolution and the scores keep 8 bits. It starts from the float
# network, is trained by question 4's recipe and is called *4 by 4* in what follows.

# %%
from signmnist.recipes import FOUR_BITS, FOUR_BY_FOUR  # in sight
from toolkit.few_bits import in_few_bits  # in sight


# %%
def tuned(network, recipe, name):
    """A network trained in place by a recipe, on labels: (network, history)."""
    tf.keras.utils.set_random_seed(SEED)
    recipe = in_profile(recipe, PROFILE)
    return network, tune(network, data.x_train, data.y_train, recipe, name=name, seed=SEED)


# %%
sixteen_levels, activations_history = tuned(
    in_few_bits(baseline, activation=ACTIVATION_QUANTIZERS["quantized_relu"][1]),
    FOUR_BY_FOUR,
    "4 by 4",
)

# %% [markdown]
# Two attempts to store these activations in a type of 4 bits: the LiteRT Quantizer is asked for
# them, and a file of 8 bits is told that its activations are INT4.

# %%
from toolkit.compression import INT8, ONE_SCALE, convert, representative_dataset, stripped
from toolkit.few_bits import with_16_levels  # in sight
from toolkit.graph import OPERATORS, TYPES, read_model, write_model
from toolkit.quantizer import quantize
from toolkit.tflite import ModelError, predict_tflite, run_micro

# %%
build, models = Path("build_few_bits"), Path("models")
build.mkdir(exist_ok=True)
models.mkdir(exist_ok=True)
calibration = data.x_train[np.random.default_rng(SEED).permutation(len(data.x_train))[:300]]
float_file = convert(plain_copy(in_few_bits(sixteen_levels)), build / "4_by_4_float.tflite")
try:
    quantize(float_file, build / "4_by_4.tflite", calibration, weights=4, activations=4)
except ValueError as error:
    print("LiteRT Quantizer:", error)

# %%
eight = quantize(float_file, build / "4_by_8.tflite", calibration, weights=4)
model = read_model(eight.read_bytes())
for node in (model.subgraphs[0], *model.subgraphs[0].operators):
    for tensor in [*node.sources[:1], *node.targets]:
        tensor.type = TYPES.INT4
(build / "int4_activations.tflite").write_bytes(write_model(model))
try:
    predict_tflite(build / "int4_activations.tflite", data.x_train[:1])
except ModelError as error:
    asks = re.search(r"input_type == .*?(?= was not true)", str(error))
    print("LiteRT asks for", (asks[0] if asks else str(error)).replace(" || ", "\n  or "))
print("TFLite Micro:", run_micro(build / "int4_activations.tflite", data.x_train[:1]).reason)

# %% [markdown]
# So no type of 4 bits carries them here, but int8 can: its range ends at 127. With a step of 1/4
# and the zero point 112 the sixteen levels are 112 to 127; ReLU cuts off below, the end of the type
# above. The zero point follows from the range, and the LiteRT Quantizer is told that range instead
# of the one that it calibrated: no rewriting of the file.

# %%
four_by_four_file = with_16_levels(
    float_file, models / "few_bits_activations.tflite", calibration, step=0.25
)
scores = {"4 by 4": predict_tflite(four_by_four_file, data.x_test)}


# %%
from toolkit.few_bits import relu_outputs

# %%
inside = relu_outputs(four_by_four_file, data.x_train[:100])
levels_in_file = {name: np.unique(values).tolist() for name, values in inside.items()}
assert all(set(found) <= set(range(112, 128)) for found in levels_in_file.values())
shares = [100 * np.mean(list(inside.values())[-1] == level) for level in range(112, 128)]
fig, ax = figure("Activations behind the last ReLU, in the file", banner=data.banner)
ax.bar(range(112, 128), shares, color=BLUE)
ax.set(xlabel="int8 number: 112 is 0, 127 is 3.75", ylabel="share of activations, %")
ax.set_xticks(range(112, 128))
plt.show()

# %%
agree = np.mean(
    scores["4 by 4"].argmax(axis=1) == predict(sixteen_levels, data.x_test).argmax(axis=1)
)

# %% [markdown]
# All activations behind ReLUs are of these sixteen numbers, for 100 images; the bar at 127 holds
# all that is 3.75 or more. Of the letters of the test file {{agree:.1%}} are those that QKeras
# reads; the rest probably come from biases, which a file stores in units of the products that are
# summed up, and those of few bits are coarse.
#
# ## 3. Three values a weight
#
# -1, 0 and 1 in every layer, with **one step for the whole layer**: batch normalization is folded
# into the kernels, and one that has one scale for all channels takes its place, so that the file
# needs no scale a channel. The loss has a **penalty** on the sum of the weights' sizes, which draws
# them into the zero of `ternary`: the more zeros, the less gzip has to store.
#
# It learns by **distillation**: not the labels, but the scores that the network gave in float, of
# eight augmented copies of each image.

# %%
from signmnist.recipes import BINARY, TERNARY  # in sight
from toolkit.few_values import (
    few_valued,  # in sight
    few_values,  # noqa: F401  (in sight)
    in_2_bits,
    plain_few_valued,
    values_of,
)
from toolkit.fourbit import quantized_layers

# %%
three_valued = few_valued(baseline, 3, TERNARY["penalty"])
share_before = {la.name: np.mean(values_of(la) == 0) for la in quantized_layers(three_valued)}
images, scores_in_float = lessons(data.x_train, baseline, TERNARY, SEED)
ternary_history = learn(
    three_valued, images, scores_in_float, in_profile(TERNARY, PROFILE), SEED, "ternary"
)

# %% [markdown]
# **Are they really three values?** The numbers of each layer, and its **entropy**: what an ideal
# code of the three would take in bits a weight.

# %%
from toolkit.anatomy import value_entropy


# %%
def counted(network):
    """Share of each value and entropy, a row a layer: a pandas DataFrame."""
    rows = {}
    for layer in quantized_layers(network):
        whole = values_of(layer)
        assert set(np.unique(whole)) <= {-1, 0, 1}
        rows[layer.name] = {"weights": whole.size}
        rows[layer.name] |= {f"{value}": np.mean(whole == value) for value in (-1, 0, 1)}
        rows[layer.name]["entropy"] = value_entropy(whole)
    return pd.DataFrame.from_dict(rows, orient="index")


of_ternary = counted(three_valued).assign(**{"0 before": share_before})
formats = dict.fromkeys(("-1", "0", "1", "0 before"), "{:.1%}")
formats |= {"weights": "{:,}", "entropy": "{:.2f}"}
display(of_ternary.style.format(formats).set_caption(data.banner))
ideal = (of_ternary["weights"] * of_ternary["entropy"]).sum() / 8

# %% [markdown]
# **The file.** The network becomes ordinary layers, the converter makes an int8 file with one scale
# a layer, in which -1, 0 and 1 are -127, 0 and 127; `to_int4` (the size race) stores them in 4
# bits, and `repack` leaves out what no interpreter reads.

# %%
from toolkit.int4 import to_int4
from toolkit.packing import repack
from toolkit.tflite import constants, gzip_size


# %%
def to_file(network, name):
    """Writes the int8 file, under build, and the INT4 file of a few-valued network: both paths."""
    settings = INT8 | ONE_SCALE | {"representative_dataset": representative_dataset(data.x_train)}
    whole = convert(plain_few_valued(network), build / f"{name}_int8.tflite", **settings)
    small = to_int4(whole.read_bytes(), fixed_size=True)
    path = models / f"few_bits_{name}.tflite"
    path.write_bytes(repack(small, tries=100, fixed_size=True))
    stored = [array for array in constants(path) if array.dtype == np.int8 and array.ndim > 1]
    assert len(stored) == 6 and all(set(np.unique(array)) <= {-1, 0, 1} for array in stored)
    return whole, path


ternary_int8, ternary_file = to_file(three_valued, "ternary")
scores["ternary"] = predict_tflite(ternary_file, data.x_test)

# %% [markdown]
# Zeros became more frequent in the large convolutions, not in the first layer and the last. An
# ideal code of each layer's values would take {{ideal:,.0f}} bytes for the weights; the file has
# {{kept["ternary"]["bytes_gzip"]:,}} after gzip, with everything. Fewer values need not be fewer
# bytes: on fifteen values the size race stores the same network in
# {{studies/size_race_clustered_accurate/bytes_gzip:,}} bytes, at
# {{studies/size_race_clustered_accurate/accuracy:.2%}} of the test file.
#
# ## 4. Two values
#
# -1 and 1: `binary` in every layer, also the first and the last, by the same means. There is no
# zero to draw weights to, so no penalty: {{weights:,}} weights are {{weights / 8:,.0f}} bytes,
# whatever they are. It takes twice the epochs of three values.

# %%
two_valued = few_valued(baseline, 2)
binary_history = learn(
    two_valued, images, scores_in_float, in_profile(BINARY, PROFILE), SEED, "binary"
)
binary_int8, binary_file = to_file(two_valued, "binary")
scores["binary"] = predict_tflite(binary_file, data.x_test)
weights = sum(values_of(layer).size for layer in quantized_layers(two_valued))

# %% [markdown]
# ## 5. What runs where
#
# INT4 holds sixteen values, of which these files use three and two. LiteRT's format now has
# **INT2** as well, and TFLite Micro has **codebooks**: a table of values and, for each weight, its
# number in as few bits as the table needs, read by the operator DECODE. Each is tried on both
# networks: with activations of 8 bits, `in_2_bits` rewrites the INT4 file, as the LiteRT Quantizer
# leaves layers in float when it is asked for 2 bits beside int8; with float activations it makes
# INT2 by itself.

# %%
from toolkit.codebook import with_codebooks
from toolkit.graph import weight_bits


# %%
def verdict(path):
    """Whether LiteRT and TFLite Micro run a file, or why not: a dict of two texts."""
    try:
        predict_tflite(path, data.x_train[:1])
        litert = "runs"
    except (ModelError, RuntimeError) as error:
        known = re.search(r"Weight type .*? filter|custom op: \w+", str(error))
        litert = known[0] if known else str(error)
    micro = run_micro(path, data.x_train[:1])
    return {"LiteRT": litert, "TFLite Micro": "runs" if micro.scores is not None else micro.reason}


rows, stored = {}, {}
for name, network, whole, small in (
    ("ternary", three_valued, ternary_int8, ternary_file),
    ("binary", two_valued, binary_int8, binary_file),
):
    two_bits, dense = (build / f"{name}_int2{end}.tflite" for end in ("", "_dense"))
    two_bits.write_bytes(in_2_bits(small.read_bytes()))
    dense.write_bytes(in_2_bits(small.read_bytes(), [OPERATORS.FULLY_CONNECTED]))
    in_float = convert(plain_few_valued(network), build / f"{name}_float.tflite")
    asked = quantize(in_float, build / f"{name}_asked.tflite", calibration, 2)
    hybrid = quantize(in_float, build / f"{name}_hybrid.tflite", weights=2, one_scale=True)
    book = build / f"{name}_codebook.tflite"
    plain = build / f"{name}_plain.tflite"
    stored[name] = with_codebooks(stripped(whole, plain), book)
    tried = {"INT4": small, "INT2": two_bits, "INT2 in the dense layer alone": dense}
    tried |= {"INT2, float activations": hybrid, "codebooks": book}
    for kind, path in tried.items():
        size = len(content := path.read_bytes())
        rows[f"{name}, {kind}"] = {"bytes": size, "after gzip": gzip_size(content), **verdict(path)}
    left, (bits,) = weight_bits(asked.read_bytes()), {bits for bits, _ in stored[name].values()}
    print(f"{name}: the LiteRT Quantizer leaves weights of {left} bits; codebooks of {bits}")
where = pd.DataFrame.from_dict(rows, orient="index")
display(where.style.format({"bytes": "{:,}", "after gzip": "{:,}"}).set_caption(data.banner))

# %% [markdown]
# Only INT4 runs on both. Codebooks run on TFLite Micro. INT2 throughout is the smallest after
# gzip and runs nowhere; in the dense layer alone, or with float activations, LiteRT runs it, and
# then it is larger after gzip than INT4.
#
# ## 6. What QKeras counts
#
# `print_qstats` prints, layer by layer, how often the network multiplies, and by what. In its names
# `s` is for signed; `mult` multiplies whole numbers, `fmult` floats, and `mux` only chooses among
# an input, its negative and 0; then come the bits of weight and input. It sees the networks of
# QKeras, where activations are float unless they were quantized. Its totals:

# %%
networks = {
    "4 by 4": sixteen_levels,
    "ternary": three_valued,
    "binary": two_valued,
}
rows = {}
for name, network in networks.items():
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        print_qstats(network)
    totals = printed.getvalue().partition("operation types")[2].partition("Weight profiling")
    kinds = re.findall(r"(\w+) +: (\d+)", totals[0])
    widths = re.findall(r": (\d+) +\((\d+)-bit unit", totals[2])
    (zeros,) = re.findall(r"Total Sparsity +: ([\d.]+)", totals[2])
    rows[name] = {
        "operations": ", ".join(f"{int(count):,} {kind}" for kind, count in kinds),
        "bytes of weights and biases": sum(int(n) * int(bits) for n, bits in widths) / 8,
        "zeros": float(zeros),
    }
formats = {"bytes of weights and biases": "{:,.0f}", "zeros": "{:.0%}"}
stats = pd.DataFrame.from_dict(rows, orient="index")
display(stats.style.format(formats).set_caption(data.banner))

# %% [markdown]
# So QKeras counts one or two bits a weight, and multiplications by floats wherever its activations
# are float. The files compute in int8.
#
# ## 7. Side by side
#
# On the test file; intervals come from drawing its groups of photos anew (question 1). The float
# network and that of 4 bits are scored in Keras, the other three as files. (Question 4 scores the
# file of 4 bits, which reads a few letters otherwise.)

# %%
LAYERS_OF_QKERAS = {"QConv2D": QConv2D, "QDense": QDense, "quantized_bits": quantized_bits}
with tf.keras.utils.custom_object_scope(LAYERS_OF_QKERAS):
    four_bit = saved_or_trained(
        "../models/sign_mnist_qkeras_4bit.keras",
        lambda: tuned(in_few_bits(baseline), FOUR_BITS, "4 bits"),
    )
scores = {
    "float": predict(baseline, data.x_test),
    "4 bits": predict(four_bit, data.x_test),
} | scores
right = {
    name: (found.argmax(axis=1) == data.y_test).astype(float) for name, found in scores.items()
}
rows, against_float = {}, {}
for name, found in scores.items():
    difference = right[name] - right["float"]
    against_float[name] = accuracy_interval(difference, data.test_groups)
    figures = accuracy_three_ways(found, data)
    rows[name] = {
        "test file": figures["accuracy"],
        "without twins": figures["accuracy_no_twin"],
        "95 % interval": f"{figures['accuracy_low']:.1%} to {figures['accuracy_high']:.1%}",
        "errors": figures["total"] - figures["correct"],
    }
found = pd.DataFrame.from_dict(rows, orient="index")
formats = {"test file": "{:.2%}", "without twins": "{:.2%}"}
display(found.style.format(formats, na_rep="–").set_caption(data.banner))

# %%
records = [
    {
        "id": path.stem,
        "notebook": "few_bits",
        "technique": technique,
        "params": network.count_params(),
        "train_accuracy": accuracy(network, data.x_train, data.y_train),
        "profile": PROFILE,
        "seed": SEED,
        "seconds": sum(history["seconds"]),
        **measure(path, scores[name], data),
    }
    for path, technique, name, history in (
        (
            four_by_four_file,
            "QKeras 4-bit weights and activations",
            "4 by 4",
            activations_history,
        ),
        (ternary_file, "QKeras ternary, int4", "ternary", ternary_history),
        (binary_file, "QKeras binary, int4", "binary", binary_history),
    )
    for network in [networks[name]]
]
write_records(records, "few_bits", "results.json")
kept = {record["id"].removeprefix("few_bits_"): record for record in records}


def cells(name):
    """Two cells of the table on the first page."""
    low, high = (f"{100 * share:+.2f}" for share in against_float[name])
    span = f"{low} to {high}" if name != "float" else ""
    return f"{found.loc[name, 'test file']:.2%} | {span}"


# %% [markdown]
# TFLite Micro reads of the first test images: with 4-bit activations
# {{kept["activations"]["micro"]}}, ternary {{kept["ternary"]["micro"]}}, binary
# {{kept["binary"]["micro"]}}.
#
# ## 8. What you should know now
#
# - What each of QKeras's quantizers does, and what is left of the differences after one epoch.
# - How a type of 8 bits carries activations of 4.
# - How a penalty makes zeros, and why gzip likes them.
# - Which few bits LiteRT and TFLite Micro read.
#
# ### Exercises
#
# Choose on photos of the training file that you hold out, as question 1 does (`group_split`).
#
# 1. Give only the largest layer, `conv5`, three values and leave sixteen to the others: in
#    `in_few_bits` choose the quantizer by the layer's name.
# 2. Halve and double the penalty of `TERNARY`. What becomes of bytes and errors?
# 3. Try `quantized_relu(3, 2)` and `(4, 1)`. Which step and zero point belong to them in the file?
#
# A cell to start from, for the third: the levels of each.

# %%
for arguments in ((4, 2), (3, 2), (4, 1)):
    levels = np.unique(quantized_relu(*arguments)(tf.constant(inputs)).numpy())
    print(f"{arguments}: {len(levels)} levels by {levels[1]}, up to {levels[-1]}")

# %% [markdown]
# ### Glossary
#
# - **alpha**, scale, step: the factor between a stored whole number and the weight.
# - **Codebook**: a table of the values that occur, and their numbers in place of weights.
# - **INT4, INT2**: two, four signed numbers to a byte.
# - **Ternary, binary**: the values -1, 0 and 1; -1 and 1.
# - **Zero point**: the whole number that stands for 0.
#
# ### Sources
#
# - C. Coelho et al., "Automatic heterogeneous quantization of deep neural networks", Nature Machine
#   Intelligence, 2021. QKeras.
# - M. Courbariaux, Y. Bengio, J.-P. David, "BinaryConnect", 2015.
# - F. Li, B. Zhang, B. Liu, "Ternary Weight Networks", 2016.
# - S. Zhou et al., "DoReFa-Net", 2016. Low-bit weights and activations.

# %%
print(f"{PROFILE} profile, {(time.perf_counter() - started) / 60:.1f} minutes")
