"""The drawn sample has the form of the real photos, and cats can be told from dogs."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from surroundings import names_below, room_for

from photos.data import SET, load_cats_and_dogs
from photos.sample import write_sample as write_photos_sample
from toolkit.files import DataError


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_files_have_the_form_of_the_original(photos_sample_folder):
    files = contents(photos_sample_folder)
    for part, count in (("train", 24), ("validation", 12)):
        for animal in ("cat", "dog"):
            start = f"{SET}/{part}/{animal}s/{animal}."
            assert sum(name.startswith(start) and name.endswith(".jpg") for name in files) == count
    assert len(files) == 72
    sizes = set()
    for content in files.values():
        with Image.open(io.BytesIO(content)) as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")
            sizes.add(image.size)
    assert len(sizes) > 60 and all(150 <= side < 500 for size in sizes for side in size)


def test_each_part_has_as_many_cats_as_dogs(photos_sample):
    parts = photos_sample.training, photos_sample.validation, photos_sample.testing
    assert [np.bincount(part.y).tolist() for part in parts] == [[18, 18], [6, 6], [12, 12]]


@pytest.mark.parametrize(("photos", "counts"), [((8, 3), (6, 2, 3)), ((2, 1), (1, 1, 1))])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_small_sample_has_both_classes_in_each_part(tmp_path, monkeypatch, photos, counts, seed):
    monkeypatch.setenv("CATS_AND_DOGS_DIR", str(write_photos_sample(tmp_path, seed, photos)))
    data = load_cats_and_dogs()
    for part, count in zip((data.training, data.validation, data.testing), counts, strict=True):
        assert np.bincount(part.y).tolist() == [count, count]


def test_no_photo_is_like_another(photos_sample):
    parts = photos_sample.training, photos_sample.validation, photos_sample.testing
    groups = np.concatenate([part.groups for part in parts])
    assert len(set(groups)) == 72
    assert not photos_sample.has_twin.any()


def test_a_seed_draws_the_same_files_again(tmp_path):
    first, again, other = (
        contents(write_photos_sample(tmp_path / name, seed=seed, photos=(2, 1)))
        for name, seed in (("first", 3), ("again", 3), ("other", 4))
    )
    assert first == again
    assert first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first)


def test_another_sample_takes_the_place_of_the_first_and_of_nothing_else(tmp_path):
    (tmp_path / "notes.txt").write_text("mine\n")
    write_photos_sample(tmp_path, photos=(3, 2))
    write_photos_sample(tmp_path, photos=(2, 1))
    assert len(list(tmp_path.rglob("*.jpg"))) == 6
    assert {path.name for path in tmp_path.iterdir()} == {SET, "notes.txt"}


@pytest.mark.usefixtures("capsys")  # what is printed goes to no file
@pytest.mark.parametrize("size", [0, 5_000])
def test_a_full_disk_leaves_the_earlier_sample(tmp_path, size):
    write_photos_sample(tmp_path, photos=(2, 1))
    before = contents(tmp_path)
    with room_for(size), pytest.raises(DataError, match="cannot be written .*Make room"):
        write_photos_sample(tmp_path, seed=1, photos=(2, 1))
    assert contents(tmp_path) == before
    with room_for(size), pytest.raises(DataError, match="new cannot be written"):
        write_photos_sample(tmp_path / "new", photos=(2, 1))
    assert names_below(tmp_path / "new") == []


def test_a_file_in_the_way_is_named(tmp_path):
    Path(tmp_path, "file").write_text("no folder\n")
    with pytest.raises(DataError, match="file/sample cannot be written"):
        write_photos_sample(tmp_path / "file" / "sample", photos=(2, 1))
