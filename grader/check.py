"""Checks a class: what was found of each hand-in, its points, its scores and its hints.

Nothing in a hand-in is executed; it is read, and each model is scored once, on all test images,
in a process with limits on processor time and memory.
"""

import concurrent.futures
import os
import tempfile
from functools import partial
from typing import NamedTuple

from grader.facts import facts, hints_at
from grader.files import File
from grader.grading import grade, standing
from grader.hand_in import read_hand_in
from grader.hints import unlike_claims
from grader.mistakes import Hint
from grader.names import (
    BASELINE,
    FOUR_BITS,
    MODELS,
    MODELS_OF,
    NOTEBOOKS,
    PAPER,
    missing,
    printable,
)
from grader.originality import likenesses
from grader.papers import layers_of, read_paper
from grader.processes import call_all
from grader.ranking import RANKED, ranked
from grader.score_all import learn, score_all
from grader.starters import starters
from grader.submissions import Student

MAX_NAMED, MAX_PAPERS = 8, 4
TEXT_SECONDS = 30  # of processor time for a notebook or a paper


class Checked(NamedTuple):
    """What was found of a hand-in.

    rows: a list of dicts, one a file, with `file`, `result`, `gzip bytes`, `note` and `problem`.
    scores: dict with the keys RANKED, None where there is none, and "Q4", how it was found.
    graded: a Graded for each line of the rubric. hints: [(notebook, place, Hint, the code that
    stands there)]. alike: what it is like, [Alike].
    """

    student: Student
    rows: list
    scores: dict
    graded: list
    hints: list
    alike: list = []


class HandIn(NamedTuple):
    """What was read of a Student's hand-in: name -> File, place -> what else lies there, and the
    problem that kept it from being read, or ""."""

    files: dict
    others: dict
    hints: dict
    problem: str = ""


def check_class(students, data, rubric, cache, progress, own=False):
    """A Checked for each Student, in order. Whatever goes wrong with one, the others go on.

    data: folder with images.npy and labels.npy. cache: folder for finished scores, by the data's
    own name. progress: called with a text. own: see `likenesses`.
    """
    given = {name: tuple(one) for name, one in starters().items()}
    with tempfile.TemporaryDirectory() as folder:
        work = partial(read, folder=folder, given=given)
        read_ins = []
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for done, one in enumerate(pool.map(work, students), 1):
                read_ins.append(one)
                progress(f"{done} of {len(students)} read")
        score_all(read_ins, data, cache, progress)
        names = [shown_name(student) for student in students]
        alike = likenesses(
            {name: shared(one.files) for name, one in zip(names, read_ins, strict=True)}, own
        )
        pairs = zip(students, names, read_ins, strict=True)
        return [checked(*pair, rubric, alike[pair[1]]) for pair in pairs]


def shown_name(student):
    """The name of a Student as others are told it."""
    return printable(f"{student.name} ({student.id})" if student.id else student.name)


def read(student, folder, given):
    """The HandIn of a Student. given: name of a notebook -> its Starter as a tuple."""
    try:
        own = tempfile.mkdtemp(dir=folder)
        (found,) = call_all(read_hand_in, [(list(map(tuple, student.items)), own)])
        if "problem" in found:
            return HandIn({}, {}, {}, found["problem"])
        files = {name: File(**file) for name, file in found["files"].items()}
        notebooks = [name for name in NOTEBOOKS if name in files and files[name].path]
        jobs = [(files[name].path, given[name]) for name in notebooks]
        learn(files, notebooks, call_all(facts, jobs, TEXT_SECONDS))
        hints = call_all(hints_at, paths(files, notebooks), TEXT_SECONDS)
        keras = [n for n in (BASELINE, FOUR_BITS) if n in files and files[n].path]
        learn(files, keras, said(call_all(layers_of, paths(files, keras), TEXT_SECONDS)))
        papers = [n for n in files if n.lower().endswith((".docx", ".pdf")) and files[n].path]
        papers = papers[:MAX_PAPERS]
        learn(files, papers, said(call_all(read_paper, paths(files, papers), TEXT_SECONDS)))
        if papers:
            chosen = max(papers, key=lambda name: (not files[name].problem, likely(name, files)))
            files[PAPER] = files[chosen]
        return HandIn(files, found["others"], dict(zip(notebooks, hints, strict=True)))
    except Exception as error:
        return HandIn({}, {}, {}, f"could not be checked ({type(error).__name__})")


def likely(name, files):
    """How likely a paper is that of question 4: by its name, then by its length."""
    stem = name.lower()
    return "q4" in stem or "4" in stem or "qkeras" in stem, len(files[name].said.get("text", ""))


def said(answers):
    """Answers as fields of a File."""
    return ({"problem": a["problem"]} if "problem" in a else {"said": a} for a in answers)


def paths(files, names):
    """The jobs of a function that takes the path of a file."""
    return [(files[name].path,) for name in names]


def shared(files):
    """What `likenesses` compares of some files."""
    return {
        "models": {
            name: files[name].measures.get("sha256") or files[name].sha256
            for name in MODELS
            if name in files and files[name].path
        },
        "runs": {
            name: files[name].said["runs"]
            for name in NOTEBOOKS
            if name in files and files[name].said
        },
    }


def checked(student, name, one, rubric, alike):
    """The Checked of a Student's HandIn."""
    if one.problem:
        graded = grade(rubric, {}, one.problem)
        return Checked(student, [row("", problem=one.problem)], empty_scores(), graded, [], alike)
    files = dict(one.files)
    asked = (*NOTEBOOKS, *MODELS)
    more = sorted(set(files) - {*asked, PAPER}, key=lambda n: (not files[n].path, n))
    absent = [n for n in asked if n not in files]
    files |= {n: File(missing(n, [*more, *one.others])) for n in absent}
    against = standing(files)
    hints = [hint for n in NOTEBOOKS if files[n].path for hint in hints_of(n, files, one.hints[n])]
    rows, scores = [], empty_scores()
    for n in asked:
        file = files[n]
        result = f"{file.share:.2%} of {file.total:,}" if file.total else ""
        problem = file.problem
        if n in NOTEBOOKS and not problem:
            result = "ok" if not file.said["silent"] and not file.said["stubs"] else "not run"
        elif n in MODELS and not problem:
            problem = against[n]
        note = "; ".join(filter(None, (file.note, file.pixels)))
        rows.append(row(n, result, f"{file.size:,}" if file.size else "", note, problem))
    notebook, alone = files[NOTEBOOKS[3]], standing(files, alone=True)
    for title, n in RANKED.items():
        scores[title], scores["Q4"] = ranked(title, files[n], alone[n], notebook)
    for n in more:
        place = n if files[n].said or files[n].problem else ""
        if place:
            words = len(files[n].said.get("text", "").split())
            note = files[n].note if not words else f"{words:,} words"
            rows.append(row(n, "read" if files[n].said else "", "", note, files[n].problem))
    unread = {n: "not asked for" for n in more if not files[n].said and not files[n].problem}
    others = unread | one.others
    if others:
        rest = [f"{len(others) - MAX_NAMED} more"] if len(others) > MAX_NAMED else []
        named = [f"{place} ({what})" if what else place for place, what in others.items()]
        listed = ", ".join([*named[:MAX_NAMED], *rest])
        rows.append(row("other files", note=f"not looked at: {listed}"))
    return Checked(student, rows, scores, grade(rubric, files), hints, alike)


def empty_scores():
    return dict.fromkeys(RANKED) | {"Q4": ""}


def row(file, result="", size="", note="", problem=""):
    """A line of a hand-in's table."""
    note, problem = printable(note), printable(problem)
    return {"file": file, "result": result, "gzip bytes": size, "note": note, "problem": problem}


def hints_of(name, files, answer):
    """[(name, place, Hint, the code that stands there or "")] for a notebook, in its order."""
    if not answer.get("whole") and answer.get("problem") != files[name].problem:
        note = "too long or nested too deeply to be searched whole for hints"
        learn(files, [name], [{"note": note}])
    found = [(Hint(*hint), code) for hint, code in answer.get("hints", ())]
    models = {model: files[model] for model in MODELS_OF[name]}
    found += [(hint, "") for hint in unlike_claims(files[name].said.get("claims", ()), models)]
    places = files[name].said.get("names", {})
    found.sort(key=lambda one: one[0][1:3])
    return [(name, places.get(str(hint.cell), ""), hint, code) for hint, code in found]
