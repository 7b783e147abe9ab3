"""The studies, from the sources to the records, and their committed files."""

import gzip
from importlib import import_module
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import zxingcpp
from PIL import Image
from suite import Suite, committed, speech_inputs

import photos.data
import signmnist.data
import speech.data
from benchmarks.trials import load_trials, trials_of
from photos.scoring import file_accuracy
from signmnist import recipes
from signmnist.race import row_memory
from speech.scoring import predict_clips
from toolkit.few_bits import relu_outputs
from toolkit.files import file_sha256
from toolkit.firmware import CHIPS, missing
from toolkit.graph import LAYERS, as_array, read_model, weight_bits
from toolkit.results import load_records
from toolkit.tflite import count_correct, open_tflite, predict_tflite, sweeps
from tools.notebooks import STUDIES

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "studies" / "models"
RECORDS = {record["id"]: record for record in load_records(ROOT / STUDIES.results)}
CANONICAL = [package.CANONICAL_SHA256 for package in (signmnist.data, speech.data, photos.data)]
SIGN_MODELS, SPEECH_MODELS, PHOTO_MODELS = (committed(sha256, STUDIES) for sha256 in CANONICAL)


class TestStudies(Suite):
    room = STUDIES

    def fewest_plots(self, name):
        return 1 if name == "deployment" and missing(CHIPS["m4"]) else 2


@pytest.mark.parametrize("path, record", [*SIGN_MODELS, *SPEECH_MODELS, *PHOTO_MODELS])
def test_a_committed_file_is_that_of_its_record(path, record):
    assert file_sha256(path) == record["sha256"]


@pytest.mark.parametrize("path, record", SIGN_MODELS)
def test_a_committed_file_reads_the_training_images_as_its_record_says(path, record, real):
    some = slice(0, 2000)
    read = count_correct(predict_tflite(path, real.x_train[some]), real.y_train[some])
    assert read / 2000 == pytest.approx(record["train_accuracy"], abs=0.02)


@pytest.mark.parametrize("path, record", SPEECH_MODELS)
def test_a_committed_file_hears_the_training_clips_as_its_record_says(path, record, real_speech):
    clips = real_speech.training
    some = np.linspace(0, len(clips.y) - 1, 2000).astype(int)  # the clips are sorted by word
    scores = predict_clips(path, speech_inputs(path, clips.waves[some]))
    read = count_correct(scores, clips.y[some])
    assert read / 2000 == pytest.approx(record["train_accuracy"], abs=0.02)


@pytest.mark.parametrize("path, record", PHOTO_MODELS)
def test_a_committed_file_reads_the_validation_photos_as_its_record_says(path, record, real_photos):
    read = file_accuracy(path, real_photos.validation)
    assert read == pytest.approx(record["val_accuracy"], abs=0.005)


def test_the_records_are_from_the_full_recipe_and_each_file_has_one():
    files = {path.name for path in MODELS.glob("*.tflite")}
    assert files == {record["file"] for record in RECORDS.values()} - {None} and files
    for record in RECORDS.values():
        assert record["data_sha256"] in CANONICAL and record["profile"] == "full"
        assert record["sha256"] and (record["file"] is None or record["bytes"] <= 4_000_000)


def test_all_twelve_rows_are_there_and_no_cascade_loses_to_its_parts():
    for base, kind in product(("m", "p1", "p2"), ("drq", "fiq", "f16")):
        alone = RECORDS[f"cascades_{base}"]["bytes_gzip"]
        both = RECORDS[f"cascades_{base}_{kind}".replace("_m_", "_")]["bytes_gzip"]
        assert both < alone and both <= RECORDS[f"cascades_{kind}"]["bytes_gzip"]


def test_the_end_of_the_line_is_200_times_smaller_and_equal_weights_are_equal_bytes():
    record = RECORDS["cascades_end"]
    assert 200 * record["bytes_gzip"] <= RECORDS["cascades_m"]["bytes_gzip"]
    model = read_model((MODELS / record["file"]).read_bytes())
    layers = [op for op in model.subgraphs[0].operators if op.kind in LAYERS]
    few = recipes.CASCADES_END["clusters"]
    assert len(layers) == 5 and all(len(np.unique(as_array(op.sources[1]))) <= few for op in layers)


@pytest.mark.parametrize(
    ("name", "values", "size"), [("ternary", {-1, 0, 1}, 8192), ("binary", {-1, 1}, 8192)]
)
def test_files_of_few_values_store_them_in_every_layer_in_4_bits(name, values, size):
    content = (MODELS / f"few_bits_{name}.tflite").read_bytes()
    assert weight_bits(content) == 4
    layers = [op for op in read_model(content).subgraphs[0].operators if op.kind in LAYERS]
    assert [set(np.unique(as_array(op.sources[1]))) for op in layers] == [values] * 6
    record = RECORDS[f"few_bits_{name}"]
    assert record["bytes_gzip"] <= size and record["arena_bytes"] <= 32 * 1024


def test_all_activations_behind_relu_are_sixteen_numbers(real):
    inside = relu_outputs(MODELS / "few_bits_activations.tflite", real.x_train[:20])
    assert len(inside) == 5 and {v for a in inside.values() for v in a.flat} <= set(range(112, 128))
    assert RECORDS["few_bits_activations"]["micro"]


def test_the_file_of_the_race_reads_90_percent_also_without_twins_and_has_integer_ends():
    record = RECORDS["size_race_clustered"]
    assert min(record["accuracy"], record["accuracy_no_twin"]) >= 0.9
    assert record["bytes_gzip"] <= 1660
    interpreter = open_tflite(MODELS / record["file"])
    for detail in (*interpreter.get_input_details(), *interpreter.get_output_details()):
        assert detail["dtype"] == np.int8


def test_the_picture_of_the_race_is_its_file():
    picture = np.asarray(Image.open(ROOT / "figures" / "size_race_code.png").convert("L"))
    (found,) = zxingcpp.read_barcodes(picture)
    content = (MODELS / "size_race_clustered.tflite").read_bytes()
    assert gzip.decompress(found.bytes) == content


def test_the_network_of_small_memory_keeps_its_rows_in_1400_bytes():
    record = RECORDS["size_race_small_memory"]
    assert row_memory(MODELS / record["file"]) <= 1400 and record["accuracy"] >= 0.98


def test_the_accurate_baseline_on_the_grid_fits_into_its_bytes():
    record = RECORDS["size_race_clustered_accurate"]
    assert record["accuracy"] >= 0.99 and record["bytes_gzip"] <= 5200


@pytest.mark.parametrize(
    "name, kind, mark, over",
    [
        ("signmnist.SIZE_RACE", "int4", 0.90, min),
        ("signmnist.RACE_97", "int4", 0.965, np.mean),
        ("signmnist.RACE_ACCURATE", "int4", 0.98, np.mean),
        ("signmnist.SMALL_MEMORY", "int8", 0.96, min),
        ("signmnist.TERNARY", "int4", 0.98, np.mean),
        ("signmnist.BINARY", "int4", 0.975, np.mean),
        ("signmnist.FOUR_BY_FOUR", "int4", 0.98, np.mean),
        ("speech.RACE", "int4", 0.955, np.mean),
        ("photos.PRUNED", "new scores", 0.975, np.mean),
        ("photos.SMALL", "levels", 0.95, np.mean),
        ("photos.SRAM", "levels", 0.935, np.mean),
        ("photos.TINY", "levels", 0.87, np.mean),
    ],
)
def test_three_trainings_on_trial_reach_the_mark_of_their_recipe(name, kind, mark, over):
    package, recipe = name.split(".")
    settings = getattr(import_module(f"{package}.recipes"), recipe)
    trials = trials_of(name, settings, load_trials())
    assert {trial["seed"] for trial in trials} >= {0, 1, 2}
    assert over([trial["figures"][kind]["accuracy"] for trial in trials]) >= mark


def test_networks_in_c_give_tflite_micro_s_scores_and_fit_their_chips():
    in_c = [r for r in RECORDS.values() if r["id"].startswith("deployment_") and r["images_equal"]]
    assert all(record["images_equal"] == record["images_compared"] for record in in_c)
    assert sum(record["images_compared"] == 7172 for record in in_c) >= 20
    accurate = RECORDS["deployment_size_race_clustered_between_m4_sparse"]
    assert RECORDS["size_race_clustered_between"]["accuracy"] >= 0.995
    assert accurate["flash_bytes"] <= 10_000 and accurate["instructions"] <= 10_000_000
    npu = RECORDS["deployment_size_race_clustered_between_ethos_u55"]
    assert npu["weight_bytes"] <= 4_000
    race = RECORDS["deployment_size_race_clustered_uno_sparse"]
    assert race["flash_bytes"] <= 4_500 and race["ram_bytes"] <= 1_200
    assert race["cycles"] <= 0.6 * 16_000_000
    lean = RECORDS["deployment_size_race_small_memory_uno_dense"]
    assert lean["ram_bytes"] <= 2_048 and lean["cycles"] <= 3 * 16_000_000
    assert RECORDS["deployment_size_race_clustered_wasm"]["flash_bytes"] <= 4_000
    assert RECORDS["deployment_size_race_clustered_between_wasm"]["flash_bytes"] <= 16_000


def test_packed_models_hold_no_names_and_weights_of_at_most_15_values():
    packed = [name for name in RECORDS if name.startswith("size_race_")]
    packed.remove("size_race_small_memory")
    assert len(packed) == 3
    for name in packed:
        model = read_model((MODELS / f"{name}.tflite").read_bytes())
        assert not any(tensor.name for tensor in model.subgraphs[0].tensors)
        for op in model.subgraphs[0].operators:
            if op.kind in LAYERS:
                assert len(np.unique(as_array(op.sources[1]))) <= 15


def test_the_speech_networks_meet_their_goals():
    assert (
        RECORDS["speech_cnn"]["params"] <= 1_611_369 and RECORDS["speech_cnn"]["accuracy"] >= 0.91
    )
    assert RECORDS["speech_lstm"]["accuracy"] >= 0.925
    half, whole = RECORDS["speech_cnn_half"], RECORDS["speech_cnn_frames"]
    assert half["accuracy"] >= whole["accuracy"] - 0.003
    assert (
        RECORDS["speech_lstm_int8"]["accuracy"]
        >= RECORDS["speech_lstm_float32"]["accuracy"] - 0.005
    )


def test_the_speech_race_reads_what_a_network_of_six_megabytes_reads():
    race = RECORDS["speech_race"]
    assert race["accuracy_low"] >= 0.882 and race["bytes_gzip"] <= 1500


def test_the_photo_networks_are_as_good_as_the_readme_says():
    whole, rounded = RECORDS["transfer_float"], RECORDS["transfer_pruned50_int8"]
    assert whole["accuracy"] >= 0.99
    assert RECORDS["transfer_int8"]["accuracy"] >= whole["accuracy"] - 0.003
    assert rounded["accuracy"] >= whole["accuracy"] - 0.015
    assert 10 * rounded["bytes_gzip"] <= whole["bytes_gzip"]
    assert RECORDS["transfer_sram"]["arena_bytes"] <= 256 * 1024
    small = RECORDS["transfer_small"]
    assert small["accuracy"] >= 0.95 and small["bytes_gzip"] <= 100_000


@pytest.mark.parametrize("path, _", PHOTO_MODELS)
def test_photo_networks_take_and_give_integers(path, _):
    interpreter = open_tflite(path)
    details = [*interpreter.get_input_details(), *interpreter.get_output_details()]
    assert [detail["dtype"] for detail in details] == [np.int8, np.int8]


def test_sweeps_are_as_many_as_asked_for_and_take_time():
    path, _ = SIGN_MODELS[0].values
    micros = sweeps(path, np.zeros((5, 28, 28, 1), np.float32), count=3)
    assert micros.shape == (3,) and (micros > 0).all()
