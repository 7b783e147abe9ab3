import gzip
import zlib

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from signmnist.baseline import build_cnn
from toolkit.anatomy import PARTS, anatomy, deflate_symbols, gzip_anatomy, value_entropy
from toolkit.graph import OPERATORS, read_model
from toolkit.packing import repack
from toolkit.runtime import use_keras_2
from toolkit.tflite import ModelError, constants, predict_tflite, quiet, run_micro, save_tflite

use_keras_2()
import tensorflow as tf

IMAGES = np.random.default_rng(0).random((40, 28, 28, 1), np.float32)
KINDS = "float", "dynamic", "int8", "int8 per channel", "int16x8"


def gzipped(content):
    return len(gzip.compress(content, 9, mtime=0))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One small network in every kind of file, before and after `repack`: two paths each."""
    tf.keras.utils.set_random_seed(0)
    model = build_cnn(((4, 8), (12,)), kernel=5, stride=2)
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.beta.assign(tf.random.normal(layer.beta.shape, stddev=0.1))
    folder = tmp_path_factory.mktemp("packing")
    paths = {}
    for kind in KINDS:
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if kind != "float":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if kind.startswith("int"):
            converter.representative_dataset = lambda: ([image[None]] for image in IMAGES)
        if kind.startswith("int8"):
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.int8
            converter.inference_output_type = tf.int8
        if kind == "int8":
            converter._experimental_disable_per_channel = True
            converter._experimental_disable_per_channel_quantization_for_dense_layers = True
        if kind == "int16x8":
            converter.target_spec.supported_ops = [
                tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            ]
        before = folder / f"{kind}.tflite"
        save_tflite(converter, before)
        after = folder / f"{kind} repacked.tflite"
        after.write_bytes(repack(before.read_bytes(), tries=300))
        paths[kind] = before, after
    return paths


@pytest.mark.parametrize("kind", KINDS)
def test_litert_predicts_bit_for_bit_the_same(files, kind):
    before, after = (predict_tflite(path, IMAGES) for path in files[kind])
    assert before.dtype == after.dtype
    assert len(np.unique(before)) > 20
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("kind", KINDS)
def test_tflite_micro_predicts_bit_for_bit_the_same(files, kind):
    before, after = (run_micro(path, IMAGES) for path in files[kind])
    assert before.reason == after.reason == ""
    np.testing.assert_array_equal(before.scores, after.scores)


def test_on_the_test_file_every_score_stays(files, real):
    before, after = (predict_tflite(path, real.x_test) for path in files["int8"])
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("kind", KINDS)
def test_the_overhead_of_the_file_shrinks_by_two_fifths(files, kind):
    before, after = (path.read_bytes() for path in files[kind])
    numbers = anatomy(before)["weights"] + anatomy(before)["biases"]
    assert gzipped(after) - numbers < 0.6 * (gzipped(before) - numbers)


@pytest.mark.parametrize("ending, left", [("dense", 0), ("softmax", 1), ("reshaped", 1)])
def test_a_reshape_goes_where_a_dense_layer_alone_reads_it(ending, left, tmp_path):
    layers = tf.keras.layers
    inputs = layers.Input((28, 28, 1))
    x = layers.Flatten()(layers.AveragePooling2D(7)(inputs))
    if ending == "dense":
        x = layers.Dense(24)(x)
    elif ending == "softmax":
        x = layers.Softmax()(x)
    converter = tf.lite.TFLiteConverter.from_keras_model(tf.keras.Model(inputs, x))
    before, after = tmp_path / "before.tflite", tmp_path / "after.tflite"
    save_tflite(converter, before)
    after.write_bytes(repack(before.read_bytes(), tries=0))
    kinds = [
        [op.kind for op in read_model(path.read_bytes()).subgraphs[0].operators]
        for path in (before, after)
    ]
    assert [kind.count(OPERATORS.RESHAPE) for kind in kinds] == [1, left]
    scores = [predict_tflite(path, IMAGES) for path in (before, after)]
    np.testing.assert_array_equal(*scores)
    np.testing.assert_array_equal(*(run_micro(path, IMAGES).scores for path in (before, after)))


def test_names_and_metadata_are_gone(files):
    before, after = (path.read_bytes() for path in files["int8"])
    for name in (b"pixels", b"letters", b"serving_default", b"min_runtime_version", b"MLIR"):
        assert name in before and name not in after
    assert anatomy(after)["strings"] == anatomy(after)["metadata"] == 0


def test_the_numbers_stored_are_those_of_before_in_another_order(files):
    before, after = (constants(path) for path in files["int8"])

    def key(array):
        return array.shape, array.dtype.str

    for one, other in zip(sorted(before, key=key), sorted(after, key=key), strict=True):
        assert one.shape == other.shape
        assert sorted(one.ravel()) == sorted(other.ravel())


def test_repacking_is_deterministic_and_a_second_time_changes_nothing(files):
    before, after = (path.read_bytes() for path in files["int8"])
    assert repack(before, tries=300) == after
    assert repack(after, tries=300) == after


def test_more_tries_never_make_it_larger(files):
    content = files["int8"][0].read_bytes()
    sizes = [gzipped(repack(content, tries)) for tries in (0, 50, 300)]
    assert sizes == sorted(sizes, reverse=True)


def outside(content):
    """The file with the data of its tensors behind the flatbuffer, as in those of over 2 GB."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    data = [b"" if b.data is None else bytes(b.data) for b in model.buffers]
    size = 0
    for _ in range(2):  # the second time, the place where the flatbuffer ends is known
        place = -(-size // 16) * 16
        for buffer, values in zip(model.buffers, data, strict=True):
            if values:
                buffer.data, buffer.offset, buffer.size = None, place or 2, len(values)
                place += -(-len(values) // 16) * 16
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        packed = bytes(builder.Output())
        size = len(packed)
    parts = [packed + bytes(-size % 16)]
    parts += [values + bytes(-len(values) % 16) for values in data if values]
    return b"".join(parts)


def test_data_behind_the_flatbuffer_are_read_and_come_into_it(files, tmp_path):
    content = files["int8"][0].read_bytes()
    (tmp_path / "outside.tflite").write_bytes(outside(content))
    expected = predict_tflite(files["int8"][0], IMAGES)
    np.testing.assert_array_equal(predict_tflite(tmp_path / "outside.tflite", IMAGES), expected)
    for one, other in zip(
        constants(files["int8"][0]), constants(tmp_path / "outside.tflite"), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert repack(outside(content), 0) == repack(content, 0)


def test_a_file_with_several_subgraphs_is_refused(tmp_path):
    @tf.function(input_signature=[tf.TensorSpec((1, 3))])
    def branch(x):
        return tf.cond(tf.reduce_sum(x) > 0, lambda: x + 1, lambda: x * 2)

    with quiet():
        concrete = branch.get_concrete_function()
        content = tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()
    with pytest.raises(ModelError, match="one subgraph, but this has 3"):
        repack(content)
    (tmp_path / "branch.tflite").write_bytes(content)
    assert len(constants(tmp_path / "branch.tflite")) >= 2
    assert sum(anatomy(content).values()) == len(content)


def test_what_is_no_model_is_refused_with_a_reason(files):
    content = files["int8"][0].read_bytes()
    for damaged in (b"", b"not a model" * 100, content[: len(content) // 2]):
        with pytest.raises(ModelError, match="LiteRT cannot load this file"):
            repack(damaged)


def test_the_anatomy_names_every_byte(files):
    for before, after in files.values():
        for content in (before.read_bytes(), after.read_bytes()):
            parts = anatomy(content)
            assert tuple(parts) == PARTS
            assert sum(parts.values()) == len(content)
    parts = anatomy(files["int8"][0].read_bytes())
    assert parts["weights"] == 25 * 4 + 9 * (4 * 8 + 8 * 12) + 12 * 24
    assert parts["biases"] == 4 * (4 + 8 + 12)  # the dense layer has none but zeros
    assert min(parts.values()) > 90


def test_the_anatomy_of_the_gzip_sums_to_its_size(files):
    content = files["int8"][1].read_bytes()
    parts = gzip_anatomy(content)
    assert sum(parts.values()) == pytest.approx(gzipped(content))
    weights = np.concatenate([w.ravel() for w in constants(files["int8"][1]) if w.ndim > 1])
    assert parts["weights"] == pytest.approx(len(weights) * value_entropy(weights) / 8, rel=0.2)
    assert parts["strings"] == parts["metadata"] == 0


@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"abc",  # fixed codes
        b"a" * 1000,  # the longest match
        bytes(range(256)) * 3 + b"deflate" * 50,
        np.random.default_rng(0).normal(0, 20, 30_000).astype(np.int8).tobytes(),  # blocks
    ],
)
def test_every_bit_of_a_deflate_stream_is_accounted_for(content, level):
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
    stream = compressor.compress(content) + compressor.flush()
    symbols = list(deflate_symbols(stream))
    assert sum(count for count, _ in symbols) == len(content)
    assert 0 <= 8 * len(stream) - sum(bits for _, bits in symbols) < 8


def test_entropy_of_known_distributions():
    assert value_entropy(np.zeros(100)) == 0
    assert value_entropy([0, 1] * 50) == 1
    assert value_entropy(np.arange(256).astype(np.int8)) == 8
    assert value_entropy([0, 0, 0, 1]) == pytest.approx(0.8113, abs=1e-4)
