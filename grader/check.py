"""Checks a hand-in: what was found of each file, its points, its scores and its hints.

Nothing in a zip is executed; it is read, and each model is scored, in a process with limits on
processor time and memory. The three models that are ranked see all test images, the others a
sample of them, and all if that is too near a threshold of the rubric.
"""

import dataclasses
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from grader.claims import facts
from grader.grading import grade
from grader.hand_in import File, read_hand_in
from grader.hints import hints, unlike_claims
from grader.mistakes import Hint
from grader.names import MODELS, MODELS_OF, NOTEBOOKS, missing, printable
from grader.processes import call_all
from grader.ranking import RANKED, TITLES, ranked
from grader.rubric import is_doubtful
from grader.scoring import score
from toolkit.files import file_sha256

ARRAYS = "images", "labels"
MAX_FILES, MAX_NAMED = 20, 8
TEXT_SECONDS = 30  # of processor time for a notebook


class Checked(NamedTuple):
    """What was found of a hand-in.

    rows: a list of dicts, one a file, with `file`, `result`, `gzip bytes`, `note` and
    `problem`. scores: dict with the keys RANKED, None where there is none. graded: a Graded for
    each line of the rubric. hints: [(notebook, Hint, the code that stands there)].
    """

    rows: list
    scores: dict
    graded: list
    hints: list


def check(path, data, rubric):
    """The Checked of a hand-in. Whatever goes wrong with it is said there, and others go on.

    data: folder with images.npy and labels.npy, sample_images.npy and sample_labels.npy.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            (found,) = call_all(read_hand_in, [(path, folder)])
            if "problem" not in found:
                files = {name: File(**file) for name, file in found["files"].items()}
                return check_files(files, found["others"], data, rubric)
        problem = found["problem"]
    except Exception as error:
        problem = f"could not be checked ({type(error).__name__})"
    graded = grade(rubric, {}, "the zip could not be checked")
    return Checked([row("", problem=problem)], dict.fromkeys(RANKED), graded, [])


def row(file, result="", size="", note="", problem=""):
    """A line of a hand-in's table."""
    note, problem = printable(note), printable(problem)
    return {"file": file, "result": result, "gzip bytes": size, "note": note, "problem": problem}


def check_files(files, others, data, rubric):
    """Checks the files of one hand-in, name -> File, which it completes. Returns a Checked.

    others: the places of further files, place -> what it is.
    """
    absent = [name for name in (*NOTEBOOKS, *MODELS) if name not in files]
    more = sorted(set(files) - {*NOTEBOOKS, *MODELS}, key=lambda name: (not files[name].path, name))
    files |= {name: File(missing(name, [*more, *others])) for name in absent}
    names = [*NOTEBOOKS, *MODELS, *more[:MAX_FILES]]
    models = [name for name in names[len(NOTEBOOKS) :] if files[name].path]
    notebooks = [name for name in NOTEBOOKS if files[name].path]
    learn(files, notebooks, call_all(facts, paths(files, notebooks), TEXT_SECONDS))
    note_twins(files, models)
    score_models(files, models, data, rubric)
    found = [hint for name in notebooks for hint in hints_at(name, files)]
    rows, scores = [], dict.fromkeys(RANKED)
    images = len(np.load(Path(data, "labels.npy"), "r"))
    for name in names:
        file = files[name]
        result = f"{file.share:.2%} of {file.total:,}" if file.total else ""
        if name in NOTEBOOKS and not file.problem:
            result = "ok"
        problem = file.problem
        if name in TITLES and file.total:
            scores[TITLES[name]], problem = ranked(TITLES[name], file, images)
        note = "; ".join(filter(None, (file.note, file.pixels)))
        rows.append(row(name, result, f"{file.size:,}" if file.size else "", note, problem))
    if more[MAX_FILES:]:
        rows.append(row(f"{len(more[MAX_FILES:])} more files", problem="not looked at"))
    if others and absent:
        rest = [f"{len(others) - MAX_NAMED} more"] if len(others) > MAX_NAMED else []
        named = [f"{place} ({what})" if what else place for place, what in others.items()]
        listed = ", ".join([*named[:MAX_NAMED], *rest])
        rows.append(row("other files", note=f"not looked at: {listed}"))
    return Checked(rows, scores, grade(rubric, files), found)


def paths(files, names):
    """The jobs of a function that takes the path of a file."""
    return [(files[name].path,) for name in names]


def learn(files, names, answers):
    """Writes what was found of some files, dicts of a File's fields, into `files`."""
    for name, told in zip(names, answers, strict=True):
        answer = {key: printable(v) if isinstance(v, str) else v for key, v in told.items()}
        note = "; ".join(filter(None, (files[name].note, answer.pop("note", ""))))
        files[name] = dataclasses.replace(files[name], note=note, **answer)


def score_models(files, names, data, rubric):
    """Scores some of the files; see `check_files`.

    A model of which a sample leaves open on which side of a threshold it is sees all images.
    """

    def scored(names, kind):
        arrays = [str(Path(data, f"{kind}{what}.npy")) for what in ARRAYS]
        learn(files, names, call_all(score, [(files[name].path, *arrays) for name in names]))

    scored([name for name in names if name in TITLES], "")
    sampled = [name for name in names if name not in TITLES]
    scored(sampled, "sample_")
    scored([n for n in sampled if is_doubtful(rubric, n, files[n].correct, files[n].total)], "")


def hints_at(name, files):
    """[(name, Hint, the code that stands there or "")] for a notebook, in its order."""
    (answer,) = call_all(hints, paths(files, [name]), TEXT_SECONDS)
    if not answer.get("whole") and answer.get("problem") != files[name].problem:
        note = "too long or nested too deeply to be searched whole for hints"
        learn(files, [name], [{"note": note}])
    found = [(name, Hint(*hint), code) for hint, code in answer.get("hints", ())]
    models = {model: files[model] for model in MODELS_OF[name]}
    found += [(name, hint, "") for hint in unlike_claims(files[name].claims, models)]
    return sorted(found, key=lambda one: one[1][1:3])


def note_twins(files, names):
    """Notes of some of the files which others are the same, byte for byte."""
    digests = {name: file_sha256(files[name].path) for name in names}
    for name, own in digests.items():
        twins = [other for other in names if other != name and digests[other] == own]
        if twins:
            learn(files, [name], [{"note": f"the same file as {', '.join(twins)}"}])
