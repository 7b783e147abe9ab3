"""Each script has its data set: found, or where it cannot be had drawn and announced."""

import re
import shutil
from pathlib import Path

import pytest

from photos.data import SET
from signmnist.data import TEST_CSV, TRAIN_CSV
from speech.archives import ARCHIVES, CLIPS_CSV
from toolkit.files import DataError
from tools.datasets import DATA_SETS, data_set_of, data_sets_of, find_data
from tools.notebooks import QUESTIONS, sources
from tools.unfold import SourceError

SIGNS, SPEECH, PHOTOS = DATA_SETS


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """A script for each data set, in a working directory without data and without network."""

    def unreachable(folder):
        raise DataError("the server did not answer.")

    monkeypatch.chdir(tmp_path)
    for data_set in DATA_SETS:
        monkeypatch.delenv(data_set.variable, raising=False)
        monkeypatch.setattr(f"{data_set.package}.data.download", unreachable)
        (tmp_path / f"{data_set.package}.py").write_text(f"from {data_set.package}.data import f\n")
    return {data_set: tmp_path / f"{data_set.package}.py" for data_set in DATA_SETS}


def test_a_script_uses_the_data_set_whose_package_it_imports(scripts, tmp_path):
    for data_set, script in scripts.items():
        assert data_set_of(script) == data_set
    neither, both = tmp_path / "neither.py", tmp_path / "both.py"
    neither.write_text("from toolkit.files import replacing\n")
    assert data_set_of(neither) == SIGNS
    assert data_sets_of([*scripts.values(), neither]) == [SIGNS, SPEECH, PHOTOS]
    both.write_text("".join(scripts[one].read_text() for one in (SIGNS, SPEECH)))
    with pytest.raises(SourceError, match="both.py imports from signmnist and speech"):
        data_set_of(both)


@pytest.mark.parametrize("data_set", DATA_SETS, ids=lambda data_set: data_set.package)
def test_without_data_and_network_the_sample_is_drawn_and_announced(data_set, scripts, capsys):
    folders = find_data([scripts[data_set]], "sample")
    assert set(folders) == {data_set.package}
    told = capsys.readouterr().out
    assert "the server did not answer" in told
    assert f"DRAWN SAMPLE: its figures say nothing about {data_set.title}" in told
    digests = data_set.data.identify(folders[data_set.package])
    assert digests.keys() == data_set.canonical_sha256.keys()
    assert digests != data_set.canonical_sha256


@pytest.mark.parametrize("data_set", DATA_SETS, ids=lambda data_set: data_set.package)
def test_a_folder_that_was_named_is_never_replaced_by_the_sample(data_set, scripts, monkeypatch):
    monkeypatch.setenv(data_set.variable, "nowhere")
    with pytest.raises(DataError, match=f"{data_set.variable}=nowhere"):
        find_data([scripts[data_set]], "sample")


@pytest.mark.parametrize("data_set", DATA_SETS, ids=lambda data_set: data_set.package)
def test_the_data_of_a_named_folder_are_taken(data_set, scripts, monkeypatch, tmp_path):
    data_set.sample.write_sample(tmp_path / "mine")
    monkeypatch.setenv(data_set.variable, "mine")
    assert find_data([scripts[data_set]], "sample") == {data_set.package: tmp_path / "mine"}


@pytest.mark.parametrize("name", ["archive.zip", "Sign_MNIST_train.csv.part", "test (1).csv"])
def test_what_was_meant_as_data_is_never_replaced_by_the_sample(scripts, tmp_path, name):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_text("half a download")
    with pytest.raises(DataError, match=re.escape(name)):
        find_data([scripts[SIGNS]], "sample")


def test_a_whole_archive_of_speech_is_never_replaced_by_the_sample(scripts, tmp_path):
    (tmp_path / "data").mkdir()
    archive = tmp_path / "data" / ARCHIVES["v0.01"]
    part = archive.with_name(archive.name + ".part")
    part.write_text("half a download")
    assert find_data([scripts[SPEECH]], "sample") == {"speech": tmp_path / "sample" / "speech"}
    part.rename(archive)
    with pytest.raises(DataError, match="did not answer"):
        find_data([scripts[SPEECH]], "sample")


def test_photos_in_data_are_never_replaced_by_the_sample(scripts, tmp_path):
    (tmp_path / "data" / SET / "train").mkdir(parents=True)
    folders = find_data([scripts[PHOTOS]], "sample")
    assert folders == {"photos": tmp_path / "data"}
    with pytest.raises(DataError, match=f"data/{SET} cannot be read .*train/cats"):
        PHOTOS.data.identify(folders["photos"])


def test_csvs_in_folders_of_their_own_are_one_set(scripts, tmp_path):
    SIGNS.sample.write_sample(tmp_path)
    for name in (TRAIN_CSV, TEST_CSV):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / name).rename(tmp_path / "data" / name / name)
    folders = find_data([scripts[SIGNS]], "sample")
    assert folders == {"signmnist": tmp_path / "data"}
    assert SIGNS.data.identify(tmp_path / "data").keys() == SIGNS.canonical_sha256.keys()


@pytest.mark.parametrize(
    "data_set, name", [(SIGNS, TEST_CSV), (SPEECH, CLIPS_CSV), (PHOTOS, f"{SET}.zip")]
)
def test_damaged_data_are_told(data_set, name, tmp_path):
    data_set.sample.write_sample(tmp_path)
    path = tmp_path / name
    if data_set == PHOTOS:
        shutil.make_archive(tmp_path / SET, "zip", tmp_path, SET)
        shutil.rmtree(tmp_path / SET)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DataError, match=name):
        data_set.data.identify(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=str(tmp_path)):
        data_set.data.identify(tmp_path)


def test_the_questions_use_sign_language_mnist_alone():
    assert data_sets_of(sources(Path(__file__).parent.parent, QUESTIONS)) == [SIGNS]
