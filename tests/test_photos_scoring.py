"""Scores of .tflite files for photos, and the records made of them."""

import numpy as np
import pytest

from photos.networks import build_backbone, efficientnet_blocks
from photos.scoring import (
    file_accuracy,
    interleaved,
    measure_photos,
    network_input,
    photos_table,
    predict_photos,
)
from photos.training import predict_keras, with_classes
from toolkit.compression import convert
from toolkit.files import file_sha256


@pytest.fixture(scope="module")
def small(photos_sample, tmp_path_factory):
    """A small network and its float file."""
    model = with_classes(build_backbone(32, efficientnet_blocks()[:2]), photos_sample.training)
    return model, convert(model, tmp_path_factory.mktemp("photos") / "small.tflite")


def test_pixels_become_numbers_around_zero():
    assert network_input(np.array([0, 127, 255], np.uint8)).tolist() == [-127 / 128, 0, 1]


def test_a_file_scores_as_its_network_does_whatever_side_it_takes(small, photos_sample):
    model, path = small
    photos = photos_sample.testing
    expected = predict_keras(model, photos.pixels)
    assert predict_photos(path, photos.pixels) == pytest.approx(expected, abs=1e-4)
    share = np.mean(expected.argmax(axis=1) == photos.y)
    assert file_accuracy(path, photos) == pytest.approx(share)


@pytest.mark.parametrize("kept", [True, False])
def test_a_record_says_what_was_measured(small, photos_sample, tmp_path, monkeypatch, kept):
    monkeypatch.chdir(tmp_path)
    record = measure_photos(small[1], photos_sample, kept)
    assert record["file"] == ("small.tflite" if kept else None)
    assert (tmp_path / "models" / "small.tflite").exists() == kept
    assert record["sha256"] == file_sha256(small[1])
    assert record["accuracy"] == file_accuracy(small[1], photos_sample.testing)
    assert record["micro"] == "2 of 2 photos as LiteRT" or record["arena_bytes"] is None
    full = {"technique": "small", "val_accuracy": 0.5, **record}
    html = photos_table([full], full, "NOT real").to_html()
    assert "NOT real" in html and ">1.0<" in html


def test_latencies_of_all_files_come_out_of_one_measurement(small, photos_sample):
    fields = interleaved({"one": small[1], "again": small[1]}, photos_sample.testing.pixels, 3)
    assert list(fields) == ["one", "again"]
    for found in fields.values():
        low, median, high = (found[f"latency_us_{end}"] for end in ("low", "median", "high"))
        assert 0 < low <= median <= high
