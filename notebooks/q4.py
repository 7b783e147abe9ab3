# %% [markdown] tags=["handout"]
# # Question 4: four bits for every weight
#
# QKeras: all weights and biases of the convolutions and the dense layers in 4 bits, **as accurate
# as you can**. The score is the accuracy on the test file: of
# `models/sign_mnist_qkeras_4bit.tflite` if you make that file, else what this notebook prints.

# %% [markdown] tags=["solution"]
# # Question 4: four bits for every weight
#
# **With QKeras, all weights and biases of the convolutions and the dense layer in 4 bits, as
# accurate as possible.** The accurate network of question 1 is trained further with its weights
# rounded; the bits are counted and proved to be 4; the file stores weights as INT4, two to a byte
# (biases as int32, activations as int8: section 6).
#
# | what | file in `models/` | test accuracy | bytes | after `gzip -9n` |
# |---|---|---|---|---|
# | **the answer**, in 4 bits | `sign_mnist_qkeras_4bit.tflite` | {{cells("4 bits, trained")}} |
# | float, to compare with | `sign_mnist.tflite` (question 1) | {{cells("float")}} |
#
# **Accuracy.** Of the {{len(data.y_test):,}} test images the INT4 file misreads
# {{wrong["4 bits, trained"]}} (95 % interval of its accuracy: {{record["accuracy_low"]:.2%}} to
# {{record["accuracy_high"]:.2%}}) and the float file, trained for fewer epochs,
# {{wrong["float"]}}. The QKeras network (`sign_mnist_qkeras_4bit.keras`) misreads
# {{len(data.y_test) - right}}; it and the INT4 file agree on {{read_alike:,}}. The float network,
# rounded to 4 bits by the same Quantizer without training, misreads
# {{wrong["4 bits, untrained"]:,}}: training with the rounding in place makes up for that.
#
# **Size.** 4 bits instead of 32 make weights and biases {{baseline_core / core:.0f}} times smaller;
# with the scales and batch normalization, which stay in float, the network is
# {{baseline_bits / all_bits:.2f}} times smaller. The INT4 file has {{share_of("float")}} of the
# float file's bytes and {{share_of("int8")}} of those of the float network stored in int8.

# %% [markdown] tags=["solution"]
# **What you learn:** what a QKeras quantizer does to weights and gradients; why the step matters
# and not the bits alone; how to count bits so that both sides of a comparison hold the same; how
# 4-bit weights get into a `.tflite` file.
#
# | what is asked | section |
# |---|---|
# | all weights and biases in 4 bits with QKeras | 1, 2 |
# | trained, as accurate as possible | 3 |
# | `print_qstats`, and the size against float | 4 |
# | proof that they are 4 bits | 5 |
# | a `.tflite` file | 6 |
# | the comparison as a Word or PDF file | `q4_report.docx` and `.pdf`, by `make submission` |
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
from qkeras import QConv2D, QDense, quantized_bits  # noqa: F401
from qkeras.estimate import print_qstats

# %% [markdown] tags=["handout"]
# `SEED` makes trainings come out the same again. `PROFILE` is noted beside what you measure and
# shortens nothing by itself. To try things out, in Colab as in Jupyter, write `PROFILE = "smoke"`
# in its place and let your code ask for it: `epochs=1 if PROFILE == "smoke" else 20`. What you hand
# in is run as `full`.

# %% [markdown] tags=["solution"]
# `PROFILE` sets how long to train: `full` is the recipe behind the published figures, `quick` a
# tour, `smoke` only proves that every cell runs.

# %%
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
# ## The baseline of question 1
#
# Colab runs each notebook on a machine of its own. So where `models/` lacks your network of
# question 1, it is taken from `q1.zip`, which the last cell of `q1.ipynb` made; Colab asks for it.

# %% tags=["handout"]
from toolkit.bundle import bring

bring("sign_mnist_baseline.keras", "q1.zip")

# %% [markdown] tags=["handout"]
# ## The 4-bit network
#
# `train(model, x, y, epochs=…, name="4 bits")` fits a compiled Keras model and
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

# %% tags=["handout"]
from toolkit.fourbit import bit_count, plain_copy
from toolkit.quantizer import quantize
from toolkit.tflite import predict_tflite, save_tflite  # noqa: F401
from toolkit.training import accuracy, predict, train  # noqa: F401

baseline = tf.keras.models.load_model("models/sign_mnist_baseline.keras", compile=False)
print(
    f"the float network reads {accuracy(baseline, data.x_test, data.y_test):.2%} of the test file"
)

# %% [markdown] tags=["task"]
# ### Task 1: build a QKeras network with quantizers of 4 bits and train it; name it `network`
#
# **Given:** QKeras, and `baseline`, your float network of question 1, whose weights are a good
# start. **Write** a network of `QConv2D` and `QDense` layers in which each kernel and each bias has
# a quantizer.
#
# **Afterwards there are:** `network`, a Keras model that takes float32 (n, 28, 28, 1) from 0 to 1
# and gives 24 scores, and `history`, what `train` returned.

# %% [markdown] tags=["solution"]
# The accurate network comes from question 1. Where its file is not at hand, as in Colab, it is
# trained here first, which takes some minutes more. `tune` trains a network by a **recipe**, a dict
# of settings that `in_profile` shortens; each image of a batch is turned, shifted and relit anew by
# `augment` (question 1).

# %% tags=["solution"]
from signmnist.recipes import ACCURATE, in_profile

# %% tags=["solution"]
from toolkit.training import (
    accuracy,
    compile_model,  # noqa: F401  (in sight)
    predict,
)
from toolkit.compression import (
    convert,
    fine_tune,  # noqa: F401  (in sight)
    saved_or_trained,
)
from signmnist.baseline import (
    train_accurate,
    tune,  # in sight
)

# %% tags=["solution"]
baseline = saved_or_trained(
    "models/sign_mnist_baseline.keras",
    lambda: train_accurate(data.x_train, data.y_train, in_profile(ACCURATE, PROFILE), SEED),
)
print(f"{baseline.count_params():,} parameters")

# %% [markdown] tags=["solution"]
# ## 1. A QKeras network in its smallest form
#
# For each common layer of Keras, QKeras has one that takes **quantizers**: functions that round the
# weights in the forward pass (**fake quantization**). The float weights stay underneath and are
# what training changes: the gradient passes the rounding as if it were not there (the
# straight-through estimator), so that many small steps can carry a weight over to the next level.
#
# `quantized_bits(4, 0, alpha=1)` are 4 bits with no integer bit: the multiples of 1/8 from -1 to
# 7/8. With `alpha="auto"` each output channel gets a step of its own, a seventh of its largest
# absolute weight; `symmetric` leaves the whole numbers from -7 to 7.

# %% tags=["solution"]
from toolkit.fourbit import (
    four_bits,  # in sight
    quantized_copy,  # in sight
)

# %% [markdown] tags=["solution"]
# ## 2. The step matters, not the bits alone
#
# Both quantizers have 4 bits. The first convolution, a row a channel, in float and in both:

# %% tags=["solution"]
from toolkit.plots import BLUE, figure

# %% tags=["solution"]
QUANTIZERS = {"alpha 1": lambda: quantized_bits(4, 0, alpha=1), "auto": four_bits}
kernel, bias = baseline.layers[1].get_weights()[0], baseline.layers[-1].get_weights()[1]
panels = {"float": kernel}
panels |= {name: make()(tf.constant(kernel)).numpy() for name, make in QUANTIZERS.items()}
fig, axes = figure("The first convolution: a fixed step, and one for each channel", 1, 3,
                   (9, 3.2), data.banner)  # fmt: skip
for ax, (name, values) in zip(axes, panels.items(), strict=True):
    rows = np.broadcast_to(np.arange(kernel.shape[-1]), kernel.shape)
    ax.plot(values.ravel(), rows.ravel(), "|", color=BLUE, markersize=6)
    ax.set(title=name, xlabel="weight", yticks=range(0, kernel.shape[-1], 5))
axes[0].set_ylabel("output channel")
plt.show()

# %% [markdown] tags=["solution"]
# What each leaves before any training, on a tenth of the training images, as the test file is for
# the end. The error is that of rounding, as a share of the values' own size (root mean square).
# `stored_numbers` divides what a quantizer gives by its step.

# %% tags=["solution"]
from toolkit.fourbit import (
    quantized_layers,  # in sight
    stored_numbers,  # in sight
)

# %% tags=["solution"]
x_tenth, y_tenth = data.x_train[::10], data.y_train[::10]
rounded = {"float": {"accuracy": accuracy(baseline, x_tenth, y_tenth)}}
for name, quantizer in QUANTIZERS.items():
    model, errors = quantized_copy(baseline, quantizer), []
    for layer in quantized_layers(model):
        for values, (numbers, step) in zip(layer.get_weights(), stored_numbers(layer), strict=True):
            off = np.mean((numbers * step - values) ** 2) / np.mean(values**2)
            errors.append(np.sqrt(off))
    rounded[name] = {
        "accuracy": accuracy(model, x_tenth, y_tenth),
        "error of weights": np.mean(errors[:-1]),
        "error of biases": errors[-1],
    }
rounded = pd.DataFrame.from_dict(rounded, orient="index")
display(rounded.style.format("{:.1%}", na_rep="–").set_caption(data.banner))

# %% [markdown] tags=["solution"]
# The fixed step rounds the weights by {{rounded["error of weights"]["alpha 1"]:.0%}} of their size
# (mean of the layers) and the biases by {{rounded["error of biases"]["alpha 1"]:.0%}}, steps that
# follow the values by {{rounded["error of weights"]["auto"]:.0%}} and
# {{rounded["error of biases"]["auto"]:.0%}}. These keep an accuracy of
# {{rounded["accuracy"]["auto"]:.1%}}, the fixed step {{rounded["accuracy"]["alpha 1"]:.1%}}. The
# {{bias.size}} biases of the dense layer share one step; they are the only ones, as batch
# normalization has those of the convolutions. So `auto` it is, for both; in the file its scales and
# batch normalization's factors become one scale for each channel.
#
# ## 3. The 4-bit network, trained
#
# The recipe was **set**, not chosen by trials; what trials read on held-out photos is in
# `report.md`.

# %% tags=["solution"]
from signmnist.recipes import FOUR_BITS  # in sight

# %% tags=["solution"]
tf.keras.utils.set_random_seed(SEED)
trained = quantized_copy(baseline)
recipe = in_profile(FOUR_BITS, PROFILE)
history = tune(trained, data.x_train, data.y_train, recipe, name="4 bits", seed=SEED)

# %% [markdown] tags=["solution"]
# The `.keras` file gets the rounded values that the network computes with. Rounding them again
# changes at most their last digits: the largest of each channel stays, and so does its step.

# %% tags=["solution"]
from toolkit.fourbit import quantized_weights  # in sight

# %% tags=["solution"]
network = quantized_copy(baseline)
network.set_weights(quantized_weights(trained))
scores = [predict(model, data.x_test) for model in (trained, network)]
change = np.abs(scores[0] - scores[1]).max()
print(f"scores of up to {np.abs(scores[0]).max():.1f} change by at most {change:.1e}")
with replacing("models/sign_mnist_qkeras_4bit.keras") as temporary:
    network.save(temporary)

# %% tags=["solution"]
from toolkit.tflite import count_correct, open_tflite, predict_tflite, run_micro, sizes

# %%
from toolkit.results import answer, measure, results_table, save_record

# %% tags=["check"]
from signmnist.checks import check_bits, check_file, check_network, check_quantizers

check_quantizers(network, bits=4)
check_network(network, data, at_least=0.85)

# %% tags=["handout"]
Path("models").mkdir(exist_ok=True)
with replacing("models/sign_mnist_qkeras_4bit.keras") as temporary:
    network.save(temporary)

# %% tags=["solution"]
right = count_correct(scores[1], data.y_test)
print(f"the QKeras network reads {right:,} of {len(data.y_test):,} test images")

# %% [markdown] tags=["handout"]
# ## How many bits
#
# What `print_qstats` of QKeras counts, and below it a count from the arrays themselves. Beside it
# belongs the float network of question 1, at 32 bits a weight.

# %% [markdown] tags=["solution"]
# ## 4. How many bits
#
# What `print_qstats` of QKeras says, less its notes on progress:

# %%
report = io.StringIO()
with contextlib.redirect_stdout(report):
    print_qstats(network)
print("\n".join(line for line in report.getvalue().splitlines() if "quantiz" not in line))

# %% [markdown] tags=["solution"]
# `sfmult_4_32` is a multiplication of 4 bits by 32-bit float, `smult_4_8` one by the 8-bit integers
# that QKeras takes the input for. Of 32-bit biases it finds 0: the convolutions have none. It
# prints no total and leaves out batch normalization (`norm1` and so on), float here. So here is an
# independent count from the arrays themselves, and both compared.

# %% tags=["solution"]
from toolkit.fourbit import bit_count  # in sight

# %%
bits = bit_count(network)
bits.loc["total"] = bits.sum()
display(bits.style.format("{:,}").set_caption(data.banner))

# %% tags=["solution"]
lines = re.findall(r": +(\d+) +\((\d+)-bit unit\)", report.getvalue())
by_qkeras = sum(int(count) * int(width) for count, width in lines)
total = bits.loc["total"]
core, all_bits = total["weights"] + total["biases"], total.sum()
assert by_qkeras == core, (by_qkeras, core)
own = [layer for layer in baseline.layers if hasattr(layer, "kernel")]
baseline_core = 32 * sum(array.size for layer in own for array in layer.get_weights())
baseline_bits = 32 * baseline.count_params()
counts = {
    # what is counted: 4 bits, float
    "weights and biases of convolutions and dense layer": (core, baseline_core),
    "... with their scales": (core + total["scales"], baseline_core),
    "... and batch normalization": (all_bits, baseline_bits),
}
compared = pd.DataFrame.from_dict(counts, orient="index", columns=["bits", "bits in float"])
compared["times smaller"] = compared["bits in float"] / compared["bits"]
formats = {"bits": "{:,.0f}", "bits in float": "{:,.0f}", "times smaller": "{:.2f}"}
display(compared.style.format(formats).set_caption(data.banner))
print(f"bits by print_qstats: {by_qkeras:,}, by the independent count: {core:,}")

# %% [markdown] tags=["solution"]
# ## 5. Are they really 4 bits?
#
# For every layer: the values that the network computes with, divided by their step, must be whole
# numbers from -8 to 7, of which there are 16.

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
fig, axes = figure(
    "The whole numbers of each layer", 2, -(-len(four_bit) // 2), (9, 4.4), data.banner
)
for ax, layer in zip(axes.flat, four_bit, strict=True):
    whole, counts = np.unique(np.round(stored_numbers(layer)[0][0]), return_counts=True)
    ax.bar(whole, counts, color=BLUE)
    ax.set_title(layer.name, fontsize=10)
    ax.set_xticks([-7, 0, 7])
for ax in axes[1]:
    ax.set_xlabel("stored whole number")
for ax in axes[:, 0]:
    ax.set_ylabel("how many")
plt.show()

# %% [markdown] tags=["handout"]
# ## Deployed in 4 bits
#
# A bonus: leave it out, and delete the line that raises an error, if the network above is all that
# you hand in.

# %% [markdown] tags=["task"]
# ### Task 2: convert it so that the file stores at most 4 bits a weight
#
# **Given:** `plain_copy(network)` writes a QKeras network as one of ordinary layers with the same
# values, for the converter. It takes `QConv2D`, `QDense` and Keras's own layers, each reading the
# one before, and refuses what it cannot copy. `quantize(float_file, path, images, weights=4)` takes
# a float `.tflite` file through the LiteRT Quantizer, with some training images to calibrate. For
# other networks write your own.
#
# **Afterwards there is:** `models/sign_mnist_qkeras_4bit.tflite`.

# %% [markdown] tags=["solution"]
# ## 6. Stored in 4 bits
#
# The quantized values go into an ordinary Keras network (`plain_copy`), and the converter writes it
# as a float file, with batch normalization folded into the weights: a factor for each channel,
# which leaves its whole numbers as they are. The **LiteRT Quantizer**, successor of the
# converter's quantization, makes it integers: it gives each channel the step that its largest
# weight asks for, which is `auto`'s step times that factor. LiteRT is the new name of TensorFlow
# Lite. Activations become int8; some images show their ranges (**calibration**).
#
# One layer needs another form. TFLite Micro, LiteRT's interpreter for microcontrollers, has no INT4
# kernel for a dense layer with a step for each channel, only for convolutions; so `plain_copy`
# writes the dense layer as a 1x1 convolution, which is the same function.

# %% tags=["solution"]
from toolkit.fourbit import plain_copy  # in sight
from toolkit.quantizer import quantize  # in sight

# %% tags=["solution"]
build, deployed = Path("build_q4"), Path("models/sign_mnist_qkeras_4bit.tflite")
build.mkdir(exist_ok=True)
examples = data.x_train[np.random.default_rng(SEED).permutation(len(data.x_train))[:300]]
float_file = convert(baseline, build / "float.tflite")
in_float = convert(plain_copy(network), build / "4bit_in_float.tflite")
forms = {
    "float": float_file,
    "int8": quantize(float_file, build / "int8.tflite", examples),
    "4 bits, untrained": quantize(float_file, build / "untrained.tflite", examples, weights=4),
    "4 bits, trained": quantize(in_float, deployed, examples, weights=4),
}

# %% tags=["solution"]
files = {}
for name, path in forms.items():
    read = predict_tflite(path, data.x_test)
    correct, micro = count_correct(read, data.y_test), run_micro(path, data.x_test[:1])
    figures = {"accuracy": correct / len(read), "errors": len(read) - correct}
    arena = f"{micro.arena_bytes:,}" if micro.arena_bytes else micro.reason
    files[name] = figures | sizes(path) | {"micro": arena}
read_alike = np.sum(read.argmax(axis=1) == scores[1].argmax(axis=1))
print(f"the INT4 file reads {read_alike:,} of {len(read):,} test images as the QKeras network does")
table = pd.DataFrame.from_dict(files, orient="index").drop(columns="bytes_zip")
table.columns = ["test accuracy", "errors", "bytes", "after gzip", "TFLite Micro's arena"]
formats = dict.fromkeys(("errors", "bytes", "after gzip"), "{:,}") | {"test accuracy": "{:.2%}"}
display(table.style.format(formats).set_caption(data.banner))

# %% [markdown] tags=["solution"]
# The **arena** is the working memory, in bytes, that TFLite Micro needs beside the file; it also
# unpacks INT4 weights there. *Untrained* is the float network of question 1, rounded by the same
# call, its dense layer left as it is, so TFLite Micro {{files["4 bits, untrained"]["micro"]}}.
#
# **Does the file hold what was trained?** TensorFlow's own analyzer names the type and the bytes of
# each tensor, LiteRT reads its numbers. They must be those of section 5, up to the sign of a
# channel whose factor from batch normalization is negative.

# %% tags=["solution"]
told = io.StringIO()
with contextlib.redirect_stdout(told):
    tf.lite.experimental.Analyzer.analyze(model_path=str(deployed))
tensors = re.findall(r"CONV_2D\(T#\d+, T#(\d+)", told.getvalue())  # of the weights, in order
kinds = dict(re.findall(r"T#(\d+)\(.* type:(\w+ RO \d+ bytes)", told.getvalue()))
interpreter, in_file = open_tflite(deployed), {}
for layer, number in zip(four_bit, tensors, strict=True):
    stored = interpreter.get_tensor(int(number))  # output channels first
    whole = np.moveaxis(np.round(stored_numbers(layer)[0][0]), -1, 0).reshape(stored.shape)
    pairs = zip(stored, whole, strict=True)
    equal = sum(np.array_equal(a, b) or np.array_equal(a, -b) for a, b in pairs)
    assert equal == len(stored) and kinds[number].startswith("INT4")
    in_file[layer.name] = {
        "weights": f"{stored.size:,}",
        "in the file (RO: read only)": kinds[number],
        "channels equal": f"{equal} of {len(stored)}",
    }
display(pd.DataFrame.from_dict(in_file, orient="index").style.set_caption(data.banner))

# %% [markdown] tags=["solution"]
# All whole numbers are in the file as they were trained, half a byte each. Biases are int32 there,
# as LiteRT's integer kernels want them, and hold what batch normalization adds.

# %% tags=["check"]
check_file("models/sign_mnist_qkeras_4bit.tflite", data, at_least=0.85)
check_bits("models/sign_mnist_qkeras_4bit.tflite", at_most=4)

# %% [markdown] tags=["handout"]
# ## What it measures

# %% tags=["handout"]
stored_file = Path("models/sign_mnist_qkeras_4bit.tflite")
for name, model in {"float": baseline, "QKeras": network}.items():
    print(f"{name}: {accuracy(model, data.x_test, data.y_test):.2%} of the test file")
if stored_file.exists():
    found = measure(stored_file, predict_tflite(stored_file, data.x_test), data)
    display(results_table([{"technique": "INT4 file", **found}]))

# %% tags=["solution"]
stored_file = Path("models/sign_mnist_qkeras_4bit.tflite")
record = {
    "id": stored_file.stem,
    "notebook": "q4",
    "technique": "QKeras, 4 bits",
    "params": network.count_params(),
    "train_accuracy": accuracy(network, data.x_train, data.y_train),
    "profile": PROFILE,
    "seed": SEED,
    "seconds": sum(history["seconds"]),
    **measure(stored_file, predict_tflite(stored_file, data.x_test), data),
}
save_record(record)

# %% [markdown] tags=["handout"]
# ## Your conclusions
#
# *Which quantizers did you try, for weights and for biases, and what did they read? How many bits
# does your network take in all, and how many the float baseline, counted in the same way?*

# %% [markdown] tags=["solution"]
# ## 7. The answer
#
# *Without twins* leaves out the test images that share a photo with the training file; the interval
# comes from drawing the test file's groups of photos anew (question 1).

# %% tags=["solution"]
note = (
    'Calls: `QConv2D`, `QDense`, `quantized_bits(4, 0, symmetric=1, alpha="auto")`, `compile`, '
    "`fit`, `TFLiteConverter`, `litert_quantizer.Quantizer`."
)
display(Markdown(answer("question 4", [record], note=note, banner=data.banner)))
wrong = {name: figures["errors"] for name, figures in files.items()}


def cells(name):
    """Accuracy and bytes of a file as cells of the table on the first page."""
    return "{accuracy:.2%} | {bytes:,} | {bytes_gzip:,}".format(**files[name])


def share_of(name):
    """The bytes of the INT4 file as a share of those of another file."""
    return f"{files['4 bits, trained']['bytes'] / files[name]['bytes']:.0%}"


# %% [markdown] tags=["solution"]
# **Accuracy.** Of the {{len(data.y_test):,}} test images the INT4 file misreads
# {{wrong["4 bits, trained"]}}, the float file {{wrong["float"]}}, the float network rounded without
# training {{wrong["4 bits, untrained"]:,}}.
#
# **Size.** Weights and biases are {{baseline_core / core:.0f}} times smaller, the whole network
# {{baseline_bits / all_bits:.2f}} times. The INT4 file has {{share_of("float")}} of the float
# file's bytes and {{share_of("int8")}} of the int8 file's.
#
# **Fewer bits still.** The study `studies/few_bits.ipynb` goes on with powers of two, activations
# in 4 bits, rounding at random, QKeras's other quantizers, and weights of three values. Test
# accuracy of the last: {{studies/few_bits_ternary/accuracy:.2%}}.
#
# ### Exercises
#
# 1. Give only the largest layer 2 bits and leave 4 to the others. What is left of the accuracy?
# 2. Count the bits of a network whose scales are powers of two (`alpha="auto_po2"`).
# 3. How many bits would the weights take in an ideal code? The entropy of section 5's counts says.

# %% [markdown]
# ### Glossary
#
# - **alpha**, scale, step: the factor between a stored whole number and the weight.
# - **Fake quantization**: rounding in the forward pass, with float weights underneath.
# - **INT4**: two signed numbers of 4 bits to a byte.
#
# ### Sources
#
# - QKeras: C. Coelho et al., "Automatic heterogeneous quantization of deep neural networks", 2021.
# - The straight-through estimator: Y. Bengio, N. Léonard, A. Courville, "Estimating or Propagating
#   Gradients Through Stochastic Neurons", 2013.
# - [LiteRT Quantizer](https://pypi.org/project/litert-quantizer/).

# %%
print(f"{PROFILE} profile, {(time.perf_counter() - started) / 60:.1f} minutes")
