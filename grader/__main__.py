"""Checks hand-ins: notebooks with outputs, .tflite files that run, and the assignment's scores.

    .venv/bin/python -m grader FILE.zip [FILE2.zip ...] [--rubric FILE.toml] [--folder FOLDER]

For a student before handing in, and for an instructor with many. The points of the rubric, the
ranking and a page of feedback for each hand-in are written to build/check/, and then shown.
Without names on the command line those in the environment variable ZIP are taken. Exit status 1
if a hand-in has a problem.
"""

import argparse
import concurrent.futures
import contextlib
import glob
import os
import shlex
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from tabulate import tabulate

from grader.check import ARRAYS, check
from grader.feedback import in_words, pages, rubric_rows, write_gradebook, write_page
from grader.names import printable
from grader.processes import SYSTEMS, resource
from grader.ranking import ranking, shown, write_ranking
from grader.rubric import RUBRIC, RubricError, read_rubric
from signmnist import data as sign_mnist
from toolkit.files import DataError

SAMPLE = 100  # images
FOLDER = Path("build", "check")


def save_test_data(folder):
    """Writes the test images and labels, and a sample of them, as .npy files to `folder`.

    Returns what must be said of data that are not the real ones, or "".
    """
    path = sign_mnist.find_csvs()[1]
    pixels, labels = sign_mnist.read_csv(path)
    sha256 = sign_mnist.content_sha256(pixels, labels)
    images = sign_mnist.to_images(pixels)
    labels = np.searchsorted(sign_mnist.LABELS, labels)
    order = np.random.default_rng(0).permutation(len(images))  # early stops see all letters
    images, labels = images[order], labels[order]
    for name, array in zip(ARRAYS, (images, labels), strict=True):
        np.save(Path(folder, f"{name}.npy"), array)
        np.save(Path(folder, f"sample_{name}.npy"), array[:SAMPLE])
    canonical = sha256 == sign_mnist.CANONICAL_SHA256[sign_mnist.TEST_CSV]
    return "" if canonical else f"NOT Sign Language MNIST: scored on other data, {path}\n"


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


def check_all(zips, rubric):
    """path -> Checked of the zips, and what must be said of the data. Raises DataError."""
    with tempfile.TemporaryDirectory() as data:
        banner = save_test_data(data)
        pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1)
        try:
            work = {pool.submit(check, path, data, rubric): path for path in zips}
            answers = {}
            for future in concurrent.futures.as_completed(work):
                answers[work[future]] = future.result()
                say(f"\r{len(answers)} of {len(zips)} checked", 2)
            say("\n", 2)
        finally:
            pool.shutdown(cancel_futures=True)
    return {path: answers[path] for path in zips}, banner


def write_all(folder, results, table):
    """Writes gradebook, ranking and pages; returns what could not be written, a list of str."""
    failed = []
    tasks = {"gradebook.csv": partial(write_gradebook, results=results)}
    tasks["ranking.csv"] = partial(write_ranking, table=table)
    tasks |= {name: partial(write_page, **page) for name, page in pages(results).items()}
    for name, write in tasks.items():
        path = Path(folder, name)
        try:
            write(path)
        except OSError as error:
            failed.append(f"{path}: {error.strerror}: name another place by --folder")
        except Exception as error:
            failed.append(f"{path}: could not be written ({type(error).__name__})")
    return failed


def told(path, checked):
    """The tables of a hand-in, its points and its hints, as text."""
    lines = [
        f"\n{printable(path)}",
        tabulate(checked.rows, headers="keys", disable_numparse=True),
    ]
    if any(row["file"] for row in checked.rows):  # else nothing was read: one line says why
        rubric = tabulate(rubric_rows(checked.graded), headers="keys", disable_numparse=True)
        lines += [f"\n{rubric}", in_words(checked.graded)]
    for name, hint, _ in checked.hints:
        line = f", line {hint.line}" if hint.line else ""
        lines.append(f"{name}, cell {hint.cell}{line}: {hint.text}")
    return "\n".join(lines)


def say(text, number=1):
    """Writes to standard output or error (2); that it is closed, lacks characters or has no reader
    stops nothing."""
    encoding = getattr((sys.stdout, sys.stderr)[number - 1], "encoding", None) or "utf-8"
    with contextlib.suppress(OSError):
        os.write(number, text.encode(encoding, "backslashreplace"))


def occupy_closed():
    """Opens the standard streams that are closed, or else files of ours would get their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def options(arguments):
    """The options on the command line, with `zips`, the names of the hand-ins."""
    parser = argparse.ArgumentParser("grader", description=__doc__.splitlines()[0])
    parser.add_argument("zips", nargs="*", metavar="FILE.zip")
    parser.add_argument("--rubric", default=RUBRIC, help="what there are points for")
    parser.add_argument("--folder", default=FOLDER, help="where points and pages are written")
    chosen = parser.parse_args(arguments)
    chosen.zips = list(dict.fromkeys(chosen.zips or zips_named(os.environ.get("ZIP", ""))))
    if not chosen.zips:
        parser.error('no zip named: make check ZIP="anna.zip"')
    return chosen


def main(arguments=None):
    """Checks the zips on the command line; returns the exit status."""
    occupy_closed()
    if not resource:
        say(f"{SYSTEMS}\n", 2)
        return 1
    chosen = options(arguments)
    try:
        results, banner = check_all(chosen.zips, read_rubric(chosen.rubric))
    except (DataError, RubricError) as error:
        say(f"{error}\n", 2)
        return 1
    table = ranking({printable(path): checked.scores for path, checked in results.items()})
    # written before anything is printed, which may fail
    failed = write_all(chosen.folder, results, table)
    texts = [banner, *(told(path, checked) for path, checked in results.items())]
    if len(results) > 1:
        texts.append(f"\nRanking\n{shown(table)}")
    texts.append(f"\nPoints and feedback: {chosen.folder}/index.html, gradebook.csv, ranking.csv\n")
    say("\n".join(filter(None, texts)))
    say("".join(f"{line}\n" for line in failed[:3]), 2)
    problems = [line["problem"] for checked in results.values() for line in checked.rows]
    return int(bool(failed) or any(problems))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
