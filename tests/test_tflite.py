import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from signmnist.baseline import build_cnn
from toolkit.runtime import use_keras_2
from toolkit.tflite import (
    ModelError,
    constants,
    count_correct,
    latency,
    open_tflite,
    predict_tflite,
    quantize_input,
    run_micro,
    save_tflite,
    sizes,
)
from toolkit.training import predict

use_keras_2()
import tensorflow as tf

MODELS = Path(__file__).parent.parent / "models"
IMAGES = np.random.default_rng(0).random((40, 28, 28, 1), np.float32)


def representative_dataset():
    return ([image[None]] for image in IMAGES)


@pytest.fixture(scope="module")
def model():
    tf.keras.utils.set_random_seed(0)
    return build_cnn(((4,), (12,)), kernel=5, stride=2)


@pytest.fixture(scope="module")
def files(model, tmp_path_factory):
    """One small network as float, dynamic range, int8 (with int8 input) and int16x8 files."""
    folder = tmp_path_factory.mktemp("tflite")
    converters = {
        name: tf.lite.TFLiteConverter.from_keras_model(model)
        for name in ("float", "dynamic", "int8", "int16x8")
    }
    for name, converter in converters.items():
        if name != "float":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if name.startswith("int"):
            converter.representative_dataset = representative_dataset
    converters["int8"].target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converters["int8"].inference_input_type = tf.int8
    converters["int8"].inference_output_type = tf.int8
    converters["int16x8"].target_spec.supported_ops = [
        tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    ]
    paths = {name: folder / f"{name}.tflite" for name in converters}
    for name, converter in converters.items():
        save_tflite(converter, paths[name])
    return paths


def test_correct_answers_are_counted_by_label_and_not_by_letter_a():
    scores = np.eye(24)[[0, 0, 3, 5]]
    assert count_correct(scores, [0, 1, 3, 4]) == 2
    assert count_correct(scores, [5, 5, 5, 3]) == 0


def test_an_excellent_model_scores_all_where_the_mistaken_count_says_331(real):
    scores = np.eye(24)[real.y_test]
    assert count_correct(scores, real.y_test) == 7172
    mistaken = sum(
        np.argmax(s) == np.argmax(label) for s, label in zip(scores, real.y_test, strict=True)
    )
    assert mistaken == 331
    assert count_correct(np.tile(np.eye(24)[0], (7172, 1)), real.y_test) == 331


@pytest.mark.parametrize("labels", [3, np.eye(24)[:4], np.zeros(5)])
def test_labels_that_are_not_one_number_an_image_are_refused(labels):
    with pytest.raises(ValueError, match="need scores"):
        count_correct(np.zeros((4, 24)), labels)


def test_the_float_file_gives_the_scores_of_the_keras_model(files, model):
    np.testing.assert_allclose(
        predict_tflite(files["float"], IMAGES), predict(model, IMAGES), atol=1e-4
    )


def test_one_batch_gives_what_single_images_give(files):
    for path in files.values():
        single = np.concatenate([predict_tflite(path, image[None]) for image in IMAGES[:5]])
        np.testing.assert_allclose(predict_tflite(path, IMAGES)[:5], single, atol=1e-4)


def test_integer_input_is_rounded_to_the_grid_and_clipped():
    detail = {"dtype": np.int8, "quantization": (1 / 255, -128)}
    values = np.array([0, 1 / 255, 128 / 255, 1, 1.2, -0.3], np.float32)
    assert quantize_input(values, detail).tolist() == [-128, -127, 0, 127, 127, -128]


def test_stored_constants_show_what_each_scheme_quantizes(files):
    weights = {name: [w for w in constants(path) if w.ndim > 1] for name, path in files.items()}
    assert {w.dtype for w in weights["float"]} == {np.dtype(np.float32)}
    assert {w.dtype for w in weights["dynamic"]} == {np.dtype(np.float32)}  # all below 1,024
    assert {w.dtype for w in weights["int8"]} == {np.dtype(np.int8)}
    assert sorted(w.size for w in weights["int8"]) == [100, 288, 432]


def test_micro_agrees_with_litert_or_says_why_it_refuses(files):
    for name in ("float", "int8", "int16x8"):
        run = run_micro(files[name], IMAGES)
        scores = predict_tflite(files[name], IMAGES)
        assert np.mean(run.scores.argmax(axis=1) == scores.argmax(axis=1)) > 0.9
        assert 1_000 < run.arena_bytes < 100_000
    # dynamic range is refused only when it leaves some layer hybrid; here none is
    assert run_micro(files["dynamic"], IMAGES).reason == ""
    for scheme, operator in (("quant_dyn", "CONV_2D"), ("quant_float16", "DEQUANTIZE")):
        run = run_micro(MODELS / f"sign_mnist_{scheme}.tflite", IMAGES)
        assert run.reason == f"refuses {operator}" and run.scores is None


def test_sizes_are_those_of_the_file_its_zip_and_its_gzip(files, tmp_path):
    path = files["int8"]
    content = path.read_bytes()
    measured = sizes(path)
    assert measured["bytes"] == path.stat().st_size
    assert gzip.decompress(gzip.compress(content, 9, mtime=0)) == content
    assert measured["bytes_gzip"] == len(gzip.compress(content, 9, mtime=0))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.write(path, path.name)
    assert measured["bytes_zip"] == len(archive.getvalue())
    (tmp_path / "a" / "long" / "folder").mkdir(parents=True)
    elsewhere = tmp_path / "a" / "long" / "folder" / path.name
    elsewhere.write_bytes(content)
    assert sizes(elsewhere) == measured


def test_latency_is_a_positive_time_in_microseconds(files):
    micros = latency(files["float"], IMAGES, runs=30, warmup=3)
    assert micros.shape == (30,) and micros.min() > 0 and np.median(micros) < 100_000


def test_a_file_that_is_no_model_is_named(tmp_path):
    path = tmp_path / "broken.tflite"
    path.write_bytes(b"not a model" * 100)
    with pytest.raises(ModelError, match=r"broken\.tflite: LiteRT cannot load it"):
        open_tflite(path)
    with pytest.raises(ModelError, match=r"absent\.tflite"):
        open_tflite(tmp_path / "absent.tflite")


def test_converting_prints_the_size_and_makes_no_noise(files, model, tmp_path, capfd):
    save_tflite(tf.lite.TFLiteConverter.from_keras_model(model), tmp_path / "m.tflite")
    predict_tflite(tmp_path / "m.tflite", IMAGES)
    captured = capfd.readouterr()
    assert captured.err == ""
    assert captured.out == f"m.tflite  {(tmp_path / 'm.tflite').stat().st_size:,} bytes\n"
