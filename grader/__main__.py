"""Checks hand-ins: notebooks that were run, .tflite files that hold what is asked, and the scores.

    .venv/bin/python -m grader FILE.zip [FILE2.zip ...] [--roster grades.csv]

For a student before handing in, and for an instructor with a class: FILE may be the zip that Canvas
or Moodle makes of all hand-ins, or a folder. Points, what a person is to mark, the ranking and a
page for each hand-in are written to build/check/, and a line for each is shown. Without names on
the command line those in the environment variables ZIP, ROSTER and ASSIGNMENT are taken. Exit
status 2 if a name matches nothing, 1 if something cannot be read or written; what is wrong with a
hand-in stands on its page.
"""

import argparse
import contextlib
import os
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from grader.check import check_class, shown_name
from grader.feedback import (
    Told,
    likeness,
    number,
    overview,
    page_names,
    pages,
    remove_pages,
    summary,
    write_page,
    write_points,
)
from grader.marking import TableError, marked, read_marks, write_marks
from grader.names import printable
from grader.processes import SYSTEMS, resource
from grader.ranking import ranking, shown, write_ranking
from grader.roster import matched, read_roster, write_canvas
from grader.rubric import RUBRIC, RubricError, read_rubric
from grader.score_all import ARRAYS
from grader.submissions import NothingFound, paths_named, require, students
from signmnist import data as sign_mnist
from toolkit.files import DataError

FOLDER = Path("build", "check")


def save_test_data(folder):
    """Writes the test images and labels as .npy files to `folder`.

    Returns their sha256 and what must be said of data that are not the real ones, or "".
    """
    path = sign_mnist.find_csvs()[1]
    pixels, labels = sign_mnist.read_csv(path)
    sha256 = sign_mnist.content_sha256(pixels, labels)
    images = sign_mnist.to_images(pixels)
    labels = np.searchsorted(sign_mnist.LABELS, labels)
    order = np.random.default_rng(0).permutation(len(images))  # a trial sees all letters
    for name, array in zip(ARRAYS, (images[order], labels[order]), strict=True):
        np.save(Path(folder, f"{name}.npy"), array)
    canonical = sha256 == sign_mnist.CANONICAL_SHA256[sign_mnist.TEST_CSV]
    return sha256, "" if canonical else f"NOT Sign Language MNIST: scored on other data, {path}\n"


def write_all(folder, tasks):
    """Writes files, name -> function of a path; returns what could not be written, in words."""
    failed = []
    for name, write in tasks.items():
        path = Path(folder, name)
        try:
            write(path)
        except OSError as error:
            failed.append(f"{path}: {error.strerror}: name another place by --folder")
        except Exception as error:
            failed.append(f"{path}: could not be written ({type(error).__name__})")
    return failed


def say(text, number=1):
    """Writes to standard output or error (2); that it is closed, lacks characters or has no reader
    stops nothing."""
    encoding = getattr((sys.stdout, sys.stderr)[number - 1], "encoding", None) or "utf-8"
    with contextlib.suppress(OSError):
        os.write(number, text.encode(encoding, "backslashreplace"))


def progress(text):
    """Shows how far it is, in one line."""
    say(f"\r{text:<50}", 2)


def occupy_closed():
    """Opens the standard streams that are closed, or else files of ours would get their numbers."""
    for stream in range(3):
        try:
            os.fstat(stream)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def options(arguments):
    """The options on the command line, with `paths`, what was handed in. Raises NothingFound."""
    parser = argparse.ArgumentParser("grader", description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", metavar="FILE.zip")
    parser.add_argument("--roster", default=os.environ.get("ROSTER"), help="Canvas's grades.csv")
    parser.add_argument(
        "--assignment", default=os.environ.get("ASSIGNMENT", ""), help="its column in the roster"
    )
    parser.add_argument("--rubric", default=RUBRIC, help="what there are points for")
    parser.add_argument("--folder", default=FOLDER, help="where points and pages are written")
    parser.add_argument(
        "--own", action="store_true", help="by the suite's authors: not compared with the suite"
    )
    chosen = parser.parse_args(arguments)
    require([path for path in chosen.paths if not os.path.lexists(path)])
    chosen.paths = list(dict.fromkeys(chosen.paths or paths_named(os.environ.get("ZIP", ""))))
    if not chosen.paths:
        parser.error('nothing named: make check ZIP="anna.zip"')
    if chosen.roster:
        chosen.roster = os.path.expanduser(chosen.roster)
        require([] if os.path.exists(chosen.roster) else [chosen.roster])
    return chosen


def main(arguments=None):
    """Checks what is named on the command line; returns the exit status."""
    occupy_closed()
    if not resource:
        say(f"{SYSTEMS}\n", 2)
        return 1
    try:
        return check_named(options(arguments))
    except NothingFound as error:
        say(f"{error}\n", 2)
        return 2
    except (DataError, RubricError, TableError) as error:
        say(f"{error}\n", 2)
        return 1


def check_named(chosen):
    """Checks, writes and shows; returns the exit status. Raises what `main` shows."""
    rubric = read_rubric(chosen.rubric)
    folder = Path(chosen.folder)
    columns, marks = read_marks(folder / "marking.csv", rubric)
    roster = read_roster(chosen.roster, chosen.assignment) if chosen.roster else None
    class_, rest = students(chosen.paths)
    if not class_:
        raise NothingFound(f"{printable(str(chosen.paths[0]))}: there is no hand-in in it")
    rows = matched(roster, class_) if roster else {}
    if roster and not rows:
        first = printable(str(class_[0].name))
        raise TableError(f"{chosen.roster}: nobody of it handed in any of this: {first}")
    class_ = [
        one._replace(name=rows[place]["Student"]) if place in rows else one
        for place, one in enumerate(class_)
    ]
    with tempfile.TemporaryDirectory() as data:
        sha256, banner = save_test_data(data)
        cache = folder / "scores" / sha256[:16]
        found = check_class(class_, data, rubric, cache, progress, chosen.own)
        say("\n", 2)
    names = [name_of(one, place in rows) for place, one in enumerate(class_)]
    keys = [one.id or one.name for one in class_]
    found = [
        one._replace(graded=marked(one.graded, key, marks))
        for one, key in zip(found, keys, strict=True)
    ]
    results = list(map(Told, names, page_names(names), found))
    present = {id(row) for row in rows.values()}
    absent = [row for row in roster.rows if id(row) not in present] if roster else []
    absent = [printable(row["Student"]) for row in absent]
    table = ranking({told.name: told.checked.scores for told in results})
    given = [canvas_points(told.checked.graded) for told in results]
    by_id = {row["ID"].strip(): given[place] for place, row in rows.items()}
    strangers = [
        (one.name, one.id, given[place]) for place, one in enumerate(class_) if place not in rows
    ]
    possible = number(summary(found[0].graded).total.possible)
    answers = [
        (key, told.name, told.checked.graded) for key, told in zip(keys, results, strict=True)
    ]
    views = pages(results, absent, [printable(place) for place in rest])
    tasks = {
        "marking.csv": partial(write_marks, results=answers, columns=columns, marks=marks),
        "gradebook.csv": partial(
            write_canvas, roster=roster, points=by_id, possible=possible, strangers=strangers
        ),
        "points.csv": partial(write_points, results=results),
        "ranking.csv": partial(write_ranking, table=table),
    }
    tasks |= {name: partial(write_page, **view) for name, view in views.items()}
    # written before anything is printed, which may fail
    failed = write_all(folder, tasks)
    remove_pages(folder, set(views))
    texts = [banner, likeness(results), overview(results)]
    if absent:
        texts.append(f"\nHanded in nothing: {'; '.join(absent)}")
    if rest:
        texts.append(f"\nFiles of nobody: {', '.join(map(printable, rest[:8]))}")
    if roster and strangers:
        texts.append(f"\nNot in the roster: {', '.join(printable(s[0]) for s in strangers)}")
    if roster and roster.possible and roster.possible not in (possible, f"{float(possible):.2f}"):
        texts.append(f"\nCanvas has {roster.possible} points for it, the rubric {possible}.")
    if len(results) > 1:
        texts.append(f"\nRanking\n{shown(table)}")
    open_rows = sum(one.points is None for told in results for one in told.checked.graded)
    if open_rows:
        texts.append(f"\n{open_rows} answers to mark in {folder}/marking.csv; then run this again.")
    texts.append(f"\nPages: {folder}/index.html. For Canvas: {folder}/gradebook.csv\n")
    say("\n".join(filter(None, texts)))
    say("".join(f"{line}\n" for line in failed[:3]), 2)
    return int(bool(failed))


def name_of(student, known):
    """How a Student is called: by the roster, or as the file was."""
    return student.name if known else shown_name(student)


def canvas_points(graded):
    """What a hand-in has in Canvas: its points and extra credit, what is open not counted."""
    _, total, extra = summary(graded)
    return number(total.given + extra.given)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
