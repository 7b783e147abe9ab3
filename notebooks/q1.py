# %% [markdown] tags=["handout"]
# # Question 1: one network, several ways to store it
#
# Train a small CNN that reads the signs and store it as a `.tflite` file in four ways.
#
# | part | what to write | file in `models/` |
# |---|---|---|
# | (a) | a baseline CNN | `sign_mnist_baseline.keras` |
# | (b) | float and dynamic range | `sign_mnist.tflite`, `sign_mnist_quant_dyn.tflite` |
# | (c) | int16 activations, int8 weights | `sign_mnist_quant_int16x8.tflite` |
# | (d) | quantization-aware training | `sign_mnist_quant_aware_training.tflite` |
#
# Each **task** says what is given and what has to be there afterwards; write your code in place of
# the line below it that raises an error. A **check** tells whether that does what is asked.
# Loading, plots and measuring are there already; folded cells named *Helpers* hold the plumbing.
#
# **In Colab:** upload this one file and work from the top. Before you hand it in, *Runtime >
# Restart and run all*, so that every output is saved, and download the folder `models/`.

# %% [markdown] tags=["solution"]
# # Question 1: one network, six ways to store it
#
# **Quantization of a convolutional network that reads sign language.** A small CNN is trained on
# Sign Language MNIST and converted to TensorFlow Lite (now named LiteRT) as float, dynamic range,
# int16x8, quantization-aware-trained (QAT), float16 and full int8 models. Each is scored on the
# whole test file and measured: bytes, latency, and the memory that it needs in TFLite Micro, the
# interpreter for microcontrollers.
#
# **What you learn:** to split data whose images are not independent; to train a small network that
# bears bad light and odd angles; what each quantization scheme of the converter stores, costs and
# needs; to measure a model so that the figures mean something.
#
# | part of the question | section | file in `models/` |
# |---|---|---|
# | (a) baseline CNN | 2 | `sign_mnist_baseline.keras` |
# | (b) float and dynamic range | 3 | `sign_mnist.tflite`, `sign_mnist_quant_dyn.tflite` |
# | (c) int16 activations, int8 weights | 4 | `sign_mnist_quant_int16x8.tflite` |
# | (d) quantization-aware training | 5 | `sign_mnist_quant_aware_training.tflite` |
# | beyond: float16, int8, a compact network | 6 | `sign_mnist_quant_int8.tflite` ... |
# | all of them compared | 7, 8 | |
# | exercises, glossary, sources | 9 | |
#
# **In Colab:** upload this one file, then *Runtime > Run all*. Folded cells named *Helpers* hold
# the plumbing (loading, the training loop, drawing); what the question is about stays in sight.
# A GPU makes the training faster, but its sums are rounded in another order: other last bits, other
# weights, slightly other figures than those on a CPU. The figures in the text are those of the
# published run; those of your own stand in the outputs.

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
    "tflite-micro",
    "kaggle",
    "pandas",
    "pyarrow",
    "matplotlib",
    "adjustText",
    "scikit-learn",
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
from IPython.display import Markdown, display

# %% [markdown] tags=["handout"]
# `SEED` makes trainings come out the same again; `PROFILE` is noted beside what you measure.

# %% tags=["handout"]
PROFILE = os.environ.get("PROFILE", "full")
SEED = 0

tf.keras.utils.set_random_seed(SEED)
started = time.perf_counter()

# %% [markdown] tags=["solution"]
# `PROFILE` sets how long to train: `full` is the recipe behind the published figures, `quick` a
# tour of a few minutes, `smoke` only proves that every cell runs. How long this run took is printed
# at the end. A **recipe** is a dict that holds how a network is trained, and `in_profile` shortens
# it.

# %% tags=["solution"]
PROFILE = os.environ.get("PROFILE", "full")
SEED = 0

tf.keras.utils.set_random_seed(SEED)
started = time.perf_counter()

# %% [markdown]
# ## 1. Look at the data
#
# Kaggle serves two CSV files, a row per image: the label, then 784 gray values. The loader checks
# every value, prints what it found and says whether the files are the canonical ones.

# %%
from signmnist.data import LETTERS, load_sign_mnist
from toolkit.files import replacing
from toolkit.plots import (
    BLUE,
    ORANGE,
    RED,
    figure,
    show_accuracy_against_bytes,
    show_confusion,
    show_errors,
    show_images,
)

# %%
data = load_sign_mnist()

# %% [markdown]
# One training image of each letter. J and Z are missing: they are signed with a movement.

# %%
first = [np.flatnonzero(data.y_train == letter)[0] for letter in range(24)]
show_images("One hand sign per letter", data.x_train[first], LETTERS, banner=data.banner)

# %% [markdown]
# How often each letter occurs in the two files.

# %%
fig, ax = figure("Images per letter", banner=data.banner)
positions = np.arange(24)
ax.bar(positions - 0.2, np.bincount(data.y_train, minlength=24), 0.4, color=BLUE)
ax.bar(positions + 0.2, np.bincount(data.y_test, minlength=24), 0.4, color=ORANGE)
ax.set_xticks(positions, LETTERS)
ax.set(xlabel="letter", ylabel="images")
ax.text(0.99, 1.02, "training file", color=BLUE, ha="right", va="bottom", transform=ax.transAxes)
ax.text(0.85, 1.02, "test file", color=ORANGE, ha="right", va="bottom", transform=ax.transAxes)
plt.show()

# %% [markdown]
# The training letters are roughly balanced, the test letters are not: a model that always answers
# one letter scores between 2 % and 7 % on the test file, depending on the letter.
#
# ### Few photos, many variants
#
# The images are variants (cropped, relit, made noisy) of far fewer photos. Two images belong to one
# photo when their pixels, less each image's mean, correlate above 0.95; the groups are the
# connected components of these links.

# %%
from signmnist.splits import group_split

# %%
groups = data.train_groups
letters_in_group = pd.Series(data.y_train).groupby(groups).nunique()
print(f"{len(data.x_train):,} training images, {groups.max() + 1:,} groups")
print(f"groups with more than one letter: {np.sum(letters_in_group > 1)}")

# %%
largest = np.argsort(-np.bincount(groups))[:3]
variants = np.concatenate([np.flatnonzero(groups == group)[:12] for group in largest])
show_images(
    "Each row: variants of one photo in the training file",
    data.x_train[variants],
    [LETTERS[letter] for letter in data.y_train[variants]],
    banner=data.banner,
)

# %% [markdown]
# This matters for every choice that follows. A **random** validation split puts one variant of a
# photo into training and its twin into validation: it rewards memory. A **group-aware** split
# holds out whole photos. Section 2 measures the difference.
#
# Here are both: one fifth of the photos for the group-aware validation and, from the remaining
# rows, one image in twenty picked at random.

# %%
training_rows, group_rows = group_split(data.y_train, groups, seed=SEED)
is_random = np.random.default_rng(SEED).random(len(training_rows)) < 0.05
random_rows, fit_rows = training_rows[is_random], training_rows[~is_random]
assert not set(groups[fit_rows]) & set(groups[group_rows])
print(f"fit {len(fit_rows):,}, random {len(random_rows):,}, group-aware {len(group_rows):,} images")

# %% [markdown]
# ### What is unseen in the test file
#
# The same rule over both files: does a test image share its photo with training images? Above, test
# images with such a twin; below, the training image that each correlates with most.

# %%
twins = np.flatnonzero(data.has_twin)
shown = np.random.default_rng(SEED).choice(twins, min(12, len(twins)), replace=False)


def mean_free(images):
    """Each image as a vector of length 1 without its mean."""
    flat = images.reshape(-1, 784)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / np.linalg.norm(flat, axis=1, keepdims=True)


nearest = (mean_free(data.x_test[shown]) @ mean_free(data.x_train).T).argmax(axis=1)
pairs = np.concatenate([data.x_test[shown], data.x_train[nearest]])
captions = ["test"] * len(shown) + ["training"] * len(shown)
show_images("Test images and their twins", pairs, captions, len(shown) or 1, data.banner)

# %%
share = np.mean(data.has_twin)
display(
    Markdown(
        f"{len(twins):,} of the {len(data.x_test):,} test images ({share:.1%}) have a twin in "
        f"training; {np.sum(~data.has_twin):,} have none. The test file consists of "
        f"{len(np.unique(data.test_groups))} groups, and images of one group tend to be read "
        "rightly or wrongly together. So test accuracy is given **three ways**: on the whole "
        "file, as the assignment asks; on the images without a twin; and with a 95 % interval "
        "that comes from drawing the test file's groups anew (bootstrap), not its images. Where "
        "no image is read wrongly the interval has no width: drawing again cannot find errors "
        "that were not there."
    )
)

# %% [markdown] tags=["handout"]
# ## 2. The baseline (a)
#
# `train` fits a compiled Keras model, prints a line an epoch, goes on where it was interrupted and
# returns the history: `train(model, x, y, epochs=…, name="candidate", validation={"random": (x, y),
# "group": (x, y)})`. Of each pair of validation images it records the accuracy after each epoch, as
# `random_accuracy` and `group_accuracy`. Keras's own `fit` is not needed.

# %% tags=["handout"]
from toolkit.training import accuracy, predict, train  # noqa: F401

# %% [markdown] tags=["task"]
# ### Task 1: build a CNN and train it on the rows `fit_rows`; name it `candidate`
#
# **Given:** `data.x_train`, float32 (n, 28, 28, 1) from 0 to 1, `data.y_train`, int from 0 to 23,
# and the rows `fit_rows`, `random_rows`, `group_rows` of section 1. **Write** a network that ends
# in 24 scores, compile it with `metrics=["accuracy"]`, for the plots below, and train it with
# `train`, with both validation parts. Choose its layers and epochs by `group_accuracy`; the test
# file has no say.
#
# **Afterwards there are:** `candidate`, a Keras model, and `candidate_history`, what `train`
# returned.

# %% [markdown] tags=["solution"]
# ## 2. The baseline (a)
#
# Three blocks of 3x3 convolutions, each followed by batch normalization and ReLU (in this order, so
# that the converter can fold the normalization into the convolution), then a global average and one
# dense layer, `letters`. No custom layers, and the augmentation lives in the
# `tf.data` pipeline: the model takes plain pixels / 255 and gives 24 logits.

# %% tags=["solution"]
from signmnist.recipes import (
    ACCURATE,  # in sight
    STRONG,  # noqa: F401  (in sight)
    in_profile,  # in sight
)

# %% tags=["solution"]
from signmnist.baseline import build_cnn  # in sight

# %% tags=["solution"]
build_cnn(**ACCURATE["network"]).summary(line_length=75)

# %% [markdown] tags=["solution"]
# Augmentation is one affine map an image, a change of its light, blur and noise, all drawn from a
# seed.

# %% tags=["solution"]
from signmnist.baseline import augment  # in sight

# %% [markdown] tags=["solution"]
# `compile_model` and `fine_tune` say how a network is trained, `tune` takes their settings from a
# recipe.

# %% tags=["solution"]
from signmnist.baseline import (
    train_accurate,  # in sight
    train_compact,
    tune,  # in sight
)
from toolkit.compression import fine_tune  # noqa: F401  (in sight)
from toolkit.training import (
    accuracy,
    compile_model,  # noqa: F401  (in sight)
    predict,
)

# %% [markdown] tags=["solution"]
# What training sees: the first image of the training file, a D, in twelve variants.

# %% tags=["solution"]
samples = augment(np.repeat(data.x_train[:1], 12, axis=0), seed=[SEED, 1]).numpy()
show_images("Twelve augmentations of one image", samples, [""] * 12, banner=data.banner)

# %% [markdown] tags=["solution"]
# ### On held-out photos
#
# Architecture, augmentation, learning rate and epochs of this recipe were **set**: which others
# were tried, and by what they were judged, was not written down. Of the recipes in questions 2 and
# 3 some were tried on held-out photos before they were published; those are called *chosen* there,
# all others *set*. The test file scores what is published.
#
# Here the recipe is trained once without the two validation parts, for its validation accuracy.

# %% tags=["solution"]
candidate, candidate_history = train_accurate(
    data.x_train[fit_rows],
    data.y_train[fit_rows],
    in_profile(ACCURATE, PROFILE),
    SEED,
    name="candidate",
    validation={
        "random": (data.x_train[random_rows], data.y_train[random_rows]),
        "group": (data.x_train[group_rows], data.y_train[group_rows]),
    },
)

# %% tags=["check"]
from signmnist.checks import (
    check_evaluator,
    check_file,
    check_network,
    check_pixels,
    check_validation,
)

check_pixels(data.x_train[fit_rows], data.y_train[fit_rows])
check_validation(groups, fit_rows, group_rows)

# %%
val_accuracy = candidate_history["group_accuracy"][-1]
leak = {
    "random split": candidate_history["random_accuracy"][-1],
    "group-aware split": val_accuracy,
    "test file": accuracy(candidate, data.x_test, data.y_test),
}
fig, ax = figure(
    "The leak: one model, three estimates of its errors", size=(9, 2.6), banner=data.banner
)
errors = [100 * (1 - value) for value in leak.values()]
bars = ax.barh(list(leak), errors, color=[RED, BLUE, ORANGE])
ax.bar_label(bars, [f" {value:.2f} %" for value in errors])
ax.invert_yaxis()
ax.margins(x=0.15)
ax.set_xlabel("images read wrongly, %")
plt.show()

# %%
display(
    Markdown(
        f"The random split reports {leak['random split']:.2%}. Unseen photos are harder: "
        f"{leak['group-aware split']:.2%} on the group-aware split, {leak['test file']:.2%} on the "
        "test file, a quarter of which has twins in training."
    )
)

# %% [markdown]
# How the errors of this network fell during its training: on what it was trained on, augmented
# images, and on photos that it never saw.

# %%
show_errors(
    "Errors during training",
    {
        "unseen photos (validation)": candidate_history["group_accuracy"],
        "training images, augmented": candidate_history["accuracy"],
    },
    data.banner,
)

# %% [markdown]
# Which letters does it confuse on the held-out photos? Correct answers in gray, errors in orange.

# %%
held_out = predict(candidate, data.x_train[group_rows]).argmax(axis=1)
show_confusion(
    "Held-out photos: letters shown and letters read",
    LETTERS,
    data.y_train[group_rows],
    held_out,
    data.banner,
    "letter",
)

# %% [markdown] tags=["task"]
# ### Task 2: train the network that you chose on all training rows; name it `baseline`
#
# **Afterwards there are:** `baseline`, a Keras model that was built like `candidate`, and
# `baseline_history`, what `train` returned.

# %% [markdown] tags=["solution"]
# The errors are of few kinds, so they probably belong to few photos, and small differences in the
# figure mean little.
#
# ### The same recipe on all training rows
#
# Now it sees every training image, and the result is scored on the test file.

# %% tags=["solution"]
baseline, baseline_history = train_accurate(
    data.x_train, data.y_train, in_profile(ACCURATE, PROFILE), SEED, name="baseline"
)

# %% tags=["check"]
check_network(baseline, data, at_least=0.9)

# %%
test_scores = predict(baseline, data.x_test)
predictions = test_scores.argmax(axis=1)
wrong = np.flatnonzero(predictions != data.y_test)

# %% [markdown]
# The images that it reads wrongly, if any, and after them the closest calls: those where the letter
# shown leads the next best by the least. Above each image: the letter shown and its strongest
# rival.

# %%
shown_score = np.take_along_axis(test_scores, data.y_test[:, None], axis=1)[:, 0]
others = test_scores.copy()
np.put_along_axis(others, data.y_test[:, None], -np.inf, axis=1)
hardest = np.argsort(shown_score - others.max(axis=1))[:24]
captions = [f"{LETTERS[data.y_test[i]]} or {LETTERS[others[i].argmax()]}" for i in hardest]
title = f"The hardest test images: {len(wrong)} read wrongly, then the closest calls"
show_images(title, data.x_test[hardest], captions, banner=data.banner)

# %% [markdown]
# What if a camera delivers the test images shifted, turned, darker, brighter, blurred or noisy?

# %%
from signmnist.perturb import perturbations, survival

# %%
survived = survival(lambda x: predict(baseline, x), data.x_test, data.y_test)
fig, ax = figure("Test accuracy of the baseline under changes", size=(9, 5), banner=data.banner)
bars = ax.barh(list(survived), [100 * value for value in survived.values()], color=BLUE)
ax.bar_label(bars, [f" {value:.2%}" for value in survived.values()], fontsize=9)
ax.invert_yaxis()
ax.grid(axis="y", visible=False)
ax.set(xlabel="images read rightly, %", xlim=(0, 112))
plt.show()

# %%
from toolkit.results import accuracy_three_ways, answer

# %% tags=["solution"]
three_ways = accuracy_three_ways(test_scores, data)
worst = min(survived, key=survived.get)
display(
    Markdown(
        f"> **Answer to (a).** `models/sign_mnist_baseline.keras`, {baseline.count_params():,} "
        f"parameters, trained for {len(baseline_history['seconds'])} epochs with Adam, cosine "
        "decay and augmentation. "
        f"Training images {accuracy(baseline, data.x_train, data.y_train):.2%}, held-out photos "
        f"(trained without them) {val_accuracy:.2%}. Test file: **{three_ways['accuracy']:.2%}** "
        f"({len(wrong)} errors of {three_ways['total']:,}), without twins "
        f"{three_ways['accuracy_no_twin']:.2%}, 95 % interval {three_ways['accuracy_low']:.2%} to "
        f"{three_ways['accuracy_high']:.2%}. Worst of the changes above: {worst}, "
        f"{survived[worst]:.2%}."
    )
)

# %% [markdown] tags=["handout"]
# **Your answer to (a).** *How is your network built, how was it trained, and why so? What does it
# read of the training images, of the held-out photos and of the test file?*

# %% [markdown]
# Saved for the other questions.

# %%
Path("models").mkdir(exist_ok=True)
with replacing("models/sign_mnist_baseline.keras") as temporary:
    baseline.save(temporary)

# %% [markdown]
# ## 3. Float and dynamic range (b)
#
# One converter, a few flags. `save_tflite` runs the converter and writes the file; each file is
# then run by the LiteRT interpreter on the whole test file, in batches. Latency is the time of one
# image on one thread, over 200 runs after warm-up, as median and quartiles. TFLite Micro, the
# interpreter for microcontrollers, is tried on 100 test images, and its answers are compared with
# LiteRT's.

# %%
from toolkit.graph import constants
from toolkit.results import measure, results_table, save_record
from toolkit.tflite import predict_tflite, save_tflite

# %%
records: dict = {}
scores: dict = {}


def evaluate(technique, file, network, history, validation=None):
    """Scores and measures a file in models/ and saves its record, which it returns."""
    path = Path("models", file)
    scores[technique] = predict_tflite(path, data.x_test)
    records[technique] = {
        "id": path.stem,
        "notebook": "q1",
        "technique": technique,
        "params": sum(int(np.prod(w.shape)) for w in network.weights),
        "train_accuracy": accuracy(network, data.x_train, data.y_train),
        "val_accuracy": validation,
        "profile": PROFILE,
        "seed": SEED,
        "seconds": sum(history["seconds"]),
        **measure(path, scores[technique], data),
    }
    save_record(records[technique])
    return records[technique]


# %% tags=["check"]
# How right answers are counted here. Try a function of your own, if you write one.
check_evaluator(lambda found: np.mean(found.argmax(axis=1) == data.y_test), data.y_test)

# %% [markdown] tags=["task"]
# ### Task 3: convert `baseline` to float and to dynamic range
#
# **Given:** `save_tflite(converter, path)` runs a `tf.lite.TFLiteConverter` and writes the file,
# `evaluate(technique, file, network, history, validation)` measures it.
#
# **Afterwards there are:** `models/sign_mnist.tflite` and `models/sign_mnist_quant_dyn.tflite`, and
# of both what `evaluate` returns, `plain` (of the technique "float", with the validation accuracy
# `val_accuracy`) and `dynamic` ("dynamic range").

# %% [markdown] tags=["solution"]
# **Float.** The reference: weights and activations stay float32.

# %% tags=["solution"]
converter = tf.lite.TFLiteConverter.from_keras_model(baseline)
save_tflite(converter, "models/sign_mnist.tflite")
plain = evaluate("float", "sign_mnist.tflite", baseline, baseline_history, val_accuracy)

# %% [markdown] tags=["solution"]
# **Dynamic range.** Weights become int8; activations stay float and are quantized on the fly.

# %% tags=["solution"]
converter = tf.lite.TFLiteConverter.from_keras_model(baseline)
converter.optimizations = [tf.lite.Optimize.DEFAULT]
save_tflite(converter, "models/sign_mnist_quant_dyn.tflite")
dynamic = evaluate("dynamic range", "sign_mnist_quant_dyn.tflite", baseline, baseline_history)

# %% tags=["check"]
check_file("models/sign_mnist.tflite", data, at_least=0.9)
check_file("models/sign_mnist_quant_dyn.tflite", data, at_least=0.9)

# %% [markdown]
# What the dynamic range file stores, tensor by tensor:

# %%
stored = pd.DataFrame(
    [
        {"shape": "x".join(map(str, w.shape)), "elements": w.size, "stored as": str(w.dtype)}
        for w in constants("models/sign_mnist_quant_dyn.tflite")
        if w.ndim > 1
    ]
).sort_values("elements", ignore_index=True)
display(stored)
assert (stored["stored as"][stored.elements < 1024] == "float32").all()
assert (stored["stored as"][stored.elements >= 1024] == "int8").all()

# %% tags=["solution"]
display(
    Markdown(
        answer(
            "(b)",
            [plain, dynamic],
            against=[plain],
            note="A byte a weight instead of four; what keeps the file above a quarter are the "
            "graph (the list of operators and tensors), the scales, and weight tensors of fewer "
            "than 1,024 elements, which the converter leaves in float. Calls: "
            "`TFLiteConverter.from_keras_model`, `Optimize.DEFAULT`.",
            banner=data.banner,
        )
    )
)

# %% [markdown] tags=["handout"]
# **Your answer to (b).** *What was saved, what stayed float, and what did it cost?*

# %% [markdown]
# ## 4. int16 activations, int8 weights (c)
#
# Static schemes must know the range of every activation beforehand. They learn it by running the
# network on a **representative data set**: some training images, never test images.

# %% [markdown] tags=["task"]
# ### Task 4: convert `baseline` to int8 weights and int16 activations
#
# **Write** a representative data set of training images and the settings of the converter.
#
# **Afterwards there are:** `models/sign_mnist_quant_int16x8.tflite`, and `wide`, what `evaluate`
# returns of it as "int16x8".

# %% tags=["solution"]
from toolkit.compression import representative_dataset  # in sight

# %% tags=["solution"]
calibration = representative_dataset(data.x_train, seed=SEED)

# %% [markdown] tags=["solution"]
# Twice: as the converter does it by itself, with biases of 64 bits, and with biases of 32 bits.

# %% tags=["solution"]
for bias_type, file in (
    (None, "sign_mnist_quant_int16x8.tflite"),
    (tf.int32, "sign_mnist_quant_int16x8_bias32.tflite"),
):
    converter = tf.lite.TFLiteConverter.from_keras_model(baseline)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = calibration
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    ]
    if bias_type:
        converter._experimental_full_integer_quantization_bias_type = bias_type
    save_tflite(converter, f"models/{file}")

# %% tags=["solution"]
wide = evaluate("int16x8", "sign_mnist_quant_int16x8.tflite", baseline, baseline_history)
bias32 = evaluate(
    "int16x8, 32-bit biases",
    "sign_mnist_quant_int16x8_bias32.tflite",
    baseline,
    baseline_history,
)
differ = np.sum(scores["int16x8"].argmax(1) != scores["int16x8, 32-bit biases"].argmax(1))
display(
    Markdown(
        answer(
            "(c)",
            [wide, bias32],
            against=[plain, dynamic],
            note="Weights in 8 bits as in dynamic range, so about the same size; activations in "
            "16. Calls: `representative_dataset`, "
            "`EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8`. With 32-bit biases the "
            f"file is {wide['bytes'] - bias32['bytes']:,} bytes smaller, one image takes "
            f"{bias32['latency_us_median']:,.0f} instead of {wide['latency_us_median']:,.0f} µs "
            f"({wide['latency_us_median'] / bias32['latency_us_median']:.0f} times faster), and "
            f"{differ} of {wide['total']:,} letters are read differently.",
            banner=data.banner,
        )
    )
)

# %% [markdown] tags=["solution"]
# So most of int16x8's slowness is a default. A bias is added to a sum of products; 16-bit
# activations times 8-bit weights can in principle need more than 32 bits, and the converter plays
# safe. LiteRT then runs kernels that add in 64 bits; with 32-bit biases it has faster ones. Whether
# 32 bits are enough depends on the network: compare the answers, as above.
#
# ### The mistake that makes int16x8 look broken
#
# Reports of an int16x8 model "below 5 %" come from a line like
# `correct += np.argmax(scores) == np.argmax(label)`. It is right for one-hot labels. But here the
# label is a single number, and the `argmax` of a single number is always 0: the line counts how
# often the model says A.

# %% tags=["solution"]
mistaken = sum(
    np.argmax(score) == np.argmax(label)
    for score, label in zip(scores["int16x8"], data.y_test, strict=True)
)
share_of_a = np.mean(data.y_test == 0)
print(f"right:    {wide['correct']:,} of {wide['total']:,} = {wide['accuracy']:.2%}")
print(f"mistaken: {mistaken:,} of {wide['total']:,} = {mistaken / wide['total']:.2%}")
print(f"images of the letter A: {share_of_a:.2%}")

# %% [markdown] tags=["solution"]
# The better the model, the closer the mistaken figure comes to the share of the letter A: an
# excellent model scores {{share_of_a:.1%}} and looks broken.
#
# ## 5. Quantization-aware training (d)
#
# `quantize_model` wraps each layer so that the forward pass rounds weights and activations to 8
# bits while the gradients pass through. It wraps the very layer objects it is given, so it gets a
# copy. A short fine-tuning at a low learning rate follows.

# %% tags=["check"]
check_file("models/sign_mnist_quant_int16x8.tflite", data, at_least=0.9)

# %% [markdown] tags=["handout"]
# **Your answer to (c).** *How does it compare with dynamic range in bytes, accuracy and latency?*
#
# ## 5. Quantization-aware training (d)

# %% [markdown] tags=["task"]
# ### Task 5: train a copy of `baseline` on with rounded weights and activations, and convert it
#
# **Given:** `tfmot`, the model optimization toolkit. **Write** the quantization-aware training and
# the conversion.
#
# **Afterwards there are:** `models/sign_mnist_quant_aware_training.tflite`, and `qat`, what
# `evaluate` returns of it as "QAT int8".

# %% tags=["solution"]
from signmnist.recipes import QAT  # in sight
from toolkit.compression import clone  # in sight

# %% tags=["solution"]
aware = tfmot.quantization.keras.quantize_model(clone(baseline))
aware_history = tune(
    aware, data.x_train, data.y_train, in_profile(QAT, PROFILE), name="QAT", seed=SEED
)

# %% tags=["solution"]
converter = tf.lite.TFLiteConverter.from_keras_model(aware)
converter.optimizations = [tf.lite.Optimize.DEFAULT]
save_tflite(converter, "models/sign_mnist_quant_aware_training.tflite")
qat = evaluate("QAT int8", "sign_mnist_quant_aware_training.tflite", aware, aware_history)
qat["params"] = plain["params"]  # the wrapped network counts its ranges as well
save_record(qat)

# %% tags=["solution"]
display(
    Markdown(
        answer(
            "(d)",
            [qat],
            against=[plain, dynamic, wide],
            note=f"{qat['total'] - qat['correct']} errors against "
            f"{plain['total'] - plain['correct']} of float. Calls: "
            "`tfmot.quantization.keras.quantize_model`, `compile`, `fit`, `Optimize.DEFAULT`.",
            banner=data.banner,
        )
    )
)

# %% tags=["check"]
check_file("models/sign_mnist_quant_aware_training.tflite", data, at_least=0.9)

# %% [markdown] tags=["handout"]
# **Your answer to (d).** *How does it compare with the three other files?*

# %% [markdown] tags=["solution"]
# The QAT model was trained for longer than float; how many of the errors that accounts for was not
# measured.
#
# ## 6. Beyond the question
#
# The two schemes that devices use most. **float16** halves the weights for GPUs; **full int8**,
# with int8 input and output, is what microcontrollers want.

# %% tags=["solution"]
converter = tf.lite.TFLiteConverter.from_keras_model(baseline)
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.target_spec.supported_types = [tf.float16]
save_tflite(converter, "models/sign_mnist_quant_float16.tflite")
half = evaluate("float16", "sign_mnist_quant_float16.tflite", baseline, baseline_history)

# %% tags=["solution"]
converter = tf.lite.TFLiteConverter.from_keras_model(baseline)
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.representative_dataset = calibration
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
converter.inference_input_type = tf.int8
converter.inference_output_type = tf.int8
save_tflite(converter, "models/sign_mnist_quant_int8.tflite")
small = evaluate("int8", "sign_mnist_quant_int8.tflite", baseline, baseline_history)

# %% [markdown] tags=["solution"]
# ### The compact baseline
#
# Questions 2 and 3 ask for the smallest file, and a race for bytes starts best from a small
# network. The same builder makes one with narrow layers, whose first convolution has 5x5 weights
# and takes steps of two pixels.

# %% tags=["solution"]
from signmnist.recipes import (
    COMPACT,  # in sight
    MILD,  # noqa: F401  (in sight)
)

# %% tags=["solution"]
print(f"{build_cnn(**COMPACT['network']).count_params():,} parameters")

# %% [markdown] tags=["solution"]
# It is trained by **distillation** (Hinton, Vinyals and Dean, 2015): instead of the bare labels it
# learns the accurate network's softened scores, of mildly augmented images. This recipe was set,
# too. First without the validation photos, for its validation accuracy, then on all rows.

# %% tags=["solution"]
compact_candidate, _ = train_compact(
    data.x_train[training_rows],
    candidate,
    in_profile(COMPACT, PROFILE),
    SEED,
    name="compact candidate",
)
compact_val_accuracy = accuracy(
    compact_candidate, data.x_train[group_rows], data.y_train[group_rows]
)
print(f"group-aware validation {compact_val_accuracy:.2%}")

# %% tags=["solution"]
compact, compact_history = train_compact(data.x_train, baseline, in_profile(COMPACT, PROFILE), SEED)
with replacing("models/sign_mnist_compact.keras") as temporary:
    compact.save(temporary)
compact_accuracy = accuracy(compact, data.x_test, data.y_test)
print(f"{compact.count_params():,} parameters, test file {compact_accuracy:.2%}")

# %% [markdown] tags=["solution"]
# Some points of accuracy are gone, and so are most of the parameters.

# %% tags=["solution"]
converter = tf.lite.TFLiteConverter.from_keras_model(compact)
save_tflite(converter, "models/sign_mnist_compact.tflite")
tiny = evaluate(
    "compact float", "sign_mnist_compact.tflite", compact, compact_history, compact_val_accuracy
)

# %% [markdown] tags=["handout"]
# ## 6. All of them
#
# In the table *arena* is the working memory that TFLite Micro needs, a dash says that it refuses
# the model; latency is the median and, in brackets, the quartiles.

# %% [markdown] tags=["solution"]
# ## 7. All of them
#
# In the table *arena* is the working memory that TFLite Micro needs, a dash says that it refuses
# the model; latency is the median and, in brackets, the quartiles.

# %%
table = results_table(records.values())
display(table.style.set_caption(data.banner) if data.banner else table)

# %% [markdown]
# Does TFLite Micro take the model, and does it agree with LiteRT?

# %%
pd.set_option("display.max_colwidth", None)
display(pd.DataFrame({"TFLite Micro": {name: r["micro"] for name, r in records.items()}}))

# %% [markdown] tags=["solution"]
# Float, int8 and int16x8 models run there. Dynamic range is refused at its convolutions (`CONV_2D`)
# because it is *hybrid*: int8 weights meet float activations, which are quantized anew at each run.
# float16 is refused at the operator (`DEQUANTIZE`) that expands its weights to float32, which
# TFLite Micro has for integers only.
#
# ### Telling the schemes apart
#
# On a test file that all schemes read (nearly) without errors, accuracy tells little. Two harder
# measures: how far the scores are from those of the float model (root mean square over all images
# and letters), and the accuracy on turned, noisy and blurred test images. (The QAT model was
# trained further, so it is another network, with other scores.)

# %% tags=["solution"]
from toolkit.tflite import dequantized

# %% tags=["solution"]
changed = dict(perturbations(data.x_test))
HARDER = ["turned -20°", "turned +20°", "noise, σ 0.08", "blurred, σ 1 px"]
deviations, harder = {}, {}
for name, record in records.items():
    if record is tiny:
        continue
    path = Path("models", record["file"])
    off = dequantized(path, scores[name]) - scores["float"]
    deviations[name] = float(np.sqrt(np.mean(off**2)))
    harder[name] = {
        change: np.mean(predict_tflite(path, changed[change]).argmax(1) == data.y_test)
        for change in HARDER
    }

# %% tags=["solution"]
rows = pd.DataFrame.from_dict(harder, orient="index")
rows.insert(0, "RMS deviation of scores", pd.Series(deviations))
formats = {"RMS deviation of scores": "{:.3f}"} | dict.fromkeys(HARDER, "{:.2%}")
display(rows.style.format(formats).set_caption(data.banner))

# %% tags=["solution"]
order = sorted((d, name) for name, d in deviations.items() if name != "float")
fig, ax = figure("Deviation from the float scores", size=(9, 3), banner=data.banner)
bars = ax.barh([name for _, name in order], [d for d, _ in order], color=BLUE)
told = [
    f" {d:.3f}; {records[name]['bytes_gzip']:,} bytes, {records[name]['latency_us_median']:,.0f} µs"
    for d, name in order
]
ax.bar_label(bars, told, fontsize=9)
ax.invert_yaxis()
ax.margins(x=0.4)
ax.grid(axis="y", visible=False)
ax.set_xlabel("root mean square over images and letters; then bytes after gzip -9n and latency")
plt.show()

# %% tags=["solution"]
spread = max(np.ptp(rows[change]) for change in HARDER)
display(
    Markdown(
        "From the most to the least faithful: "
        + ", ".join(f"{name} ({deviation:.3f})" for deviation, name in order)
        + f". In accuracy on the harder images the schemes differ by at most {100 * spread:.2f} "
        "percentage points."
    )
)

# %% [markdown] tags=["solution"]
# int16x8 is hardly closer to float than int8, and dynamic range is closer than both: 16-bit
# activations buy little for this network.
#
# ## 8. What the figures say
#
# ### A byte a weight, but hardly compressible
#
# A float32 weight takes 32 bits, an int8 weight 8. How much of that is information? The entropy of
# the values says how many bits an ideal compressor would need for each.


# %% tags=["solution"]
def entropy_bits(values):
    """Entropy in bits of the values' distribution (Shannon, 1948)."""
    counts = np.unique(values, return_counts=True)[1]
    share = counts / counts.sum()
    return float(-np.sum(share * np.log2(share)))


int8_weights = np.concatenate(
    [w.ravel() for w in constants("models/sign_mnist_quant_int8.tflite") if w.dtype == np.int8]
)
weight_entropy = entropy_bits(int8_weights)

# %% tags=["solution"]
fig, ax = figure("The int8 weights use nearly the whole range", banner=data.banner)
ax.hist(int8_weights, bins=np.arange(-127.5, 128.5), color=BLUE)
ax.set(xlabel="stored weight", ylabel="how many weights")
ax.text(0.01, 0.9, f"entropy {weight_entropy:.2f} of 8 bits", color=BLUE, transform=ax.transAxes)
plt.show()

# %% tags=["solution"]
display(
    Markdown(
        f"Raw, int8 is {plain['bytes'] / small['bytes']:.2f} times smaller than float: one byte a "
        f"weight instead of four, plus scales and the graph (the list of "
        "operators and tensors), which do not shrink. gzip takes "
        f"{1 - plain['bytes_gzip'] / plain['bytes']:.0%} off the float file and "
        f"{1 - small['bytes_gzip'] / small['bytes']:.0%} off the int8 file, much of that off the "
        "graph and the scales rather than the weights. The reason is in the "
        "histogram: with a scale for each channel the weights fill the range, and their entropy "
        f"is {weight_entropy:.2f} bits of 8, so even an ideal compressor of single values saves "
        f"only {1 - weight_entropy / 8:.0%}. To compress further, the weights themselves must "
        "become more alike: shared values (question 2) or zeros (question 3)."
    )
)

# %% [markdown] tags=["solution"]
# ### What to use when
#
# - **int8** to deploy: one byte a weight, integer arithmetic throughout, and it runs on a
#   microcontroller. It needs a few hundred representative images.
# - **Dynamic range** when there are no such images: as small on disk, for phones and servers. It
#   leaves tensors under 1,024 elements in float, and so the whole compact network: for nets as
#   small as that one a full integer scheme is needed.
# - **float16** for GPUs: half the bytes, and scores that differ least from float.
# - **int16x8** for signals that 8-bit activations cannot hold; ask for 32-bit biases.
# - **QAT** when int8 alone loses accuracy: it costs training time and hardly any bytes.
#
# The compact network shows that a smaller architecture saves more bytes than any number format of
# this notebook, at the price of some accuracy. Questions 2 and 3 compress both networks further.

# %%
show_accuracy_against_bytes(
    "Accuracy against bytes: quantization", list(records.values()), data.banner
)

# %% [markdown] tags=["handout"]
# ## 7. Your conclusions
#
# *Compare the four files: bytes raw and after gzip, accuracy on the whole test file and without
# twins, latency, memory. Which differences are within the 95 % interval? Which file would you put
# on a phone, which on a microcontroller, and why?*

# %% [markdown] tags=["solution"]
# (The step line joins the models for which no smaller file is at least as accurate.)
#
# ## 9. What you should know now
#
# - Why a random validation split reports almost no errors here, and what a group-aware one reports.
# - What each scheme does with weights, biases and activations, and which needs a representative
#   data set.
# - Which tensors dynamic range leaves in float, and why TFLite Micro refuses the file.
# - What makes int16x8 slow, and what to compare before you switch its biases to 32 bits.
# - Why int8 files hardly get smaller with gzip.
#
# ### Exercises
#
# 1. How many representative images does int8 need? Convert with 1, 3, 10, 100 of them and compare
#    the RMS deviation of the scores. Then take black images only.
# 2. `_experimental_disable_per_channel = True` gives one scale a tensor instead of one a channel.
#    What happens to accuracy, to raw bytes and to gzip bytes?
# 3. Leave out the augmentation's noise (`STRONG | {"noise": 0}` in the recipe) and train for 3
#    epochs with and without it. Which of the changes of section 2 show the difference?
# 4. Which letters does the compact network confuse that the accurate one does not?
#
# A cell to start from, for the first two:

# %% tags=["solution"]
count = 3
converter = tf.lite.TFLiteConverter.from_keras_model(baseline)
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.representative_dataset = representative_dataset(data.x_train, count)
exercise = Path("build_q1", "exercise.tflite")
exercise.parent.mkdir(exist_ok=True)
save_tflite(converter, exercise)
off = dequantized(exercise, predict_tflite(exercise, data.x_test)) - scores["float"]
print(f"calibrated with {count} images: RMS deviation {np.sqrt(np.mean(off**2)):.3f}")

# %% [markdown]
# ### Glossary
#
# - **Activation**: what a layer gives to the next. **Kernel**: the weights of a layer.
# - **Arena**: the working memory of TFLite Micro, beside the model itself.
# - **Logits** or scores: what the network gives before a softmax.
# - **Post-training quantization**: rounding a trained network; **quantization-aware training**:
#   training with the rounding in the forward pass.
# - **Scale** and **zero point**: real value = scale x (stored number - zero point).
#
# ### Sources
#
# - The assignment's pages: [post-training quantization](https://ai.google.dev/edge/litert/models/post_training_quantization),
#   [int16 activations](https://ai.google.dev/edge/litert/models/post_training_integer_quant_16x8),
#   [quantization-aware training](https://www.tensorflow.org/model_optimization/guide/quantization/training_example),
#   [the data set](https://www.kaggle.com/datasets/datamunge/sign-language-mnist).
# - B. Jacob et al., "Quantization and Training of Neural Networks for Efficient
#   Integer-Arithmetic-Only Inference", CVPR 2018. int8 and QAT.
# - G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural Network", 2015.
# - S. Ioffe, C. Szegedy, "Batch Normalization", ICML 2015.
# - B. Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics, 1979.

# %%
print(f"{PROFILE} profile, {(time.perf_counter() - started) / 60:.1f} minutes")
