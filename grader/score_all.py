"""Scores the models of a class: equal files once, and none again that was scored before."""

import concurrent.futures
import dataclasses
import hashlib
import json
import os
import time
from pathlib import Path

from grader import measures, scoring
from grader.names import MODELS, printable
from grader.processes import SECONDS, call_all
from toolkit.files import replacing

ARRAYS = "images", "labels"


def learn(files, names, answers):
    """Writes what was found of some files, dicts of a File's fields, into `files`."""
    for name, told in zip(names, answers, strict=True):
        answer = {key: printable(v) if isinstance(v, str) else v for key, v in told.items()}
        note = "; ".join(filter(None, (files[name].note, answer.pop("note", ""))))
        files[name] = dataclasses.replace(files[name], note=note, **answer)


def score_all(read_ins, data, cache, progress):
    """Scores the models of all HandIns, equal files once and finished ones from `cache`."""
    wanted: dict[str, list] = {}
    for one in read_ins:
        for name in MODELS:
            if name in one.files and one.files[name].path:
                wanted.setdefault(one.files[name].sha256, []).append((one.files, name))
    sources = [Path(str(module.__file__)).read_bytes() for module in (scoring, measures)]
    version = hashlib.sha256(b"".join(sources)).hexdigest()
    finished = {sha256: Path(cache, f"{sha256[:40]}-{version[:16]}.json") for sha256 in wanted}
    arrays = [str(Path(data, f"{what}.npy")) for what in ARRAYS]

    def one_score(sha256):
        files, name = wanted[sha256][0]
        (answer,) = call_all(scoring.score, [(files[name].path, *arrays)], SECONDS)
        if "total" in answer or "size" in answer:  # and not what ended its process
            with replacing(finished[sha256]) as temporary:
                temporary.write_text(json.dumps(answer), encoding="utf-8")
        return answer

    answers = {sha256: kept for sha256 in wanted if (kept := kept_score(finished[sha256]))}
    left = [sha256 for sha256 in wanted if sha256 not in answers]
    clock = Estimate({sha256: wanted[sha256][0][1] for sha256 in left})
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        work = {pool.submit(clock.timed, one_score, sha256): sha256 for sha256 in left}
        try:
            for done, future in enumerate(concurrent.futures.as_completed(work), 1):
                answers[work[future]] = future.result()
                progress(f"{done} of {len(left)} models scored{clock.told()}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    for sha256, places in wanted.items():
        for files, name in places:
            learn(files, [name], [dict(answers[sha256])])


def kept_score(path):
    """A score from an earlier run, or None."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


class Estimate:
    """How long the scoring still takes, by what files of each name have taken.

    left: key of a job -> the name of its file.
    """

    def __init__(self, left):
        self.left, self.taken = left, {}

    def timed(self, function, key):
        start = time.monotonic()
        try:
            return function(key)
        finally:
            name = self.left.pop(key)
            self.taken.setdefault(name, []).append(time.monotonic() - start)

    def told(self):
        """The estimate in words, or ""."""
        left = list(self.left.values())
        known = {name: sum(times) / len(times) for name, times in self.taken.items()}
        if not left or not known:
            return ""
        usual = sum(known.values()) / len(known)
        seconds = sum(known.get(name, usual) for name in left) / (os.cpu_count() or 1)
        return (
            f", about {seconds / 60:.0f} min left"
            if seconds > 90
            else f", about {seconds:.0f} s left"
        )
