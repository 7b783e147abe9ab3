"""Checks hand-ins: notebooks with outputs, .tflite files that run, and the assignment's scores.

    .venv/bin/python -m tools.check_submission FILE.zip [FILE2.zip ...] [--csv RANKING.csv]

For a student before handing in, and for an instructor with many. Nothing in a zip is executed
or unpacked by its own name; each model is scored on the test file in a process with limits on
processor time and memory, in the form of input (pixels / 255, 0 to 255 ...) that suits it
best. The three models that are ranked see all test images, the others the first 100 of a
fixed random order (--all: all). Without names on the command line those in the environment
variable ZIP are taken. Exit status 1 if a hand-in has a problem.
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

import numpy as np
import pandas as pd
from tabulate import tabulate
from tqdm import tqdm

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
from tools import scoring
from tools.hand_in import MODELS, NOTEBOOKS, BadZip, missing, notebook_problems, read_hand_in

# what is ranked: by its bytes at 90 % and more, or by its accuracy
RANKED = {
    "Q2 bytes": "sign_mnist_clustered.tflite",
    "Q3 bytes": "sign_mnist_pruned.tflite",
    "Q4 accuracy": "sign_mnist_qkeras_4bit.tflite",
}
GOAL, BITS = 0.9, 4
SAMPLE, MAX_OTHERS = 100, 20
SECONDS = 180  # of processor time: int16x8 with 64-bit biases takes some 40 on a slow core


def check(path, data, seconds, everything=False):
    """`check_members`, but whatever goes wrong with one hand-in, the others go on."""
    try:
        return check_members(read_hand_in(path), data, seconds, everything)
    except BadZip as error:
        problem = str(error)
    except Exception as error:
        problem = f"could not be checked ({type(error).__name__})"
    return [row("", problem=problem)], dict.fromkeys(RANKED)


def row(file, result="", size="", note="", problem=""):
    """A line of a hand-in's table."""
    return {"file": file, "result": result, "gzip bytes": size, "note": note, "problem": problem}


def check_members(members, data, seconds, everything):
    """Checks the members of one hand-in, see `read_hand_in`. Returns (rows, scores).

    rows: a list of dicts, one a file, with `file`, `result`, `gzip bytes`, `note` and
    `problem`. scores: dict with the keys RANKED, None where there is none. data: folder with
    images.npy and labels.npy, sample_images.npy and sample_labels.npy.
    """
    rows, scores = [], dict.fromkeys(RANKED)
    for name in NOTEBOOKS:
        if name not in members:
            rows.append(row(name, problem=missing(name, members)))
            continue
        member = members[name]
        wrong = member.problem or ", ".join(notebook_problems(member.content))
        rows.append(row(name, "" if wrong else "ok", note=member.note, problem=wrong))
    others = sorted(name for name in members if name.endswith(".tflite") and name not in MODELS)
    expected = [*MODELS, *others[:MAX_OTHERS]]
    answers = score_models({name: members[name] for name in expected if name in members}, data,
                           seconds, everything)  # fmt: skip
    images = len(np.load(Path(data, "labels.npy"), "r"))
    ranked = {file: title for title, file in RANKED.items()}
    for name in expected:
        if name not in members:
            rows.append(row(name, problem=missing(name, members)))
            continue
        member, found = members[name], answers.get(name)
        if found is None:
            rows.append(row(name, note=member.note, problem=member.problem))
            continue
        size, share = gzip_size(member.content), found.correct / max(found.total, 1)
        result = f"{share:.2%} of {found.total:,}" if found.total else ""
        notes = [member.note, found.pixels, same_file(name, members)]
        rows.append(row(name, result, f"{size:,}", "; ".join(filter(None, notes)), found.problem))
        if name not in ranked or not found.total:
            continue
        if found.total < images:
            rows[-1]["problem"] = f"not through in {seconds:g} s of processor time: not ranked"
        elif ranked[name].endswith("accuracy"):
            scores[ranked[name]] = share
            if found.bits > BITS:
                rows[-1]["problem"] = f"stores {found.bits} bits a weight, not {BITS}"
        elif share >= GOAL:
            scores[ranked[name]] = size
        else:
            rows[-1]["problem"] = f"below {GOAL:.0%}: not ranked"
    if len(others) > MAX_OTHERS:
        rows.append(row(f"{len(others) - MAX_OTHERS} more models", problem="not scored"))
    return rows, scores


def score_models(members, data, seconds, everything):
    """name -> Score of the models among `members` that could be read; see `check_members`."""
    chosen = [name for name, member in members.items() if member.content is not None]
    with tempfile.TemporaryDirectory() as folder:
        jobs = []
        for number, name in enumerate(chosen):
            path = Path(folder, f"{number}.tflite")  # never by a name from the zip
            path.write_bytes(members[name].content)
            kind = "" if name in RANKED.values() or everything else "sample_"
            arrays = (str(Path(data, f"{kind}{what}.npy")) for what in ("images", "labels"))
            jobs.append((str(path), *arrays))
        return dict(zip(chosen, scoring.score_all(jobs, seconds), strict=True))


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
    for name, array in (("images", images), ("labels", labels)):
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


def main(arguments=None):
    """Checks the zips on the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("zips", nargs="*", metavar="FILE.zip")
    parser.add_argument("--csv", help="write the ranking to this file")
    parser.add_argument("--all", action="store_true", help="score all models on all images")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="processor time that one model may take"
    )
    chosen = parser.parse_args(arguments)
    if not scoring.resource:
        print(scoring.SYSTEMS, file=sys.stderr)
        return 1
    chosen.zips = chosen.zips or zips_named(os.environ.get("ZIP", ""))
    if not chosen.zips:
        parser.error('no zip named: make check ZIP="anna.zip"')
    if chosen.csv and not Path(chosen.csv).absolute().parent.is_dir():
        parser.error(f"{chosen.csv}: there is no such folder")
    with tempfile.TemporaryDirectory() as data:
        try:
            save_test_data(data)
        except DataError as error:
            print(error, file=sys.stderr)
            return 1
        pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1)
        try:
            work = {pool.submit(check, z, data, chosen.seconds, chosen.all): z for z in chosen.zips}
            done = concurrent.futures.as_completed(work)
            finished = tqdm(done, total=len(work), unit="zip", disable=len(work) == 1)
            answers = {work[future]: future.result() for future in finished}
        finally:
            pool.shutdown(cancel_futures=True)
        results = {path: answers[path] for path in chosen.zips}
    for path, (rows, _) in results.items():
        print(f"\n{path}")
        print(tabulate(rows, headers="keys", disable_numparse=True))
    table = ranking({path: scores for path, (_, scores) in results.items()})
    if len(results) > 1:
        shown = table.copy()
        for title in RANKED:
            form = "{:.2%}" if title.endswith("accuracy") else "{:,.0f}"
            shown[title] = ["–" if pd.isna(v) else form.format(v) for v in table[title]]
        print(f"\nRanking\n{tabulate(shown.reset_index(), headers='keys', showindex=False)}")
    if chosen.csv:
        table.to_csv(chosen.csv)
    return int(any(line["problem"] for rows, _ in results.values() for line in rows))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
