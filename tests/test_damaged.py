"""Damaged .tflite files: what takes them returns something or raises ModelError, nothing else."""

import random
import subprocess
import sys
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from toolkit.anatomy import anatomy
from toolkit.graph import read_model, weight_bits
from toolkit.packing import repack
from toolkit.runtime import use_keras_2
from toolkit.tflite import ModelError, quiet

use_keras_2()
import tensorflow as tf

ROOT = Path(__file__).parent.parent
# In a process of its own. Some damaged files end LiteRT's (XNNPACK reads past their tensors);
# a child, forked to run each file by LiteRT alone, says which, and those are left out.
SCRIPT = """
import os, sys
from functools import partial
from pathlib import Path
from toolkit.anatomy import anatomy, container_floor
from toolkit.graph import weight_bits
from toolkit.int4 import to_int4, to_levels
from toolkit.memory import live_bytes
from toolkit.packing import repack
from toolkit.tflite import ModelError, constants, in_litert, open_tflite

def run_by_litert(path):
    interpreter = open_tflite(path)
    with in_litert(path):
        interpreter.invoke()

def ends_litert(path):
    child = os.fork()
    if not child:
        for take in (run_by_litert, constants):
            try:
                take(path)
            except ModelError:
                pass
        os._exit(0)
    return os.waitpid(child, 0)[1] != 0

done = ended = 0
for path in sorted(Path(sys.argv[1]).glob("*.tflite")):
    print(path.name, flush=True)
    if ends_litert(path):
        ended += 1
        continue
    content = path.read_bytes()
    for take in (anatomy, weight_bits, live_bytes, partial(repack, tries=0),
                 to_int4, to_levels, container_floor, lambda _: constants(path)):
        try:
            take(content)
            done += 1
        except ModelError:
            pass
print("through", ended, done)
"""


@pytest.fixture(scope="module")
def files():
    """Small files of several kinds: a dict from kind to bytes."""
    layers = tf.keras.layers
    tf.keras.backend.clear_session()  # whatever ran before, the names are the same
    tf.keras.utils.set_random_seed(0)
    inputs = layers.Input((12, 12, 1))
    x = layers.Conv2D(4, 3, activation="relu", padding="same")(inputs)
    x = layers.MaxPooling2D()(layers.DepthwiseConv2D(3)(x))
    x = layers.Dense(6)(layers.GlobalAveragePooling2D()(x))
    model = tf.keras.Model(inputs, x)
    images = np.random.default_rng(0).random((10, 1, 12, 12, 1), np.float32)
    found = {}
    for kind in ("float", "int8", "int8 of one scale"):
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if kind != "float":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([image] for image in images)
            converter._experimental_disable_per_channel = kind != "int8"
        with quiet():
            found[kind] = converter.convert()
    return found


def damaged(content, rng):
    """The file, cut off or with some bits or bytes changed."""
    if rng.random() < 0.1:
        return content[: rng.randrange(len(content))]
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8])):
        place = rng.randrange(len(changed))
        changed[place] = rng.choice([changed[place] ^ 1 << rng.randrange(8), 0, 255])
    return bytes(changed)


def test_150_damaged_files_raise_nothing_but_a_model_error(files, tmp_path):
    rng = random.Random(0)
    for kind, content in files.items():
        for number in range(50):
            (tmp_path / f"{kind} {number:02}.tflite").write_bytes(damaged(content, rng))
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, tmp_path], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout[-100:] + run.stderr[-3000:]
    ended, done = map(int, run.stdout.split()[-2:])
    assert ended <= 5
    assert done > 150  # changed weights, for instance, do no harm


def changed(content, change):
    """The file after `change` of its schema.ModelT."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def operator(model, kind):
    """The first operator of a kind in a schema.ModelT."""
    codes = [max(c.builtinCode, c.deprecatedBuiltinCode) for c in model.operatorCodes]
    return next(op for op in model.subgraphs[0].operators if codes[op.opcodeIndex] == kind)


def without_inputs(model):
    operator(model, schema.BuiltinOperator.CONV_2D).inputs = []


def with_an_input_that_is_not_there(model):
    conv = operator(model, schema.BuiltinOperator.CONV_2D)
    conv.inputs = [conv.inputs[0], 999, conv.inputs[2]]


def with_options_of_another_kind(model):
    pool = operator(model, schema.BuiltinOperator.MAX_POOL_2D)
    pool.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
    pool.builtinOptions = schema.Conv2DOptionsT()


def without_options(model):
    pool = operator(model, schema.BuiltinOperator.MAX_POOL_2D)
    pool.builtinOptionsType, pool.builtinOptions = 0, None


def with_weights_without_scales(model):
    index = operator(model, schema.BuiltinOperator.CONV_2D).inputs[1]
    model.subgraphs[0].tensors[index].quantization = None


@pytest.mark.parametrize(
    "change",
    [
        without_inputs,
        with_an_input_that_is_not_there,
        with_options_of_another_kind,
        without_options,
        with_weights_without_scales,
    ],
)
def test_a_file_whose_layers_lack_what_they_need_is_not_rewritten(files, change):
    with pytest.raises(ModelError):
        read_model(changed(files["int8"], change))


def test_a_pool_whose_input_has_no_shape_is_rewritten(files):
    def change(model):
        index = operator(model, schema.BuiltinOperator.MAX_POOL_2D).inputs[0]
        model.subgraphs[0].tensors[index].shape = None

    content = changed(files["int8"], change)
    assert len(repack(content, tries=0)) < len(content)  # LiteRT finds the shape by itself


def test_metadata_that_name_a_buffer_that_is_not_there_have_no_anatomy(files):
    def change(model):
        model.metadata[0].buffer = 32792

    content = changed(files["int8"], change)
    with pytest.raises(ModelError, match="metadata"):
        anatomy(content)
    assert weight_bits(content) == 8  # LiteRT runs it
