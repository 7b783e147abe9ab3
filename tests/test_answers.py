"""What was made of a starter: run, answered, left; and whose work it is."""

import random

import pytest
from hand_ins import answered, cell, notebook, unanswered, words

from grader.answers import answers, cell_names, own_cells, prints, silent, stubs
from grader.facts import facts
from grader.names import MODELS, NOTEBOOKS
from grader.notebook import read_notebook
from grader.originality import ALIKE, PUBLISHED, likenesses, runs, share
from grader.starters import ROOT, starter_of, starters

QUESTION = "## 3. Your conclusions\n\n*Which steps did you try, and why?*"
STUB = 'raise NotImplementedError(\n    "Task 1: load it. "\n    "Write your code here."\n)'
CELLS = [
    ("markdown", "# Question 2"),
    ("markdown", "### Task 1: load it\n\n**Afterwards there are:** `models/a.tflite`"),
    ("code", STUB),
    ("code", "check_file(1)"),
    ("markdown", QUESTION),
    ("code", "print(1)"),
]
OWN = "We tried all of the steps that were named above."


def cells(*made):
    return read_notebook(notebook([cell(*one) for one in made]))


def answer(*changed):
    """The answer found in a starter in which the cell of the question became these cells."""
    made = [*CELLS[:4], *changed, *CELLS[5:]]
    (one,) = answers(cells(*made), starter_of(CELLS))
    return one["text"]


def test_what_a_starter_asks_is_known():
    made = starter_of(CELLS)
    assert (made.questions, made.makes) == ([4], {"a.tflite": 1})
    makes = [file for one in starters().values() for file in one.makes]
    assert sorted(makes) == sorted(MODELS)
    assert [len(starters()[name].questions) >= 1 for name in NOTEBOOKS] == [True] * 4


@pytest.mark.parametrize(
    "changed",
    [
        [("markdown", f"## 3. Your conclusions\n\n{OWN}")],
        [("markdown", f"{QUESTION}\n\n{OWN}")],
        [("markdown", QUESTION), ("markdown", OWN)],
        [("markdown", OWN)],
        [("markdown", f"# My conclusions\n{OWN}")],
        [("markdown", "### 3. your conclusions"), ("markdown", OWN)],
    ],
)
def test_an_answer_is_found_where_students_write_it(changed):
    assert answer(*changed).endswith(OWN)


@pytest.mark.parametrize(
    "changed",
    [
        [("markdown", QUESTION)],
        [("markdown", QUESTION.replace("*", ""))],
        [("markdown", QUESTION + "\n\nsee above")],
        [("markdown", "## 3. Your conclusions")],
        [("markdown", QUESTION), ("markdown", QUESTION)],
        [],
    ],
)
def test_text_of_the_starter_is_no_answer(changed):
    assert answer(*changed) == ""


def test_a_notebook_without_a_starter_has_no_answers_to_look_for():
    assert answers(cells(("markdown", OWN), ("code", "print(1)")), starter_of(CELLS)) is None


def test_tasks_that_are_left_and_cells_that_were_not_run_are_known():
    made = cells(*CELLS)
    assert stubs(made) == [(1, "Task 1: load it")]
    assert stubs(cells(("code", "# " + STUB.replace("\n", "\n# ")))) == []
    assert silent(made) == (2, [4, 6])
    assert silent(cells(("code", "print(1)", "1"))) == (1, [])
    names = cell_names(made)
    assert names[4] == "“Task 1: load it”, cell “check_file(1)”"
    assert names[5] == "“3. Your conclusions”"
    assert [one.number for one in own_cells(made, starter_of(CELLS))] == []


@pytest.mark.parametrize(
    "source, says",
    [
        ("print(1)", True),
        ("x = 1\ndisplay(x)", True),
        ("plt.show()", True),
        ("model.summary()", True),
        ("check_file(1)", True),
        ("data = load_sign_mnist()", True),
        ("x = 1", False),
        ("def f():\n    print(1)", False),
        ("if x:\n    print(1)", False),
        ("with quiet():\n    print(1)", False),
        ("print(1, file=f)", False),
        ("%%capture\nprint(1)", False),
        ("model.fit(x)", False),
        ("!ls", False),
        ("not python at all", False),
    ],
)
def test_cells_that_surely_print(source, says):
    assert prints(source) == says


def test_a_starter_as_it_was_handed_out_shows_nothing(tmp_path):
    for name in NOTEBOOKS:
        (tmp_path / name).write_bytes(unanswered(name))
        said = facts(tmp_path / name, starters()[name])["said"]
        assert said["prose"] == [] and not said["qkeras"] and len(said["stubs"]) >= 2
        assert {one["text"] for one in said["answers"]} == {""}
        assert all(said["unmade"].values()) and said["unmade"]


def test_an_answered_starter_lacks_nothing(tmp_path):
    for name in NOTEBOOKS:
        (tmp_path / name).write_bytes(answered(name, 1))
        found = facts(tmp_path / name, starters()[name])
        said = found["said"]
        assert found["problem"] == "" and said["silent"] == said["stubs"] == []
        assert all(len(one["text"].split()) > 50 for one in said["answers"])
        assert not any(said["unmade"].values())


def test_copies_are_alike_also_with_other_names_and_other_work_is_not():
    def made(content):
        return set(runs(own_cells(read_notebook(content), starters()["q2.ipynb"])))

    mine, other = answered("q2.ipynb", 1), answered("q2.ipynb", 2)
    renamed = mine
    for old, new in ((b"b.", b"c."), (b"a1 ", b"first "), (b"weights=", b"weights = ")):
        renamed = renamed.replace(old, new)
    assert renamed != mine and share(made(mine), made(renamed)) > ALIKE
    assert share(made(mine), made(other)) < 0.2
    assert share(made(mine), set()) == 0


def test_who_copied_is_told_of_the_suite_and_of_the_others():
    own = {f"q{i}.ipynb": runs(cells(("markdown", words(random.Random(i), 300)))) for i in (1, 2)}
    suite = read_notebook((ROOT / "q3.ipynb").read_bytes())
    suite = {"q3.ipynb": runs(own_cells(suite, starters()["q3.ipynb"]))}
    students = {
        "a": {"models": {"sign_mnist.tflite": "1"}, "runs": {"q1.ipynb": own["q1.ipynb"]}},
        "b": {"models": {"sign_mnist.tflite": "2"}, "runs": {"q1.ipynb": own["q2.ipynb"]}},
        "c": {"models": {"x.tflite": "1"}, "runs": {"q1.ipynb": own["q1.ipynb"]} | suite},
    }
    told = likenesses(students)
    assert told["a"] == [("c", "q1.ipynb is 100% alike; the same: sign_mnist.tflite")]
    assert told["b"] == []
    assert told["c"] == [
        (PUBLISHED, "q3.ipynb is 100% alike"),
        ("a", "q1.ipynb is 100% alike; the same: x.tflite"),
    ]
    assert likenesses(students, own=True)["c"] == told["c"][1:]
