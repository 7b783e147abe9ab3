# %% [markdown]
# # The size race
#
# **The smallest file here takes {{race["bytes_gzip"]:,}} bytes after `gzip -9n` and reads
# {{race["accuracy"]:.2%}} of the test file.** Questions 2 and 3 are answered by public interfaces
# alone. Here any means is allowed: layers of our own while training, and a converted file written
# anew. What remains is a network of stock operators.
#
# The mark is 90 % of **held-out photos**, which neither a network nor its teacher saw, in each of
# three trainings. What trials read stands beside the files, which were then trained anew on all
# training photos, with seed 0, fixed beforehand.
#
# | file | held-out photos | after gzip | test file | without twins |
# |---|---|---|---|---|
# | race | {{trials/signmnist.SIZE_RACE//int4/accuracy:.1%}} | {{row(race)}} |
# | between | {{trials/signmnist.RACE_97//int4/accuracy:.1%}} | {{row(between)}} |
# | accurate | {{trials/signmnist.RACE_ACCURATE//int4/accuracy:.1%}} | {{row(grid)}} |
#
# The files are `size_race_clustered.tflite`, `size_race_clustered_between.tflite` and
# `size_race_clustered_accurate.tflite` in `studies/models/`; of several seeds the lowest and the
# highest figure are told. The first has a network of its own, the others are question 1's.
# *Without twins* leaves out the test images that share a photo with the training file. The 95 %
# interval of the smallest on the test file is {{race["accuracy_low"]:.1%}} to
# {{race["accuracy_high"]:.1%}}; it knows nothing of other seeds. The larger penalty of *between*
# costs nothing that held-out photos could show; that it reads more of the test file is probably one
# training's luck.
#
# **The files keep to what two runtimes need, not to the specification.** They store scales of
# biases that are not input scale x weight scale, and leave out options of operators. LiteRT, with
# and without XNNPACK, its library of fast kernels, and TFLite Micro, for microcontrollers, run
# them; for other tools there is `standard_form` (section 6).
#
# **What you learn:** why folding and one scale a layer come first; how a network is trained on a
# grid of whole numbers; what a penalty does to the entropy of its weights; what is in a `.tflite`
# file besides weights; how such a recipe is searched without looking at the test file.
#
# | section | subject |
# |---|---|
# | 1 | the teacher, and the network that the race starts from |
# | 2 | the grid: few values for a whole network |
# | 3, 4 | the race; what the bytes of its file are for |
# | 5 | another budget, memory, and how all was searched |
# | 6 | what the files leave out, `standard_form`, and a network as one picture |
# | 7 | what they survive |
#
# **In Colab:** upload this one file, then *Runtime > Run all*. Folded cells named *Helpers* hold
# the plumbing. Figures in the text are those of the published run; your own run's stand in the
# outputs, and those from a GPU differ slightly, as it adds in another order.

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
    "scipy",
    "zopfli",
    "segno",
)
use_keras_2()

# %%
import gzip
import os
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import tensorflow as tf
import zopfli.gzip
from IPython.display import display

# %% [markdown]
# `PROFILE` sets how long to train: `full` is the recipe behind the published figures, `quick` a
# tour, `smoke` only proves that every cell runs. A **recipe** is a dict that holds how a network is
# trained, and `in_profile` shortens it.

# %%
PROFILE = os.environ.get("PROFILE", "full")
TRIES = {"full": 3000, "quick": 300, "smoke": 10}[PROFILE]  # of orders in a file
SEED = 0

tf.keras.utils.set_random_seed(SEED)
started = time.perf_counter()

# %%
from signmnist.data import load_sign_mnist
from signmnist.recipes import ACCURATE, in_profile
from toolkit.files import replacing

# %%
data = load_sign_mnist()

# %% [markdown]
# ## 1. The teacher and the start
#
# The **accurate** network is that of question 1. Where its file is not at hand, as in Colab, it is
# trained here first, which takes some minutes more.

# %%
from signmnist.baseline import (
    build_cnn,  # noqa: F401  (in sight)
    learn,  # noqa: F401  (in sight)
    lessons,  # in sight
    train_accurate,
)
from toolkit.compression import (
    fine_tune,  # noqa: F401  (in sight)
    saved_or_trained,
)
from toolkit.training import accuracy

# %%
baseline = saved_or_trained(
    "../models/sign_mnist_baseline.keras",
    lambda: train_accurate(data.x_train, data.y_train, in_profile(ACCURATE, PROFILE), SEED),
)

# %% [markdown]
# The race has a network of its own. Each operator and each tensor takes bytes in the file, whatever
# its weights are, so it has few: four convolutions, two poolings and a dense layer, and the last
# convolution reduces what is left to one pixel, so that no average is needed. It learns by
# **distillation**: not the labels, but the scores of a **teacher**, the accurate network, softened
# by dividing them by a **temperature**. All trainings by distillation here see the same copies of
# each image, in the mild augmentation below; the teacher scores them once.
#
# It starts in float, and briefly: all the rest it learns on the grid.

# %%
from signmnist.race import (
    build_race_cnn,  # noqa: F401  (in sight)
    start_race,  # in sight
)
from signmnist.recipes import (
    MILD,  # noqa: F401  (in sight)
    SIZE_RACE,  # in sight
)

# %%
images, targets = lessons(data.x_train, baseline, SIZE_RACE, SEED)

# %%
start = start_race(images, targets, SIZE_RACE, SEED)
for name, model in (("accurate", baseline), ("start of the race", start)):
    reached = accuracy(model, data.x_train, data.y_train)
    print(f"{name}: {model.count_params():,} parameters, training file {reached:.2%}")

# %% [markdown]
# ## 2. The grid: few values for a whole network
#
# In clustering each layer gets a codebook that fits it. Here every layer gets the same one: the
# **whole numbers from -7 to 7**, times one **step** a layer. Fifteen values fit into 4 bits, and
# the more frequent a value, the fewer bits gzip spends on it. Five things belong to it:
#
# - batch normalization is folded into the kernels before they are rounded to the grid. The
#   converter would fold it in afterwards, another factor for each channel, and fifteen values would
#   become fifteen *a channel*;
# - during fine-tuning the forward pass uses the rounded weights, while gradients pass the rounding
#   as if it were not there (the **straight-through estimator**);
# - a normalization with **one** scale a layer (`SharedScaleNorm`) takes its place, as another batch
#   normalization would give each channel its own factor again;
# - an **L1 penalty**, on the sum of the weights' absolute values in steps, draws weights towards
#   zero, which it makes more frequent;
# - a **penalty on pairs**. In the file two weights of 4 bits are a byte, and gzip codes bytes. So
#   the training counts, now and then, which pairs of neighbours its rounded weights are, and what
#   each would take in an ideal code, -log2 of its share (`pair_bits`). A weight is drawn to the
#   whole number beside it that makes the cheaper pair: frequent pairs become more frequent.
#
# The layer that rounds to the grid and the normalization behind it exist while training only.
# (`PrunableLayer` lets trials prune them; nothing is pruned here.)

# %%
from toolkit.anatomy import anatomy, container_floor, gzip_anatomy, value_entropy
from toolkit.grid import (
    GridConv2D,  # noqa: F401  (in sight)
    SharedScaleNorm,  # noqa: F401  (in sight)
    grid_network,
    plain_network,
    round_through,  # noqa: F401  (in sight)
    to_grid,  # noqa: F401  (in sight)
    whole_numbers,
)

# %% [markdown]
# So do the bits that pairs would take, and what they cost the training:
# %%
from toolkit.pairs import (
    pair_bits,  # noqa: F401  (in sight)
    pair_cost,  # noqa: F401  (in sight)
)

# %% [markdown]
# `grid_network` folds a trained network and puts the new layers into it, `plain_network` writes the
# result as ordinary layers. What rounding alone does to the accurate network:


# %%
def zeros_and_bits(arrays):
    """The share of zeros in some arrays of weights, and the entropy of all in bits a weight."""
    flat = np.concatenate([np.ravel(array) for array in arrays])
    return float(np.mean(flat == 0)), value_entropy(flat)


rounded = grid_network(baseline)
rounded_zeros, rounded_bits = zeros_and_bits(whole_numbers(rounded))
probe = data.x_train[:2000], data.y_train[:2000]
whole_read, rounded_read = accuracy(baseline, *probe), accuracy(rounded, *probe)

# %% [markdown]
# It reads {{rounded_read:.1%}} of 2,000 training images, before it {{whole_read:.1%}}. But only
# {{rounded_zeros:.0%}} of its weights are zeros, and they have an **entropy** of
# {{rounded_bits:.2f}} bits a weight: the least that a code can take which treats values one by one.
#
# So it is trained on the grid, with the L1 penalty and without that on pairs: by distillation from
# itself as it was in float. As weights are counted in steps, the learning rate is far larger than
# in float. This recipe was **chosen** on held-out photos (section 5), as were all of this study.

# %%
from signmnist.race import race_on_grid  # in sight
from signmnist.recipes import RACE_ACCURATE  # in sight

# %%
on_grid, grid_history = race_on_grid(
    baseline, images, targets, in_profile(RACE_ACCURATE, PROFILE), SEED, "accurate, on the grid"
)

# %%
from toolkit.compression import INT8, ONE_SCALE, convert, kernels, representative_dataset
from toolkit.plots import (
    show_parts,
    show_weights,
)

# %% [markdown]
# Three of its layers, as rounding alone leaves them and after the training; weights beyond the grid
# are drawn at its ends:

# %%
before = kernels(grid_network(baseline))
after = dict(zip(before, whole_numbers(on_grid), strict=True))
layers_shown = [list(before)[number] for number in (0, 3, -1)]
show_weights(
    "Three layers of the accurate network: before, and after training on the grid",
    {name: np.clip(before[name], -7, 7) for name in layers_shown},
    {name: after[name] for name in layers_shown},
    banner=data.banner,
    xlabel="weight, in steps",
    yscale="log",
)

# %%
grid_zeros, grid_bits = zeros_and_bits(after.values())

# %% [markdown]
# {{grid_zeros:.0%}} of the weights are zeros now, with an entropy of {{grid_bits:.2f}} bits. What
# the penalty buys, on held-out photos; of several seeds the lowest and the highest figure:
#
# - 1e-4: {{trials/signmnist.RACE_ACCURATE//int4/accuracy:.1%}} in
#   {{trials/signmnist.RACE_ACCURATE//int4/bytes_gzip:,}} bytes;
# - 1.5e-4: {{trials/signmnist.RACE_97//int4/accuracy:.1%}} in
#   {{trials/signmnist.RACE_97//int4/bytes_gzip:,}} bytes;
# - 2e-4: {{trials/signmnist.RACE_97/penalty=2e-4/int4/accuracy:.1%}} in
#   {{trials/signmnist.RACE_97/penalty=2e-4/int4/bytes_gzip:,}} bytes;
# - 3e-4: {{trials/signmnist.RACE_ACCURATE/penalty=3e-4/int4/accuracy:.1%}} in
#   {{trials/signmnist.RACE_ACCURATE/penalty=3e-4/int4/bytes_gzip:,}} bytes.
#
# ### From the network to the file
#
# In an int8 file a number is an integer times a **scale**; **calibration** on some training images
# tells the converter the scales of the activations. With one scale a tensor the grid survives: at
# most fifteen different bytes a layer. Two more steps follow.
#
# - `to_int4` stores the weights in 4 bits, two to a byte, a type that LiteRT and TFLite Micro can
#   run, and gives activations the same scale where it can, so that its bytes repeat. It rounds
#   biases and scales on the way, so that scores can change a little, and drops names, metadata and
#   signatures.
# - `repack` drops the same from a file that still has it, and what else no interpreter needs, such
#   as a reshape before a dense layer, merges equal buffers, and lays the file out so that equal
#   parts become equal bytes. It changes no prediction. With `fixed_size` it may count on images of
#   28 x 28, and describes some pooling layers more briefly. It compares `TRIES` orders of channels
#   and tensors.
#
# Both run the file on random inputs before and after, and raise an error unless the scores are the
# same: the first to an eighth of their range, the second to the last bit.

# %%
from toolkit.int4 import to_int4
from toolkit.packing import repack

# %%
build = Path("build_size_race")
build.mkdir(exist_ok=True)
TO_INT8 = INT8 | {"representative_dataset": representative_dataset(data.x_train, seed=SEED)}


def file_stages(model, coarse):
    """From a grid network to its file: the bytes after each step, by name."""
    path = convert(plain_network(model), build / "int8.tflite", **TO_INT8, **ONE_SCALE)
    converted = path.read_bytes()
    int4 = to_int4(converted, coarse, fixed_size=True)
    packed = repack(int4, TRIES, fixed_size=True)
    return {"int8, as converted": converted, "int4": int4, "int4, repacked": packed}


# %% [markdown]
# Each file is scored on the test file and measured. The interval comes from drawing the test file's
# groups of photos anew.

# %%
from toolkit.results import in_words, measure, results_table, write_records
from toolkit.tflite import count_correct, gzip_size, predict_tflite, run_micro

# %%
records: dict = {}


def evaluate(technique, file, content, origin, history):
    """Writes models/<file>.tflite, measures it and saves its record, which it returns."""
    path = Path("models", f"{file}.tflite")
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    read = count_correct(predict_tflite(path, data.x_train), data.y_train)
    records[technique] = {
        "id": file,
        "notebook": "size_race",
        "technique": technique,
        "params": origin.count_params(),
        "train_accuracy": read / len(data.y_train),
        "profile": PROFILE,
        "seed": SEED,
        "seconds": sum(history["seconds"]),
        **measure(path, predict_tflite(path, data.x_test), data),
    }
    write_records(list(records.values()), "size_race", "results.json")
    return records[technique]


def row(record):
    """A record's figures as cells of the table on the first page."""
    return " | ".join(
        in_words(record)[head] for head in ("after gzip", "test accuracy", "without twins")
    )


# %%
content = file_stages(on_grid, RACE_ACCURATE["coarse"])["int4, repacked"]
grid = evaluate(
    "accurate, on the grid", "size_race_clustered_accurate", content, baseline, grid_history
)

# %% [markdown]
# The accurate network takes {{grid["bytes_gzip"]:,}} bytes after `gzip -9n` on the grid and reads
# {{grid["accuracy"]:.2%}} of the test file ({{in_words(grid)["without twins"]}} without twins).
# Once more, with a larger penalty:

# %%
from signmnist.recipes import RACE_97  # in sight

# %%
smaller, smaller_history = race_on_grid(
    baseline, images, targets, in_profile(RACE_97, PROFILE), SEED, "between"
)
content = file_stages(smaller, RACE_97["coarse"])["int4, repacked"]
between = evaluate("between", "size_race_clustered_between", content, baseline, smaller_history)

# %% [markdown]
# Two more savings: on the grid dense layers do without biases (`dense_bias=False`), and the race's
# biases are rounded to multiples of 16 (`coarse`).

# %% [markdown]
# ## 3. The race
#
# Now the small network, which learns on the grid as it began: by distillation, with both penalties,
# that on pairs from the share `coded_from` of the steps on.

# %%
raced, race_history = race_on_grid(start, images, targets, in_profile(SIZE_RACE, PROFILE), SEED)
print(f"training images: {accuracy(raced, data.x_train, data.y_train):.2%}")

# %% [markdown]
# Its weights, counted in steps: as they came, and after training on the grid.

# %%
in_steps = kernels(grid_network(start, dense_bias=False))
show_weights(
    "The network of the race: before, and as whole numbers after training",
    in_steps,
    dict(zip(in_steps, whole_numbers(raced), strict=True)),
    banner=data.banner,
    xlabel="weight, in steps",
    yscale="log",
)
numbers = np.concatenate([np.ravel(kernel) for kernel in whole_numbers(raced)])
shares = {value: float(np.mean(np.abs(numbers) == value)) for value in range(8)}
print(", ".join(f"{'±' if value else ''}{value}: {share:.0%}" for value, share in shares.items()))

# %%
stages = file_stages(raced, SIZE_RACE["coarse"])
first = "int8, as converted"
packed_int8 = repack(stages[first], TRIES, fixed_size=True)
stages = {first: stages[first], "int8, repacked": packed_int8, **stages}
race = evaluate("size race", "size_race_clustered", stages["int4, repacked"], start, race_history)

# %% [markdown]
# The ones have become rare. Probably that is the penalty on pairs, which makes what is rare dearer;
# it was not tried without.
#
# How likely is it that this file reads less than 90 % of other test files of this kind? By drawing
# the photos of the test file anew, which says nothing of other seeds:


# %%
def chance_below(mark, right, groups):
    """The share of 10,000 test files, drawn anew by photo, of which less than `mark` is read."""
    size, correct = np.bincount(groups), np.bincount(groups, right)
    correct, size = correct[size > 0], size[size > 0]
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(size), np.full(len(size), 1 / len(size)), 10_000)
    return float(np.mean(drawn @ correct < mark * (drawn @ size)))


scores = predict_tflite(Path("models", race["file"]), data.x_test)
right, lone = scores.argmax(axis=1) == data.y_test, ~data.has_twin
below_90 = {
    "all": chance_below(0.9, right, data.test_groups),
    "no twins": chance_below(0.9, right[lone], data.test_groups[lone]),
}
print(", ".join(f"{name}: {share:.2%}" for name, share in below_90.items()))

# %% [markdown]
# **{{race["bytes_gzip"]:,}} bytes after `gzip -9n` ({{race["bytes"]:,}} raw) at
# {{race["accuracy"]:.2%}}**, {{in_words(race)["without twins"]}} without twins, with integer
# input and output. TFLite Micro, the interpreter for microcontrollers, reads {{race["micro"]}}, in
# an **arena**, its working memory, of {{race["arena_bytes"] or 0:,}} bytes.
#
# Is repacking really lossless? Every score of every test image, before and after, on LiteRT, and
# the first hundred on TFLite Micro:

# %%
paths = {name: build / f"{name}.tflite" for name in stages}
for name, path in paths.items():
    path.write_bytes(stages[name])
for one, other in (("int8, as converted", "int8, repacked"), ("int4", "int4, repacked")):
    on_litert = [predict_tflite(paths[name], data.x_test) for name in (one, other)]
    on_micro = [run_micro(paths[name], data.x_test[:100]).scores for name in (one, other)]
    assert np.array_equal(*on_litert) and np.array_equal(*on_micro)
    print(f"{other}: all scores of {len(data.x_test):,} test images equal to the last bit")

# %% [markdown]
# ## 4. Anatomy of the file
#
# What the bytes are for, raw and after gzip. The *graph* is the list of operators and tensors. The
# bits of the compressed file are charged to the bytes that they stand for; "gzip" is its own
# overhead, mostly the code tables.

# %%
show_parts(
    "The file of the race, raw bytes",
    {name: anatomy(content) for name, content in stages.items()},
    banner=data.banner,
)

# %% [markdown]
# Most is saved by dropping and merging in the file of int8, and by halving its weights; `to_int4`
# drops the same, so that little is left for `repack` after it.

# %%
parts = {name: gzip_anatomy(content) for name, content in stages.items()}
show_parts("The file of the race after gzip -9n", parts, banner=data.banner)

# %%
count = sum(kernel.size for kernel in in_steps.values())
race_zeros, race_bits = zeros_and_bits(whole_numbers(raced))
last = parts["int4, repacked"]
floor = container_floor(stages["int4, repacked"])
by_zopfli = len(zopfli.gzip.compress(stages["int4, repacked"]))

# %% [markdown]
# {{count:,}} weights with an entropy of {{race_bits:.2f}} bits make
# **{{count * race_bits / 8:,.0f}} bytes**, the bound for any code with one table for all of them
# that treats weights one by one. gzip, which codes bytes and so pairs of weights, spends
# {{last["weights"]:,.0f}} on them. The graph takes
# {{last["graph"]:,.0f}} bytes. With all weights and biases equal, the graph, the scales and gzip's
# own overhead remain: **{{floor:,}} bytes**, the floor of the container.
#
# As a side note, zopfli searches longer for the best gzip stream, which any gunzip reads:
# {{by_zopfli:,}} bytes. The figures of this study do not use it.
#
# ## 5. Another budget, and how all was searched
#
# **Another budget: memory.** A microcontroller with 2,048 bytes of RAM, such as an Arduino Uno's,
# cannot hold whole layers of activations; code that works row by row needs, for each layer, as many
# rows as its kernel is high. The same kind of network, as wide as 1,400 bytes of rows allow, in
# 8 bits (the study of deployment puts it on the chip):

# %%
from signmnist.race import row_memory
from signmnist.recipes import SMALL_MEMORY  # in sight

# %%
shortened = {"start": in_profile(SMALL_MEMORY["start"], PROFILE)}
lean = start_race(images, targets, SMALL_MEMORY | shortened, SEED)
small = convert(lean, build / "small.tflite", **TO_INT8)
small_memory = evaluate(
    "small memory, int8", "size_race_small_memory", small.read_bytes(), lean, {"seconds": []}
)
print(f"rows of {row_memory(small):,} bytes, test file {small_memory['accuracy']:.2%}")

# %% [markdown]
# All files:

# %%
files = results_table(records.values()).drop(columns="latency µs")
display(files.style.set_caption(data.banner))

# %% [markdown]
# **How it was searched.** A recipe was tried on photos held out of the training, by networks and a
# teacher that never saw them, before it was published by a training on all photos. Of the race,
# with both penalties the same:
#
# - 7e-5: {{trials/signmnist.SIZE_RACE//int4/accuracy:.1%}} in
#   {{trials/signmnist.SIZE_RACE//int4/bytes_gzip:,}} bytes;
# - 1e-4: {{trials/signmnist.SIZE_RACE/penalty=1e-4&pair_penalty=1e-4/int4/accuracy:.1%}} in
#   {{trials/signmnist.SIZE_RACE/penalty=1e-4&pair_penalty=1e-4/int4/bytes_gzip:,}} bytes;
# - 2e-4: {{trials/signmnist.SIZE_RACE/penalty=2e-4&pair_penalty=2e-4/int4/accuracy:.1%}} in
#   {{trials/signmnist.SIZE_RACE/penalty=2e-4&pair_penalty=2e-4/int4/bytes_gzip:,}} bytes.
#
# The first two were tried with three seeds, the third with two. The second was published first;
# with one seed it reads less than 90 %. So the penalties went down, for that reason, but after its
# score of the test file was known. The project's `report.md` lists all trials on record and draws
# them. Which settings were worth a trial came from some sixty shorter runs on the same photos by a
# program that is not part of the project; they are not on record. The more is tried on the same
# photos, the more the best of it flatters.
#
# A mark on held-out photos is probably the harder one: {{int(data.has_twin.sum()):,}} images of the
# test file share a photo with the training file.
#
# ## 6. What the files leave out
#
# The specification of 8-bit quantization wants the scale of a bias to be that of the layer's input
# times that of its weights. `to_int4` and `repack` store one scale for the biases of all
# convolutions, as equal bytes cost less. How many times as large as the product those stored are:


# %%
from toolkit.graph import LAYERS, read_model, scales


# %%
def stored_and_expected(content):
    """For each layer with a bias: its stored scale over that of the input times the weights'."""
    layers = [op for op in read_model(content).subgraphs[0].operators if op.kind in LAYERS]
    return {
        f"layer {number}": scales(op.sources[2])[0][0]
        / (scales(op.sources[0])[0][0] * scales(op.sources[1])[0][0])
        for number, op in enumerate(layers, 1)
        if any(op.sources[2:])
    }


stored = {
    technique: stored_and_expected(Path("models", record["file"]).read_bytes())
    for technique, record in records.items()
}
stored = pd.DataFrame.from_dict(stored, orient="index")
display(stored.style.format("{:.1f}", na_rep="no bias").set_caption(data.banner))

# %% [markdown]
# The convolutions of LiteRT and TFLite Micro compute with the product and do not read the stored
# scale: section 3 found every score of the int8 file equal. Dense layers compare it, and theirs is
# kept. A tool that trusts it would scale biases wrongly, by the factors of the table.
#
# `to_int4` and `repack` also leave out the options of FULLY_CONNECTED that are at their defaults.
# LiteRT and TFLite Micro then take these defaults; Arm's Vela 5.2.0, which compiles `.tflite` files
# for Ethos-U chips, ended on files without them with "Null pointer exception encountered when
# reading TFLite file", and with the options put back on weights in 4 bits with a floating point
# exception.
#
# **`standard_form`** puts back what is missing: the options, names, the scales of the biases, and
# weights in 8 bits. It raises an error unless every score is the same on random inputs, on LiteRT
# without XNNPACK.

# %%
from toolkit.standard import standard_form

# %%
standard = {}
for technique, record in records.items():
    content = Path("models", record["file"]).read_bytes()
    usual = standard_form(content)
    assert np.allclose(list(stored_and_expected(usual).values()), 1)
    standard[technique] = len(content), gzip_size(content), len(usual), gzip_size(usual)
heads = ["bytes", "after gzip", "standard, bytes", "standard, after gzip"]
standard = pd.DataFrame.from_dict(standard, orient="index", columns=heads)
display(standard.style.format("{:,}").set_caption(data.banner))

# %% [markdown]
# What other tools need costs the difference of the columns after gzip. (The file for small memory
# was never rewritten.)

# %% [markdown]
# ### The whole network in one picture
#
# A QR code holds up to 2,953 bytes. This one is the file of the race after gzip; a reader that
# gives back bytes, and `gunzip`, make of it the file that was measured.

# %%
from toolkit.code import qr_code
from toolkit.plots import figure

# %%
packed_file = gzip.compress(stages["int4, repacked"], 9, mtime=0)
_, ax = figure("A network that reads signs", size=(6, 6), banner=data.banner)
ax.imshow(qr_code(packed_file), cmap="gray_r", interpolation="nearest")
ax.axis("off")
plt.show()

# %% [markdown]
# ## 7. What they survive
#
# The test file as it is; then shifted, turned, brighter, darker, blurred and noisy. The networks on
# the grid were fine-tuned with turns of at most {{360 * MILD["rotation"]:.1f}}° and shifts of at
# most {{28 * MILD["shift"]:.1f}} pixels, without blur and noise: many of these changes are larger
# than any in that training. Question 1 tries larger ones on the accurate network in float, whose
# augmentation is stronger.

# %%
from signmnist.perturb import survival

# %%
survived = pd.DataFrame(
    {
        name: survival(
            lambda x, file=records[name]["file"]: predict_tflite(Path("models", file), x),
            data.x_test,
            data.y_test,
        )
        for name in ("size race", "accurate, on the grid")
    }
)
display(survived.style.format("{:.2%}").set_caption(data.banner))

# %%
worst = survived.idxmin()

# %% [markdown]
# The worst for the race is *{{worst["size race"]}}*, {{survived["size race"].min():.1%}}; for the
# accurate network on the grid *{{worst["accurate, on the grid"]}}*,
# {{survived["accurate, on the grid"].min():.1%}}. What the fine-tuning knew costs little beside
# that. Nothing here tells a file just under 90 % from one just over it.
#
# ## 8. What you should know now
#
# - What folding batch normalization does to shared values, and why it comes first here.
# - How a network is trained whose weights are whole numbers.
# - Why unequally frequent values are cheaper than equally frequent ones.
# - What is in a `.tflite` file besides weights, and what its container costs.
# - How recipes are searched, and what a test file is kept for.
# - What a rewritten file owes to those who read it with other tools.
#
# ### Exercises
#
# Choose on photos of the training file that you hold out, as question 1 does (`group_split`); the
# test file is for the end.
#
# 1. Change `penalty` of `SIZE_RACE` by a factor of two either way, then `pair_penalty`. Draw
#    accuracy against bytes.
# 2. Round a grid network to -3 to 3 (`GRID = 3` before it is built). What do the bits buy?
# 3. Halve the widths of `SIZE_RACE`, and find the penalty that gives as many bytes. Which network
#    reads more?
# 4. Undo the savings one by one: `coarse`, `dense_bias=False`, `fixed_size`, the penalty on pairs.
#    What does each save on the small network?
#
# A cell to start from, for the fourth:

# %%
exact = file_stages(raced, coarse=1)["int4, repacked"]
print(f"{gzip_size(exact):,} bytes after gzip -9n with exact biases")

# %% [markdown]
# ### Glossary
#
# - **Codebook**: the values that weights share. **Container**: what a file takes besides weights
#   and biases.
# - **Entropy**: the least bits a value that a code can take which treats values one by one.
# - **Folding**: multiplying batch normalization into the kernel before it.
# - **Grid**: here the whole numbers from -7 to 7, times one **step** a layer.
# - **Straight-through estimator**: rounding in the forward pass, gradients as if there were none.
#
# ### Sources
#
# - Y. Bengio, N. Léonard, A. Courville, "Estimating or Propagating Gradients Through Stochastic
#   Neurons for Conditional Computation", 2013. The straight-through estimator.
# - G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural Network", 2015.
# - S. Han, H. Mao, W. Dally, "Deep Compression", ICLR 2016. Shared weights, pruning, codes.
# - The [specification](https://ai.google.dev/edge/litert/models/quantization_spec) of 8-bit
#   quantization in LiteRT.

# %%
print(f"{PROFILE} profile, {(time.perf_counter() - started) / 60:.1f} minutes")
