"""The committed models, scored again on the real test file."""

from pathlib import Path

import numpy as np
import pytest

from signmnist.baseline import build_cnn  # noqa: F401  (Keras 2 before the models load)
from signmnist.data import CANONICAL_SHA256
from toolkit.graph import LAYERS, as_array, read_model
from toolkit.results import load_records
from toolkit.runtime import use_keras_2
from toolkit.tflite import count_correct, open_tflite, predict_tflite, sizes
from toolkit.training import accuracy

use_keras_2()
import tensorflow as tf

MODELS = Path(__file__).parent.parent / "models"
RECORDS = {record["id"]: record for record in load_records(MODELS / "results.json")}
Q1 = ("float", "dynamic range", "float16", "int8", "int16x8", "QAT int8")


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_a_committed_model_scores_what_its_record_says(record, real):
    correct = count_correct(predict_tflite(MODELS / record["file"], real.x_test), real.y_test)
    # another processor's float kernels may round one or two borderline images differently
    assert abs(correct - record["correct"]) <= 2
    assert record["total"] == 7172 and record["accuracy"] == record["correct"] / 7172


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_a_committed_model_has_the_bytes_of_its_record(record):
    assert sizes(MODELS / record["file"]).items() <= record.items()


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_a_committed_model_comes_from_the_full_recipe_on_the_real_data(record):
    assert record["data_sha256"] == CANONICAL_SHA256 and record["profile"] == "full"


def test_each_model_file_has_a_record_and_each_record_a_file():
    files = {path.name for path in MODELS.glob("*.tflite")}
    assert files == {record["file"] for record in RECORDS.values()} and files


def test_the_saved_baselines_meet_their_bounds(real):
    accurate = tf.keras.models.load_model(MODELS / "sign_mnist_baseline.keras")
    compact = tf.keras.models.load_model(MODELS / "sign_mnist_compact.keras", compile=False)
    assert accurate.count_params() <= 100_000 and compact.count_params() <= 2_500
    assert accuracy(accurate, real.x_test, real.y_test) >= 0.999
    assert accuracy(compact, real.x_test, real.y_test) >= 0.93


def test_quantization_costs_at_most_a_tenth_of_a_point():
    q1 = {r["technique"]: r["accuracy"] for r in RECORDS.values() if r["technique"] in Q1}
    assert set(q1) == set(Q1)
    assert all(value >= q1["float"] - 0.001 for value in q1.values())


@pytest.mark.parametrize("name", ["sign_mnist_clustered", "sign_mnist_pruned"])
def test_a_headline_model_reads_90_percent_in_1536_bytes_with_integer_ends(name, real):
    record = RECORDS[name]
    assert record["accuracy"] >= 0.9 and record["bytes_gzip"] <= 1536
    interpreter = open_tflite(MODELS / record["file"])
    for detail in (*interpreter.get_input_details(), *interpreter.get_output_details()):
        assert detail["dtype"] == np.int8


@pytest.mark.parametrize("technique", ["clustered", "pruned"])
@pytest.mark.parametrize("goal, accuracy, kibibytes", [("accurate", 0.995, 10), ("90", 0.9, 5)])
def test_the_accurate_baseline_fits_into_its_bytes(technique, goal, accuracy, kibibytes):
    record = RECORDS[f"sign_mnist_{technique}_{goal}"]
    assert record["accuracy"] >= accuracy and record["bytes_gzip"] <= 1024 * kibibytes


def test_packed_models_hold_no_names_and_weights_of_at_most_15_values():
    for technique in ("clustered", "pruned"):
        for goal in ("", "_accurate", "_90"):
            model = read_model((MODELS / f"sign_mnist_{technique}{goal}.tflite").read_bytes())
            assert not any(tensor.name for tensor in model.subgraphs[0].tensors)
            for op in model.subgraphs[0].operators:
                if op.kind in LAYERS:
                    assert len(np.unique(as_array(op.sources[1]))) <= 15
