import errno
import gzip
import io
import subprocess
import zipfile

import numpy as np
import pytest

from signmnist import data
from signmnist.data import CANONICAL_SHA256, content_sha256, find_csvs, load_sign_mnist, read_csv
from toolkit.files import DataError, file_sha256, replacing

HEADER = ",".join(data.COLUMNS)


def row(label=0, pixel=7, pixels=784):
    return ",".join([str(label)] + [str(pixel)] * pixels)


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory without SIGN_MNIST_DIR and without Kaggle."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIGN_MNIST_DIR", raising=False)

    def no_network(*_, **__):
        return subprocess.CompletedProcess([], 1, "", "no route to host")

    monkeypatch.setattr(data.subprocess, "run", no_network)
    return tmp_path


def zipped(name):
    """The bytes of a ZIP archive with one file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, HEADER)
    return file.getvalue()


def encrypted(name):
    """The same, said to need a password."""
    content = bytearray(zipped(name))
    for sign, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(sign) + place] |= 1
    return bytes(content)


def both(folder, *lines):
    folder.mkdir(exist_ok=True)
    return [write(folder / name, *lines) for name in (data.TRAIN_CSV, data.TEST_CSV)]


def test_pixels_and_labels_are_read_as_they_stand(tmp_path):
    pixels, labels = read_csv(write(tmp_path / "x.csv", HEADER, row(24, 255), row(3, 0)))
    assert labels.tolist() == [24, 3]
    assert pixels.shape == (2, 784) and pixels.dtype == np.uint8
    assert (pixels[0] == 255).all() and (pixels[1] == 0).all()


def test_a_file_in_windows_style_is_read(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"\xef\xbb\xbf" + f"{HEADER}\r\n{row(2)}\r\n".encode())
    assert read_csv(path)[1].tolist() == [2]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "an empty file"),
        ([HEADER], "no rows below the header"),
        ([HEADER.replace("label,", "")], "line 1: 'pixel1' where label should be"),
        ([HEADER.replace("l17,", "l_17,"), row()], "line 1: 'pixel_17' where pixel17 should be"),
        ([HEADER.replace("pixel1,pixel2,", "pixel2,pixel1,"), row()], "'pixel2' where pixel1"),
        ([HEADER, row(), row(pixels=700)], "line 3: 'nothing' where pixel701 should be"),
        ([HEADER, row(), row() + ",1"], "line 3: '1' where nothing should be"),
        ([HEADER, row(), row(pixel="x")], "line 3: 'x' where pixel1 should be"),
        ([HEADER, row(pixel="-1")], "line 2: '-1' where pixel1 should be"),
        ([HEADER, row(pixel="256")], "line 2: '256' where pixel1 should be"),
        ([HEADER, row(pixel="1.5")], "line 2: '1.5' where pixel1 should be"),
        ([HEADER, row(pixel="")], "line 2: '' where pixel1 should be"),
        ([HEADER, row(8), row(9)], "line 3: '9' where label should be"),
        ([HEADER, row(25)], "line 2: '25' where label should be"),
        ([row(3), row(4)], "line 1: '3' where label should be"),
        (["Unnamed: 0," + HEADER, "0," + row()], "line 1: 'Unnamed: 0' where label should be"),
        ([HEADER + ",label", row() + ",1"], "line 1: 'label' where nothing should be"),
        ([HEADER.replace(",", ";"), row()], "line 1: 'label;pixel1;pixel2"),
        (["version https://git-lfs.github.com/spec/v1", "size 1"], "a Git LFS pointer"),
        (["", "<!DOCTYPE html>", "<title>Sign in</title>"], "a web page"),
        (["\ufeff<html>"], "a web page"),
        (['{"label": [1, 2], "pixel1": [3, 4]}'], "a JSON file"),
    ],
)
def test_a_damaged_csv_is_named_with_the_fault_and_the_remedy(tmp_path, lines, message):
    path = tmp_path / "damaged.csv"
    path.write_text("".join(line + "\n" for line in lines))
    with pytest.raises(DataError) as error:
        read_csv(path)
    assert message in str(error.value)
    assert "damaged.csv" in str(error.value)
    assert "Download" in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{HEADER}\n{row()}\n".encode("utf-16"), "UTF-16 text, save it as UTF-8"),
        (gzip.compress(HEADER.encode()), "an archive, unpack it"),
        (zipped("sign_mnist_train.csv"), "an archive, unpack it"),
        (zipped("[Content_Types].xml"), "an Excel file, save it as CSV"),
        (zipped("docProps/app.xml"), "an Excel file, save it as CSV"),
        (b"PAR1\x15\x04", "line 1: 'PAR1"),
        (bytes(100_000), "where label should be"),
    ],
)
def test_a_file_of_another_format_is_named_as_what_it_is(tmp_path, content, message):
    (tmp_path / "other.csv").write_bytes(content)
    with pytest.raises(DataError, match=f"other.csv: .*{message}.*Download"):
        read_csv(tmp_path / "other.csv")


def test_what_may_not_be_read_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "locked.csv", HEADER, row())

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(data.pyarrow.csv, "read_csv", refuse)
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(DataError, match="locked.csv: Permission denied. Download"):
        read_csv(path)


def test_a_csv_cut_in_the_middle_of_a_row_is_refused(tmp_path):
    path = write(tmp_path / "cut.csv", HEADER, row(), row())
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(DataError, match="line 3: .* where pixel435 should be"):
        read_csv(path)


def test_images_are_scaled_and_labels_follow_the_letters(folder):
    both(folder / "data", HEADER, row(8, 255), row(10, 0), row(24, 51))
    loaded = load_sign_mnist()
    assert loaded.x_train.shape == (3, 28, 28, 1) and loaded.x_train.dtype == np.float32
    assert loaded.x_train[:, 0, 0, 0].tolist() == [1, 0, np.float32(0.2)]
    assert [data.LETTERS[i] for i in loaded.y_train] == ["I", "K", "Y"]


def test_data_that_are_not_canonical_work_under_a_banner(folder, capsys):
    both(folder / "data", HEADER, row())
    loaded = load_sign_mnist()
    assert not loaded.canonical
    assert "NOT Sign Language MNIST" in loaded.banner
    assert loaded.banner in capsys.readouterr().out


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("quote", [b"", b'"'])
def test_line_ends_marks_and_quotes_make_no_other_data(tmp_path, end, mark, quote):
    lines = [HEADER, row(2, 0), row(24, 255), row(3, 47)]
    (tmp_path / "plain.csv").write_text("\n".join(lines) + "\n")
    text = end.join(quote + x.encode().replace(b",", quote + b"," + quote) + quote for x in lines)
    (tmp_path / "other.csv").write_bytes(mark + text + end)
    expected = file_sha256(tmp_path / "plain.csv")
    assert content_sha256(*read_csv(tmp_path / "plain.csv")) == expected
    assert content_sha256(*read_csv(tmp_path / "other.csv")) == expected
    write(tmp_path / "another.csv", *lines[:-1], row(3, 48))
    assert content_sha256(*read_csv(tmp_path / "another.csv")) != expected


def test_the_subfolders_of_kaggles_archive_are_found(folder):
    for name, label in ((data.TRAIN_CSV, 1), (data.TEST_CSV, 2)):
        place = folder / "data" / "archive" / name.removesuffix(".csv")
        place.mkdir(parents=True)
        write(place / name, HEADER, row(label))
    loaded = load_sign_mnist()
    assert loaded.y_train.tolist() == [1] and loaded.y_test.tolist() == [2]
    write(folder / "data" / data.TEST_CSV, HEADER, row(3))  # the nearest counts
    assert load_sign_mnist().y_test.tolist() == [3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"Rar!\x1a\x07\x01", "an archive, unpack it"),
        (b"", "an empty file"),
        (zipped("sign_mnist_train.csv")[:-30], "cannot be used"),
        (encrypted("sign_mnist_train.csv"), "cannot be used .*encrypted"),
        (None, "a folder"),
    ],
)
def test_an_archive_that_is_none_is_named_as_what_it_is(folder, content, message):
    (folder / "data").mkdir()
    path = folder / "data" / "archive.zip"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=f"archive.zip: {message}.* Download"):
        find_csvs()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("sign_mnist_test (1).csv", HEADER, r"\(1\).csv \(rename it to s"),
        ("Sign_MNIST_Test.csv", HEADER, "Test.csv .rename it to sign_mnist_test.csv."),
        (
            "copies/sign_mnist_test.csv.txt",
            HEADER,
            "copies/.*txt .rename it to",
        ),
        ("sign_mnist_test.csv.gz", "\x1f\x8b", "sign_mnist_test.csv.gz"),
        ("sign_mnist_test.csv.crdownload", HEADER, "crdownload .an unfinished download"),
        ("archive.zip.part", "PK", "archive.zip.part .an unfinished download"),
        ("images/a.png", "PNG", "images .a folder"),
    ],
)
def test_what_lies_there_in_place_of_a_csv_is_told(folder, name, content, message):
    path = folder / "data" / name
    path.parent.mkdir(parents=True)
    path.write_text(content)
    write(folder / "data" / data.TRAIN_CSV, HEADER, row())
    with pytest.raises(
        DataError, match=f"data/: sign_mnist_test.csv not found: .*{message}"
    ) as told:
        find_csvs()
    assert "no route to host" in str(told.value) and "Download" in str(told.value)


def test_a_zip_with_other_files_is_told_with_what_it_holds(folder):
    (folder / "data").mkdir()
    (folder / "data" / "archive.zip").write_bytes(zipped("inner.zip"))
    with pytest.raises(DataError, match=r"there is archive.zip \(holds inner.zip\)"):
        find_csvs()


def test_a_link_to_nothing_is_named(folder):
    (folder / "data").mkdir()
    (folder / "data" / data.TEST_CSV).symlink_to("nowhere.csv")
    with pytest.raises(DataError, match="sign_mnist_test.csv .a link to nothing"):
        find_csvs()


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("nowhere", "No such file or directory"),
        ("archive.zip", "Not a directory"),
        ("empty", "there is nothing"),
    ],
)
def test_a_named_folder_that_is_none_is_an_error_not_a_download(
    folder, monkeypatch, place, message
):
    (folder / "archive.zip").write_bytes(zipped("sign_mnist_train.csv"))
    (folder / "empty").mkdir()
    monkeypatch.setenv("SIGN_MNIST_DIR", place)
    wanted = f"SIGN_MNIST_DIR={place}: sign_mnist_train.csv and sign_mnist_test.csv not found"
    with pytest.raises(DataError, match=f"{wanted}: {message}. Download"):
        find_csvs()


def test_a_folder_that_may_not_be_read_is_named(folder, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    (folder / "locked").mkdir()
    monkeypatch.setenv("SIGN_MNIST_DIR", "locked")
    monkeypatch.setattr("os.listdir", refuse)
    with pytest.raises(DataError, match="SIGN_MNIST_DIR=locked: .*: Permission denied. Download"):
        find_csvs()


def test_the_home_folder_may_be_written_as_a_tilde(folder, monkeypatch):
    both(folder / "mine", HEADER, row())
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    monkeypatch.setenv("SIGN_MNIST_DIR", "~/mine")
    assert find_csvs()[0].parent == folder / "mine"


def test_the_real_files_under_each_others_names_are_refused(folder, monkeypatch):
    train, test = both(folder / "data", HEADER, row())
    write(test, HEADER, row(3))
    digests = {name: content_sha256(*read_csv(folder / "data" / name)) for name in CANONICAL_SHA256}
    exchanged = dict(zip(digests, reversed(digests.values()), strict=True))
    monkeypatch.setattr(data, "CANONICAL_SHA256", exchanged)
    message = "sign_mnist_train.csv: it holds what belongs into sign_mnist_test.csv, rename it"
    with pytest.raises(DataError, match=message):
        load_sign_mnist()


def test_the_real_data_are_canonical_and_carry_no_banner(real):
    assert real.canonical and real.banner == ""
    assert real.x_train.shape == (27455, 28, 28, 1) and real.x_test.shape == (7172, 28, 28, 1)
    assert set(real.y_train) == set(real.y_test) == set(range(24))


def test_the_named_folder_comes_before_data(folder, monkeypatch):
    both(folder / "data", HEADER, row(1))
    both(folder / "elsewhere", HEADER, row(2))
    monkeypatch.setenv("SIGN_MNIST_DIR", "elsewhere")
    assert find_csvs()[0].parent.name == "elsewhere"
    monkeypatch.delenv("SIGN_MNIST_DIR")
    assert find_csvs()[0].parent.name == "data"


def test_csvs_beside_the_notebook_come_before_data(folder, capsys):
    both(folder / "data", HEADER, row(1))
    write(folder / data.TRAIN_CSV, HEADER, row(2))
    assert load_sign_mnist().y_train.tolist() == [1]
    both(folder, HEADER, row(2))
    assert load_sign_mnist().y_train.tolist() == [2]
    assert f"from {folder.name}/" in capsys.readouterr().out


def test_no_data_and_no_network_says_what_to_do(folder):
    with pytest.raises(DataError, match="no route to host.*Download the data set"):
        find_csvs()
    assert list(folder.rglob("*")) == []


def test_a_kaggle_archive_is_unpacked_in_place(folder):
    (folder / "data").mkdir()
    with zipfile.ZipFile(folder / "data" / "archive.zip", "w") as archive:
        archive.writestr("sign_mnist_train/sign_mnist_train.csv", f"{HEADER}\n{row(1)}\n")
        archive.writestr("../sign_mnist_test.csv", f"{HEADER}\n{row(2)}\n")
        archive.writestr("../../evil.py", "print('no')")
    assert load_sign_mnist().y_test.tolist() == [2]
    assert sorted(path.name for path in folder.rglob("*.*")) == [
        "archive.zip",
        "sign_mnist_test.csv",
        "sign_mnist_train.csv",
    ]


def test_a_damaged_archive_is_named_and_leaves_nothing(folder):
    (folder / "data").mkdir()
    path = folder / "data" / "archive.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (data.TRAIN_CSV, data.TEST_CSV):
            archive.writestr(name, f"{HEADER}\n" + f"{row(1)}\n" * 50)
    content = bytearray(path.read_bytes())
    content[200:220] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(DataError, match="archive.zip: cannot be used"):
        find_csvs()
    assert [p.name for p in (folder / "data").iterdir()] == ["archive.zip"]


def test_an_archive_that_would_unpack_to_too_much_is_refused(folder, monkeypatch):
    (folder / "data").mkdir()
    monkeypatch.setattr(data, "MAX_CSV_BYTES", 1000)
    with zipfile.ZipFile(folder / "data" / "archive.zip", "w") as archive:
        archive.writestr(data.TRAIN_CSV, "0" * 1001)
    with pytest.raises(DataError, match="would unpack to over"):
        find_csvs()


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    path = write(tmp_path / "kept", "old")
    with pytest.raises(KeyError), replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]
