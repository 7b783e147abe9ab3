import os
import sys

import numpy as np
import pytest

from speech.features import features, waveforms
from speech.networks import build_lstm
from speech.scoring import (
    accuracy_difference,
    clips_table,
    evaluate,
    model_input,
    predict_clips,
)
from toolkit.compression import INT8, convert, representative_dataset
from toolkit.files import file_sha256
from toolkit.results import CHIP_FIELDS, FIELDS
from toolkit.runtime import use_keras_2
from toolkit.tflite import count_correct, open_tflite

use_keras_2()
import tensorflow as tf


@pytest.fixture(scope="module")
def view(speech_sample):
    """The sample with the MFCC as its inputs."""
    return speech_sample.with_features(features)


@pytest.fixture(scope="module")
def model():
    tf.keras.utils.set_random_seed(0)
    return build_lstm(batch=1)


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    """The fused LSTM as a .tflite file."""
    return convert(model, tmp_path_factory.mktemp("lstm") / "lstm.tflite")


@pytest.fixture(scope="module")
def keras_scores(model, view):
    return np.concatenate([model(clip[None]) for clip in view.x_test])


def without_reset(path, inputs):
    """Scores of an interpreter that goes from clip to clip as it is."""
    interpreter = open_tflite(path, threads=1)
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    scores = []
    for clip in inputs:
        interpreter.set_tensor(entry["index"], clip[None])
        interpreter.invoke()
        scores.append(interpreter.get_tensor(result["index"])[0])
    return np.array(scores)


def test_a_model_is_given_what_the_shape_of_its_input_says(speech_sample):
    waves = speech_sample.testing.waves[:3]
    assert np.array_equal(model_input(waves, (8000, 1)), waveforms(waves))
    assert np.array_equal(model_input(waves, np.array([81, 12])), features(waves))
    image = model_input(waves, (81, 1, 12))
    assert image.shape == (3, 81, 1, 12)
    assert np.array_equal(image[:, :, 0], features(waves))


def test_a_file_gives_each_clip_the_scores_of_the_network(path, view, keras_scores):
    np.testing.assert_allclose(predict_clips(path, view.x_test), keras_scores, atol=1e-4)
    np.testing.assert_allclose(predict_clips(path, view.x_test[:1]), keras_scores[:1], atol=1e-4)


def test_scores_do_not_depend_on_the_clips_before(path, view):
    forwards = predict_clips(path, view.x_test)
    backwards = predict_clips(path, view.x_test[::-1])
    np.testing.assert_allclose(backwards[::-1], forwards, atol=1e-6)


def test_the_fused_lstm_begins_where_the_last_clip_left_it_unless_it_is_reset(
    path, view, keras_scores
):
    scores = without_reset(path, view.x_test[:10])
    np.testing.assert_allclose(scores[0], keras_scores[0], atol=1e-4)
    assert np.all(np.abs(scores[1:] - keras_scores[1:10]).max(axis=1) > 1e-3)


def test_errors_can_still_be_written_after_scoring_on_several_cores(path, view, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    saved, before = os.dup(2), os.fstat(2).st_ino
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns as often as they can
    try:
        for _ in range(40):
            predict_clips(path, view.x_test[:4])
            assert os.fstat(2).st_ino == before
    finally:
        sys.setswitchinterval(interval)
        os.dup2(saved, 2)
        os.close(saved)


def test_integer_files_are_scored_in_their_own_type_and_reset_as_well(model, view, tmp_path):
    calibration = representative_dataset(view.x_train, 20)
    settings = INT8 | {"representative_dataset": calibration}
    path = convert(model, tmp_path / "int8.tflite", **settings)
    forwards = predict_clips(path, view.x_test)
    assert forwards.dtype == np.int8 and forwards.shape == (72, 9)
    assert np.array_equal(predict_clips(path, view.x_test[::-1])[::-1], forwards)


def test_a_file_is_measured_on_the_test_clips_and_kept(
    path, model, view, keras_scores, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    x_val = features(view.validation.waves)
    fields = {"technique": "LSTM, fused", "seed": 3, "train_accuracy": 0.75}
    record = evaluate(path, model, view, x_val, **fields)
    assert record["id"] == "lstm" and record["technique"] == "LSTM, fused" and record["seed"] == 3
    assert record["params"] == 63_849
    words = np.concatenate([model(clip[None]) for clip in x_val]).argmax(axis=1)
    assert record["val_accuracy"] == np.mean(words == view.validation.y)
    assert record["train_accuracy"] == 0.75  # as given
    assert record["total"] == 72
    assert record["correct"] == count_correct(keras_scores, view.testing.y)
    assert record["accuracy"] == record["correct"] / 72
    assert record["accuracy_low"] <= record["accuracy"] <= record["accuracy_high"]
    assert record["bytes"] == path.stat().st_size and not record["canonical"]
    assert record["file"] == "lstm.tflite" and record["sha256"] == file_sha256(path)
    assert record["micro"] == "72 of 72 words as LiteRT"
    assert (tmp_path / "models" / "lstm.tflite").read_bytes() == path.read_bytes()
    assert set(FIELDS) - set(CHIP_FIELDS) - set(record) == {
        *("notebook", "profile", "seconds", "pass_seconds"),  # what the notebooks add
        *("started", "processor"),  # and what saving adds
    }


def test_the_table_has_a_row_for_each_record_and_says_what_the_data_are():
    record = {
        "technique": "LSTM, fused",
        "params": 63849,
        "train_accuracy": 0.98765,
        "val_accuracy": 0.9,
        "accuracy": 0.5,
        "accuracy_low": 0.4321,
        "accuracy_high": 0.5678,
        "bytes": 263000,
        "bytes_gzip": 240000,
        "latency_us_median": 1234.5678,
        "arena_bytes": None,
    }
    other = record | {"technique": "CNN", "arena_bytes": 50000}
    table = clips_table({"a": record, "b": other}.values(), "NOT the real data")
    assert table.data.loc["LSTM, fused"].tolist() == [
        *("63,849", "98.77%", "90.00%", "50.00%", "43.2% to 56.8%"),
        *("263,000", "240,000", "1,235", "–"),
    ]
    assert table.data.index.tolist() == ["LSTM, fused", "CNN"]
    assert table.data.loc["CNN", "arena"] == "50,000"
    assert "NOT the real data" in table.to_html()


def test_the_difference_of_two_accuracies_has_an_interval_by_speaker():
    groups = np.repeat(np.arange(50), 4)
    right = np.arange(200) % 2 == 0
    assert accuracy_difference(right, right, groups) == (0, 0)
    # one clip of four more with every speaker: 25 points, whoever is drawn
    better = right | (np.arange(200) % 4 == 1)
    assert accuracy_difference(better, right, groups) == pytest.approx((25, 25))
    # all four clips more with half of the speakers: 100 points or none
    half = right | (groups % 2 == 0)
    low, high = accuracy_difference(half, right, groups)
    assert 15 < low < 25 < high < 35
    assert accuracy_difference(right, half, groups) == pytest.approx((-high, -low), abs=1)
