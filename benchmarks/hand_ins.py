"""Times the checker on a whole course: a hundred hand-ins of ordinary size, all different.

    .venv/bin/python -m benchmarks.hand_ins [TIMES]

Each zip holds the four notebooks and the seven named models of this project; a few bytes at
the end of each model, which no interpreter reads, make them differ. Prints the seconds for TIMES
(100) zips and for one, and how many times as long the many take.
"""

import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from grader.names import MODELS, NOTEBOOKS
from tools.submission import FOLDER

ROOT = Path(__file__).parent.parent


def write_hand_ins(folder, times):
    """Writes `times` distinct zips to `folder`; returns their paths."""
    notebooks = {name: Path(ROOT, name).read_bytes() for name in NOTEBOOKS}
    models = {name: Path(ROOT, "models", name).read_bytes() for name in MODELS}
    paths = []
    for number in range(times):
        paths.append(Path(folder, f"student_{number:03}.zip"))
        with zipfile.ZipFile(paths[-1], "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in notebooks.items():
                archive.writestr(f"{FOLDER}/{name}", content)
            for name, content in models.items():
                archive.writestr(f"{FOLDER}/{name}", content + number.to_bytes(4, "little"))
    return paths


def seconds(paths):
    """How long the checker takes for these zips, from its start to its end."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "grader", *paths]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    taken = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"the checker found problems:\n{done.stdout}")
    return taken


def main(times):
    with tempfile.TemporaryDirectory() as folder:
        paths = write_hand_ins(folder, times)
        one, many = seconds(paths[:1]), seconds(paths)
    print(f"{times} hand-ins on {os.cpu_count()} cores: {many:.0f} s, {many / one:.1f} times one")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
