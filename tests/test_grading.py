"""Points, hints and feedback: given for what was found, and safe for whoever opens them."""

import csv
import json
import re
import time

import pytest

from grader import hints as hinting
from grader.check import Checked, row
from grader.claims import claims, facts, prose
from grader.feedback import page_names, pages, plain, summary, write_gradebook, write_page
from grader.grading import grade
from grader.hand_in import File
from grader.hints import hints, unlike_claims
from grader.mistakes import Hint
from grader.names import MODELS, NOTEBOOKS
from grader.notebook import read_notebook
from grader.rubric import RUBRIC, RubricError, is_doubtful, read_rubric

SIZE = """
[[line]]
question = 2
title = "Small"
points = 5
kind = "size"
file = "sign_mnist_clustered.tflite"
at_most = 2000
"""
READS = """
[[line]]
question = 2
title = "Reads"
points = 25
kind = "accuracy"
file = "sign_mnist_clustered.tflite"
at_least = 0.9
"""
TALK = """
[[line]]
question = 2
title = "Talk"
points = 10
kind = "reading"
words = ['\\bsmaller\\b', 'worth it']
"""


def rubric_of(text, tmp_path):
    (tmp_path / "rubric.toml").write_text(text)
    return read_rubric(tmp_path / "rubric.toml")


def notebook(*cells):
    """The bytes of a notebook; a cell is a text, or a list of texts that it printed."""
    made = [
        {"cell_type": "markdown", "source": [cell]}
        if isinstance(cell, str)
        else {"cell_type": "code", "source": "1", "outputs": [{"text": text} for text in cell]}
        for cell in cells
    ]
    return json.dumps({"cells": made, "nbformat": 4}).encode()


def cells(*texts):
    return read_notebook(notebook(*texts))


def write_pages(folder, results):
    for name, page in pages(results).items():
        write_page(folder / name, **page)
    return folder / "index.html"


def test_the_rubric_of_the_assignment():
    rubric = read_rubric(RUBRIC)
    points = {q: sum(line.points for line in rubric if line.question == q) for q in range(1, 5)}
    assert points == {1: 180, 2: 75, 3: 75, 4: 50}
    assert sum(line.points for line in rubric if not line.extra) == 330
    thresholds = {line.file: line.at_least for line in rubric if line.kind == "accuracy"}
    assert thresholds == dict.fromkeys(MODELS, 0.9) | {"sign_mnist_qkeras_4bit.tflite": 0.85}


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("points = 5", "points = -5", '"Small": `points` must be a number, 0 or more'),
        ("points = 5", "points = nan", '"Small": `points` must be a number, 0 or more'),
        ("points = 5", "points = true", '"Small": `points` must be a number, 0 or more'),
        ("points = 5", "", '"Small": add `points`'),
        ("at_most", "atmost", '"Small": add `at_most`, take out `atmost`'),
        ("at_most = 2000", 'at_most = "2000"', "`at_most` must be a whole number of bytes"),
        ('kind = "size"', 'kind = ["size"]', "`kind` must be one of notebook, accuracy, size"),
        ("question = 2", "question = 5", "`question` must be a number from 1 to 4"),
        ("_clustered", "_klustered", "`file` must be one of sign_mnist.tflite, "),
        ("[[line]]", "[[lines]]", "holds nothing but lines, each under its own [[line]]"),
        ("[[line]]", "[[line]", "no TOML"),
    ],
)
def test_a_rubric_that_cannot_be_used_says_where_and_what_to_do(old, new, message, tmp_path):
    with pytest.raises(RubricError, match=re.escape(message)) as caught:
        rubric_of(SIZE.replace(old, new), tmp_path)
    assert "rubric.toml: " in str(caught.value)


def test_other_ways_for_a_rubric_to_be_wrong(tmp_path):
    with pytest.raises(RubricError, match="`at_least` must be a share such as 0.9"):
        rubric_of(READS.replace("0.9", "90"), tmp_path)
    for words in ("[]", "'smaller'", "['(']", "[5]"):
        with pytest.raises(RubricError, match="`words` must be a list of texts"):
            rubric_of(re.sub("words = .*", f"words = {words}", TALK), tmp_path)
    with pytest.raises(RubricError, match="absent.toml: No such file"):
        read_rubric(tmp_path / "absent.toml")
    (tmp_path / "latin.toml").write_bytes(b"# \xe4")
    with pytest.raises(RubricError, match="no TOML"):
        read_rubric(tmp_path / "latin.toml")


def test_a_rubric_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "r.toml").write_bytes(b"\xef\xbb\xbf" + SIZE.replace("\n", "\r\n").encode())
    assert [line.title for line in read_rubric(tmp_path / "r.toml")] == ["Small"]


def test_points_are_given_for_what_was_measured(tmp_path):
    rubric = rubric_of(READS + SIZE, tmp_path)

    def points(*facts):
        graded = grade(rubric, {"sign_mnist_clustered.tflite": File(*facts)})
        return [one.points for one in graded], graded[-1].found

    assert points("", 6455, 7172, 4, 2000) == ([25, 5], "2,000 bytes")
    assert points("", 6455, 7172, 4, 2001) == ([25, 0], "2,001 bytes")
    assert points("", 6454, 7172, 4, 1000) == (
        [0, 0],
        "1,000 bytes, but it reads 6,454 of 7,172 images, 89.99%",
    )
    assert points("LiteRT cannot load it") == ([0, 0], "LiteRT cannot load it")
    assert [one.found for one in grade(rubric, {})] == ["missing", "missing"]
    assert [one.asked for one in grade(rubric, {})] == [
        "sign_mnist_clustered.tflite reads at least 90% of the test images",
        "sign_mnist_clustered.tflite has at most 2,000 bytes after gzip",
    ]


def test_everything_and_nothing_handed_in():
    rubric = read_rubric(RUBRIC)
    files = dict.fromkeys(MODELS, File("", 99, 100, 4, 1000)) | dict.fromkeys(NOTEBOOKS, File())
    good, empty = summary(grade(rubric, files)), summary(grade(rubric, {}))
    assert good.total == (220, 220, 110) and good.extra == (40, 40, 10)
    assert empty.total == (0, 220, 110) and empty.extra == (0, 40, 10)
    assert good.questions[2] == (50, 50, 25)
    files["q2.ipynb"] = File("2 cells with an error")
    files["sign_mnist_qkeras_4bit.tflite"] = File("", 99, 100, 8, 1000)
    worse = summary(grade(rubric, files))
    assert worse.questions[2].given == 40 and worse.extra.given == 25


def test_lines_for_a_person_name_the_cells_to_read(tmp_path):
    rubric = rubric_of(TALK, tmp_path)

    def found(*texts):
        (graded,) = grade(rubric, {"q2.ipynb": File(prose=prose(cells(*texts)))})
        assert graded.points is None
        return graded.found

    assert found("# Title", ["smaller"], "It is Smaller", "bytes are\nworth\nit") == "cells 3, 4"
    assert found("smaller", "smallerish") == "cell 1"
    assert found(*["smaller"] * 99) == "cells 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, …"
    assert found("none") == "found no such cell: read the notebook"
    assert grade(rubric, {})[0].found == "missing"


@pytest.mark.parametrize(
    "correct, doubtful",
    [(82, False), (83, True), (88, True), (90, True), (94, True), (95, False), (100, False)],
)
def test_a_sample_near_a_threshold_is_doubtful(correct, doubtful, tmp_path):
    rubric = rubric_of(READS, tmp_path)
    assert is_doubtful(rubric, "sign_mnist_clustered.tflite", correct, 100) == doubtful
    assert not is_doubtful(rubric, "sign_mnist.tflite", correct, 100)


def test_a_share_of_all_that_may_be_chance_is_doubtful(tmp_path):
    rubric = rubric_of(READS.replace("0.9", "0.99"), tmp_path)
    assert is_doubtful(rubric, "sign_mnist_clustered.tflite", 100, 100)
    assert not is_doubtful(rubric, "sign_mnist_clustered.tflite", 0, 0)


@pytest.mark.parametrize(
    "text, shares",
    [
        ("accuracy: 0.9712", [0.9712]),
        ("val_accuracy: 0.99", [0.99]),
        ("Test Acc.: 0.5", [0.5]),
        ("97.1 %", [0.971]),
        ("Accuracy: 97.12", [0.9712]),
        ("    accuracy                           0.97      7172", [0.97]),
        ("loss: 0.1 - accuracy: 0.98 - val_loss: 0.2 - val_accuracy: 0.93", [0.98, 0.93]),
        ("7,151 of 7,172 right = 99.71%", [0.9971]),
        ("Accuracy of the network on the 7172 test images: 97 %", [0.97]),
        ("Epoch 1\naccuracy: 0.5\rEpoch 2\naccuracy: 0.75\n", [0.75]),
        ("sparsity 80%", []),
        ("95 % interval of the accuracy", []),
        ("testing 100%|####| 225/225", []),
        ("accuracy: 1.2.3, accuracy: 9.9e-01, accuracy 5, accuracy nan", []),
        ("[0.0312, 0.9912]", []),
    ],
)
def test_accuracies_that_outputs_speak_of(text, shares):
    assert [cell for cell, _ in claims(cells("", [text]))] == [2] * len(shares)
    assert [share for _, share in claims(cells([text]))] == pytest.approx(shares)


@pytest.mark.parametrize(
    "content",
    [
        b'{"cells": [{"source": 5, "outputs": 5}, {"outputs": [5, {"data": 5}, {"text": [5]}]}]}',
        b'{"cells": [{"cell_type": "markdown", "source": {"a": 1}, "outputs": {"a": 1}}]}',
    ],
)
def test_an_odd_notebook_says_nothing(content):
    odd = read_notebook(content)
    assert claims(odd) == [] and prose(odd) == []


def test_huge_texts_take_no_long_time_and_the_page_says_so(tmp_path):
    lines = "accuracy " * 200_000, "accuracy: 0.5\n" * 200_000, "9" * 2_000_000, " " * 2_000_000
    start = time.process_time()
    content = notebook(*([line] for line in lines), *("size " * 100_000 for _ in range(60)))
    (tmp_path / "q2.ipynb").write_bytes(content)
    found = facts(tmp_path / "q2.ipynb")
    assert found["claims"] == [(2, 0.5)] and "too long" in found["note"]
    assert grade(read_rubric(RUBRIC), {"q2.ipynb": File(**found)})
    assert time.process_time() - start < 10
    (tmp_path / "q2.ipynb").write_bytes(notebook(["accuracy: 0.5\n" * 2_000], "size " * 1_000))
    assert facts(tmp_path / "q2.ipynb")["note"] == ""


def test_a_model_that_reads_much_less_than_its_notebook_says_is_pointed_at():
    def texts(correct, *outputs):
        models = {"sign_mnist.tflite": File("", correct, 1000), MODELS[1]: File("", 990, 1000)}
        found = unlike_claims(claims(cells("", *([text] for text in outputs))), models)
        return [(hint.cell, hint.text) for hint in found]

    assert texts(412, "accuracy: 0.5", "accuracy: 0.998") == [
        (
            3,
            "The outputs of cell 3 speak of 99.8%, and sign_mnist.tflite reads 41.2% of the test "
            "images here. Look whether the file gets the same pixels as the network did: the label "
            "left among the pixels, another scaling, or another file.",
        )
    ]
    assert not texts(850, "accuracy: 0.998")
    assert not texts(412)
    # its author knows
    assert not texts(412, "accuracy: 0.998", "accuracy of the file: 41.3%")
    # what guesses is no model that anybody meant
    assert texts(43, "accuracy: 0.998", "right by chance: 4.2%")


def test_hints_stand_with_their_code(monkeypatch, tmp_path):
    (tmp_path / "q1.ipynb").write_bytes(notebook("", ["accuracy: 99%"], "a\n  b = 1"))
    late = Hint("label_kept", 3, 2, "Look.")
    monkeypatch.setattr(hinting, "find_mistakes", lambda cells: ([late], True))
    assert hints(tmp_path / "q1.ipynb") == {"hints": [(late, "b = 1")], "whole": True}
    monkeypatch.setattr(hinting, "find_mistakes", lambda cells: ([late] * 5000, True))
    found = hints(tmp_path / "q1.ipynb")
    assert len(found["hints"]) == 30 and not found["whole"]


def checked(tmp_path, file="q2.ipynb", text="Look at `label`.", code="x"):
    graded = grade(rubric_of(READS + TALK, tmp_path), {})
    hint = Hint("label_kept", 3, 2, text)
    return Checked([row(file, problem="missing")], {}, graded, [("q2.ipynb", hint, code)])


def test_a_page_shows_everything_and_takes_nothing_for_html(tmp_path):
    nasty = "<script>alert(1)</script>"
    results = {f"in/{nasty}.zip": checked(tmp_path, nasty, nasty, f"{nasty} \ud800")}
    index = write_pages(tmp_path / "pages", results)
    (page,) = {*index.parent.glob("*.html")} - {index}
    for text in (index.read_text(), page.read_text()):
        assert "<script" not in text and "&lt;script&gt;" in text
    text = page.read_text()
    assert "0 of 25" in text and "10</b>" in text and "cell 3, line 2" in text
    assert {*index.parent.iterdir()} == {index, page}


def test_hints_show_code_as_code(tmp_path):
    write_pages(tmp_path, {"a.zip": checked(tmp_path)})
    assert "Look at <code>label</code>." in (tmp_path / "a.html").read_text()


def test_pages_have_names_of_their_own_that_are_linked(tmp_path):
    paths = ["a/anna.zip", "b/Anna.zip", "index.zip", "../../x y.zip", "Зоя & co.zip", "?.zip"]
    paths += ["x" * 300 + ".zip", "b/anna-2.zip", "con.zip", "Aux.zip", "LPT1.zip", "a. .zip"]
    names = page_names(paths)
    assert [names[path] for path in paths[:6]] == [
        *("anna.html", "Anna-2.html", "index-2.html", "x_y.html", "Зоя_co.html", "hand-in.html")
    ]
    assert [names[path] for path in paths[8:]] == [
        *("con-2.html", "Aux-2.html", "LPT1-2.html", "a.html")
    ]
    assert len({name.casefold() for name in names.values()}) == len(paths)
    assert max(map(len, names.values())) < 80
    index = write_pages(tmp_path / "pages", {path: checked(tmp_path) for path in paths})
    assert index.read_text().count("<a href=") == len(paths)
    for name in names.values():
        assert (index.parent / name).exists()


def test_the_gradebook_computes_nothing(tmp_path):
    names = ["=1+2.zip", "+a.zip", "-a.zip", "@a.zip", "＝1+1.zip", " =1+1.zip", "－1.zip"]
    names += ["\u22121.zip", "an, na.zip", "b\ud800.zip", "\t=1.zip", "\r=1.zip", "\u3000=1.zip"]
    path = tmp_path / "new folder" / "grades.csv"
    write_gradebook(path, {name: checked(tmp_path) for name in names})
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [line["hand-in"] for line in rows[:9]] == [*(f"'{n}" for n in names[:8]), "an, na.zip"]
    assert all(line["hand-in"].startswith("'") for line in rows[9:])
    # where a semicolon parts cells, quotes keep the name in one
    assert '"an, na.zip","0"' in path.read_text()
    assert dict(list(rows[0].items())[1:]) == {
        **{"question 2": "0", "total": "0", "open": "10", "extra": "0", "extra open": "0"},
        "hints": "1",
    }
    assert plain("anna.zip") == "anna.zip"
