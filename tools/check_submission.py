"""Checks hand-ins: notebooks with outputs, .tflite files that run, and the assignment's scores.

    .venv/bin/python -m tools.check_submission FILE.zip [FILE2.zip ...] [--csv RANKING.csv]

For a student before handing in, and for an instructor with many. Nothing in a zip is executed
or unpacked by its own name; each model is scored on the test file in a process with limits on
time and memory. The three models that are ranked see all test images, the others the first
100 of a fixed random order (--all: all). Exit status 1 if a hand-in has a problem.
"""

import argparse
import concurrent.futures
import json
import os
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from tabulate import tabulate
from tqdm import tqdm

from signmnist.data import (
    CANONICAL_SHA256,
    LABELS,
    DataError,
    file_sha256,
    find_csvs,
    read_csv,
    to_images,
)
from signmnist.tflite import gzip_size
from tools.scoring import score_all

NOTEBOOKS = "q1.ipynb", "q2.ipynb", "q3.ipynb", "q4.ipynb"
MODELS = (
    *("sign_mnist.tflite", "sign_mnist_quant_dyn.tflite", "sign_mnist_quant_int16x8.tflite"),
    *("sign_mnist_quant_aware_training.tflite", "sign_mnist_clustered.tflite"),
    *("sign_mnist_pruned.tflite", "sign_mnist_qkeras_4bit.tflite"),
)
# what is ranked: by its bytes at 90 % and more, or by its accuracy
RANKED = {
    "Q2 bytes": "sign_mnist_clustered.tflite",
    "Q3 bytes": "sign_mnist_pruned.tflite",
    "Q4 accuracy": "sign_mnist_qkeras_4bit.tflite",
}
GOAL = 0.9
SAMPLE = 100
MAX_ENTRIES, MAX_TOTAL, MAX_OTHERS = 2000, 400 * 2**20, 20
MAX_BYTES = {".ipynb": 20 * 2**20, ".tflite": 100 * 2**20}
PACKED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED  # others unpack without bounds


class BadZip(Exception):
    """A hand-in that cannot be read; the message says why."""


def read_members(path):
    """The notebooks and .tflite files of a zip: dict from name, without folder, to bytes.

    Reads in memory, within bounds whatever the zip says of its sizes. Of two files of one
    name the one in the shortest path counts. Raises BadZip.
    """
    try:
        with zipfile.ZipFile(path) as file:
            members = file.infolist()
            if len(members) > MAX_ENTRIES:
                raise BadZip(f"{len(members):,} files are more than {MAX_ENTRIES:,}")
            found, total = {}, 0
            for member in sorted(members, key=lambda m: (m.filename.count("/"), m.filename)):
                place = PurePosixPath(member.filename.replace("\\", "/"))
                wanted = place.suffix in MAX_BYTES and printable(place.name) not in found
                if member.is_dir() or not wanted or hidden(place):
                    continue
                name, limit = printable(place.name), MAX_BYTES[place.suffix]
                if member.compress_type not in PACKED:
                    raise BadZip(f"{name}: packed by another method than deflate")
                with file.open(member) as source:
                    content = source.read(limit + 1)
                total += len(content)
                if len(content) > limit:
                    raise BadZip(f"{name}: more than {limit / 2**20:.0f} MB unpacked")
                if total > MAX_TOTAL:
                    raise BadZip(f"more than {MAX_TOTAL / 2**20:.0f} MB unpacked")
                found[name] = content
            return found
    except FileNotFoundError as error:
        raise BadZip("there is no such file") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise BadZip(f"damaged or not a zip ({error})") from error
    except (NotImplementedError, RuntimeError) as error:
        raise BadZip(f"cannot be unpacked ({error})") from error


def printable(name):
    """A file's name without line breaks or what a terminal would take for commands."""
    return name if name.isprintable() else ascii(name)


def hidden(place):
    """Whether a path is an archiver's or an editor's own, such as __MACOSX/._q1.ipynb."""
    return any(part.startswith(".") or part == "__MACOSX" for part in place.parts)


def notebook_problems(content):
    """What is wrong with the bytes of a notebook that was handed in, a list of str."""
    try:
        cells = json.loads(content)["cells"]
        cells = [cell for cell in cells if cell["cell_type"] == "code"]
        cells = [cell for cell in cells if "".join(cell["source"]).strip()]
        outputs = [output for cell in cells for output in cell["outputs"]]
        errors = sum(output["output_type"] == "error" for output in outputs)
        left = sum(cell.get("execution_count") is None for cell in cells)
    except (ValueError, KeyError, TypeError, RecursionError):
        return ["not a notebook"]
    problems = []
    if not outputs:
        problems.append("no outputs saved")
    elif left:
        problems.append(f"{left} of {len(cells)} cells not executed")
    if errors:
        problems.append(f"{errors} cells with an error")
    return problems


def check(path, data, seconds, everything=False):
    """`check_members`, but whatever goes wrong with one hand-in, the others go on."""
    try:
        return check_members(read_members(path), data, seconds, everything)
    except BadZip as error:
        problem = str(error)
    except Exception as error:
        problem = f"could not be checked ({type(error).__name__})"
    return [row("", problem=problem)], dict.fromkeys(RANKED)


def row(file, result="", size="", problem=""):
    """A line of a hand-in's table."""
    return {"file": file, "result": result, "gzip bytes": size, "problem": problem}


def check_members(members, data, seconds, everything):
    """Checks the members of one hand-in. Returns (rows, scores).

    rows: a list of dicts, one a file, with `file`, `result`, `gzip bytes` and `problem`.
    scores: dict with the keys RANKED, None where there is none. data: folder with
    images.npy and labels.npy, sample_images.npy and sample_labels.npy.
    """
    rows, scores = [], dict.fromkeys(RANKED)
    for name in NOTEBOOKS:
        problems = notebook_problems(members[name]) if name in members else ["missing"]
        rows.append(row(name, "" if problems else "ok", problem=", ".join(problems)))
    models = [name for name in members if name.endswith(".tflite")]
    others = sorted(set(models) - set(MODELS))
    expected = [*MODELS, *others[:MAX_OTHERS]]
    chosen = [name for name in expected if name in members]
    ranked = {file: title for title, file in RANKED.items()}
    with tempfile.TemporaryDirectory() as folder:
        jobs = []
        for number, name in enumerate(chosen):
            path = Path(folder, f"{number}.tflite")  # never by a name from the zip
            path.write_bytes(members[name])
            kind = "" if name in ranked or everything else "sample_"
            arrays = (str(Path(data, f"{kind}{what}.npy")) for what in ("images", "labels"))
            jobs.append((str(path), *arrays))
        answers = dict(zip(chosen, score_all(jobs, seconds), strict=True))
    images = len(np.load(Path(data, "labels.npy"), "r"))
    for name in expected:
        if name not in answers:
            rows.append(row(name, problem="missing"))
            continue
        found, size = answers[name], gzip_size(members[name])
        if not found.total:
            rows.append(row(name, size=f"{size:,}", problem=found.problem))
            continue
        share = found.correct / found.total
        rows.append(row(name, f"{share:.2%} of {found.total:,}", f"{size:,}"))
        if name not in ranked:
            continue
        if found.total < images:
            rows[-1]["problem"] = f"not through in {seconds:g} s: not ranked"
        elif ranked[name].endswith("accuracy"):
            scores[ranked[name]] = share
        elif share >= GOAL:
            scores[ranked[name]] = size
        else:
            rows[-1]["problem"] = f"below {GOAL:.0%}: not ranked"
    if len(others) > MAX_OTHERS:
        rows.append(row(f"{len(others) - MAX_OTHERS} more models", problem="not scored"))
    return rows, scores


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
    if file_sha256(path) != CANONICAL_SHA256[path.name]:
        print(f"NOT Sign Language MNIST: scored on other data, {path}")
    pixels, labels = read_csv(path)
    images, labels = to_images(pixels), np.searchsorted(LABELS, labels)
    order = np.random.default_rng(0).permutation(len(images))  # early stops see all letters
    images, labels = images[order], labels[order]
    for name, array in (("images", images), ("labels", labels)):
        np.save(Path(folder, f"{name}.npy"), array)
        np.save(Path(folder, f"sample_{name}.npy"), array[:SAMPLE])


def main(arguments=None):
    """Checks the zips on the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("zips", nargs="+", metavar="FILE.zip")
    parser.add_argument("--csv", help="write the ranking to this file")
    parser.add_argument("--all", action="store_true", help="score all models on all images")
    parser.add_argument("--seconds", type=float, default=20, help="limit for one model")
    chosen = parser.parse_args(arguments)
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
