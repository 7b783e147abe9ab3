# %% [markdown]
# # From file to chip
#
# **A network that reads {{read(ACCURATE)}} of the test file takes
# {{told(ACCURATE, "m4", "flash")}} bytes of a Cortex-M4's flash and
# {{told(ACCURATE, "m4", "steps")}} instructions an image; the small network of the size race,
# {{read(SMALLEST)}}, runs on an Arduino Uno in {{seconds(SMALLEST, "sparse")}} s.** (Of held-out
# photos their recipes read {{trials/signmnist.RACE_97//int4/accuracy:.1%}} and
# {{trials/signmnist.SIZE_RACE//int4/accuracy:.1%}} by three seeds.) A `.tflite` file after gzip
# runs nowhere: a chip has its own way to store weights, and what a technique is worth there is
# another question. This study follows the files of the questions, and of two studies, to where they
# run:
#
# {{first_page()}}
#
# Flash is all of the firmware, with start-up, and RAM has the stack in it; the image arrives row by
# row and is not counted. On the Ethos-U, an NPU, flash is that of the weights. All of it is
# emulated or estimated: Cortex-M tells instructions, which are no cycles, the ATmega328P of an
# Arduino Uno cycles at 16 MHz, the Ethos-U cycles that its compiler expects.
#
# **What you learn:** how a network in integers becomes C that gives the very scores of TFLite
# Micro; how little memory it needs if each layer keeps only the rows that the next one reads; what
# pruning and clustering are worth on a plain processor, and to the decoder of an NPU; how the same
# C runs in a browser; which tool to ask.
#
# | section | subject |
# |---|---|
# | 1 | the same integers in C |
# | 2 | emulated microcontrollers |
# | 3 | an NPU, Arm Ethos-U |
# | 4 | in a browser |
# | 5 | what it all says |
#
# **In Colab:** upload this one file, then *Runtime > Run all*. Folded cells named *Helpers* hold
# the plumbing, those named *File* the C sources and the models below 60 KB; rows of larger models
# need their files beside the notebook. Section 1 needs `gcc`, which is there. Sections 2 and 4
# install compilers and emulators with `apt-get` where they may, section 3 Vela with `pip` into a
# folder of its own. Where that fails a line says so, and the table above, which is that of the
# published run, stands for it.

# %% [markdown]
# ## Setup

# %%
from toolkit.runtime import install_missing

# %%
install_missing(
    "numpy",
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

# %%
import os
import shutil
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from html import escape
from multiprocessing import get_context
from multiprocessing.pool import ThreadPool
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import HTML, display

# %% [markdown]
# `PROFILE` sets how much to compare: `full` the whole test file, as for the published figures,
# `quick` a part of it, `smoke` only proves that every cell runs and installs nothing. Nothing is
# trained here.

# %%
PROFILE = os.environ.get("PROFILE", "full")
COMPARED = {"full": None, "quick": 500, "smoke": 8}[PROFILE]  # images; None: all
BUILD = Path("build_deployment")
started = time.perf_counter()

# %%
from signmnist.data import LETTERS, load_sign_mnist

# %%
data = load_sign_mnist()
images = data.x_test[:COMPARED]
labels = data.y_test[:COMPARED]

# %% [markdown]
# The C sources of `firmware/` and the models, as they were published. A model's name here is that
# of its file:
#
# | name | what it is |
# |---|---|
# | quant int8, litert int8, quant aware training | question 1's network in int8, in three ways |
# | clustered …, pruned … | the same by questions 2 and 3, with weights of 8 or 4 bits |
# | clustered, pruned | the small networks with which questions 2 and 3 answer |
# | qkeras 4bit, few bits … | question 4, and the study of few bits; ternary: weights -1, 0, 1 |
# | size race clustered | the smallest file of the study of the size race |
# | … between, … accurate | there, question 1's network on a grid of -7 to 7 with few but zeros |
# | size race small memory | there, the network for 2 KB of RAM |

# %%
from toolkit.embedded import FILES, write_files  # noqa: F401

# %%
SOURCES = BUILD / "firmware"
write_files(SOURCES, "firmware/*")
models = write_files(
    BUILD / "models",
    "models/sign_mnist_quant_int8.tflite",
    "models/sign_mnist_litert_int8.tflite",
    "models/sign_mnist_quant_aware_training.tflite",
    "models/sign_mnist_clustered_int8.tflite",
    "models/sign_mnist_clustered_cqat.tflite",
    "models/sign_mnist_clustered_int4.tflite",
    "models/sign_mnist_clustered.tflite",
    "models/sign_mnist_pruned*.tflite",
    "models/sign_mnist_qkeras_4bit.tflite",
    "studies/models/few_bits_*.tflite",
    "studies/models/size_race_*.tflite",
)


def title_of(path):
    """What a model is called here."""
    return path.stem.removeprefix("sign_mnist_").replace("_", " ")


paths = {title_of(path): path for path in models}
contents = {name: path.read_bytes() for name, path in paths.items()}
SMALLEST, ACCURATE = "size race clustered", "size race clustered between"
TERNARY = "few bits ternary"

# %% [markdown]
# ## 1. The same integers in C
#
# An interpreter such as TFLite Micro reads the file on the chip and looks up a kernel for each
# operator. A network that never changes needs neither: a generator reads the file here and writes
# its weights and one table of layers as C, and a few kernels of `firmware/network.c` run it.
#
# ### A factor as a whole number
#
# A layer multiplies int8 by int8, adds up in 16 or 32 bits, and has to come back to int8: times
# input scale, times weight scale, divided by output scale. A chip without floating point multiplies
# by a whole number below 2^31 instead, and shifts.

# %%
from toolkit.operators import multiplier  # in sight
from toolkit.rows import read_network

# %%
network = read_network(contents["quant int8"])
layer, source = network.layers[0], network.tensors[0]
number, shift = layer.factors[0]
print(f"first channel of the first layer: x {number:,} / 2^31 x 2^{shift}")
print(f"a real factor of {number / 2**31 * 2.0**shift:.9f}; {multiplier(0.5)} would be a half")
print(f"pixels: {source.scale:.6f} a step, zero at {source.zero}")

# %% [markdown]
# Zero points cost nothing while the network runs. The sum of (input - zero point) x weight is the
# sum of input x weight, minus zero point x the sum of the weights, which is a constant and goes
# into the bias. The padding then has to hold the zero point, and it does.
#
# **TFLite Micro rounds twice**: the product with the whole number to 32 bits, then what the shift
# cuts off. LiteRT's own kernel for dense layers rounds once, and XNNPACK, which LiteRT uses unless
# it is told otherwise, in yet another way. So "the same to the last bit" has to say as what; here
# it is TFLite Micro. In `firmware/network.c`, without what small chips need instead of a product of
# 64 bits:
#
# ```c
# static int32_t scaled(int32_t x, int32_t multiplier, int8_t shift)
# {
#     if (shift > 0) {
#         x = x << shift;
#         shift = 0;
#     }
#     x = (int32_t)(((int64_t)x * multiplier + ((int64_t)1 << 30)) >> 31);
#     if (shift == 0)
#         return x;
#     int32_t half = (int32_t)1 << (-shift - 1);
#     return (x + half - (x < 0)) >> -shift;
# }
# ```
#
# ### Row by row
#
# An image arrives from a camera row by row. A convolution of 3x3 can compute a row as soon as it
# has three; the fourth then takes the place of the first. A max pooling that follows needs no row
# at all: it keeps the larger of what is there and what comes. So the memory of a network is a few
# rows of each layer, and not two whole layers.

# %%
shown = [
    {
        "tensor": f"{rows.height} x {rows.width} x {rows.channels}",
        "bytes, whole": rows.height * rows.width * rows.channels,
        "rows kept": rows.keep,
        "bytes kept": rows.bytes,
    }
    for rows in network.tensors
]
display(pd.DataFrame(shown).set_index("tensor").style.format("{:,}").set_caption(data.banner))
kept = sum(one["bytes kept"] for one in shown)

# %% [markdown]
# {{kept:,}} bytes for the int8 network, the padding's cells among them, and none of them grows with
# the image's height. Sums of a row come on top, and on a chip tables and the stack. (TFLite Micro's
# arena also holds what it knows of each operator.)
#
# ### Five ways to write weights down
#
# **Dense**: a byte each, or **nibbles**, two to a byte. **Sparse code** stores what is not zero,
# each with the number of zeros before it: **pairs** of bytes; **runs**, two nibbles in one byte;
# or, where weights are -1, 0 and 1, **signs**: three bits for the zeros and one for the sign. The
# generator takes the smallest for each layer.

# %%
from toolkit.ccode import DENSE, SPARSE, to_c
from toolkit.tflite import ModelError, gzip_size, open_tflite, predict_tflite, run_micro

# %%
codes = {
    name: {form: to_c(content, forms) for form, forms in (("dense", DENSE), ("sparse", SPARSE))}
    for name, content in contents.items()
}
rows = {
    name: {
        "file": len(contents[name]),
        "after gzip": gzip_size(contents[name]),
        "C, dense": code["dense"].weights,
        "C, sparse": code["sparse"].weights,
        "RAM": code["dense"].memory,
    }
    for name, code in codes.items()
}
stored = pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns="bytes")
display(stored.style.format("{:,}").set_caption(data.banner))

# %% [markdown]
# The columns of C hold weights, biases and factors; a plain processor reads them as they stand.
# Where few weights are zero sparse code is larger than dense code; where most are it comes near to
# gzip, and unlike gzip it runs. Clustering by itself changes hardly anything in either (*clustered
# int8*). The networks of the size race are clustered too, but what counts in them is that nearly
# all weights are zero.
#
# ### Equal scores
#
# The C, dense or sparse, whichever is smaller, is compiled here with `gcc`, with all warnings as
# errors, and fed the test file; the same images go through TFLite Micro. Compared is every score of
# every image. (What is read of the test file here is by TFLite Micro's rounding; by LiteRT's, in
# the questions, it is a few images more or less.)

# %%
from toolkit.firmware import run_native


# %%
def quantized(images, code):
    """Images in [0, 1] as the int8 input of a Code."""
    scale, zero = code.ends[0]
    return np.clip(np.round(images / np.float32(scale)) + zero, -128, 127).astype(np.int8)


smaller = {name: min(both, key=lambda form: both[form].weights) for name, both in codes.items()}


def native_scores(name, images):
    """The scores of images by the C of a network, as its file gives them: int8 or float32.

    Its weights are in the smaller of the two forms.
    """
    code = codes[name][smaller[name]]
    scores = run_native(code, quantized(images, code), SOURCES, BUILD / "native" / name)
    scale, zero = code.ends[1]
    inside = open_tflite(paths[name]).get_output_details()[0]["dtype"] == np.int8
    return scores if inside else (scores - np.float32(zero)) * np.float32(scale)


def compare(name):
    """How many images have all scores equal to TFLite Micro's, and how many are read right."""
    run, scores = run_micro(paths[name], images), native_scores(name, images)
    equal = None if run.scores is None else int((scores == run.scores).all(axis=1).sum())
    read = int((scores.argmax(1) == labels).sum())
    return {"equal": equal, "of": len(images), "correct": read, "arena": run.arena_bytes}


with ProcessPoolExecutor(os.cpu_count(), get_context("fork")) as pool:
    found = dict(zip(paths, pool.map(compare, paths), strict=True))
equality = pd.DataFrame.from_dict(found, orient="index")
equality["accuracy"] = equality["correct"] / equality["of"]
formats = {"accuracy": "{:.2%}"} | dict.fromkeys(("equal", "of", "correct", "arena"), "{:,.0f}")
display(equality.style.format(formats, na_rep="–").set_caption(data.banner))

# %% [markdown]
# {{(equality["equal"] == equality["of"]).sum()}} of {{len(equality)}} networks give TFLite Micro's
# scores on all of the {{len(images):,}} images. (The arena is what TFLite Micro itself needs of
# RAM.) With LiteRT the same C is compared on a few of them, with XNNPACK, which LiteRT uses where
# it can, and without:

# %%
FEW = images[:300]
rows = {}
for name in ("quant int8", "pruned int8", ACCURATE, SMALLEST):
    ours = native_scores(name, FEW)
    rows[name] = {
        kind: int((predict_tflite(paths[name], FEW, xnnpack=fast) == ours).all(axis=1).sum())
        for kind, fast in (("without XNNPACK", False), ("with XNNPACK", True))
    }
litert = pd.DataFrame.from_dict(rows, orient="index")
display(litert.style.set_caption(f"images with equal scores, of {len(FEW)}. {data.banner}"))

# %% [markdown]
# So "the same to the last bit" needs the name of a runtime. What the generator has no kernel for it
# refuses, by name:

# %%
write_files(BUILD / "refused", "models/sign_mnist_compact.tflite")
for path in [*BUILD.glob("refused/*"), *Path("models").glob("speech_lstm*int8.tflite")]:
    try:
        to_c(path.read_bytes())
    except ModelError as error:
        print(f"{path.name}: {error}")

# %% [markdown]
# ## 2. Emulated microcontrollers
#
# Three kinds: the ATmega328P of an Arduino Uno (8 bits, 32 KB of flash, 2 KB of RAM), Cortex-M0
# (no product of 64 bits), and Cortex-M3, M4 and M7. Cross compilers and emulators come from Debian.

# %%
from toolkit.firmware import CHIPS, compiler_version, install_debian, missing, run_on
from toolkit.plots import BLUE, GREEN, ORANGE, RED, SKY, figure

# %%
PACKAGES = "gcc-arm-none-eabi", "qemu-system-arm", "gcc-avr", "avr-libc", "simavr", "clang", "lld"
print(install_debian(*PACKAGES, allowed=PROFILE != "smoke"))
usable = {name: chip for name, chip in CHIPS.items() if not missing(chip)}
for name, chip in CHIPS.items():
    said = compiler_version(chip.compiler) if name in usable else f"lacks {missing(chip)[0]}"
    print(f"{name:4} {chip.title:12} {said}")
if not usable:
    print("The table on the first page is the record of the published run.")

# %% [markdown]
# Each program runs over two test images and tells the scores, which are compared with those of
# section 1, and the time of the first image. RAM is what variables take plus the stack, found by
# painting the memory beforehand.
#
# QEMU counts instructions: at `-icount shift=0` each takes a nanosecond, and the chip's own timer
# SysTick goes on every {{CHIPS["m4"].tick}} of them on the boards of M3, M4 and M7. (A test of the
# project counts them one by one in QEMU's own record.) **Instructions are no cycles**: a load or a
# product may take several, and flash may be slow. simavr counts the cycles of an AVR, of which each
# instruction takes a known number.

# %%
FITS_UNO = 1_700  # bytes of rows and sums, so that tables and stack have room in 2 KB


def plan(name):
    """The (chip, form) that a network runs on: the Uno if it fits, or else the M4."""
    small = codes[name]["dense"].memory <= FITS_UNO
    wanted = [("uno" if small else "m4", form) for form in ("dense", "sparse")]
    more = {SMALLEST: ("m0", "m4"), ACCURATE: ("m0", "m3", "m7"), TERNARY: ("m0", "m3", "m7")}
    return wanted + [(chip, "sparse") for chip in more.get(name, ())]


def optimized(chip):
    """What the compiler is told: smaller on the Uno, faster elsewhere."""
    return ("-Os",) if chip == "uno" else ("-O3", "-fno-tree-loop-vectorize")


chips = {}
for name in paths:
    two = quantized(images[:2], codes[name]["dense"])
    expected = run_native(codes[name]["dense"], two, SOURCES, BUILD / "native" / name)
    for chip, form in plan(name):
        if chip in usable:
            code, folder = codes[name][form], BUILD / chip / name
            ran = run_on(usable[chip], code, two, SOURCES, folder, optimized(chip))
            assert np.array_equal(ran.scores, expected), f"{name} on {chip}: other scores"
            chips[name, chip, form] = ran


# %%
def on_chip(chip, count):
    """A table of the networks that ran on a chip in both forms. count: the name of its steps."""
    rows = {}
    for name in paths:
        both = [chips[key] for form in ("dense", "sparse") if (key := (name, chip, form)) in chips]
        if len(both) == 2:
            rows[name] = {
                f"{what}, {form}": getattr(ran, field)
                for what, field in (("flash", "flash"), (count, "steps"))
                for form, ran in zip(("dense", "sparse"), both, strict=True)
            } | {"RAM": both[1].ram}
    if rows:
        table = pd.DataFrame.from_dict(rows, orient="index")
        display(table.style.format("{:,}").set_caption(f"{CHIPS[chip].title}. {data.banner}"))


on_chip("m4", "instructions")
on_chip("uno", "cycles")

# %% [markdown]
# Three networks in sparse code on other Cortex-M too; RAM is that of the same code:

# %%
rows = {
    f"{name}, {CHIPS[chip].title}": {
        "flash": ran.flash,
        "RAM": ran.ram,
        "instructions": ran.steps,
    }
    for (name, chip, form), ran in chips.items()
    if chip != "uno" and form == "sparse" and name in (SMALLEST, TERNARY, ACCURATE)
}
if rows:
    table = pd.DataFrame.from_dict(rows, orient="index")
    display(table.style.format("{:,}").set_caption(data.banner))


# %%
def told(name, chip, field, form="sparse"):
    """A figure of a run on a chip as text, a dash where there was no emulator."""
    ran = chips.get((name, chip, form))
    return f"{getattr(ran, field):,}" if ran else "–"


def seconds(name, form):
    """The seconds of an image on the Uno as text."""
    ran = chips.get((name, "uno", form))
    return f"{ran.steps / 16e6:.2f}" if ran else "–"


def read(name):
    """What a network reads of the test images as text."""
    return f"{equality.loc[name, 'accuracy']:.2%}"


def first_page():
    """The table of the first page: networks, where they run, and what they take there."""
    rows = [["network", "test file", "chip, weights", "flash", "RAM", "an image"], ["---"] * 6]
    shown = [(name, "m4") for name in ("quant int8", "pruned int8", TERNARY, ACCURATE)]
    shown += [(name, chip) for name, chip, form in chips if (chip, form) == ("uno", "dense")]
    for name, chip in shown:
        both = [form for form in ("dense", "sparse") if (name, chip, form) in chips]
        form = min(both, key=lambda form: chips[name, chip, form].flash, default="sparse")
        span = f"{told(name, chip, 'steps', form)} instr."
        span = f"{seconds(name, form)} s" if chip == "uno" else span
        taken = [told(name, chip, field, form) for field in ("flash", "ram")]
        rows.append([name, read(name), f"{CHIPS[chip].title}, {form}", *taken, span])
    for name in ("quant int8", "pruned int8", TERNARY, ACCURATE):
        taken = [npu_figure(name, field) for field in ("encoded", "SRAM", "cycles, fast flash")]
        rows.append([name, read(name), "Ethos-U55", *taken[:2], f"{taken[2]} cycles"])
    return "\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows)


def times(name, field, chip="m4"):
    """How many times less a network takes in sparse code than in dense code, as text."""
    both = [chips.get((name, chip, form)) for form in ("dense", "sparse")]
    return f"{getattr(both[0], field) / getattr(both[1], field):.1f}" if all(both) else "–"


# %% [markdown]
# **This is what pruning is worth on a plain processor**: in sparse code the pruned int8 network
# takes {{times("pruned int8", "flash")}} times less flash and {{times("pruned int8", "steps")}}
# times fewer instructions than in dense code, *between* {{times(ACCURATE, "flash")}}
# and {{times(ACCURATE, "steps")}} times, *ternary* {{times(TERNARY, "flash")}} and
# {{times(TERNARY, "steps")}} times. In dense code a zero is multiplied like any other
# number.

# %%
both = ["quant int8", "clustered int8", "pruned int8", "pruned int4", TERNARY, ACCURATE]
both = [name for name in both if (name, "m4", "sparse") in chips]
if both:
    title = "Sparse code against dense code on a Cortex-M4"
    fig, axes = figure(title, 1, 2, (9, 3.2), data.banner)
    for ax, field, unit, label in (
        (axes[0], "flash", 1000, "flash, thousand bytes"),
        (axes[1], "steps", 1e6, "million instructions"),
    ):
        for shift, form, colour in ((-0.2, "dense", ORANGE), (0.2, "sparse", BLUE)):
            values = [getattr(chips[name, "m4", form], field) / unit for name in both]
            ax.barh(np.arange(len(both)) + shift, values, 0.4, label=form, color=colour)
        ax.set_yticks(range(len(both)), both if field == "flash" else [])
        ax.set_xlabel(label)
        ax.invert_yaxis()
    axes[0].legend(loc="lower right")
    plt.show()

# %% [markdown]
# ### Speech
#
# The speech race takes 81 frames of MFCC (features of the spectrum) one after the other, the CNN of
# the study `speech_weights` the samples of a second as they are. Their rows are moments, of which a
# layer keeps a few. Compared are scores of random inputs.

# %%
(race,) = write_files(BUILD / "speech", "studies/models/speech_race.tflite")
SPEECH = {"speech race": race}
if Path("models", "speech_cnn_int8.tflite").exists():
    SPEECH["speech CNN, int8"] = Path("models", "speech_cnn_int8.tflite")
else:
    print("models/speech_cnn_int8.tflite is not beside this notebook: a row less")
speech_chips = {}
for name, path in SPEECH.items():
    code = to_c(path.read_bytes())
    scale, zero = code.ends[0]
    shape = open_tflite(path).get_input_details()[0]["shape"][1:]
    noise = np.random.default_rng(0).integers(-128, 128, (2, *shape), np.int8)
    run = run_micro(path, (noise - np.float32(zero)) * np.float32(scale))
    scores = run_native(code, noise, BUILD / "firmware", BUILD / path.stem)
    assert run.scores is None or np.array_equal(scores, run.scores), f"{name}: other scores"
    if "m4" in usable:
        folder = BUILD / f"{path.stem}_m4"
        ran = run_on(usable["m4"], code, noise, BUILD / "firmware", folder, optimized("m4"))
        assert np.array_equal(ran.scores, scores), f"{name} on the M4: other scores"
        speech_chips[name] = ran, run.arena_bytes
rows = {
    name: {"flash": ran.flash, "RAM": ran.ram, "arena": arena, "instructions": ran.steps}
    for name, (ran, arena) in speech_chips.items()
}
if rows:
    speech_table = pd.DataFrame.from_dict(rows, orient="index", dtype=float)
    display(speech_table.style.format("{:,.0f}", na_rep="–").set_caption(data.banner))

# %% [markdown]
# A sound has many rows of one cell, and a layer keeps a few of them. The features of the race come
# on top. They were not written in C; counted is what the formulas of `speech/features.py` multiply,
# with an FFT in steps of two, and the table of numbers that they need:

# %%
FRAMES, WINDOW, FFT, MELS, KEPT = 81, 200, 256, 40, 12
products = {
    "window": WINDOW,
    "FFT": 4 * (FFT // 2) * int(np.log2(FFT)),
    "magnitudes": 2 * (FFT // 2 + 1),
    "mel bands": 2 * (FFT // 2 + 1),  # each line of the spectrum is in two bands
    "cosines": MELS * KEPT,
}
features = FRAMES * sum(products.values())
numbers = WINDOW // 2 + FFT // 2 + (FFT // 2 + 1) + MELS * KEPT
print(f"{features:,} products, {FRAMES * (FFT // 2 + 1):,} roots and {FRAMES * MELS:,} logarithms")
print(f"{2 * numbers:,} bytes of tables and {2 * (WINDOW + 2 * FFT):,} of RAM, at 16 bits a number")

# %% [markdown]
# ## 3. An NPU: Arm Ethos-U
#
# An Ethos-U55 beside a Cortex-M multiplies 128 pairs a cycle. Its weights are encoded when the
# network is compiled, by **Vela**, and decoded on the way into the NPU. Vela estimates cycles; two
# memory systems are compared, in which only the flash differs much.

# %%
from toolkit.vela import (
    compile_with_vela,
    install_beside,
    vela_version,
    weight_arrays,
)

# %%
VELA = BUILD / "vela"
problem = "the smoke profile installs nothing" if PROFILE == "smoke" else ""
problem = problem or install_beside(VELA, "ethos-u-vela")
print(problem or "Vela is in place")
if problem:
    print("The table on the first page is the record of the published run.")

# %%
LARGER = (
    *("sign_mnist_quant_dyn.tflite", "sign_mnist_quant_float16.tflite", "sign_mnist.tflite"),
    *("cascades_fiq.tflite", "cascades_p1_fiq.tflite", "cascades_end.tflite"),
    *("transfer_tiny.tflite", "speech_cnn_int8.tflite"),
)
places = [Path(place, file) for file in LARGER for place in ("models", "../models")]
beside = {title_of(path): path for path in places if path.exists()}
print(f"{len(beside)} of {len(LARGER)} larger models lie beside this notebook")
to_npu = {} if problem else paths | beside


def weights_of(path):
    """The weights of all layers of a file as bytes."""
    return b"".join(array.tobytes() for array in weight_arrays(path.read_bytes()))


def on_the_npu(name):
    """The Compiled of a network."""
    return compile_with_vela(to_npu[name], BUILD / "npu" / name.replace(" ", "_"), VELA)


with ThreadPool(os.cpu_count()) as threads:
    npu = dict(zip(to_npu, threads.map(on_the_npu, to_npu), strict=True))
rows = {
    name: {
        "gzip of weights": gzip_size(weights_of(to_npu[name])),
        "encoded": one.encoded,
        "SRAM": one.sram,
        "cycles, fast flash": one.cycles["fast flash"],
        "cycles, slow flash": one.cycles["slow flash"],
    }
    for name, one in npu.items()
    if one.encoded
}
on_npu = pd.DataFrame.from_dict(rows, orient="index")
if npu:
    display(on_npu.style.format("{:,}").set_caption(data.banner))
for name, one in npu.items():
    if one.on_cpu:
        print(f"{name}: {one.on_cpu} operators stay on the CPU{'' if one.encoded else ', all'}")

# %%
ORDERED = "clustered int8", "pruned int8", "pruned pcqat"


def npu_figure(name, column):
    """A figure of the table as text, a dash without Vela."""
    return f"{on_npu.loc[name, column]:,}" if name in npu else "–"


def in_order(column, *names):
    """Names of networks by a column of the table, the smallest first, as text."""
    found = [name for name in names if name in npu]
    return " < ".join(sorted(found, key=lambda name: on_npu.loc[name, column])) or "–"


# %% [markdown]
# Encoded, the pruned int8 network takes {{npu_figure("pruned int8", "encoded")}} bytes, the
# clustered one {{npu_figure("clustered int8", "encoded")}}, the one that is neither
# {{npu_figure("quant int8", "encoded")}}. By gzip the order is:
# {{in_order("gzip of weights", *ORDERED)}}; in the chip's code: {{in_order("encoded", *ORDERED)}}.
# What this saves, by Vela's estimate, is probably waiting for the flash: with slow flash int8 takes
# {{npu_figure("quant int8", "cycles, slow flash")}} cycles, pruned
# {{npu_figure("pruned int8", "cycles, slow flash")}}; with fast flash
# {{npu_figure("quant int8", "cycles, fast flash")}} and
# {{npu_figure("pruned int8", "cycles, fast flash")}}. Float, float16 and dynamic range do not run
# on it at all. INT4 weights are widened to int8 for Vela, which has no form of 4 bits: the values
# stay, and few values are few to its code, too.
#
# What the weights of this network take hardly depends on how many pairs the NPU multiplies at a
# time:

# %%
for pairs_a_cycle in (32, 64, 128, 256) if not problem else ():
    accelerator = f"ethos-u55-{pairs_a_cycle}"
    one = compile_with_vela(paths[ACCURATE], BUILD / accelerator, VELA, accelerator)
    print(f"{accelerator}: {one.encoded:,} bytes, {one.cycles['fast flash']:,} cycles")

# %% [markdown]
# The encoder can be asked alone. What it makes of the weights of each layer, as they lie in the
# file, is decoded again. (Vela reorders them first, and the order of their values is part of what
# they cost: the networks need not stand in the same order here.)

# %%
if not problem:
    sys.path.append(str(VELA))
    from ethosu import mlw_codec

    rows = {}
    for name in (*ORDERED, "quant int8", ACCURATE):
        arrays = weight_arrays(contents[name])
        encoded = [mlw_codec.encode(array.ravel().tolist()) for array in arrays]
        same = sum(
            array.ravel().tolist() == mlw_codec.decode(code)[: array.size]
            for array, code in zip(arrays, encoded, strict=True)
        )
        rows[name] = {"layers": len(arrays), "the same": same, "encoded": sum(map(len, encoded))}
    display(pd.DataFrame.from_dict(rows, orient="index").style.format("{:,}"))

# %% [markdown]
# ## 4. In a browser
#
# A browser is a plain processor, too. Debian's `clang` and `lld` compile the same C to
# **WebAssembly**, without any library: weights, tables and kernels in one module. A page holds two
# of them, a few images of the test file, and the camera, if the browser has one. It is one file
# that asks for nothing.

# %%
from toolkit.firmware import WASM_PROGRAMS
from toolkit.page import to_wasm, write_page

# %%
lacks = [name for name in WASM_PROGRAMS if not shutil.which(name)]
wasm = {}
for name in (SMALLEST, ACCURATE) if not lacks else ():
    wasm[name] = to_wasm(codes[name]["sparse"], SOURCES, BUILD / "wasm" / name)
    print(f"{name}: {len(wasm[name]):,} bytes, {gzip_size(wasm[name]):,} after gzip")
if wasm:
    titles = {SMALLEST: "small, the size race's", ACCURATE: "accurate, question 1's on a grid"}
    networks = [(titles[name], codes[name]["sparse"], module) for name, module in wasm.items()]
    pixels = np.round(data.x_test[:12, ..., 0] * 255).astype(np.uint8)
    hands = list(zip([LETTERS[label] for label in data.y_test[:12]], pixels, strict=True))
    write_page("demo.html", SOURCES / "page.html", networks, hands, LETTERS)
    page = Path("demo.html").read_text()
    print(f"demo.html: {len(page):,} bytes")
    frame = 'width="100%" height="1300" style="border: 0" allow="camera" title="A hand sign"'
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that IFrame would do: the page is to stand in here
        display(HTML(f'<iframe {frame} srcdoc="{escape(page)}"></iframe>'))
else:
    print(f"{' and '.join(lacks)} not here: demo.html of the published run lies in studies/")

# %% [markdown]
# **Hands before other cameras are read far worse than those of the test file**; the page says how
# much worse an earlier edition found it. Turn or darken a hand, and see when its letter changes. A
# person who wants to read signs needs other data; a course needs to know what a test file says.
#
# ## 5. What it all says
#
# Each technique in bytes, in each place: of whole files in the first two columns, of weights in the
# others. **Codebook** is the file in int8 with its weights as a table of values and their numbers,
# as TFLite Micro's package writes it; a tensor that would grow stays as it is.

# %%
from toolkit.codebook import with_codebooks
from toolkit.standard import standard_form

# %%
codebooks = {}
for name in ("quant int8", *ORDERED, TERNARY, ACCURATE):
    (BUILD / "widened.tflite").write_bytes(standard_form(contents[name]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a tensor got larger: it is left as it was
        with_codebooks(BUILD / "widened.tflite", BUILD / "codebook.tflite")
    codebooks[name] = (BUILD / "codebook.tflite").stat().st_size
rows = {
    name: {
        "file after gzip": stored.loc[name, "after gzip"],
        "codebook file": size,
        "C, dense": stored.loc[name, "C, dense"],
        "C, sparse": stored.loc[name, "C, sparse"],
        "Ethos-U": npu[name].encoded if name in npu else None,
    }
    for name, size in codebooks.items()
}
summary = pd.DataFrame.from_dict(rows, orient="index", dtype=float)
display(summary.style.format("{:,.0f}", na_rep="–").set_caption(data.banner))

# %%
fig, ax = figure("Bytes by technique and place", size=(9, 4), banner=data.banner)
summary.plot.barh(ax=ax, color=[BLUE, ORANGE, GREEN, RED, SKY], width=0.8)
ax.set_xlabel("bytes")
ax.xaxis.set_major_formatter("{x:,.0f}")
ax.invert_yaxis()
plt.show()


# %%
def bytes_in(place, name):
    """A figure of the summary as text, a dash where it is missing."""
    return f"{summary.loc[name, place]:,.0f}".replace("nan", "–")


# %% [markdown]
# What was measured is recorded: a record for each network in C, on each chip, as a codebook and for
# the NPU.

# %%
from toolkit.files import file_sha256
from toolkit.results import write_records


# %%
def record(name, where, **figures):
    """A record of a network in one place."""
    path = (paths | to_npu)[name]
    return {
        "id": "_".join(["deployment", path.stem.removeprefix("sign_mnist_"), *where]),
        "notebook": "deployment",
        "technique": ", ".join([name, *where]),
        "file": None,
        "sha256": file_sha256(path),
        "profile": PROFILE,
        "data_sha256": data.sha256,
        "canonical": data.canonical,
        **figures,
    }


records = [
    record(
        name,
        ["c", form],
        compiler=compiler_version("gcc"),
        images_equal=int(equal) if form == smaller[name] and pd.notna(equal) else None,
        images_compared=len(images) if form == smaller[name] else None,
        bytes_gzip=gzip_size(contents[name]),
        weight_bytes=codes[name][form].weights,
    )
    for name, equal in equality["equal"].items()
    for form in ("dense", "sparse")
]
for (name, chip, form), ran in chips.items():
    records.append(
        record(
            name,
            [chip, form],
            chip=CHIPS[chip].title,
            compiler=compiler_version(CHIPS[chip].compiler),
            flash_bytes=ran.flash,
            ram_bytes=ran.ram,
            weight_bytes=codes[name][form].weights,
            images_equal=2,
            images_compared=2,
            **{"cycles" if chip == "uno" else "instructions": ran.steps},
        )
    )
for name, size in codebooks.items():
    records.append(record(name, ["codebook"], chip="TFLite Micro", weight_bytes=size))
for name, module in wasm.items():
    figures = {"compiler": compiler_version("clang"), "flash_bytes": len(module)}
    records.append(record(name, ["wasm"], chip="WebAssembly", **figures))
for name, one in npu.items():
    records.append(
        record(
            name,
            ["ethos_u55"],
            chip="Ethos-U55-128",
            compiler=f"ethos-u-vela {vela_version(VELA)}",
            weight_bytes=one.encoded,
            ram_bytes=one.sram,
            cycles=one.cycles["fast flash"],
            cycles_slow_flash=one.cycles["slow flash"],
        )
    )
write_records(records, "deployment", "results.json")

# %% [markdown]
# What to use when, for one and the same network of int8, in bytes:
#
# - **A file to send** is judged after gzip, which likes few values best: clustered
#   {{bytes_in("file after gzip", "clustered int8")}}, pruned
#   {{bytes_in("file after gzip", "pruned int8")}}, neither
#   {{bytes_in("file after gzip", "quant int8")}}.
# - **An interpreter in flash** reads a codebook: clustered
#   {{bytes_in("codebook file", "clustered int8")}}, pruned
#   {{bytes_in("codebook file", "pruned int8")}}.
# - **A plain processor** gains by zeros in sparse code: pruned
#   {{bytes_in("C, sparse", "pruned int8")}}, and clustered, dense as it is,
#   {{bytes_in("C, dense", "clustered int8")}}.
# - **An Ethos-U** gains by either: clustered {{bytes_in("Ethos-U", "clustered int8")}}, pruned
#   {{bytes_in("Ethos-U", "pruned int8")}}, both {{bytes_in("Ethos-U", "pruned pcqat")}}.
#
# Weights that are few whole numbers on one scale, most of them zero, are small in every place but
# the codebook: *size race clustered between* takes
# {{bytes_in("file after gzip", ACCURATE)}} bytes after gzip,
# {{bytes_in("C, sparse", ACCURATE)}} in sparse code and
# {{bytes_in("Ethos-U", ACCURATE)}} on the Ethos-U.
#
# ## 6. What you should know now
#
# - How a scale becomes a whole number and a shift, and why "equal" names its runtime.
# - Why a network needs a few rows of memory and not whole layers.
# - What sparse code is, and from which share of zeros on it pays.
# - That flash, RAM, instructions and cycles are four figures, and which tool tells which.
#
# ### Exercises
#
# 1. How many zeros must a layer have for pairs to be smaller than a byte each? Check with `pairs`.
# 2. Give `run_on` the code `codes[ACCURATE]["sparse"]` and `("-Os",)`: what becomes of flash and
#    instructions?
# 3. In the study of the size race give the race's network one channel more in each layer. Then
#    `to_c` and `run_on`, here: which figure grows most?
#
# A cell to start from, for the first: what sparse code takes of random weights.

# %%
from toolkit.ccode import pairs

# %%
rng = np.random.default_rng(0)
for zeros in (0.3, 0.5, 0.7, 0.9):
    weights = rng.integers(1, 128, (8, 1, 400)) * (rng.random((8, 1, 400)) >= zeros)
    size = len(pairs(weights.astype(np.int8)))
    print(f"{zeros:.0%} zeros: {size / weights.size:.2f} bytes a weight")

# %% [markdown]
# ### Glossary
#
# - **Arena**: the memory in which TFLite Micro keeps activations and what it knows of operators.
# - **Flash**: where program and weights stand; **RAM**: what changes while it runs.
# - **Kernel**: the function that computes an operator.
# - **NPU**: a processor for networks beside the ordinary one.
# - **Sparse code**: weights that are not zero, each with the number of zeros before it.
#
# ### Sources
#
# - L. Lai, N. Suda, V. Chandra, "CMSIS-NN: Efficient Neural Network Kernels for Arm Cortex-M CPUs",
#   2018.
# - B. Jacob et al., "Quantization and Training of Neural Networks for Efficient
#   Integer-Arithmetic-Only Inference", CVPR 2018.
# - R. David et al., "TensorFlow Lite Micro", MLSys 2021.
# - J. Lin et al., "MCUNetV2: Memory-Efficient Patch-based Inference for Tiny Deep Learning",
#   NeurIPS 2021. Layers computed piece by piece to save memory.

# %%
print(f"{PROFILE} profile, {(time.perf_counter() - started) / 60:.1f} minutes")
