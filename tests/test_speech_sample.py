"""The spoken sample has the form of Speech Commands, and its words can be told apart."""

import csv

import numpy as np
import soundfile

from speech.archives import COLUMNS, RATE, WORDS, speaker_split
from speech.features import features
from speech.sample import write_sample as write_speech_sample


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_files_have_the_form_of_the_original(speech_sample_folder):
    with open(speech_sample_folder / "clips.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == list(COLUMNS)
    assert rows == sorted(rows) and len(rows) == 9 * (24 + 8 + 8)
    for word in WORDS:
        info = soundfile.info(speech_sample_folder / f"{word}.flac")
        assert (info.format, info.subtype) == ("FLAC", "PCM_16")
        assert (info.samplerate, info.channels, info.frames) == (RATE, 1, 40 * RATE)
    assert len(list(speech_sample_folder.iterdir())) == 1 + len(WORDS)


def test_there_are_24_8_and_8_clips_of_each_word(speech_sample):
    for clips, count in (
        (speech_sample.training, 24),
        (speech_sample.validation, 8),
        (speech_sample.testing, 8),
    ):
        assert np.bincount(clips.y).tolist() == [count] * 9


def test_each_speaker_says_each_word_once_in_the_split_of_the_name(speech_sample):
    for split in ("training", "validation", "testing"):
        clips = getattr(speech_sample, split)
        assert {speaker_split(name) for name in clips.files} == {split}
        assert set(np.unique(clips.speakers, return_counts=True)[1]) == {9}
        assert all(len(bytes.fromhex(speaker)) == 4 for speaker in clips.speakers)


def test_no_clip_is_silent_or_cut_off_or_there_twice(speech_sample):
    waves = np.concatenate([speech_sample.training.waves, speech_sample.testing.waves])
    peaks = np.abs(waves.astype(int)).max(axis=1)
    assert peaks.min() > 1000
    assert (peaks == 32767).mean() < 0.05
    assert len(np.unique(waves, axis=0)) == len(waves)


def test_the_nearest_centroid_reads_most_of_the_words(speech_sample):
    training, testing = speech_sample.training, speech_sample.testing
    x, x_test = (features(c.waves).reshape(len(c.y), -1) for c in (training, testing))
    centroids = np.stack([x[training.y == word].mean(axis=0) for word in range(len(WORDS))])
    distances = np.square(x_test[:, None] - centroids).sum(axis=2)
    assert (distances.argmin(axis=1) == testing.y).mean() > 0.6  # 0.11 by chance


def test_a_seed_speaks_the_same_files_again(tmp_path):
    first, again, other = (
        contents(write_speech_sample(tmp_path / name, seed=seed, clips=(2, 1, 1)))
        for name, seed in (("first", 3), ("again", 3), ("other", 4))
    )
    assert first == again
    assert all(first[name] != other[name] for name in first)
