"""Kills `make run` at random moments and looks at what is left.

    .venv/bin/python -m benchmarks.interrupt [TIMES]

Each of TIMES (10) runs of the smoke profile on the drawn sample is killed with all its
processes, by SIGKILL, SIGTERM or SIGINT in turn, somewhere in its first minutes. Then one run
goes to its end. Exit status 1, and a line that says why, if that run fails, if a file in the
root has changed, or if a temporary file is left. Works in a copy of the project; about a quarter
of an hour on 2 cores.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from signmnist.sample import write_sample
from toolkit.files import file_sha256
from tools.run import half_written

ROOT = Path(__file__).parent.parent
OWN = ".venv", "build", "checkpoints", ".git", "__pycache__", ".ruff_cache", ".mypy_cache"
SIGNALS = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
LONGEST = 90  # seconds before a kill


def digests(root):
    """Path -> sha256 of the files that a run must not touch."""
    paths = [path for path in root.rglob("*") if not set(path.relative_to(root).parts) & set(OWN)]
    return {str(path): file_sha256(path) for path in paths if path.is_file()}


def main(times):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "project")
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*OWN))
        (root / ".venv").symlink_to(ROOT / ".venv")
        write_sample(Path(folder, "sample"))
        env = {**os.environ, "PROFILE": "smoke", "SIGN_MNIST_DIR": str(Path(folder, "sample"))}
        before = digests(root)
        rng = random.Random(0)
        for number in range(times):
            run = subprocess.Popen(
                ["make", "run"],
                cwd=root,
                env=env,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            seconds = rng.uniform(1, LONGEST)
            time.sleep(seconds)
            ended = run.poll() is not None
            if not ended:
                os.killpg(run.pid, SIGNALS[number % 3])
            run.wait()
            time.sleep(3)  # a kernel whose parent is gone sees it within a second
            what = "had ended" if ended else SIGNALS[number % 3].name
            print(f"run {number + 1}: {what} after {seconds:.0f} s", flush=True)
        last = subprocess.run(["make", "run"], cwd=root, env=env, capture_output=True, text=True)
        if last.returncode:
            return f"the run after the kills failed:\n{last.stderr}"
        if digests(root) != before:
            return "a file in the root has changed"
        left = half_written(root)
        left += list((root / "build").rglob("*.failed.ipynb"))
        left += list(root.glob("build/checkpoints/*"))
        if left:
            return f"temporary files are left: {left}"
        print(f"{times} kills, then a whole run: root unchanged, nothing left over")
        return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10))
