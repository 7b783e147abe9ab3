"""Points, hints and feedback: given for what was found, and safe for whoever opens them."""

import csv
import json
import re
import time

import pytest

from grader import hints as hinting
from grader.answers import cell_names
from grader.check import Checked, row
from grader.claims import claims, printed
from grader.facts import facts, prose
from grader.feedback import Told, page_names, pages, remove_pages, summary, write_page, write_points
from grader.files import File
from grader.grading import grade, standing
from grader.hints import hints, unlike_claims
from grader.mistakes import Hint
from grader.names import BASELINE, MODELS, NOTEBOOKS, PAPER, plain
from grader.notebook import read_notebook
from grader.originality import Alike
from grader.rubric import RUBRIC, RubricError, read_rubric
from grader.starters import Starter
from grader.submissions import Student

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


NOTHING = Starter([], [], {})
RUN: dict = {
    **{"printing": 4, "silent": [], "stubs": [], "unmade": {}, "answers": None, "prose": []},
    **{"claims": [], "printed": None, "qkeras": True, "qstats": True},
}
HOLDS = {
    **{"weights": {"float32": 9}, "activations": ["float32"], "bits": 32, "shared": 0.0},
    **{"values": 99, "zeros": 0.0, "trained": None, "custom": [], "late": False},
}
INTEGER = HOLDS | {"weights": {"int8": 9}, "activations": ["int8"], "bits": 8}
MEASURES = {
    MODELS[0]: HOLDS,
    MODELS[1]: INTEGER | {"activations": ["float32"]},
    MODELS[2]: INTEGER | {"activations": ["float32", "int16"]},
    MODELS[3]: INTEGER | {"trained": True},
    MODELS[4]: INTEGER | {"shared": 1.0},
    MODELS[5]: INTEGER | {"zeros": 0.6},
    MODELS[6]: INTEGER | {"bits": 4, "weights": {"int4": 9}},
}


def model(name, correct=99, total=100, size=1000, **changes):
    """A File that is what the title of the model promises, but for `changes`."""
    measures = MEASURES[name] | {"sha256": name} | changes
    return File("", correct, total, size, measures=measures)


def ran(**changes):
    """A File of a notebook that was run, but for `changes`."""
    return File(said=RUN | changes)


def complete():
    """name -> File of a hand-in that lacks nothing."""
    files = {name: model(name) for name in MODELS} | {name: ran() for name in NOTEBOOKS}
    words = "We see that the accuracy, in few bytes and with quantizers, is as good. Answer to (a) "
    text = words + "(b) answer to question 2, 3, 4, your conclusions on sparsity and clusters"
    for name in NOTEBOOKS:
        files[name].said["prose"] = [("“Conclusions”", "Answer to (b). Your conclusions: " + text)]
    return files | {PAPER: File(said={"text": "word " * 200, "pages": 1}, place="q4.pdf")}


def write_pages(folder, results, **more):
    for name, page in pages(results, **more).items():
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
    name = "sign_mnist_clustered.tflite"

    def points(file):
        graded = grade(rubric, {name: file, "q2.ipynb": ran()})
        return [one.points for one in graded], graded[-1].found

    assert points(model(name, 6455, 7172, 2000)) == ([25, 5], "2,000 bytes")
    assert points(model(name, 6455, 7172, 2001)) == ([25, 0], "2,001 bytes")
    assert points(model(name, 6454, 7172, 1000)) == (
        [0, 0],
        "1,000 bytes, but it reads 6,454 of 7,172 images, 89.99%",
    )
    assert points(File("LiteRT cannot load it")) == ([0, 0], "LiteRT cannot load it")
    assert [one.found for one in grade(rubric, {})] == ["missing", "missing"]
    assert [one.asked for one in grade(rubric, {})] == [
        "sign_mnist_clustered.tflite reads at least 90% of the test images, and stores at most 32 "
        "values a layer in at least half of its weights",
        "sign_mnist_clustered.tflite has at most 2,000 bytes after gzip",
    ]


def lost(files):
    """question -> points less than a complete hand-in has, and the reasons of those lines."""
    rubric = read_rubric(RUBRIC)
    full, graded = grade(rubric, complete()), grade(rubric, files)
    less: dict[int, float] = {}
    reasons = []
    for one, other in zip(full, graded, strict=True):
        if one.points != other.points:
            question = one.line.question
            less[question] = less.get(question, 0) + (one.points or 0) - (other.points or 0)
            reasons.append(other.found)
    return less, reasons


def test_everything_and_nothing_handed_in():
    rubric = read_rubric(RUBRIC)
    good, empty = summary(grade(rubric, complete())), summary(grade(rubric, {}))
    assert good.total == (220, 330, 110) and good.extra == (40, 50, 10)
    assert empty.total == (0, 330, 0) and empty.extra == (0, 50, 0)
    assert good.questions[2] == (50, 75, 25)
    assert lost(complete() | {"q2.ipynb": File("2 cells with an error", said=RUN)})[0][2] == 10


@pytest.mark.parametrize(
    "name, changes, points, reason",
    [
        (MODELS[0], {"weights": {"float16": 9}}, {1: 35}, "float16 weights"),
        (MODELS[1], {"weights": {"float32": 9}}, {1: 25}, "float32 weights, float32 activations"),
        (MODELS[1], {"activations": ["int8"]}, {1: 25}, "int8 weights, int8 activations"),
        (MODELS[2], {"activations": ["int8"]}, {1: 25}, "int8 weights, int8 activations"),
        (MODELS[3], {"trained": False}, {1: 25}, "int8 weights, quantized after training"),
        (MODELS[4], {"shared": 0.4}, {2: 40}, "40% of the weights in layers of at most 32 values"),
        (MODELS[5], {"zeros": 0.49}, {3: 40}, "49% of the weights are zero"),
    ],
)
def test_a_file_counts_if_it_holds_what_its_title_promises(name, changes, points, reason):
    less, reasons = lost(complete() | {name: model(name, **changes)})
    assert less == points and reason in reasons


def test_a_file_that_does_not_show_how_it_was_trained_counts():
    assert lost(complete() | {MODELS[3]: model(MODELS[3], trained=None)}) == ({}, [])


def test_one_file_under_several_names_counts_once():
    files = complete()
    same = HOLDS | {"shared": 1.0, "zeros": 0.6, "sha256": "one"}
    files |= {name: File("", 99, 100, 1000, measures=same) for name in MODELS}
    less, reasons = lost(files)
    assert less == {1: 75, 2: 40, 3: 40, 4: 20}
    assert "the same file as sign_mnist.tflite, and counts once" in reasons


def test_a_file_needs_the_notebook_that_makes_it():
    title = "Task 3: make the smallest file"
    left = ran(stubs=[(3, title)], unmade={MODELS[4]: title}, answers=[])
    less, reasons = lost(complete() | {"q2.ipynb": left})
    assert less == {2: 50} and f"unanswered: {title}" in reasons
    assert f"q2.ipynb does not make it, unanswered is {title}" in reasons
    files = complete() | {"q2.ipynb": File("missing")}
    assert standing(files)[MODELS[4]] and not standing(files, alone=True)[MODELS[4]]
    assert standing(complete() | {"q2.ipynb": left}, alone=True)[MODELS[4]]
    less, reasons = lost(files)
    assert less == {2: 50} and "q2.ipynb, which has to make it: missing" in reasons


def test_a_notebook_of_which_half_was_run_gets_half():
    silent = ["“A”, cell “x”", "“B”, cell “y”"]
    half = ran(silent=silent, prose=complete()["q1.ipynb"].said["prose"])
    reason = "2 of 4 cells that print have no output: “A”, cell “x”; “B”, cell “y”"
    assert lost(complete() | {"q1.ipynb": half}) == ({1: 5}, [reason])


def test_question_4_goes_by_the_assignment():
    name = MODELS[6]
    files = complete()
    files["q4.ipynb"].said["printed"] = 0.9
    del files[name]
    less, reasons = lost(files)
    assert less == {4: 10} and reasons == ["missing"]  # the bonus
    accurate = next(o for o in grade(read_rubric(RUBRIC), files) if o.line.printed)
    assert accurate.found == "90.00% as the notebook printed, not measured: missing"
    files["q4.ipynb"].said["printed"] = 0.84
    assert lost(files)[0] == {4: 20}
    assert lost(complete() | {name: model(name, bits=8)})[0] == {4: 20}
    assert lost(complete() | {PAPER: File("", place="a.docx", said={"text": "few words"})}) == (
        {4: 5},
        ["a.docx, 2 words"],
    )
    files = complete()
    files["q4.ipynb"].said |= {"qkeras": False, "qstats": False}
    assert lost(files)[1] == [
        "no QKeras layer in the student's own cells, no output of print_qstats"
    ]


@pytest.mark.parametrize(
    "files, found",
    [
        ({BASELINE: File(said={"custom": ["mine"], "late": []})}, "mine is a custom layer"),
        ({BASELINE: File(said={"custom": [], "late": ["bn"]})}, "bn is not directly before"),
        ({MODELS[0]: model(MODELS[0], custom=["FlexErf"])}, "FlexErf is an operator of its own"),
        ({MODELS[0]: model(MODELS[0], late=True)}, "a batch normalization is not directly before"),
    ],
)
def test_the_rules_of_question_1_are_looked_for_in_its_files(files, found):
    less, reasons = lost(complete() | files)
    assert less == {1: 10} and reasons[0].startswith(found)


def test_lines_for_a_person_name_and_quote_the_cells_to_read(tmp_path):
    rubric = rubric_of(TALK, tmp_path)
    said = "this network is by far the {} of all that I have made"

    def found(*texts, **said):
        made = cells("# Size", *texts)
        written = prose(made, cell_names(made))[0]
        (graded,) = grade(rubric, {"q2.ipynb": ran(prose=written, **said)})
        return graded.points, graded.found, graded.quotes

    smaller = said.format("Smaller")
    where = "“Size”, cell “this network is by far the Smaller of all that …”"
    assert found("none", smaller) == (None, where, ((where, smaller),))
    assert found(said.format("smallerish"))[:2] == (None, "found no such cell: read the notebook")
    assert found()[:2] == (0, "nothing was written")
    answer = {"label": "Is it worth it", "question": "Why?", "text": "", "cell": ""}
    assert found("smaller", answers=[answer])[:2] == (0, "not answered: “Is it worth it”")
    answer |= {"text": "As it is.", "cell": "“End”"}
    quoted = (("“Is it worth it”", "Why? — As it is."),)
    assert found(answers=[answer]) == (None, "“Is it worth it”", quoted)
    # what answers another question is not quoted here
    other = {"label": "Other", "question": "", "text": smaller, "cell": where}
    assert found(smaller, answers=[answer, other])[2] == quoted
    assert grade(rubric, {})[0].found == "missing"


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
    assert claims(odd) == [] and prose(odd, cell_names(odd)) == ([], False)


def test_huge_texts_take_no_long_time_and_the_page_says_so(tmp_path):
    lines = "accuracy " * 200_000, "accuracy: 0.5\n" * 200_000, "9" * 2_000_000, " " * 2_000_000
    start = time.process_time()
    content = notebook(*([line] for line in lines), *("size " * 100_000 for _ in range(60)))
    (tmp_path / "q2.ipynb").write_bytes(content)
    found = facts(tmp_path / "q2.ipynb", NOTHING)
    assert found["said"]["claims"] == [(2, 0.5)] and "too long" in found["note"]
    assert grade(read_rubric(RUBRIC), {"q2.ipynb": File(**found)})
    assert time.process_time() - start < 10
    (tmp_path / "q2.ipynb").write_bytes(notebook(["accuracy: 0.5\n" * 2_000], "size " * 1_000))
    assert facts(tmp_path / "q2.ipynb", NOTHING)["note"] == ""


def test_a_model_that_reads_much_less_than_its_notebook_says_is_pointed_at():
    def texts(correct, *outputs):
        models = {"sign_mnist.tflite": File("", correct, 1000), MODELS[1]: File("", 990, 1000)}
        found = unlike_claims(claims(cells("", *([text] for text in outputs))), models)
        return [(hint.cell, hint.text) for hint in found]

    assert texts(412, "accuracy: 0.5", "accuracy: 0.998") == [
        (
            3,
            "The outputs of this cell speak of 99.8%, and sign_mnist.tflite reads 41.2% of "
            "the test images here. Look whether the file gets the same pixels as the network did: "
            "the label left among the pixels, another scaling, or another file.",
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


def test_the_accuracy_that_a_notebook_printed_is_that_of_its_check():
    said = (
        "accuracy: 0.9",
        "✓ the network reads 91.50% of the test file; asked: 85%",
        "accuracy 0.99",
    )
    assert printed(cells(*([text] for text in said))) == pytest.approx(0.915)
    assert printed(cells(["accuracy: 0.9"], ["test accuracy: 0.93"])) == pytest.approx(0.93)
    assert printed(cells(["nothing"])) is None


LOOK = "Look at `label`."


def told(tmp_path, name="a.zip", file="q2.ipynb", text=LOOK, code="x", page="a.html"):
    graded = grade(
        rubric_of(READS + TALK, tmp_path), {"q2.ipynb": ran(prose=[("“A”", "smaller " * 9)])}
    )
    hint = "q2.ipynb", "“A”, cell “b”", Hint("label_kept", 3, 2, text), code
    rows = [row(file, problem="missing")]
    alike = [Alike("Ben", "q1.ipynb is 80% alike")]
    return Told(name, page, Checked(Student(name), rows, {}, graded, [hint], alike))


def test_a_page_shows_everything_and_takes_nothing_for_html(tmp_path):
    nasty = "<script>alert(1)</script>"
    one = told(tmp_path, f"in/{nasty}.zip", nasty, nasty, f"{nasty} \ud800")
    index = write_pages(tmp_path / "pages", [one])
    (page,) = {*index.parent.glob("*.html")} - {index}
    for text in (index.read_text(), page.read_text()):
        assert "<script" not in text and "&lt;script&gt;" in text
    text = page.read_text()
    assert "0 of 25" in text and "10</b>" in text and "“A”, cell “b”, line 2" in text
    assert {*index.parent.iterdir()} == {index, page}


def test_a_student_is_not_told_who_the_others_are(tmp_path):
    index = write_pages(tmp_path, [told(tmp_path)])
    assert "Ben" in index.read_text() and "Ben" not in (tmp_path / "a.html").read_text()
    assert "another hand-in: q1.ipynb is 80% alike" in (tmp_path / "a.html").read_text()


def test_pages_of_earlier_runs_go_and_files_of_others_stay(tmp_path):
    index = write_pages(tmp_path, [told(tmp_path)], absent=["Doe, <i>Jane</i>"])
    assert "Doe, &lt;i&gt;Jane" in index.read_text()
    (tmp_path / "mine.html").write_text("<p>")
    remove_pages(tmp_path, {"index.html"})
    assert {path.name for path in tmp_path.glob("*.html")} == {"index.html", "mine.html"}


def test_hints_show_code_as_code(tmp_path):
    write_pages(tmp_path, [told(tmp_path)])
    assert "Look at <code>label</code>." in (tmp_path / "a.html").read_text()


def test_pages_have_names_of_their_own_that_are_linked(tmp_path):
    paths = ["a/anna.zip", "b/Anna.zip", "index.zip", "../../x y.zip", "Зоя & co.zip", "?.zip"]
    paths += ["x" * 300 + ".zip", "b/anna-2.zip", "con.zip", "Aux.zip", "LPT1.zip", "a. .zip"]
    names = page_names(paths)
    assert names[:6] == [
        *("anna.html", "Anna-2.html", "index-2.html", "x_y.html", "Зоя_co.html", "hand-in.html")
    ]
    assert names[8:] == [*("con-2.html", "Aux-2.html", "LPT1-2.html", "a.html")]
    assert len({name.casefold() for name in names}) == len(paths)
    assert max(map(len, names)) < 80
    results = [told(tmp_path, path, page=name) for path, name in zip(paths, names, strict=True)]
    index = write_pages(
        tmp_path / "pages", [r._replace(checked=r.checked._replace(alike=[])) for r in results]
    )
    assert index.read_text().count("<a href=") == len(paths) + 1  # and marking.csv
    for name in names:
        assert (index.parent / name).exists()


def test_a_table_of_points_computes_nothing(tmp_path):
    names = ["=1+2.zip", "+a.zip", "-a.zip", "@a.zip", "＝1+1.zip", " =1+1.zip", "－1.zip"]
    names += ["\u22121.zip", "an, na.zip", "b\ud800.zip", "\t=1.zip", "\r=1.zip", "\u3000=1.zip"]
    path = tmp_path / "new folder" / "points.csv"
    write_points(path, [told(tmp_path, name) for name in names])
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [line["hand-in"] for line in rows[:9]] == [*(f"'{n}" for n in names[:8]), "an, na.zip"]
    assert all(line["hand-in"].startswith("'") for line in rows[9:])
    # where a semicolon parts cells, quotes keep the name in one
    assert '"an, na.zip","","like Ben: q1.ipynb' in path.read_text(encoding="utf-8-sig")
    given = {"question 2": "0", "total": "0", "of": "35", "open": "10", "hints": "1"}
    assert {name: rows[0][name] for name in given} == given
    assert plain("anna.zip") == "anna.zip"
