import re
import shutil

import numpy as np
import pytest
import soundfile

from speech import data
from speech.archives import ARCHIVES, RATE, WORDS, speaker_split
from speech.data import find, load_speech_commands, read_clips
from speech.sample import write_sample as write_speech_sample
from toolkit.files import DataError


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A set of one clip of each word for each split."""
    return write_speech_sample(tmp_path_factory.mktemp("tiny") / "set", clips=(1, 1, 1))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory without SPEECH_COMMANDS_DIR and without a network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPEECH_COMMANDS_DIR", raising=False)

    def no_network(folder):
        raise DataError("no route to host")

    monkeypatch.setattr(data, "download", no_network)
    return tmp_path


@pytest.fixture
def copy(folder, tiny, monkeypatch):
    """A copy of the tiny set that may be damaged, named by SPEECH_COMMANDS_DIR."""
    shutil.copytree(tiny, folder / "copy")
    monkeypatch.setenv("SPEECH_COMMANDS_DIR", "copy")
    return folder / "copy"


def edit(path, change):
    """Rewrites the lines of a text file, without their ends, by change(lines) -> lines."""
    path.write_text("".join(line + "\n" for line in change(path.read_text().splitlines())))


def refusal(name):
    """The message with which the loader refuses a set, which names the file and the remedy."""
    with pytest.raises(DataError) as error:
        load_speech_commands()
    message = str(error.value)
    assert name in message
    assert "Put the set" in message and "SPEECH_COMMANDS_DIR" in message
    assert all(archive in message for archive in ARCHIVES.values())
    return message


def test_clips_words_speakers_and_names_stand_in_the_order_of_the_list(tiny, copy):
    clips = load_speech_commands().testing
    assert clips.waves.shape == (9, RATE) and clips.waves.dtype == np.int16
    assert [WORDS[i] for i in clips.y] == sorted(WORDS)
    assert [f"{speaker}_nohash_0.wav" for speaker in clips.speakers] == clips.files.tolist()
    lines = (tiny / "clips.csv").read_text().splitlines()[1:]
    place = [line.split(",")[2] for line in lines if line.startswith("up,")].index("testing")
    samples, _ = soundfile.read(tiny / "up.flac", dtype="int16")
    expected = samples.reshape(3, RATE)[place]
    assert (clips.waves[WORDS.index("up")] == expected).all()


def test_no_speaker_is_heard_in_two_splits(speech_sample):
    heard = [set(part.speakers) for part in (speech_sample.training, speech_sample.validation)]
    assert not heard[0] & heard[1]
    assert not set(speech_sample.testing.speakers) & (heard[0] | heard[1])
    assert not speech_sample.has_twin.any()


def test_the_groups_of_the_test_clips_are_their_speakers(speech_sample):
    groups, speakers = speech_sample.test_groups, speech_sample.testing.speakers
    assert (groups[:, None] == groups).tolist() == (speakers[:, None] == speakers).tolist()


def test_features_take_the_place_of_the_waves_and_nothing_else(speech_sample):
    other = speech_sample.with_features(lambda waves: waves[:, :3] / 2)
    assert (other.x_test == speech_sample.testing.waves[:, :3] / 2).all()
    assert other.x_train.shape == (216, 3)
    assert (other.y_test == speech_sample.y_test).all()
    assert other.sha256 == speech_sample.sha256
    assert speech_sample.x_test is speech_sample.testing.waves


def test_data_that_are_not_canonical_work_under_a_banner(copy, capsys):
    loaded = load_speech_commands()
    assert not loaded.canonical
    assert "NOT Speech Commands" in loaded.banner
    printed = capsys.readouterr().out
    assert "27 clips of 9 words from copy/: 9 for training, 9 for validation" in printed
    assert loaded.banner in printed and "NOT canonical" in printed


def test_one_other_sample_makes_another_sha256(copy):
    before = read_clips(copy)[2]
    assert read_clips(copy)[2] == before
    samples, _ = soundfile.read(copy / "on.flac", dtype="int16")
    samples[12345] += 1
    soundfile.write(copy / "on.flac", samples, RATE)
    assert read_clips(copy)[2] != before


def test_a_list_in_windows_style_is_read(copy):
    before = read_clips(copy)[0]
    text = (copy / "clips.csv").read_bytes().replace(b"\n", b"\r\n")
    (copy / "clips.csv").write_bytes(b"\xef\xbb\xbf" + text)
    assert read_clips(copy)[0] == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [], "clips.csv: an empty file"),
        (lambda lines: lines[:1], "clips.csv: no clip of 'down'"),
        (lambda lines: lines[1:], "clips.csv: .*the column file is missing"),
        (lambda lines: ["word,file" + lines[0][15:], *lines[1:]], "the column split is missing"),
        (
            lambda lines: [*lines, "yes,ffffffff_nohash_9.wav,training,,,"],
            "clips.csv names 4 clips",
        ),
        (lambda lines: lines[:-1], "yes.flac: .*24,000 samples, but clips.csv names 2 clips"),
        (lambda lines: [x for x in lines if x[:3] != "up,"], "clips.csv: no clip of 'up'"),
        (lambda lines: [x.replace("up,", "go,") for x in lines], "line 23: 'go' is not among"),
        (lambda lines: [*lines[:5], "left"], "line 6: None is not a split"),
        (lambda lines: [*lines[:5], "left,x,testing"], "line 6: 'x' does not name a speaker"),
        (lambda lines: [*lines[:5], lines[5].replace("ing,", "ed,")], "line 6: .* is not a split"),
        (lambda lines: [*lines[:5], "", lines[4]], "line 7: left/.* comes twice"),
        (lambda lines: [lines[0], *lines[:0:-1]], "line 3: yes/.* is not in sorted order"),
        (lambda lines: [x.replace("testing", "training") for x in lines], "no clip is for testing"),
    ],
)
def test_a_damaged_list_is_named_with_the_fault_and_the_remedy(copy, change, message):
    edit(copy / "clips.csv", change)
    assert re.search(message, refusal("copy"))


def test_a_list_that_is_a_folder_or_no_text_is_named(copy):
    (copy / "clips.csv").write_bytes(b"word,file,split\n\xff\xfe\x00\n")
    assert "cannot be used" in refusal("copy/clips.csv")
    (copy / "clips.csv").unlink()
    (copy / "clips.csv").mkdir()
    assert "clips.csv: a folder" in refusal("copy/clips.csv")


def test_the_flac_of_each_word_must_be_there(copy):
    (copy / "off.flac").unlink()
    assert "off.flac: No such file or directory" in refusal("copy/off.flac")
    (copy / "off.flac").mkdir()
    assert "off.flac: a folder" in refusal("copy/off.flac")


@pytest.mark.parametrize("share", [0, 0.0005, 0.5, 0.999])
def test_a_truncated_flac_is_named(copy, share):
    content = (copy / "no.flac").read_bytes()
    (copy / "no.flac").write_bytes(content[: int(len(content) * share)])
    assert ("cannot be used" if share else "an empty file") in refusal("copy/no.flac")


@pytest.mark.parametrize("name", ["clips.csv", "no.flac"])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"<!DOCTYPE html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (b"PK\x03\x04", "an archive, unpack it"),
        (b"[1, 2]", "a JSON file"),
        ("word,file,split".encode("utf-16"), "UTF-16 text"),
    ],
)
def test_a_file_of_another_format_is_named_as_what_it_is(copy, name, content, what):
    (copy / name).write_bytes(content)
    assert f"{name}: {what}" in refusal(f"copy/{name}")


def test_a_list_under_another_name_is_to_be_renamed(copy):
    (copy / "clips.csv").rename(copy / "clips (1).csv")
    told = refusal("SPEECH_COMMANDS_DIR=copy: clips.csv not found")
    assert "clips (1).csv (rename it to clips.csv)" in told


def test_the_home_folder_may_be_written_as_a_tilde(copy, monkeypatch):
    monkeypatch.setenv("HOME", str(copy.parent))
    monkeypatch.setenv("USERPROFILE", str(copy.parent))
    monkeypatch.setenv("SPEECH_COMMANDS_DIR", "~/copy")
    assert find() == copy


def test_another_rate_or_more_channels_are_named(copy):
    samples, _ = soundfile.read(copy / "no.flac", dtype="int16")
    soundfile.write(copy / "no.flac", samples, 16000)
    assert "16000 Hz and 1 channels; it must be 8000 Hz and mono" in refusal("copy/no.flac")
    soundfile.write(copy / "no.flac", np.stack([samples, samples], axis=1), RATE)
    assert "8000 Hz and 2 channels" in refusal("copy/no.flac")


@pytest.mark.parametrize("place", ["nowhere", "file", "copy/clips.csv"])
def test_a_named_folder_without_a_set_is_an_error_not_a_download(copy, monkeypatch, place):
    (copy.parent / "file").write_text("not a folder\n")
    shutil.copytree(copy, data.FOLDER)
    monkeypatch.setenv("SPEECH_COMMANDS_DIR", place)
    what = "No such file" if place == "nowhere" else "Not a directory"
    assert what in refusal(f"SPEECH_COMMANDS_DIR={place}: clips.csv not found")


def test_the_variable_comes_before_data_and_data_before_the_archives(copy, monkeypatch):
    monkeypatch.setattr(data, "build_set", None)
    shutil.copytree(copy, data.FOLDER.parent)
    shutil.copytree(copy, data.FOLDER)
    for name in ARCHIVES.values():
        (data.FOLDER.parent / name).write_text("not to be opened\n")
    assert find().name == "copy"
    monkeypatch.setenv("SPEECH_COMMANDS_DIR", "")
    assert find() == data.FOLDER
    shutil.rmtree(data.FOLDER)
    assert find() == data.FOLDER.parent


def test_without_a_set_it_is_made_of_what_the_download_brings(folder, monkeypatch):
    made = []
    archives = [data.FOLDER.parent / name for name in ARCHIVES.values()]
    monkeypatch.setattr(data, "download", lambda folder: archives)
    monkeypatch.setattr(data, "build_set", lambda *arguments: made.append(arguments))
    assert find() == data.FOLDER
    assert made == [(archives, data.FOLDER)]


def test_a_set_that_lacks_its_list_is_named_and_not_built_anew(copy, monkeypatch):
    monkeypatch.delenv("SPEECH_COMMANDS_DIR")
    shutil.copytree(copy, data.FOLDER)
    (data.FOLDER / "clips.csv").unlink()
    assert "No such file" in refusal(f"{data.FOLDER}/clips.csv")
    assert len(list(data.FOLDER.iterdir())) == len(WORDS)


def test_no_data_and_no_network_says_what_to_do(folder):
    assert "no route to host" in refusal("data/speech-commands-8khz")
    assert list(folder.rglob("*")) == []


def test_the_real_data_are_canonical_and_carry_no_banner(real_speech):
    assert real_speech.canonical and real_speech.banner == ""


def test_the_real_data_are_7893_1809_and_3559_clips_by_1402_179_and_237_speakers(real_speech):
    parts = real_speech.training, real_speech.validation, real_speech.testing
    assert [len(part.y) for part in parts] == [7893, 1809, 3559]
    assert [len(set(part.speakers)) for part in parts] == [1402, 179, 237]
    assert len(set().union(*(part.speakers for part in parts))) == 1402 + 179 + 237
    assert np.bincount(real_speech.training.y).tolist() == [877] * 9
    assert np.bincount(real_speech.validation.y).tolist() == [201] * 9


def test_the_rule_of_the_data_set_gives_each_real_clip_its_split(real_speech):
    for split in data.SPLITS:
        assert {speaker_split(name) for name in getattr(real_speech, split).files} == {split}
