"""Executes each notebook alone, as Colab would: its Python and TensorFlow, an empty folder.

    .venv/bin/python -m tools.colab [NAME ...]

Makes build/colab/.venv with python3.13 and what Colab has installed, copies each notebook into
a folder of its own, and runs it there from its first cell, which installs the rest. PROFILE as
for `make run`, by default "smoke"; the data are found as there, down to the drawn sample.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tools.datasets import data_set_of, find_data
from tools.notebooks import notebook_path
from tools.progress import minutes
from tools.run import RunError, exit_status, named_sources

FOLDER = Path("build", "colab")
PYTHON = os.environ.get("COLAB_PYTHON", "python3.13")
# The versions that Colab had in November 2026, of what the notebooks use and what executes them
COLAB = (
    *("tensorflow==2.20.0", "tf_keras==2.20.1", "numpy==2.1.3", "pandas==2.2.3"),
    *("matplotlib==3.10.0", "scikit-learn==1.6.1", "scipy==1.16.3", "pyarrow==18.1.0"),
    *("protobuf==5.29.6", "ipython==7.34.0", "ipykernel==6.17.1", "kaggle==2.0.2"),
    *("setuptools==75.2.0", "soundfile", "pillow", "tqdm", "nbconvert"),
)


def environment():
    """The Python of a virtual environment like Colab's, made where it is not there yet."""
    python = FOLDER / ".venv" / "bin" / "python"
    ready = FOLDER / ".venv" / ".ready"
    if not ready.exists():
        print(f"making {FOLDER / '.venv'} with {PYTHON}: about 3 GB, it takes some minutes")
        pip = [str(python.absolute()), "-m", "pip", "install", "--quiet", *COLAB]
        try:
            subprocess.run([PYTHON, "-m", "venv", "--clear", FOLDER / ".venv"], check=True)
            subprocess.run(pip, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise RunError(f"{error}. Name a Python 3.13: COLAB_PYTHON=/path/to/python") from error
        ready.touch()
    return python.absolute()


def main(names):
    """Executes the notebooks with these names, all by default; raises RunError if one fails."""
    python = environment()
    profile = os.environ.get("PROFILE", "smoke")
    scripts = named_sources(Path(), names)
    folders = find_data(scripts, FOLDER / "sample")
    for source in scripts:
        data_set = data_set_of(source)
        env = {
            **os.environ,
            "PROFILE": profile,
            data_set.variable: str(folders[data_set.package]),
        }
        name = source.stem
        folder = FOLDER / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copy(notebook_path(source, ""), folder)
        start = time.monotonic()
        command = [python, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace"]
        done = subprocess.run(
            [*command, f"{name}.ipynb"], cwd=folder, env=env, capture_output=True, text=True
        )
        if done.returncode:
            raise RunError(f"{name} failed:\n{done.stderr[-3000:]}")
        print(f"{name}  alone, {profile} profile: done in {minutes(time.monotonic() - start)}")


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:])))
