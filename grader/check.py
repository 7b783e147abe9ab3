"""Checks hand-ins: notebooks with outputs, .tflite files that run, and the assignment's scores.

    .venv/bin/python -m grader.check FILE.zip [FILE2.zip ...] [--csv RANKING.csv]
        [--rubric FILE.toml] [--gradebook FILE.csv] [--pages FOLDER]

For a student before handing in, and for an instructor with many. Nothing in a zip is executed
or unpacked by its own name; each model is scored on the test file in a process with limits on
processor time and memory, in the form of input (pixels / 255, 0 to 255 ...) that suits it
best. The three models that are ranked see all test images, the others the first 100 of a
fixed random order (--all: all), and all if that is too near a threshold of the rubric. Points
by the rubric and a page of feedback for each hand-in are written to build/check/. Without names
on the command line those in the environment variable ZIP are taken. Exit status 1 if a hand-in
has a problem.
"""

import argparse
import concurrent.futures
import contextlib
import glob
import hashlib
import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tabulate import tabulate
from tqdm import tqdm

from grader import scoring
from grader.claims import prose
from grader.feedback import in_words, plain, rubric_rows, write_gradebook, write_pages
from grader.grading import RUBRIC, File, RubricError, grade, hints, is_doubtful, read_rubric
from grader.hand_in import (
    MODELS,
    NOTEBOOKS,
    BadZip,
    missing,
    notebook_problems,
    printable,
    read_hand_in,
)
from signmnist.data import (
    CANONICAL_SHA256,
    LABELS,
    content_sha256,
    find_csvs,
    read_csv,
    to_images,
)
from toolkit.files import DataError
from toolkit.tflite import gzip_size

# what is ranked: by its bytes at 90 % and more, or by its accuracy
RANKED = {
    "Q2 bytes": "sign_mnist_clustered.tflite",
    "Q3 bytes": "sign_mnist_pruned.tflite",
    "Q4 accuracy": "sign_mnist_qkeras_4bit.tflite",
}
TITLES = {file: title for title, file in RANKED.items()}
GOAL, BITS = 0.9, 4
ARRAYS = "images", "labels"
SAMPLE, MAX_OTHERS = 100, 20
PAGES = Path("build", "check")
SECONDS = 180  # of processor time: int16x8 with 64-bit biases takes some 40 on a slow core


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


def check(path, data, seconds, rubric, everything=False):
    """`check_members`, but whatever goes wrong with one hand-in, the others go on."""
    try:
        return check_members(read_hand_in(path), data, seconds, rubric, everything)
    except BadZip as error:
        problem = str(error)
    except Exception as error:
        problem = f"could not be checked ({type(error).__name__})"
    graded = grade(rubric, {}, "the zip could not be checked")
    return Checked([row("", problem=problem)], dict.fromkeys(RANKED), graded, [])


def row(file, result="", size="", note="", problem=""):
    """A line of a hand-in's table."""
    return {"file": file, "result": result, "gzip bytes": size, "note": note, "problem": problem}


def check_members(members, data, seconds, rubric, everything):
    """Checks the members of one hand-in, see `read_hand_in`. Returns a Checked.

    data: folder with images.npy and labels.npy, sample_images.npy and sample_labels.npy.
    """
    others = sorted(name for name in members if name.endswith(".tflite") and name not in MODELS)
    expected = [*MODELS, *others[:MAX_OTHERS]]
    answers = score_models({name: members[name] for name in expected if name in members}, data,
                           seconds, rubric, everything)  # fmt: skip
    files = {name: known(name, members, answers) for name in (*NOTEBOOKS, *expected)}
    images = len(np.load(Path(data, "labels.npy"), "r"))
    rows, scores = [], dict.fromkeys(RANKED)
    for name, file in files.items():
        result = f"{file.share:.2%} of {file.total:,}" if file.total else ""
        if name in NOTEBOOKS and not file.problem:
            result = "ok"
        problem = file.problem
        if name in TITLES and file.total:
            scores[TITLES[name]], problem = ranked(TITLES[name], file, images, seconds)
        notes = [members[name].note, same_file(name, members)] if name in members else []
        if name in answers:
            notes.insert(1, answers[name].pixels)
        size = f"{file.size:,}" if file.size else ""
        rows.append(row(name, result, size, "; ".join(filter(None, notes)), problem))
    if len(others) > MAX_OTHERS:
        rows.append(row(f"{len(others) - MAX_OTHERS} more models", problem="not scored"))
    found = [
        (name, *hint)
        for name in NOTEBOOKS
        if name in members and members[name].content is not None
        for hint in hints(name, members[name].content, files)
    ]
    return Checked(rows, scores, grade(rubric, files), found)


def known(name, members, answers):
    """The File of a name that is asked for. answers: name -> Score of the models."""
    if name not in members:
        return File(missing(name, members))
    content = members[name].content
    if content is None:
        return File(members[name].problem)
    if name in NOTEBOOKS:
        return File(", ".join(notebook_problems(content)), prose=prose(content))
    correct, total, problem, _, bits = answers[name]
    return File(problem, correct, total, bits, gzip_size(content))


def ranked(title, file, images, seconds):
    """(score, problem) of a model in the ranking `title`: what counts, None if it is not ranked,
    and what is wrong with it, or ""."""
    if file.total < images:
        return None, f"not through in {seconds:g} s of processor time: not ranked"
    if title.endswith("accuracy"):
        wrong = f"stores {file.bits} bits a weight, not {BITS}" if file.bits > BITS else ""
        return file.share, wrong
    return (file.size, "") if file.share >= GOAL else (None, f"below {GOAL:.0%}: not ranked")


def score_models(members, data, seconds, rubric, everything):
    """name -> Score of the models among `members` that could be read; see `check_members`.

    A model of which a sample leaves open on which side of a threshold it is sees all images.
    """
    chosen = [name for name, member in members.items() if member.content is not None]
    with tempfile.TemporaryDirectory() as folder:
        # never by a name from the zip
        paths = {name: Path(folder, f"{number}.tflite") for number, name in enumerate(chosen)}
        for name, path in paths.items():
            path.write_bytes(members[name].content)

        def scored(kinds):
            jobs = [
                (str(paths[name]), *(str(Path(data, f"{kind}{what}.npy")) for what in ARRAYS))
                for name, kind in kinds.items()
            ]
            return dict(zip(kinds, scoring.score_all(jobs, seconds), strict=True))

        whole = chosen if everything else TITLES
        kinds = {name: "" if name in whole else "sample_" for name in chosen}
        answers = scored(kinds)
        doubtful = [
            name
            for name, kind in kinds.items()
            if kind and is_doubtful(rubric, name, *answers[name][:2])
        ]
        return answers | scored(dict.fromkeys(doubtful, ""))


def same_file(name, members):
    """Which other models of a hand-in are the same file, byte for byte, in words, or ""."""

    def digest(member):
        return member.content is not None and hashlib.sha256(member.content).digest()

    own = digest(members[name])
    twins = [
        o for o in members if o != name and o.endswith(".tflite") and digest(members[o]) == own
    ]
    return f"the same file as {', '.join(twins)}" if twins else ""


def ranking(scores):
    """Scores of several hand-ins (dict by name) as a DataFrame with a rank for each, best first.

    The smallest bytes and the largest accuracy have rank 1; who has no score shares the last
    rank. The order is that of the sum of the three ranks.
    """
    table = pd.DataFrame.from_dict(scores, orient="index", columns=list(RANKED), dtype=float)
    ranks = []
    for title in RANKED:
        ranks.append(f"{title.split()[0]} rank")
        table[ranks[-1]] = (
            table[title]
            .rank(method="min", ascending=not title.endswith("accuracy"))
            .fillna(len(table))
            .astype(int)
        )
        if not title.endswith("accuracy"):
            table[title] = table[title].astype("Int64")
    table["sum of ranks"] = table[ranks].sum(axis=1)
    return table.rename_axis("hand-in").sort_values("sum of ranks", kind="stable")


def save_test_data(folder):
    """Writes the test images and labels, and a sample of them, as .npy files to `folder`."""
    path = find_csvs()[1]
    pixels, labels = read_csv(path)
    if content_sha256(pixels, labels) != CANONICAL_SHA256[path.name]:
        print(f"NOT Sign Language MNIST: scored on other data, {path}")
    images, labels = to_images(pixels), np.searchsorted(LABELS, labels)
    order = np.random.default_rng(0).permutation(len(images))  # early stops see all letters
    images, labels = images[order], labels[order]
    for name, array in zip(ARRAYS, (images, labels), strict=True):
        np.save(Path(folder, f"{name}.npy"), array)
        np.save(Path(folder, f"sample_{name}.npy"), array[:SAMPLE])


def zips_named(text):
    """The zips that a text names: one name, several, or patterns such as hand-ins/*.zip.

    Names may hold spaces: as many words as make the name of a file belong together.
    """
    with contextlib.suppress(ValueError):  # a quote that is part of a name
        quoted = shlex.split(text) if set(text) & set("'\"") else []
        if quoted and all(Path(name).exists() for name in quoted):
            return quoted
    names, words = [], text.split()
    while words:
        for count in range(len(words), 0, -1):
            name = os.path.expanduser(" ".join(words[:count]))
            matches = [name] if Path(name).exists() else sorted(glob.glob(name))
            if matches or count == 1:
                names += matches or [name]
                words = words[count:]
                break
    return names


def show(path, checked):
    """Prints the tables of a hand-in, its points and its hints."""
    print(f"\n{printable(path)}")
    print(tabulate(checked.rows, headers="keys", disable_numparse=True))
    print(f"\n{tabulate(rubric_rows(checked.graded), headers='keys', disable_numparse=True)}")
    print(in_words(checked.graded))
    for name, hint, _ in checked.hints:
        line = f", line {hint.line}" if hint.line else ""
        print(f"{name}, cell {hint.cell}{line}: {hint.text}")


def check_all(chosen, rubric):
    """path -> Checked of the zips that `chosen`, the options, names. Raises DataError."""
    with tempfile.TemporaryDirectory() as data:
        save_test_data(data)
        pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1)
        try:
            work = {
                pool.submit(check, path, data, chosen.seconds, rubric, chosen.all): path
                for path in chosen.zips
            }
            done = concurrent.futures.as_completed(work)
            finished = tqdm(done, total=len(work), unit="zip", disable=len(work) == 1)
            answers = {work[future]: future.result() for future in finished}
        finally:
            pool.shutdown(cancel_futures=True)
    return {path: answers[path] for path in chosen.zips}


def options(arguments):
    """The options on the command line, with `zips`, the names of the hand-ins."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("zips", nargs="*", metavar="FILE.zip")
    parser.add_argument("--csv", help="write the ranking to this file")
    parser.add_argument("--rubric", default=RUBRIC, help="what there are points for")
    parser.add_argument(
        "--gradebook", default=PAGES / "gradebook.csv", help="write the points to this file"
    )
    parser.add_argument("--pages", default=PAGES, help="write feedback pages to this folder")
    parser.add_argument("--all", action="store_true", help="score all models on all images")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="processor time that one model may take"
    )
    chosen = parser.parse_args(arguments)
    chosen.zips = chosen.zips or zips_named(os.environ.get("ZIP", ""))
    if not chosen.zips:
        parser.error('no zip named: make check ZIP="anna.zip"')
    if chosen.csv and not Path(chosen.csv).absolute().parent.is_dir():
        parser.error(f"{chosen.csv}: there is no such folder")
    return chosen


def main(arguments=None):
    """Checks the zips on the command line; returns the exit status."""
    if not scoring.resource:
        print(scoring.SYSTEMS, file=sys.stderr)
        return 1
    chosen = options(arguments)
    try:
        results = check_all(chosen, read_rubric(chosen.rubric))
    except (DataError, RubricError) as error:
        print(error, file=sys.stderr)
        return 1
    for path, checked in results.items():
        show(path, checked)
    table = ranking({path: checked.scores for path, checked in results.items()})
    if len(results) > 1:
        shown = table.copy()
        for title in RANKED:
            form = "{:.2%}" if title.endswith("accuracy") else "{:,.0f}"
            shown[title] = ["–" if pd.isna(v) else form.format(v) for v in table[title]]
        print(f"\nRanking\n{tabulate(shown.reset_index(), headers='keys', showindex=False)}")
    try:
        if chosen.csv:
            table.rename(index=plain).to_csv(chosen.csv)
        write_gradebook(chosen.gradebook, results)
        print(f"\nFeedback: {write_pages(chosen.pages, results)}, points: {chosen.gradebook}")
    except OSError as error:
        print(f"{error.filename}: {error.strerror}: name another place", file=sys.stderr)
        return 1
    return int(any(line["problem"] for one in results.values() for line in one.rows))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
