import csv
import gzip
import io
import tarfile

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly
from surroundings import CONTENT, names_below, room_for

from speech import archives, data
from speech.archives import (
    ARCHIVES,
    WORDS,
    build_set,
    chosen_clips,
    download,
    halve_rate,
    read_wav,
    selected_clips,
    speaker_split,
)
from toolkit.files import DataError

# speakers whom the data set's rule gives to training, validation and testing
SPEAKERS = {"training": "004ae714", "validation": "099d52ad", "testing": "022cd682"}


def wav(seed=0, samples=16000, rate=16000, channels=1):
    """The bytes of a WAV of noise."""
    file = io.BytesIO()
    noise = np.random.default_rng(seed).normal(0, 3000, (samples, channels))
    soundfile.write(file, noise.astype(np.int16), rate, format="WAV")
    return file.getvalue()


def pack(path, members):
    """An archive as the official ones are: folders, a licence, and members {"yes/x.wav": bytes}."""
    with tarfile.open(path, "w:gz") as archive:
        folder = tarfile.TarInfo("./yes")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in {"LICENSE": b"CC-BY 4.0", **members}.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def official(tmp_path, monkeypatch):
    """Three small archives in tmp_path/data, and the clips of the set in them: one clip
    of each word for each split. The archives hold more than that, as the official ones do."""
    (tmp_path / "data").mkdir()
    members: dict[str, dict[str, bytes]] = {release: {} for release in ARCHIVES}
    chosen = set()
    for seed, word in enumerate(WORDS):
        release = "v0.02" if word in ("yes", "no", "up", "down") else "v0.01"
        for number, split in enumerate(("training", "validation")):
            name = f"{word}/{SPEAKERS[split]}_nohash_0.wav"
            content = wav(10 * seed + number)
            members[release][name] = content
            chosen.add(tuple(name.split("/")))
        name = f"{word}/{SPEAKERS['testing']}_nohash_0.wav"
        content = wav(10 * seed + 2, samples=12000)
        members["v0.02 test set"][name] = members["v0.01"][name] = content
        chosen.add(tuple(name.split("/")))
        members[release][f"{word}/{SPEAKERS['training']}_nohash_1.wav"] = wav(10 * seed + 3)
    members["v0.01"]["yes/004ae714_nohash_0.wav"] = members["v0.02"]["yes/004ae714_nohash_0.wav"]
    for other in members.values():
        other["go/004ae714_nohash_0.wav"] = wav(99)
        other["_background_noise_/README.md"] = b"noise"
    paths = [pack(tmp_path / "data" / name, members[release]) for release, name in ARCHIVES.items()]
    monkeypatch.setattr(archives, "selected_clips", lambda: chosen)
    return paths, chosen


def test_the_set_is_taken_out_of_the_archives_and_can_be_loaded(official, tmp_path, monkeypatch):
    paths, chosen = official
    build_set(paths, tmp_path / "data" / "set")
    assert names_below(tmp_path / "data") == sorted(
        ["set", "set/clips.csv", *(f"set/{word}.flac" for word in WORDS)]
    )
    monkeypatch.setenv("SPEECH_COMMANDS_DIR", str(tmp_path / "data" / "set"))
    loaded = data.load_speech_commands()
    for split, speaker in SPEAKERS.items():
        clips = getattr(loaded, split)
        assert clips.y.tolist() == list(range(9))
        assert set(clips.speakers) == {speaker}
    with open(tmp_path / "data" / "set" / "clips.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["release"] for row in rows if row["split"] == "testing"} == {"v0.02 test set"}
    assert {row["samples_16khz"] for row in rows if row["split"] == "testing"} == {"12000"}
    found = {(row["word"], row["file"]) for row in rows}
    assert found == chosen
    assert (loaded.testing.waves[:, 6000:] == 0).all()
    content = wav(10 * WORDS.index("yes"))
    expected = halve_rate(read_wav(content, "yes"))
    assert (loaded.training.waves[WORDS.index("yes")] == expected).all()


def test_archives_elsewhere_are_kept(official, tmp_path):
    paths, chosen = official
    build_set(paths, tmp_path / "other" / "set")
    assert all(path.exists() for path in paths)
    assert names_below(tmp_path / "other")[0] == "set"


def test_a_clip_in_both_releases_is_taken_once(official):
    (old, new, _), chosen = official
    assert not [row for row, _ in chosen_clips(old, "v0.01", chosen) if row["word"] == "yes"]
    rows = [row for row, _ in chosen_clips(new, "v0.02", chosen) if row["word"] == "yes"]
    assert [row["file"] for row in rows] == ["004ae714_nohash_0.wav", "099d52ad_nohash_0.wav"]


def test_a_set_made_anew_takes_the_place_of_the_old_and_of_nothing_else(official, tmp_path):
    paths, chosen = official
    target = tmp_path / "set"
    target.mkdir()
    (target / "clips.csv").write_text("old\n")
    (target / "notes.txt").write_text("mine\n")
    build_set(paths, target)
    assert (target / "clips.csv").read_text().startswith("word,file,split,release")
    assert (target / "notes.txt").read_text() == "mine\n"


def damaged(path, how):
    """Damages an archive: how it is called in the test below -> what is left of it."""
    content = path.read_bytes()
    if how == "truncated":
        return content[: len(content) // 2]
    if how == "cut at the end":
        return content[:-20]
    if how == "a web page":
        return b"<!DOCTYPE html><title>Sign in</title>"
    if how == "no tar inside":
        return gzip.compress(b"no tar " * 1000)
    if how == "overwritten":
        return content[:5000] + bytes(5000) + content[10000:]
    return b""


@pytest.mark.parametrize(
    "how", ["truncated", "cut at the end", "a web page", "no tar inside", "overwritten", "empty"]
)
@pytest.mark.parametrize("which", [0, 2])
def test_a_damaged_archive_is_named_and_leaves_all_as_it_was(official, tmp_path, how, which):
    paths, chosen = official
    paths[which].write_bytes(damaged(paths[which], how))
    before = names_below(tmp_path)
    what = {"a web page": "a web page", "empty": "an empty file"}.get(how, "cannot be used")
    with pytest.raises(DataError, match=f"{what}.*Delete it and run again") as error:
        build_set(paths, tmp_path / "data" / "set")
    assert str(error.value).startswith(str(paths[which]))
    assert names_below(tmp_path) == before


def test_archives_that_lack_a_clip_are_refused(official, tmp_path):
    paths, chosen = official
    chosen.add(("yes", "none"))
    before = names_below(tmp_path)
    with pytest.raises(DataError, match="hold 27 of the 28 clips.*Delete them and run again"):
        build_set(paths, tmp_path / "data" / "set")
    assert names_below(tmp_path) == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Format not recognised"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Format not recognised"),
        (wav(samples=8000, rate=8000), "8,000 samples in 1 channels at 8,000 Hz"),
        (wav(channels=2), "16,000 samples in 2 channels"),
        (wav(samples=16001), "16,001 samples"),
        (wav(samples=0), "0 samples"),
    ],
)
def test_a_clip_of_another_form_is_named(tmp_path, content, message):
    name = "yes/004ae714_nohash_0.wav"
    path = pack(tmp_path / "new.tar.gz", {name: content})
    with pytest.raises(DataError, match=message) as error:
        list(chosen_clips(path, "v0.02", {tuple(name.split("/"))}))
    assert str(error.value).startswith(str(path))
    assert "Delete it and run again" in str(error.value)


@pytest.mark.usefixtures("capsys")  # what is printed goes to no file
@pytest.mark.parametrize("size", [0, 10_000])
def test_a_full_disk_leaves_the_archives_and_no_set(official, tmp_path, size):
    paths, chosen = official
    before = names_below(tmp_path)
    message = "data/set cannot be written .*Make room and run again"
    with room_for(size), pytest.raises(DataError, match=message):
        build_set(paths, tmp_path / "data" / "set")
    assert names_below(tmp_path) == before


def test_a_clip_is_read_as_it_stands():
    file = io.BytesIO()
    soundfile.write(file, np.array([1, -2, 32767, -32768], np.int16), 16000, format="WAV")
    samples = read_wav(file.getvalue(), "x")
    assert samples.dtype == np.int16 and samples.tolist() == [1, -2, 32767, -32768]


def test_a_clip_at_half_the_rate_is_the_resampled_one_rounded_and_clipped():
    samples = np.random.default_rng(0).integers(-32768, 32768, 16000).astype(np.int16)
    expected = np.round(resample_poly(samples.astype(np.float64), 1, 2)).clip(-32768, 32767)
    half = halve_rate(samples)
    assert half.dtype == np.int16 and half.shape == (8000,)
    assert (half == expected).all()
    assert {-32768, 32767} <= set(half.tolist())  # noise at full scale overshoots


def test_a_constant_stays_one_and_a_short_clip_ends_in_zeros():
    half = halve_rate(np.full(10001, 1000, np.int16))
    assert (abs(half[30:4970].astype(int) - 1000) <= 1).all()
    assert (half[5001:] == 0).all() and half[5000] != 0


def test_a_tone_beyond_4_khz_is_not_folded_back():
    time = np.arange(16000) / 16000
    low, high = (10000 * np.sin(2 * np.pi * hertz * time) for hertz in (1000, 6000))
    half = halve_rate((low + high).round().astype(np.int16))
    error = half - 10000 * np.sin(2 * np.pi * 1000 * time[::2])
    assert abs(error[50:-50]).max() < 100


def test_the_speaker_alone_gives_the_split():
    for split, speaker in SPEAKERS.items():
        assert {speaker_split(f"{speaker}_nohash_{i}.wav") for i in range(9)} == {split}


def test_about_a_tenth_of_all_speakers_each_is_for_validation_and_testing():
    splits = [speaker_split(f"{i:08x}_nohash_0.wav") for i in range(2000)]
    assert 160 < splits.count("validation") < 240 and 160 < splits.count("testing") < 240


def test_the_selected_clips_are_13261_of_1818_speakers():
    clips = selected_clips()
    assert len(clips) == 13261 and len({file[:8] for _, file in clips}) == 1818
    assert ("down", "00176480_nohash_0.wav") in clips


def test_the_selected_clips_are_those_of_the_real_set(real_speech):
    rows = data.read_list(data.find() / "clips.csv")
    assert {(row["word"], row["file"]) for row in rows} == selected_clips()
    for row in rows:
        assert row["release"] == archives.release_of(row["word"], row["split"])


def test_only_the_archives_that_are_missing_are_downloaded(server, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "SERVER", f"{server.url}/plain/")
    (tmp_path / ARCHIVES["v0.01"]).write_text("here")
    paths = download(tmp_path)
    assert [path.name for path in paths] == list(ARCHIVES.values())
    assert paths[0].read_text() == "here"
    assert paths[1].read_bytes() == paths[2].read_bytes() == CONTENT
