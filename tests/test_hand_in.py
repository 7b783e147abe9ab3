"""Reading what was handed in: names forgiven, and what cannot be read named as what it is."""

import gzip
import io
import json
import lzma
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from grader import archives
from grader.files import File
from grader.hand_in import read_hand_in
from grader.names import MODELS, NOTEBOOKS, asked_for, meant, missing
from grader.notebook import problems, read_notebook
from grader.processes import Unfit
from grader.submissions import Item

STREAM = new_output("stream", text="1")
ERROR = new_output("error", ename="E", evalue="")
OLD = "an old notebook format (3): open it in Jupyter or Colab and save it again"


def notebook(outputs=(), count=1):
    cell = new_code_cell("1", outputs=list(outputs), execution_count=count)
    return json.dumps(new_notebook(cells=[cell])).encode()


def problems_of(content):
    try:
        return ", ".join(problems(read_notebook(content)))
    except Unfit as error:
        return str(error)


@pytest.mark.parametrize(
    "content, problem",
    [
        (notebook([STREAM]), ""),
        (notebook(), "no outputs saved: run all cells and save it"),
        (notebook([STREAM], None), ""),  # as Colab saves some
        (notebook([ERROR]), "1 cell with an error"),
        (b"\xef\xbb\xbf" + notebook([STREAM]), ""),
        (notebook([STREAM]).decode().encode("utf-16"), ""),
        (b'{"nbformat": 3, "worksheets": [{"cells": []}]}', OLD),
        (b'{"cells": [5, {}, {"cell_type": ["code"], "outputs": 5}]}', "no outputs saved: "),
    ],
)
def test_what_is_wrong_with_a_notebook(content, problem):
    assert problems_of(content).startswith(problem) and bool(problem) == bool(problems_of(content))


@pytest.mark.parametrize(
    "content, what",
    [
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a Git LFS pointer"),
        (b"\n<!DOCTYPE html><html>", "a web page"),
        (notebook([STREAM]).replace(b"[", b"[\n<<<<<<< HEAD\n", 1), "a file with a merge conflict"),
        (b'{"url": "https://docs.google.com/open?id=1"}', "a Google Drive shortcut"),
        (b'{"":"WARNING! DO NOT EDIT","doc_id":"1","email":"a"}', "a Google Drive shortcut"),
        (b'{"kind": "drive#file", "url": "https://colab"}', "a Google Drive shortcut"),
        (b"[InternetShortcut]\r\nURL=https://colab", "a shortcut"),
        (b"L\0\0\0\x01\x14\x02\0", "a shortcut"),
        (b"\0\x05\x16\x07\0\x02\0\0Mac OS X", "a note that macOS keeps beside a file"),
        (b"%PDF-1.7", "a PDF"),
        (b"\x1c\0\0\0TFL3", "a .tflite file"),
        (b"PK\x03\x04", "a zip"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"\x89HDF\r\n\x1a\n", "a Keras model"),
    ],
)
def test_what_lies_there_in_place_of_a_notebook_is_named(content, what):
    assert problems_of(content).startswith(f"{what}, not a notebook: ")


@pytest.mark.parametrize(
    "content, reason",
    [
        (notebook([STREAM])[:-20], "it breaks off"),
        (b"import numpy", "damaged in line 1"),
        (b'{"cells": "\xe4"}', "its text is no UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"cells": 5}', ""),
        (b"[]", ""),
        (b"1" * 10_000, ""),
    ],
)
def test_what_is_no_notebook_says_why(content, reason):
    assert problems_of(content).startswith("not a notebook") and reason in problems_of(content)


def write_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def zipped(members):
    return write_zip(io.BytesIO(), members).getvalue()


@pytest.fixture
def read(tmp_path):
    """A function: (name -> File, the others) of a zip with these members."""
    (tmp_path / "unpacked").mkdir()

    def read(members):
        path = members if isinstance(members, Path) else write_zip(tmp_path / "in.zip", members)
        found = read_hand_in([Item(str(path), whole=True)], tmp_path / "unpacked")
        return {n: File(**f) for n, f in found["files"].items()}, found["others"]

    return read


def contents(files):
    return {name: Path(file.path).read_bytes() for name, file in files.items()}


def test_members_are_found_in_any_folder_and_nothing_leaves_the_zip(read, tmp_path):
    files, others = read(
        {
            "deep/er/q1.ipynb": "far",
            "Anna/q1.ipynb": "near",
            "__MACOSX/Anna/q1.ipynb": "not hers",
            "Anna/._q2.ipynb": "not hers",
            ".hidden/q3.ipynb": "hidden",
            "../../evil.tflite": "evil",
            "Anna\\models\\m.tflite": "model",
            "Anna/notes.txt": "no matter",
        }
    )
    assert contents(files) == {"q1.ipynb": b"near", "m.tflite": b"model", "evil.tflite": b"evil"}
    assert others == {".hidden/q3.ipynb": "in a hidden folder", "Anna/notes.txt": ""}
    written = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"in.zip", "1.ipynb", "2.ipynb", "3.tflite", "4.tflite"}


@pytest.mark.parametrize(
    "name",
    [
        *("Q1.ipynb", "q1 (1).ipynb", "q1(2).ipynb", "Q1.IPYNB", "Copy of q1.ipynb", "q1 .ipynb"),
        *("q1 - Copy.ipynb", "q1-Copy1.ipynb", "q1 2.ipynb", "q1-1.ipynb", "q1 copy.ipynb"),
        *("q1 copy 3.ipynb", "Kopie von q1.ipynb", "q1 - Kopie (2).ipynb", "q1 (copy).ipynb"),
        *("q1.ipynb.ipynb", "q1-Copy1-1 (2).ipynb", "q1 (another copy).ipynb"),
    ],
)
def test_capitals_and_marks_of_a_copy_are_no_other_name(name, read):
    files, _ = read({f"Anna/{name}": "x"})
    assert list(files) == ["q1.ipynb"] and name in files["q1.ipynb"].note


def test_other_names_are_not_taken_for_those_asked_for():
    for name in ("q1_final.ipynb", "q11.ipynb", "q1.ipynb.txt", "my (1).tflite", "q5-1.ipynb"):
        assert asked_for(name) == ""
    assert asked_for("sign_mnist_quant_int16x8-1.tflite") == "sign_mnist_quant_int16x8.tflite"
    assert asked_for("q1" + " " * 60_000 + "copy.ipynb") == ""


@pytest.mark.parametrize(
    "name, of",
    [
        ("q1_final.ipynb", "q1.ipynb"),
        ("Question 3 v2.ipynb", "q3.ipynb"),
        ("Assignment2_q4.ipynb", "q4.ipynb"),
        ("hw2.ipynb", "q2.ipynb"),
        ("3_pruned.ipynb", "q3.ipynb"),
        ("q2.ipynb.txt", "q2.ipynb"),
        ("q2.py", "q2.ipynb"),
        ("clustering.ipynb", "q2.ipynb"),
        ("sign_mnist_clustered_v2.tflite", "sign_mnist_clustered.tflite"),
        ("my_pruned_model.tflite", "sign_mnist_pruned.tflite"),
        ("sign_mnist_4bit.keras", "sign_mnist_qkeras_4bit.tflite"),
        ("model_dynamic.tflite", "sign_mnist_quant_dyn.tflite"),
        ("qat.h5", "sign_mnist_quant_aware_training.tflite"),
        ("sign_mnist_float32.tflite", "sign_mnist.tflite"),
        ("sign_mnist_final.tflite", "sign_mnist.tflite"),
        *((name, "") for name in ("Untitled1.ipynb", "final_v2.ipynb", "28x28.ipynb", "q12.ipynb")),
        *((name, "") for name in ("q1_and_q2.ipynb", "model.tflite", "pruned_clustered.tflite")),
        ("sign_mnist" + "1" * 200 + "x.tflite", ""),
        ("sign_mnist_float_new_v3.tflite", "sign_mnist.tflite"),
        *((name, "") for name in ("sign_mnist_int8.tflite", "q1.docx", "pruned.png", "a.ipynb")),
    ],
)
def test_a_file_is_proposed_for_what_its_number_or_technique_says(name, of):
    assert meant(name) == of
    told = [asked for asked in (*NOTEBOOKS, *MODELS) if missing(asked, [f"a/{name}"]) != "missing"]
    assert told == ([of] if of else [])


def test_what_a_missing_file_may_be_is_asked():
    places = "x/q1_final.ipynb", "q2.ipynb.txt", "q3.py", "q4.ipynb - Shortcut.lnk"
    assert [missing(name, places) for name in NOTEBOOKS] == [
        "missing (is it x/q1_final.ipynb? Rename it)",
        "missing (is it q2.ipynb.txt? Rename it)",
        "missing (there is q3.py)",
        "missing (there is q4.ipynb - Shortcut.lnk)",
    ]
    assert missing("q1.ipynb", ["q1_a.ipynb", "q1_b.ipynb"]).startswith(
        "missing (is it q1_a.ipynb or q1_b.ipynb?"
    )


@pytest.mark.parametrize(
    "first, second, counted",
    [
        ("backup/q1.ipynb", "final/q1.ipynb", "final/q1.ipynb"),
        ("x/y/q1.ipynb", "Harold/q1.ipynb", "Harold/q1.ipynb"),
        ("x/y/q1.ipynb", "Goldberg, Copyright/q1.ipynb", "Goldberg, Copyright/q1.ipynb"),
        ("x/y/q1.ipynb", "OLDENBURG/q1.ipynb", "OLDENBURG/q1.ipynb"),
        ("OldStuff/q1.ipynb", "x/y/q1.ipynb", "x/y/q1.ipynb"),
        ("old_1/q1.ipynb", "x/y/q1.ipynb", "x/y/q1.ipynb"),
        ("my-Backup2/q1.ipynb", "x/y/q1.ipynb", "x/y/q1.ipynb"),
        ("q1 (1).ipynb", "x/y/q1.ipynb", "x/y/q1.ipynb"),
    ],
)
def test_of_two_files_of_one_name_the_line_says_which_counts(first, second, counted, read):
    file = read({first: "1", second: "2"})[0]["q1.ipynb"]
    other = first if counted == second else second
    assert file.note == f"2 files of this name: {counted} counts, not {other}"


def test_a_zip_in_a_zip_is_looked_into_but_not_a_whole_course(read):
    inner, models = zipped({"q1.ipynb": "x"}), zipped({"sign_mnist.tflite": "y"})
    both = {"a/anna.zip": inner, "m.zip": models}
    assert contents(read(both)[0]) == {"q1.ipynb": b"x", "sign_mnist.tflite": b"y"}
    assert contents(read({"both.zip": zipped(both)})[0]) == contents(read(both)[0])
    with pytest.raises(Unfit, match="2 zips with files of the same names: unpack it"):
        read({"anna.zip": inner, "bert.zip": inner})


def tarred():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("q1.ipynb"))
    return file.getvalue()


@pytest.mark.parametrize(
    "name, content, problem",
    [
        ("a.zip", zipped({"q1.ipynb": "x" * 99})[:-30], "damaged"),
        ("a.zip", b"", "an empty file, not a zip"),
        ("a.zip", b"Rar!\x1a\x07", "a RAR archive, not a zip"),
        ("a.zip", b"version https://git-lfs", "a Git LFS pointer, not a zip"),
        ("a.rar", b"Rar!\x1a\x07", "a RAR archive, not looked into"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c", "a 7z archive, not looked into"),
        (
            "models",
            gzip.compress(tarred(), mtime=0),
            "a gzip archive, such as a tar.gz, not looked into",
        ),
        ("a.tar", tarred(), "a tar or other archive, not looked into"),
        ("a.tar.xz", lzma.compress(tarred()), "a tar or other archive, not looked into"),
        (
            "a.zip",
            zipped({"b.zip": zipped({"c.zip": zipped({"q1.ipynb": "x"})})}),
            "a zip in a zip",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "bytes",  # zips tell when they are made
)
def test_an_archive_that_cannot_be_looked_into_is_named(name, content, problem, read):
    files, _ = read({f"x/{name}": content, "q2.ipynb": "y"})
    bad = {place: file.problem for place, file in files.items() if file.problem}
    ((place, told),) = bad.items()
    assert place.startswith(f"x/{name}") and told.startswith(problem)
    assert "q2.ipynb" in files


def test_what_lies_in_the_zip_besides_is_known(read):
    empty = zipped({})
    files, others = read({"a.keras": empty, "a.h5": b"\x89HDF", "a\n.txt": "", "a.docx": empty})
    assert list(files) == ["a.keras", "a.docx"]  # which are read
    assert others == {"a.h5": "a Keras model", "'a\\n.txt'": "an empty file"}


def test_a_file_that_is_too_large_or_damaged_is_named_and_the_rest_is_read(
    read, tmp_path, monkeypatch
):
    monkeypatch.setitem(archives.MAX_BYTES, ".ipynb", 10_000)
    files, _ = read({"q1.ipynb": b"0" * 10_001, "q2.ipynb": b"0"})
    assert "larger than" in files.pop("q1.ipynb").problem
    assert contents(files) == {"q2.ipynb": b"0"}
    content = bytearray(zipped({"q1.ipynb": b"01" * 4_000, "q2.ipynb": b"1"}))
    content[40:50] = bytes(10)
    (tmp_path / "cut.zip").write_bytes(content)
    files, _ = read(tmp_path / "cut.zip")
    assert files.pop("q1.ipynb").problem == "damaged: zip it again"
    assert contents(files) == {"q2.ipynb": b"1"}


def test_a_file_that_can_be_read_counts_before_one_that_cannot(read, tmp_path):
    content = bytearray(zipped({"q1.ipynb": b"01" * 4_000, "backup/q1.ipynb": b"1"}))
    content[40:50] = bytes(10)
    (tmp_path / "cut.zip").write_bytes(content)
    assert contents(read(tmp_path / "cut.zip")[0]) == {"q1.ipynb": b"1"}


def test_too_many_files_or_bytes_are_refused(read, monkeypatch):
    members = {"q1.ipynb": b"0" * 50, "q2.ipynb": b"0"}
    monkeypatch.setattr(archives, "MAX_TOTAL", 40)
    assert read(members)[0]["q2.ipynb"].problem.startswith("not read: more than")
    monkeypatch.setattr(archives, "MAX_ENTRIES", 1)
    with pytest.raises(Unfit, match="2 files are more than 1"):
        read(members)
    assert read({"a.zip": zipped(members)})[0]["a.zip"].problem == "2 files are more than 1"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_bounds_are_refused(read, tmp_path, method):
    with zipfile.ZipFile(tmp_path / "b.zip", "w", method) as archive:
        archive.writestr("q1.ipynb", b"0" * 1000)
    assert "packed by another method" in read(tmp_path / "b.zip")[0]["q1.ipynb"].problem


def test_a_link_is_no_file(read):
    entry = zipfile.ZipInfo("q1.ipynb")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert read({entry: "../q1.ipynb"})[0]["q1.ipynb"].problem.startswith("a link to another file")


def test_a_name_cannot_write_to_the_terminal_or_fill_it(read):
    files, others = read({"a\n\x1b[31mq1 ok.tflite": b"0", "b" * 60_000: b""})
    assert list(files) == ["'a\\n\\x1b[31mq1 ok.tflite'"]
    assert len(next(iter(others))) < 400


@pytest.mark.parametrize(
    "content, message",
    [
        (zipped({"q1.ipynb": b"0" * 10_000})[:-30], "damaged or not a zip"),
        (b"no zip", "damaged or not a zip"),
        (b"", "an empty file, not a zip"),
        (b"Rar!\x1a\x07", "a RAR archive, not a zip"),
        (notebook([STREAM]), "a notebook, not a zip"),
    ],
)
def test_what_is_no_zip_is_refused_as_what_it_is(content, message, tmp_path):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(Unfit, match=message):
        read_hand_in([Item(str(tmp_path / "a.zip"), whole=True)], tmp_path)


def test_what_cannot_be_opened_is_refused_as_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe.zip")
    problems = {"": "a folder", "absent.zip": "no such file", "pipe.zip": "no file"}
    for name, problem in problems.items():
        with pytest.raises(Unfit, match=problem):
            read_hand_in([Item(str(tmp_path / name), whole=True)], tmp_path)
