"""The photos are found, told from what is none, and split for good."""

import hashlib
import io
import os
import shutil
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image
from surroundings import CONTENT, names_below

from benchmarks.photos import parts, run
from photos import data
from photos.data import (
    CLASS_FOLDERS,
    CLASSES,
    SET,
    class_of,
    content_sha256,
    decode,
    find,
    held_out,
    load_cats_and_dogs,
    read_photos,
    read_zip,
    resize,
)
from photos.sample import write_sample as write_photos_sample
from toolkit.files import DataError

CAT = "train/cats/cat.1.jpg"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The folder of a set of three photos of each class to train and one to test."""
    return write_photos_sample(tmp_path_factory.mktemp("tiny"), photos=(3, 1)) / SET


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory without CATS_AND_DOGS_DIR and without a network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CATS_AND_DOGS_DIR", raising=False)

    def no_network(folder):
        raise DataError("no route to host")

    monkeypatch.setattr(data, "download", no_network)
    return tmp_path


@pytest.fixture
def copy(folder, tiny, monkeypatch):
    """A copy of the tiny set that may be damaged, in a folder named by CATS_AND_DOGS_DIR."""
    shutil.copytree(tiny, folder / "copy" / SET)
    monkeypatch.setenv("CATS_AND_DOGS_DIR", "copy")
    return folder / "copy" / SET


@pytest.fixture
def cat(copy):
    """The path of a photo in the copy."""
    return min((copy / "train" / "cats").iterdir())


def pack(path, folder, method=zipfile.ZIP_DEFLATED, **others):
    """A ZIP as the official one is: folders, a script, the photos in `folder`, and `others`."""
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(f"{SET}/", "")
        archive.writestr(f"{SET}/vectorize.py", "print('not data')\n")
        for file in sorted(folder.rglob("*")):
            archive.write(file, f"{SET}/{file.relative_to(folder).as_posix()}")
        for name, content in others.items():
            archive.writestr(name, content)
    return path


def jpeg(size=(40, 30), mode="RGB", form="JPEG"):
    """The bytes of a picture of noise."""
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(file, form)
    return file.getvalue()


def with_size(content, width, height):
    """A JPEG whose header claims another size."""
    place = content.index(b"\xff\xc0") + 5
    return content[:place] + struct.pack(">HH", height, width) + content[place + 4 :]


def refusal(name):
    """The message with which the loader refuses a set, which names the file and the remedy."""
    with pytest.raises(DataError) as error:
        load_cats_and_dogs()
    message = str(error.value)
    assert str(name) in message
    assert f"Put {SET}.zip from https://" in message and "CATS_AND_DOGS_DIR" in message
    return message


def test_photos_classes_and_names_stand_in_the_order_of_the_paths(copy):
    photos = load_cats_and_dogs().testing
    assert photos.files.tolist() == ["validation/cats/cat.2000.jpg", "validation/dogs/dog.2000.jpg"]
    assert photos.y.dtype == np.int64 and [CLASSES[i] for i in photos.y] == ["cat", "dog"]
    assert photos.pixels.shape == (2, 224, 224, 3) and photos.pixels.dtype == np.uint8
    for file, pixels in zip(photos.files, photos.pixels, strict=True):
        with Image.open(copy / file) as image:
            expected = image.resize((224, 224), Image.Resampling.BILINEAR)
        assert (pixels == np.asarray(expected)).all()


def test_each_photo_is_in_one_part_and_the_folder_validation_is_for_testing(photos_sample):
    parts = photos_sample.training, photos_sample.validation, photos_sample.testing
    files = np.concatenate([part.files for part in parts])
    assert len(set(files)) == len(files) == 72
    for part, start in zip(parts, ("train/", "train/", "validation/"), strict=True):
        assert all(file.startswith(start) for file in part.files)
        assert part.files.tolist() == sorted(part.files)
        assert [class_of(file) for file in part.files] == part.y.tolist()
    assert photos_sample.y_train is parts[0].y and photos_sample.y_test is parts[2].y


def test_the_name_of_a_photo_alone_says_whether_it_is_held_out():
    assert [n for n in range(20) if held_out(f"train/cats/cat.{n}.jpg")] == [1, 4, 9, 11, 13, 19]
    share = np.mean([held_out(f"train/dogs/dog.{n}.jpg") for n in range(10_000)])
    assert 0.19 < share < 0.21


def test_each_photo_is_held_out_in_one_of_five_fifths(photos_sample):
    files = np.concatenate([photos_sample.training.files, photos_sample.validation.files])
    for fifth in range(5):
        training, validation = parts(photos_sample, fifth)
        assert sorted([*training.files, *validation.files]) == sorted(files)
        assert [class_of(file) for file in validation.files] == validation.y.tolist()
        assert validation.files.tolist() == sorted(validation.files)
        assert not set(training.groups) & set(validation.groups)
        if fifth == 0:
            assert validation.files.tolist() == photos_sample.validation.files.tolist()
    held = [parts(photos_sample, fifth)[1].files for fifth in range(5)]
    assert sorted(np.concatenate(held)) == sorted(files)
    with pytest.raises(ValueError, match="no fifth 5"):
        run(photos_sample, "PRUNED", {}, 5)


def test_a_near_duplicate_stays_with_the_first_of_its_group(copy):
    alone = load_cats_and_dogs()
    for part in (alone.training, alone.validation):
        first = part.files[0]
        assert first.startswith("train/cats/cat.")
        for number in range(8):
            with Image.open(copy / first) as image:
                mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            mirrored.save(copy / first.replace(".jpg", f"_{number}.jpg"))
    both = load_cats_and_dogs()
    for before, after in ((alone.training, both.training), (alone.validation, both.validation)):
        assert set(before.files) <= set(after.files)
        assert len(after.files) == len(before.files) + 8
        assert (after.groups == after.groups[0]).sum() == 9
    assert not set(both.training.groups) & set(both.validation.groups)


def test_a_test_photo_that_is_also_in_the_folder_train_has_a_twin(copy):
    loaded = load_cats_and_dogs()
    assert loaded.has_twin.tolist() == [False, False]
    for part in (loaded.training, loaded.validation):
        shutil.copy(copy / part.files[-1], copy / "validation/dogs/dog.3000.jpg")
        again = load_cats_and_dogs()
        assert again.has_twin.tolist() == [False, False, True]
        assert again.test_groups is again.testing.groups


def test_data_that_are_not_canonical_work_under_a_banner(copy, capsys):
    loaded = load_cats_and_dogs()
    assert not loaded.canonical
    assert loaded.banner == "NOT cats_and_dogs_filtered: figures from other data"
    printed = capsys.readouterr().out
    counts = "4 for training, 2 for validation, 2 for testing"
    assert f"8 photos of cats and dogs from copy/: {counts}" in printed
    assert loaded.banner in printed and "NOT canonical" in printed


def test_the_sha256_is_of_the_paths_and_the_files():
    digests = {"b": bytes(32), "a": bytes(range(32))}
    known = SET.encode() + b"/a\0" + bytes(range(32)) + SET.encode() + b"/b\0" + bytes(32)
    assert content_sha256(digests) == hashlib.sha256(known).hexdigest()


def test_one_other_byte_or_name_makes_another_sha256(copy, cat):
    before = read_photos("copy")[2]
    assert read_photos("copy")[2] == before
    cat.rename(cat.with_name("cat.9.jpg"))
    renamed = read_photos("copy")[2]
    cat.with_name("cat.9.jpg").rename(cat)
    cat.write_bytes(cat.read_bytes() + b"\n")
    assert len({*before.values(), *renamed.values(), *read_photos("copy")[2].values()}) == 3


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_zip_and_the_folder_and_what_is_in_it_are_the_same_set(copy, folder, method):
    files, pixels, sha256 = read_photos("copy")
    pack(folder / f"{SET}.zip", copy, method)
    for place in (folder, copy):
        again = read_photos(place)
        assert again[0] == files and again[2] == sha256
        assert (again[1] == pixels).all()
    assert names_below(folder) == sorted([f"{SET}.zip", "copy", *names_below_of(copy, folder)])


def names_below_of(folder, root):
    return [str(path.relative_to(root)) for path in (folder, *folder.rglob("*"))]


def test_what_is_no_photo_of_the_set_does_not_count(copy, tiny):
    _, _, before = read_photos("copy")
    for name in ("._cat.1.jpg", ".DS_Store", "Thumbs.db", "cat.1.png", "cat.jpg.part", "jpg"):
        (copy / "train" / "cats" / name).write_text("not to be read\n")
    (copy / "train" / "cat.3.jpg").write_text("not to be read\n")
    (copy / "train" / "cats" / "more").mkdir()
    (copy / "train" / "cats" / "more" / "cat.4.jpg").write_text("not to be read\n")
    assert read_photos("copy")[2] == before


def test_members_that_lead_out_of_the_zip_do_not_count(copy, tiny, folder):
    _, _, before = read_photos("copy")
    others = (
        f"../{CAT}",
        f"/{SET}/{CAT}",
        f"{SET}/../{SET}/{CAT}",
        f"{SET}/train/cats/../../../cat.1.jpg",
        f"{SET}/train/cats/more/cat.1.jpg",
        f"__MACOSX/{SET}/train/cats/._cat.1.jpg",
        f"{SET}\\train\\cats\\cat.1.jpg",
        CAT,
    )
    pack(folder / f"{SET}.zip", tiny, **dict.fromkeys(others, "not to be read"))
    assert read_photos(folder)[2] == before


def test_upper_case_endings_and_jpeg_count(copy, cat):
    cat.rename(cat.with_suffix(".JPG"))
    dog = min((copy / "validation" / "dogs").iterdir())
    dog.rename(dog.with_suffix(".jpeg"))
    files, _, _ = read_photos("copy")
    assert len(files) == 8
    assert f"train/cats/{cat.stem}.JPG" in files and f"validation/dogs/{dog.stem}.jpeg" in files


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html>", "it begins with b'<!DOCTYP'"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it begins with b'version '"),
        (jpeg(form="PNG"), "it begins with b'\\x89PNG"),
        (jpeg(form="GIF"), "it begins with b'GIF87a"),
        (jpeg()[:100], "is damaged (Truncated File Read)"),
        (jpeg()[:-1], "is damaged (image file is truncated"),
        (jpeg()[: len(jpeg()) // 2], "is damaged (image file is truncated"),
        (jpeg(mode="L"), "is of the mode L, not RGB"),
        (jpeg(mode="CMYK"), "is of the mode CMYK, not RGB"),
        (with_size(jpeg(), 6000, 6000), "has 6000 x 6000 pixels"),
        (with_size(jpeg(), 60000, 60000), "decompression bomb"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_is_no_photo_is_named(copy, cat, content, message):
    cat.write_bytes(content)
    assert message in refusal(cat.relative_to(copy))


def test_a_photo_of_one_pixel_is_one(copy, cat):
    cat.write_bytes(jpeg(size=(1, 1)))
    assert (decode(cat.read_bytes(), "x") == decode(cat.read_bytes(), "x")[0, 0]).all()
    assert load_cats_and_dogs().y_test.tolist() == [0, 1]


def test_a_file_that_is_far_too_large_is_not_read(copy, cat, folder):
    os.truncate(cat, 30_000_000)
    assert "is no photo of the set" in refusal(cat.relative_to(copy))
    pack(folder / "copy" / f"{SET}.zip", copy)
    assert "has 30,000,000 bytes" in refusal(cat.relative_to(copy))


@pytest.mark.parametrize("kind", ["folder", "link to nowhere", "pipe"])
def test_what_is_no_file_is_named_and_not_waited_for(copy, cat, kind):
    cat.unlink()
    {
        "folder": cat.mkdir,
        "link to nowhere": lambda: cat.symlink_to("nowhere"),
        "pipe": lambda: os.mkfifo(cat),
    }[kind]()
    assert "is no photo of the set" in refusal(cat.relative_to(copy))


def test_a_file_that_may_not_be_read_is_named(copy, cat, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(data.Path, "read_bytes", denied)
    assert "Permission denied" in refusal(cat.relative_to(copy))


@pytest.mark.parametrize("part", CLASS_FOLDERS)
def test_a_class_without_photos_is_named(copy, folder, part):
    for path in (copy / part).iterdir():
        path.unlink()
    assert "there is no photo in" in refusal(part)
    pack(folder / "copy" / f"{SET}.zip", copy)
    assert "there is no photo in" in refusal(part)
    (folder / "copy" / f"{SET}.zip").unlink()
    (copy / part).rmdir()
    assert "No such file or directory" in refusal(part)
    (copy / part).write_text("a file\n")
    assert "Not a directory" in refusal(part)


@pytest.mark.parametrize("held", [True, False])
def test_a_part_without_one_of_the_classes_is_named(copy, held):
    for path in (copy / "train" / "dogs").iterdir():
        if held_out(f"train/dogs/{path.name}") == held:
            path.unlink()
    part = "validation" if held else "training"
    assert f"too few photos, no dog is for {part}" in refusal("copy")


def test_one_photo_cannot_be_of_two_classes(copy, cat):
    shutil.copy(cat, copy / "validation" / "cats" / "cat.9.jpg")
    load_cats_and_dogs()
    shutil.copy(cat, copy / "validation" / "dogs" / "dog.9.jpg")
    assert "validation/dogs/dog.9.jpg are the same photo" in refusal(cat.relative_to(copy))


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.9, 0.999])
def test_a_truncated_zip_is_named(copy, folder, share):
    path = pack(folder / "copy" / f"{SET}.zip", copy)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert ("cannot be used" if share else "an empty file") in refusal(f"copy/{SET}.zip")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"<!DOCTYPE html><title>Sign in</title>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (b"Rar!\x1a\x07\x01", "an archive, unpack it"),
    ],
)
def test_what_is_named_zip_and_is_none_is_named(copy, folder, content, what):
    (folder / "copy" / f"{SET}.zip").write_bytes(content)
    assert f"{SET}.zip: {what}" in refusal(f"copy/{SET}.zip")


def test_a_zip_under_another_name_is_to_be_renamed(copy, folder, monkeypatch):
    (folder / "other").mkdir()
    pack(folder / "other" / f"{SET} (1).zip", copy)
    monkeypatch.setenv("CATS_AND_DOGS_DIR", "other")
    told = refusal(f"CATS_AND_DOGS_DIR=other: {SET} not found")
    assert f"{SET} (1).zip (rename it to {SET}.zip)" in told


def test_the_home_folder_may_be_written_as_a_tilde(copy, folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    monkeypatch.setenv("CATS_AND_DOGS_DIR", "~/copy")
    assert find() == folder / "copy"


def test_a_zip_with_another_byte_names_the_photo(copy, folder, cat):
    path = pack(folder / "copy" / f"{SET}.zip", copy, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[content.index(cat.read_bytes()) + 3000] ^= 1
    path.write_bytes(content)
    assert "Bad CRC-32 for file" in refusal(f"{SET}/{cat.relative_to(copy)}")


def test_a_zip_that_is_a_folder_is_named(copy, folder):
    (folder / "copy" / f"{SET}.zip").mkdir()
    assert f"{SET}.zip: a folder" in refusal(f"copy/{SET}.zip")


def test_a_zip_with_a_photo_twice_or_packed_otherwise_is_named(copy, folder, cat):
    path = pack(folder / "copy" / f"{SET}.zip", copy)
    name = cat.relative_to(copy).as_posix()
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(f"{SET}/{name}", jpeg())
    assert f"{name} comes twice" in refusal(path.name)
    pack(path, copy, zipfile.ZIP_LZMA)
    assert "packed neither deflated nor stored" in refusal(path.name)


def test_bytes_flipped_anywhere_in_a_zip_give_photos_or_a_data_error(copy, folder):
    path = pack(folder / "copy" / f"{SET}.zip", copy)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for start in (0, content.index(b"PK\x01\x02")):
        for place in rng.integers(start, len(content), 200):
            changed = bytearray(content)
            changed[place] = rng.integers(256)
            path.write_bytes(changed)
            try:
                assert len(read_zip(path)) <= 8
            except DataError:
                refused += 1
    assert refused > 100


def test_bytes_flipped_anywhere_in_a_photo_give_a_photo_or_a_data_error(cat):
    content = cat.read_bytes()
    rng = np.random.default_rng(0)
    for end in (700, len(content)):
        for place in rng.integers(0, end, 200):
            changed = bytearray(content)
            changed[place] = rng.integers(256)
            try:
                assert decode(bytes(changed), "x").shape == (224, 224, 3)
            except DataError as error:
                assert str(error).startswith("x ")


@pytest.mark.parametrize("place", ["nowhere", "file", "empty"])
def test_a_named_folder_without_photos_is_an_error_not_a_download(copy, folder, monkeypatch, place):
    (folder / "file").write_text("not a folder\n")
    (folder / "empty").mkdir()
    shutil.copytree(copy, folder / "data" / SET)
    monkeypatch.setenv("CATS_AND_DOGS_DIR", place)
    told = refusal(f"CATS_AND_DOGS_DIR={place}: {SET} not found: ")
    what = {"nowhere": "No such file", "file": "Not a directory", "empty": "there is nothing"}
    assert what[place] in told


def test_the_variable_comes_before_data_and_data_before_a_download(copy, folder, monkeypatch):
    shutil.copytree(copy, folder / "data" / SET)
    assert find().name == "copy"
    monkeypatch.setenv("CATS_AND_DOGS_DIR", str(copy))
    assert find() == copy
    monkeypatch.setenv("CATS_AND_DOGS_DIR", "")
    assert find() == data.FOLDER
    pack(folder / "data" / f"{SET}.zip", copy)
    shutil.rmtree(folder / "data" / SET)
    assert find() == data.FOLDER


def test_folders_of_others_in_data_do_not_keep_from_the_download(folder):
    (folder / "data" / "train").mkdir(parents=True)
    assert "no route to host" in refusal("data/")


def test_the_zip_that_lies_beside_the_folder_is_taken(copy, folder, cat):
    _, _, sha256 = read_photos("copy")
    pack(folder / "copy" / f"{SET}.zip", copy)
    cat.unlink()  # as if unpacking had stopped
    assert read_photos("copy")[2] == sha256


def test_a_zip_is_downloaded_into_data_and_used_from_there(server, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CATS_AND_DOGS_DIR", raising=False)
    monkeypatch.setattr(data, "URL", f"{server.url}/plain/{SET}.zip")
    assert find() == data.FOLDER
    path = data.FOLDER / f"{SET}.zip"
    assert path.read_bytes() == CONTENT and names_below(data.FOLDER) == [path.name]
    assert "cannot be used" in refusal(path)
    pack(path, tiny)
    assert len(load_cats_and_dogs().y_train) == 4
    assert server.ranges == [None]


def test_no_data_and_no_network_says_what_to_do(folder):
    assert "no route to host" in refusal("data/")
    assert list(folder.rglob("*")) == []


def test_a_file_named_data_is_in_the_way_of_the_download(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CATS_AND_DOGS_DIR", raising=False)
    (tmp_path / "data").write_text("a file\n")
    assert "data cannot be made" in refusal("data")


def test_photos_are_resized_by_the_same_filter_and_left_alone_at_their_own_side(photos_sample):
    pixels = photos_sample.testing.pixels[:3]
    assert resize(pixels, 224) is pixels
    small = resize(pixels, 96)
    assert small.shape == (3, 96, 96, 3) and small.dtype == np.uint8
    for photo, expected in zip(small, pixels, strict=True):
        again = Image.fromarray(expected).resize((96, 96), Image.Resampling.BILINEAR)
        assert (photo == np.asarray(again)).all()
    assert resize(pixels[:0], 96).shape == (0, 96, 96, 3)
    plain = np.full((1, 224, 224, 3), 7, np.uint8)
    assert (resize(plain, 32) == 7).all()


def test_the_real_photos_are_canonical_and_carry_no_banner(real_photos):
    assert real_photos.canonical and real_photos.banner == ""


def test_the_real_photos_are_1598_402_and_1000(real_photos):
    parts = real_photos.training, real_photos.validation, real_photos.testing
    counts = [np.bincount(part.y).tolist() for part in parts]
    assert counts == [[793, 805], [207, 195], [500, 500]]
    assert {part.pixels.shape[1:] for part in parts} == {(224, 224, 3)}
