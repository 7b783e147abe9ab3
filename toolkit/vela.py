"""Arm's Vela, the compiler for the NPU Ethos-U: what it makes of a .tflite file."""

import csv
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

from toolkit.files import replacing
from toolkit.graph import LAYERS, as_array, read_model
from toolkit.standard import standard_form
from toolkit.tflite import ModelError

ACCELERATOR = "ethos-u55-128"
SYSTEMS = {"fast flash": "High_End_Embedded", "slow flash": "Deep_Embedded"}


class Compiled(NamedTuple):
    """Vela's estimates for one inference: cycles by speed of the flash, the bytes of weights
    before and after its encoding, SRAM in bytes, and how many operators it leaves to the CPU."""

    cycles: dict
    raw: int
    encoded: int
    sram: int
    on_cpu: int


def install_beside(folder, *requirements):
    """Installs packages into a folder of their own, so that they change no other package.

    Returns "" or, where pip fails, the reason in a line.
    """
    names = [
        str(Requirement(text).name) + str(Requirement(text).specifier) for text in requirements
    ]
    if Path(folder).is_dir():
        return ""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
    done = subprocess.run([*pip, *names], capture_output=True, text=True)
    return "" if done.returncode == 0 else f"pip could not install {', '.join(names)}"


def weight_arrays(content):
    """The weights of each layer of a .tflite file, a list of arrays."""
    operators = read_model(content).subgraphs[0].operators
    return [as_array(op.sources[1]) for op in operators if op.kind in LAYERS]


def vela_version(packages):
    """The version of Vela that `install_beside` put into a folder."""
    (found,) = importlib.metadata.distributions(name="ethos-u-vela", path=[str(packages)])
    return found.version


def compile_with_vela(path, folder, packages, accelerator=ACCELERATOR):
    """The Compiled of a .tflite file for an Ethos-U55 with shared SRAM.

    folder: for what Vela writes. packages: where `install_beside` put it. accelerator: its name
    for Vela. Raises ModelError with what Vela says if it fails.
    """
    cycles = {}
    environment = os.environ | {"PYTHONPATH": str(Path(packages).resolve())}
    readable = Path(folder, Path(path).name)
    with replacing(readable) as temporary:
        temporary.write_bytes(standard_form(Path(path).read_bytes()))
    for title, system in SYSTEMS.items():
        target = Path(folder, system)
        command = [sys.executable, "-m", "ethosu.vela", str(readable)]
        command += ["--accelerator-config", accelerator, "--config", "Arm/vela.ini"]
        command += ["--system-config", f"Ethos_U55_{system}", "--memory-mode", "Shared_Sram"]
        command += ["--output-dir", str(target), "--verbose-performance"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        summary = next(target.glob(f"{Path(path).stem}_summary_*.csv"), None)
        if done.returncode or summary is None:
            said = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise ModelError(f"{path}: Vela cannot compile it ({' '.join(said)}).")
        (row,) = csv.DictReader(summary.read_text().splitlines())
        cycles[title] = round(float(row["cycles_total"]))
    cpu = re.search(r"CPU operators = ([\d,]+)", done.stdout)
    return Compiled(
        cycles,
        round(float(row["total_original_weights"])),
        round(float(row["total_npu_encoded_weights"])),
        round(1024 * float(row["sram_memory_used"])),
        int(cpu[1].replace(",", "")) if cpu else 0,
    )
