"""Prepares Python for the notebooks: missing packages, Keras 2, quiet logs."""

import datetime
import importlib.metadata
import logging
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement

STARTED = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")  # this run


def processor_name():
    """The name of this machine's processor, without trademarks and frequency."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:(.*)", info.read_text() if info.exists() else "", re.M)
    name = found[1] if found else platform.processor() or platform.machine()
    return " ".join(re.sub(r"\((R|TM)\)|\bCPU\b|@.*|\d+-Core Processor", "", name).split())


def install_missing(*requirements):
    """Installs with pip those of the requirements, such as "qkeras==0.9.0", that are absent.

    An installed package is left alone whatever its version. Raises RuntimeError when pip fails.
    """
    missing = [text for text in requirements if is_missing(Requirement(text))]
    if not missing:
        return
    print("installing", *missing)
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    done = subprocess.run([*pip, *missing], capture_output=True, text=True)
    if done.returncode:
        reason = f"check the network, then run this cell again.\n{done.stderr.strip()[-1500:]}"
        raise RuntimeError(f"pip could not install {', '.join(missing)}: {reason}")


def is_missing(requirement):
    """Whether a requirement is for this machine and no version of it is installed."""
    try:
        importlib.metadata.version(requirement.name)
        return False
    except importlib.metadata.PackageNotFoundError:
        return not requirement.marker or requirement.marker.evaluate()


def use_keras_2():
    """Puts Keras 2 behind `tf.keras`; to be called before `import tensorflow`.

    tfmot and QKeras are written for it; under Keras 3 `cluster_weights` returns None without a
    word. Raises RuntimeError when Keras 3 is in charge: the choice is made once, at first import.
    """
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    # drops notes on CUDA, oneDNN and the converter; what goes wrong still raises an exception
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # off by default on processors without AVX-512 VNNI, where training takes 1.7 times as long
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    import tensorflow as tf

    if not tf.keras.Model.__module__.startswith("tf_keras"):
        raise RuntimeError(
            "Keras 3 is in charge, as TensorFlow was imported before TF_USE_LEGACY_KERAS=1 was set."
            " Restart the runtime (Runtime > Restart session) and run all cells from the top."
        )
    tf.get_logger().setLevel(logging.ERROR)
