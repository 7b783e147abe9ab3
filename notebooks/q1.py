# %% [markdown]
# # Question 1: one network, six ways to store it
#
# **Quantization of a convolutional network that reads sign language.** A small CNN is trained on
# Sign Language MNIST and converted to TensorFlow Lite (now named LiteRT) as float, dynamic range,
# int16x8, quantization-aware-trained (QAT), float16 and full int8 models. Each is scored on the
# whole test file and measured: bytes, latency, memory on a microcontroller.
#
# | part of the question | section | file in `models/` |
# |---|---|---|
# | (a) baseline CNN | 2 | `sign_mnist_baseline.keras` |
# | (b) float and dynamic range | 3 | `sign_mnist.tflite`, `sign_mnist_quant_dyn.tflite` |
# | (c) int16 activations, int8 weights | 3 | `sign_mnist_quant_int16x8.tflite` |
# | (d) quantization-aware training | 3 | `sign_mnist_quant_aware_training.tflite` |
#
# **In Colab:** upload this one file, then *Runtime > Run all*. Folded cells named *Helpers* hold
# the plumbing (loading, the training loop, drawing); what the question is about stays in sight.

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

# %% [markdown]
# `PROFILE` sets how long to train: `full` is the recipe behind the published figures (about a
# quarter of an hour on two cores), `quick` a tour of two to three minutes, `smoke` only proves that
# every cell runs.

# %%
PROFILE = os.environ.get("PROFILE", "full")
SEED = 0

EPOCHS = {"full": 20, "quick": 3, "smoke": 1}[PROFILE]
COMPACT_EPOCHS = {"full": 5, "quick": 1, "smoke": 1}[PROFILE]
QAT_EPOCHS = {"full": 2, "quick": 1, "smoke": 1}[PROFILE]

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
from signmnist.splits import group_split, photo_groups

# %%
groups = photo_groups(data.x_train)
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
# ## 2. The baseline (a)
#
# Three blocks of two 3x3 convolutions, each followed by batch normalization and ReLU (in this
# order, so that the converter can fold the normalization into the convolution), then a global
# average and one dense layer, `letters`. No custom layers, and the augmentation lives in the
# `tf.data` pipeline: the model takes plain pixels / 255 and gives 24 logits.

# %%
from signmnist.baseline import build_cnn  # in sight

# %%
ACCURATE = {"blocks": ((16, 16), (32, 32), (64, 64)), "dropout": 0.3}
build_cnn(**ACCURATE).summary(line_length=75)

# %% [markdown]
# Augmentation is one affine map an image and a change of its light, a function of a seed.

# %%
from signmnist.baseline import (
    BATCH_SIZE,
    COMPACT,
    augment,  # in sight
    compile_cnn,
    train_accurate,
    train_compact,
)
from toolkit.training import accuracy, predict, train

# %% [markdown]
# What training sees: the first image of the training file, a D, turned by up to 0.03 of a turn,
# shifted and zoomed by about a tenth, in other light.

# %%
samples = augment(np.repeat(data.x_train[:1], 12, axis=0), seed=[SEED, 1]).numpy()
show_images("Twelve augmentations of one image", samples, [""] * 12, banner=data.banner)

# %% [markdown]
# ### The choice, on held-out photos
#
# The recipe is trained once without the two validation parts. It is the only one that was tried in
# this way: a usual recipe, kept as it did well here. The test file had no say in it.

# %%
candidate, candidate_history = train_accurate(
    data.x_train[fit_rows],
    data.y_train[fit_rows],
    EPOCHS,
    SEED,
    name="candidate",
    validation={
        "random": (data.x_train[random_rows], data.y_train[random_rows]),
        "group": (data.x_train[group_rows], data.y_train[group_rows]),
    },
)

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
        f"The random split reports {leak['random split']:.2%}, which leaves next to nothing to "
        f"compare recipes by. Unseen photos are harder: {leak['group-aware split']:.2%} on the "
        f"group-aware split, {leak['test file']:.2%} on the test file."
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
# ### The chosen recipe on all training rows
#
# Now the same recipe sees every training image, and the result is scored on the test file, once.

# %%
baseline, baseline_history = train_accurate(
    data.x_train, data.y_train, EPOCHS, SEED, name="baseline"
)

# %%
test_scores = predict(baseline, data.x_test)
predictions = test_scores.argmax(axis=1)
wrong = np.flatnonzero(predictions != data.y_test)
test_accuracy = 1 - len(wrong) / len(predictions)
print(f"test file {test_accuracy:.4%}, {len(wrong)} errors of {len(predictions):,}")

# %% [markdown]
# The confusion matrix, with correct answers in gray and errors, if any, in orange.

# %%
show_confusion(
    "Letters shown and letters read", LETTERS, data.y_test, predictions, data.banner, "letter"
)

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
# Saved for the other questions.

# %%
Path("models").mkdir(exist_ok=True)
with replacing("models/sign_mnist_baseline.keras") as temporary:
    baseline.save(temporary)

# %% [markdown]
# ### The compact baseline
#
# Questions 2 and 3 ask for the smallest file, and a race for bytes starts best from a small
# network. The same builder makes one with narrow layers on the image averaged down to 14x14.

# %%
print(COMPACT)
print(f"{build_cnn(**COMPACT).count_params():,} parameters")

# %% [markdown]
# It is trained by **distillation** (Hinton, Vinyals and Dean, 2015): instead of the bare labels it
# learns the accurate network's softened scores, of mildly augmented images. First without the
# validation photos, for its validation accuracy, then on all rows.

# %%
compact_candidate, _ = train_compact(
    data.x_train[training_rows], candidate, COMPACT_EPOCHS, SEED, name="compact candidate"
)
compact_val_accuracy = accuracy(
    compact_candidate, data.x_train[group_rows], data.y_train[group_rows]
)
print(f"group-aware validation {compact_val_accuracy:.2%}")

# %%
compact, compact_history = train_compact(data.x_train, baseline, COMPACT_EPOCHS, SEED)
with replacing("models/sign_mnist_compact.keras") as temporary:
    compact.save(temporary)
compact_accuracy = accuracy(compact, data.x_test, data.y_test)
print(f"{compact.count_params():,} parameters, test file {compact_accuracy:.2%}")

# %% [markdown]
# Some points of accuracy are gone, and so are 97 % of the parameters.

# %% [markdown]
# ## 3. Conversion (b), (c), (d)
#
# One converter, a few flags. `save_tflite` runs the converter and writes the file.

# %%
from toolkit.graph import constants
from toolkit.tflite import predict_tflite, save_tflite

# %% [markdown]
# **Float.** The reference: weights and activations stay float32.

# %%
converter = tf.lite.TFLiteConverter.from_keras_model(baseline)
save_tflite(converter, "models/sign_mnist.tflite")

# %% [markdown]
# **(b) Dynamic range.** Weights become int8; activations stay float and are quantized on the fly.

# %%
converter = tf.lite.TFLiteConverter.from_keras_model(baseline)
converter.optimizations = [tf.lite.Optimize.DEFAULT]
save_tflite(converter, "models/sign_mnist_quant_dyn.tflite")

# %% [markdown]
# Static schemes must know the range of every activation beforehand. They learn it by running the
# network on a **representative data set**: some training images, never test images.

# %%
calibration_rows = np.random.default_rng(SEED).choice(len(data.x_train), 300, replace=False)


def representative_dataset():
    for row in calibration_rows:
        yield [data.x_train[row : row + 1]]


# %% [markdown]
# **(c) int16x8.** Activations in 16 bits, weights in 8.

# %%
converter = tf.lite.TFLiteConverter.from_keras_model(baseline)
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.representative_dataset = representative_dataset
converter.target_spec.supported_ops = [
    tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
]
save_tflite(converter, "models/sign_mnist_quant_int16x8.tflite")

# %% [markdown]
# **(d) Quantization-aware training.** `quantize_model` wraps each layer so that the forward pass
# rounds weights and activations to 8 bits while the gradients pass through. It wraps the very
# layer objects it is given, so it gets a copy. A short fine-tuning at a low learning rate follows.

# %%
copy = tf.keras.models.clone_model(baseline)
copy.set_weights(baseline.get_weights())
qat = tfmot.quantization.keras.quantize_model(copy)
compile_cnn(qat, len(data.x_train), QAT_EPOCHS, learning_rate=2e-4)
qat_history = train(
    qat,
    data.x_train,
    data.y_train,
    epochs=QAT_EPOCHS,
    name="qat",
    seed=SEED,
    batch_size=BATCH_SIZE,
    augment=augment,
)

# %%
converter = tf.lite.TFLiteConverter.from_keras_model(qat)
converter.optimizations = [tf.lite.Optimize.DEFAULT]
save_tflite(converter, "models/sign_mnist_quant_aware_training.tflite")

# %% [markdown]
# Beyond the question, the two schemes that devices use most. **float16** halves the weights for
# GPUs; **full int8**, with int8 input and output, is what microcontrollers want.

# %%
converter = tf.lite.TFLiteConverter.from_keras_model(baseline)
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.target_spec.supported_types = [tf.float16]
save_tflite(converter, "models/sign_mnist_quant_float16.tflite")

# %%
converter = tf.lite.TFLiteConverter.from_keras_model(baseline)
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.representative_dataset = representative_dataset
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
converter.inference_input_type = tf.int8
converter.inference_output_type = tf.int8
save_tflite(converter, "models/sign_mnist_quant_int8.tflite")

# %% [markdown]
# And the compact baseline as float, for the table.

# %%
converter = tf.lite.TFLiteConverter.from_keras_model(compact)
save_tflite(converter, "models/sign_mnist_compact.tflite")

# %% [markdown]
# ## 4. Evaluation
#
# Each file is run by the LiteRT interpreter on the whole test file, in batches. Latency is the
# time of one image on one thread, over 200 runs after warm-up. TFLite Micro, the interpreter for
# microcontrollers, is tried on 100 test images, and its answers are compared with LiteRT's.

# %%
from toolkit.results import measure, results_table, save_record

# %%
MODELS = {
    # file: technique, trained network, its training, validation accuracy where measured
    "sign_mnist.tflite": ("float", baseline, baseline_history, val_accuracy),
    "sign_mnist_quant_dyn.tflite": ("dynamic range", baseline, baseline_history, None),
    "sign_mnist_quant_float16.tflite": ("float16", baseline, baseline_history, None),
    "sign_mnist_quant_int8.tflite": ("int8", baseline, baseline_history, None),
    "sign_mnist_quant_int16x8.tflite": ("int16x8", baseline, baseline_history, None),
    "sign_mnist_quant_aware_training.tflite": ("QAT int8", qat, qat_history, None),
    "sign_mnist_compact.tflite": ("compact float", compact, compact_history, compact_val_accuracy),
}

# %%
train_accuracy = {
    network: accuracy(network, data.x_train, data.y_train) for network in (baseline, qat, compact)
}

# %%
records, scores = {}, {}
for file, (technique, network, history, validation) in MODELS.items():
    path = Path("models", file)
    scores[technique] = predict_tflite(path, data.x_test)
    records[technique] = {
        "id": file.removesuffix(".tflite"),
        "notebook": "q1",
        "technique": technique,
        "params": (compact if network is compact else baseline).count_params(),
        "train_accuracy": train_accuracy[network],
        "val_accuracy": validation,
        "profile": PROFILE,
        "seed": SEED,
        "seconds": sum(history["seconds"]),
        **measure(path, scores[technique], data),
    }
    save_record(records[technique])
    print(f"{technique:14} {records[technique]['accuracy']:.2%}")

# %%
table = results_table(records.values())
display(table.style.set_caption(data.banner) if data.banner else table)

# %% [markdown]
# Does TFLite Micro take the model, and does it agree with LiteRT?

# %%
pd.set_option("display.max_colwidth", None)
display(pd.DataFrame({"TFLite Micro": {name: r["micro"] for name, r in records.items()}}))

# %% [markdown]
# Float, int8 and int16x8 models run there. Dynamic range is refused at its convolutions (`CONV_2D`)
# because it is *hybrid*: int8 weights meet float activations, which are quantized anew at each run.
# The microcontroller's kernels accept only fixed combinations of number types, with all ranges
# known beforehand. float16 is refused for another reason: its weights are expanded to float32 by an
# operator (`DEQUANTIZE`) that TFLite Micro has for integers only. In the results table, *arena* is
# the working memory that TFLite Micro needs, a dash says that it refuses the model, and ± is one
# standard deviation.

# %% [markdown]
# ## 5. What the figures say
#
# ### A byte a weight, but hardly compressible
#
# A float32 weight takes 32 bits, an int8 weight 8. How much of that is information? The entropy of
# the values says how many bits an ideal compressor would need for each.


# %%
def entropy_bits(values):
    """Entropy in bits of the values' distribution (Shannon, 1948)."""
    counts = np.unique(values, return_counts=True)[1]
    share = counts / counts.sum()
    return float(-np.sum(share * np.log2(share)))


int8_weights = np.concatenate(
    [w.ravel() for w in constants("models/sign_mnist_quant_int8.tflite") if w.dtype == np.int8]
)
weight_entropy = entropy_bits(int8_weights)

# %%
fig, ax = figure("The int8 weights use nearly the whole range", banner=data.banner)
ax.hist(int8_weights, bins=np.arange(-127.5, 128.5), color=BLUE)
ax.set(xlabel="stored weight", ylabel="how many weights")
ax.text(0.01, 0.9, f"entropy {weight_entropy:.2f} of 8 bits", color=BLUE, transform=ax.transAxes)
plt.show()

# %%
plain, small = records["float"], records["int8"]
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

# %% [markdown]
# ### Small layers stay float under dynamic range
#
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

# %% [markdown]
# The converter leaves weight tensors of fewer than 1,024 elements in float: there the saved bytes
# are few, and quantizing the activations at each run has its own cost. In a network as small as
# the compact one every layer is below that bound, so dynamic range quantizes none of its weights,
# and a full integer scheme is needed.
#
# ### int16x8: accurate and slow

# %%
wide = records["int16x8"]
display(
    Markdown(
        f"int16x8 makes {wide['total'] - wide['correct']} errors, float "
        f"{plain['total'] - plain['correct']}, int8 {small['total'] - small['correct']}. With "
        "65,536 steps for the activations instead of 256, rounding them all but disappears: a gain "
        "for networks that 8 bits harm. Its price is time: one image takes "
        f"{wide['latency_us_mean']:,.0f} µs, "
        f"{wide['latency_us_mean'] / small['latency_us_mean']:.0f} times as long as int8. The "
        "format is not slow, its kernels are: float and int8 run on XNNPACK, LiteRT's library of "
        "vectorised kernels, "
        "while LiteRT has only the portable reference loops for 16-bit activations."
    )
)

# %% [markdown]
# ### The mistake that makes int16x8 look broken
#
# Reports of an int16x8 model "below 5 %" come from a line like
# `correct += np.argmax(scores) == np.argmax(label)`. It is right for one-hot labels. But here the
# label is a single number, and the `argmax` of a single number is always 0: the line counts how
# often the model says A.

# %%
mistaken = sum(
    np.argmax(score) == np.argmax(label)
    for score, label in zip(scores["int16x8"], data.y_test, strict=True)
)
share_of_a = np.mean(data.y_test == 0)
print(f"right:    {wide['correct']:,} of {wide['total']:,} = {wide['accuracy']:.2%}")
print(f"mistaken: {mistaken:,} of {wide['total']:,} = {mistaken / wide['total']:.2%}")
print(f"images of the letter A: {share_of_a:.2%}")

# %% [markdown]
# The mistaken figure is how often the model says A. The better the model, the closer it comes to
# the share of the letter A: an excellent model scores 4.6 % and looks broken. The evaluator used
# above refuses labels of the wrong shape, and a test holds it to a known answer.
#
# ## 6. Accuracy against bytes

# %%
show_accuracy_against_bytes(
    "Accuracy against bytes: quantization", list(records.values()), data.banner
)

# %%
accurate = {name: record for name, record in records.items() if name != "compact float"}
loss = max(plain["accuracy"] - record["accuracy"] for record in accurate.values())
smallest = min(accurate, key=lambda name: accurate[name]["bytes_gzip"])
display(
    Markdown(
        f"Against float, the largest loss of any scheme is {100 * max(0, loss):.2f} percentage "
        f"points, and the smallest file is **{smallest}** with "
        f"{accurate[smallest]['bytes_gzip']:,} bytes after gzip, "
        f"{accurate[smallest]['bytes_gzip'] / plain['bytes_gzip']:.0%} of the float model. What to "
        "use when:"
    )
)

# %% [markdown]
# - **int8** to deploy: one byte a weight, integer arithmetic throughout, and it runs on a
#   microcontroller. It needs a few hundred representative images.
# - **Dynamic range** when there are no such images: as small on disk, for phones and servers.
# - **float16** for GPUs: half the bytes, and the answers stay the same.
# - **int16x8** for signals that 8-bit activations cannot hold. Its slowness is that of the
#   converter's default, biases of 64 bits, which send it to slower kernels;
#   `converter._experimental_full_integer_quantization_bias_type = tf.int32` asks for 32 bits.
# - **QAT** when int8 alone loses accuracy: it costs training time and hardly any bytes.
#
# The compact network in the corner of the plot shows that a smaller architecture saves more bytes
# than any number format of this notebook, at the price of some accuracy. Questions 2 and 3 compress
# both networks further. (The step line joins the models for which no smaller file is at least as
# accurate.)

# %%
print(f"{PROFILE} profile, {(time.perf_counter() - started) / 60:.1f} minutes")
