"""A class: from the learning platform's download to its gradebook, by way of a person's marks."""

import csv
import zipfile
from pathlib import Path

import pytest
from hand_ins import PUBLISHED, ROOT, hand_in, own_model, roster, unanswered, zipped

from grader import __main__ as program
from grader.__main__ import main
from grader.grading import Graded
from grader.marking import CHANGED, COLUMNS, TableError, read_marks, read_table, write_marks
from grader.names import MODELS, NOTEBOOKS
from grader.roster import matched, read_roster, write_canvas
from grader.rubric import Line
from grader.submissions import Item, NothingFound, Student, named, paths_named, students

TWO = MODELS[4:6]  # the smallest
LINE = Line(2, "Talk", 10, "reading")


def test_names_of_paths_may_hold_spaces_and_patterns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.zip", "b c d.zip", "o'neil (1).zip"):
        (tmp_path / name).touch()
    assert paths_named("b c d.zip") == ["b c d.zip"]
    assert paths_named("a.zip b c d.zip o'neil (1).zip") == ["a.zip", "b c d.zip", "o'neil (1).zip"]
    assert paths_named("'b c d.zip' a.zip") == ["b c d.zip", "a.zip"]
    assert paths_named("*.zip") == ["a.zip", "b c d.zip", "o'neil (1).zip"]
    for text in ("absent.zip a.zip", 'absent".zip a.zip', "a.zip *.zap"):
        with pytest.raises(NothingFound, match="absent|zap"):
            paths_named(text)


@pytest.mark.parametrize(
    "place, told",
    [
        ("doejane_12345_678901_q1-2.ipynb", ("doejane", "12345", False, 678901, "q1-2.ipynb")),
        ("doejane_LATE_12345_678901_a.zip", ("doejane", "12345", True, 678901, "a.zip")),
        ("x/y/o-neil_ann_1_2_a_3_4_b.zip", ("o-neil_ann", "1", False, 2, "a_3_4_b.zip")),
        ("doejane_12345_text.html", ("doejane", "12345", False, 0, "")),
        ("anon_a1B2c_LATE_77_a.zip", ("anon", "a1B2c", True, 77, "a.zip")),
        (
            "Jane Doe_12_assignsubmission_file_/a/b.zip",
            ("Jane Doe", "12", False, 0, "a/b.zip"),
        ),
        ("Jane Doe_12_assignsubmission_file/q1.ipynb", ("Jane Doe", "12", False, 0, "q1.ipynb")),
        ("Jane Doe_12_assignsubmission_file_a.zip", ("Jane Doe", "12", False, 0, "a.zip")),
        ("Jane Doe_12_assignsubmission_onlinetext_/o.html", ("Jane Doe", "12", False, 0, "")),
        *((name, None) for name in ("q1.ipynb", "sign_mnist.tflite", "a/anna.zip", "hw_2.zip")),
    ],
)
def test_names_of_downloads_say_who_handed_it_in(place, told):
    found = named(place)
    assert (found and tuple(found[:5])) == told


def zip_of(tmp_path, *names):
    path = tmp_path / "submissions.zip"
    path.write_bytes(zipped(dict.fromkeys(names, "x")))
    return path


def test_the_latest_attempt_counts(tmp_path):
    path = zip_of(
        tmp_path,
        *("doejane_7_20_a-1.zip", "doejane_7_10_a.zip", "doejane_LATE_7_30_q1.ipynb"),
        *("roeron_8_11_q1.ipynb", "roeron_8_12_q1-1.ipynb", "roeron_8_13_q2.ipynb", "notes.txt"),
    )
    (jane, ron), rest = students([path])
    assert (jane.name, jane.id, jane.late, ron.late) == ("doejane", "7", True, False)
    assert [(item.place, item.order) for item in jane.items] == [("a-1.zip", 20), ("q1.ipynb", 30)]
    assert jane.note == "handed in again: a.zip no longer counts"
    assert [item.place for item in ron.items] == ["q1-1.ipynb", "q2.ipynb"]
    assert rest == ["notes.txt"]


def test_a_zip_of_a_student_is_no_class(tmp_path):
    for names in (["q1.ipynb", "a_1_2_b.txt", "q2.ipynb"], ["anna.zip", "ben.zip"], []):
        path = zip_of(tmp_path, *names)
        (one,), rest = students([path])
        assert one == Student(str(path), items=(Item(str(path), whole=True),)) and rest == []


def test_a_folder_is_what_lies_in_it(tmp_path):
    path = zip_of(tmp_path, "doejane_7_1_q1.ipynb", "doejane_7_2_a.zip")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "canvas")
    (jane,), _ = students([tmp_path / "canvas"])
    assert [item.place for item in jane.items] == ["q1.ipynb", "a.zip"]
    (tmp_path / "zips" / "x").mkdir(parents=True)
    for name in ("anna.zip", "x/ben.zip"):
        (tmp_path / "zips" / name).touch()
    assert [Path(one.name).name for one in students([tmp_path / "zips"])[0]] == [
        "anna.zip",
        "ben.zip",
    ]
    (tmp_path / "zips" / "q1.ipynb").touch()
    assert [len(one.items) for one in students([tmp_path / "zips"])[0]] == [3]


def write_roster(tmp_path, text):
    (tmp_path / "grades.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return tmp_path / "grades.csv"


def test_the_roster_is_read_as_canvas_and_spreadsheets_write_it(tmp_path):
    text = roster([("Doe, Jané", 7)])
    semicolons = text.replace('"Doe, Jané"', "Doe§ Jané").replace(",", ";").replace("§", ",")
    muted = text.replace("    Points", ",,,,,Manual Posting,\n    Points")
    encoded = [text.encode(name) for name in ("utf-8-sig", "utf-16", "cp1252")]
    texts = text, semicolons, muted, f"sep=,\n{text}", text.replace("\n", "\r\n")
    for content in (*encoded, *texts):
        found = read_roster(write_roster(tmp_path, content))
        assert [row["Student"] for row in found.rows] == ["Doe, Jané"]
        assert (found.assignment, found.possible) == ("Compression (4711)", "330.00")


def test_a_roster_that_cannot_be_used_says_what_to_do(tmp_path):
    for content, told in (
        ("Name,Mail\nA,b\n", "there is no column Student: export it in Canvas"),
        (b"PK\x03\x04", "an Excel file, save it as CSV"),
        (roster([], "A (1),B (2)"), "Name one by ASSIGNMENT: there is A .1., B .2."),
    ):
        with pytest.raises(TableError, match=told):
            read_roster(write_roster(tmp_path, content))
    assert read_roster(write_roster(tmp_path, roster([], "A (1),B (2)")), "b").assignment == "B (2)"


def test_students_are_matched_by_number_and_else_by_name(tmp_path):
    path = write_roster(tmp_path, roster([("Doe, Jane", 7), ("Roe, Ron", 8), ("Poe, Eve", 9)]))
    names = ["Jane Doe", "roeron", "hand-ins/Eve Poe.zip", "Al"]
    found = matched(read_roster(path), [Student(name) for name in names])
    assert {place: row["ID"] for place, row in found.items()} == {0: "7", 1: "8", 2: "9"}
    found = matched(read_roster(path), [Student("whoever", "7"), Student("doejane", "99")])
    assert {place: row["ID"] for place, row in found.items()} == {0: "7"}


def test_the_gradebook_has_the_form_that_canvas_imports(tmp_path):
    text = roster([("Doe, Jane", 7), ("=Roe, Ron", 8)]).replace(",01,,0", ",01,17,0")
    found = read_roster(write_roster(tmp_path, text))
    write_canvas(tmp_path / "g.csv", found, {"7": "250.5"}, "330", [("al", "99", "5")])
    assert (tmp_path / "g.csv").read_text().splitlines() == [
        "Student,ID,SIS User ID,SIS Login ID,Section,Compression (4711)",
        "    Points Possible,,,,,330",
        '"Doe, Jane",7,S7,u7,01,250.5',
        '"\'=Roe, Ron",8,S8,u8,01,17',  # handed in nothing, and keeps what he has
        "al,99,,,,5",
    ]


def marks_of(tmp_path, answer="text", columns=(), marks=None, key="7"):
    graded = [Graded(LINE, None, "", "", (("“A”", answer),))]
    write_marks(tmp_path / "marking.csv", [(key, "Doe", graded)], columns, marks or {})
    return read_table(tmp_path / "marking.csv")[1]


def filled(tmp_path, **cells):
    """Writes into the rows of marking.csv what a person does."""
    columns, rows = read_table(tmp_path / "marking.csv")
    with open(tmp_path / "marking.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [*columns, *(c for c in cells if c not in columns)])
        table.writeheader()
        table.writerows([row | cells for row in rows])


def test_what_a_person_wrote_is_kept(tmp_path):
    (row,) = marks_of(tmp_path, "=1+1\nline")
    assert row["answer"].startswith("[“A”] =1+1") and row["points possible"] == "10"
    filled(tmp_path, points="7,5", comment="Good,\nbut", mine="x")
    path = tmp_path / "marking.csv"
    columns, marks = read_marks(path, [LINE])
    assert marks["7", "2", "Talk"]["mark"] == 7.5
    (row,) = marks_of(tmp_path, "=1+1\nline", columns, marks)
    assert (row["points"], row["comment"], row["mine"], row["note"]) == (
        "7,5",
        "Good,\nbut",
        "x",
        "",
    )
    # another answer, another student: nothing is lost
    (row,) = marks_of(tmp_path, "other", *read_marks(path, [LINE]))
    assert (row["points"], row["note"]) == ("7,5", CHANGED)
    columns, marks = read_marks(path, [LINE])
    rows = marks_of(tmp_path, "text", columns, marks, "8")
    assert [(row["id"], row["points"], row["mine"]) for row in rows] == [
        ("8", "", ""),
        ("7", "7,5", "x"),
    ]


@pytest.mark.parametrize("points", ["11", "-1", "many", "nan", "inf"])
def test_points_that_cannot_be_meant_are_named_and_nothing_is_written(points, tmp_path):
    marks_of(tmp_path)
    filled(tmp_path, points=points)
    before = (tmp_path / "marking.csv").read_bytes()
    with pytest.raises(
        TableError, match="row 2, Doe: points are “.*”: write a number from 0 to 10"
    ):
        read_marks(tmp_path / "marking.csv", [LINE])
    assert (tmp_path / "marking.csv").read_bytes() == before


def test_a_table_without_its_columns_is_not_overwritten(tmp_path):
    (tmp_path / "marking.csv").write_text("a,b\n1,2\n")
    with pytest.raises(TableError, match="there is no column id: put it back"):
        read_marks(tmp_path / "marking.csv", [LINE])
    assert read_marks(tmp_path / "absent.csv", [LINE]) == ([], {})
    assert COLUMNS[-3:] == ["points", "comment", "note"]


def write_class(folder):
    """A class as Canvas gives it: one on time, late, again, loose, two alike, from the suite, one
    that answered nothing, an empty zip and nobody."""
    whole = {name: hand_in(name, TWO) for name in ("ada", "ben", "cem", "dora", "eve")}
    suite = {name: (ROOT / name).read_bytes() for name in NOTEBOOKS}
    suite |= {name: (PUBLISHED / name).read_bytes() for name in TWO}
    nothing = {name: unanswered(name) for name in NOTEBOOKS}
    nothing |= {name: own_model(name, "gil") for name in TWO}
    files = {
        "adlerada_1_10_hand-in.zip": zipped(whole["ada"]),
        "brunben_LATE_2_20_hand-in.zip": zipped(whole["ben"]),
        "clarkcem_3_30_hand-in.zip": zipped(nothing),
        "clarkcem_3_31_hand-in-1.zip": zipped(whole["cem"]),
        "evanseve_5_50_hand-in.zip": zipped(whole["eve"]),
        "fordfinn_6_60_hand-in.zip": zipped(whole["eve"]),
        "grayga_7_70_hand-in.zip": zipped(suite),
        "hallgil_8_80_hand-in.zip": zipped(nothing),
        "irisida_9_90_hand-in.zip": zipped({}),
    }
    loose = whole["dora"].items()
    files |= {f"diazdora_4_{40 + i}_{Path(n).name}": c for i, (n, c) in enumerate(loose)}
    (folder / "submissions.zip").write_bytes(zipped(files))
    names = "Adler, Ada|Brun, Ben|Clark, Cem|Diaz, Dora|Evans, Eve|Ford, Finn|Gray, Ga|Hall, Gil"
    class_ = [*names.split("|"), "Iris, Ida", "Jones, Jim"]
    (folder / "grades.csv").write_text(roster([(name, i) for i, name in enumerate(class_, 1)]))


def canvas_rows(folder):
    """[name, ID, points] of the rows of gradebook.csv."""
    with open(folder / "gradebook.csv", newline="", encoding="utf-8") as file:
        return [row[:2] + row[-1:] for row in csv.reader(file)]


@pytest.fixture
def easy():
    """Scores by a rubric of which a model of the sample may read as little as it does."""
    text = (ROOT / "grader/rubric.toml").read_text()
    return text.replace("at_least = 0.9", "at_least = 0.0")


def test_a_class_goes_from_download_to_gradebook(tmp_path, sample_folder, easy, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGN_MNIST_DIR", str(sample_folder))
    monkeypatch.setattr(program, "FOLDER", Path("build", "check"))
    (tmp_path / "rubric.toml").write_text(easy)
    write_class(tmp_path)
    command = ["--rubric", "rubric.toml"]
    monkeypatch.setenv("ZIP", "submissions.zip")
    monkeypatch.setenv("ROSTER", "grades.csv")
    assert main(command) == 0
    shown = capfd.readouterr().out
    alike, lines = shown.split("hand-in ", 1)
    assert "Ford, Finn" in alike and "Evans, Eve" in alike and "the published suite" in alike
    assert "Ada" not in alike and "Ben" not in alike and "Dora" not in alike
    assert "late" in next(line for line in lines.splitlines() if "Brun" in line)
    assert "Handed in nothing: Jones, Jim" in lines

    folder = Path("build", "check")
    header, possible, *rows = canvas_rows(folder)
    points = {int(number): given for _, number, given in rows}
    # notebooks run, two models and their sizes; and as extra credit a notebook, QKeras, Word.
    # The suite has no Word file here, and prints an accuracy
    own = 10 + 2 * (10 + 25 + 15) + 5 + 10 + 5
    assert header == ["Student", "ID", "Compression (4711)"]
    assert possible == ["    Points Possible", "", "330"]
    assert points == {
        **{number: str(own) for number in range(1, 7)},
        **{7: str(own + 10 - 5), 8: "0", 9: "0", 10: ""},
    }
    assert "hand-in.zip no longer counts" in next(folder.glob("Clark*.html")).read_text()

    _, table = read_table(folder / "marking.csv")
    for row in table:
        row["points"] = row["points possible"] if row["id"] == "1" else ""
    with open(folder / "marking.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(table)
    assert main(command) == 0
    marked = {number: given for _, number, given in canvas_rows(folder)}
    assert marked["1"] == str(own + 110 + 10) and marked["2"] == str(own)
    page = next(folder.glob("Adler*.html")).read_text()
    assert f"{own - 20 + 110} of 330" in page and "What a person still judges" not in page
