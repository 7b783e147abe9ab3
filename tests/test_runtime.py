import subprocess
import sys
from pathlib import Path

import pytest

from toolkit import runtime
from toolkit.runtime import install_missing

ROOT = Path(__file__).parent.parent


def python(code):
    """Runs code in a Python of its own, without the switches that the tests have set."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env={"PATH": ""}
    )


def test_keras_2_is_behind_tf_keras_and_tensorflow_is_quiet():
    done = python(
        "from toolkit.runtime import use_keras_2; use_keras_2(); import tensorflow as tf;"
        "print(tf.keras.Model.__module__.split('.')[0])"
    )
    assert (done.stdout, done.stderr) == ("tf_keras\n", "")


def test_keras_3_in_charge_is_told_with_the_remedy():
    done = python(
        "import tensorflow as tf; tf.keras.Model;"
        "from toolkit.runtime import use_keras_2; use_keras_2()"
    )
    assert done.returncode == 1
    assert "Keras 3 is in charge" in done.stderr and "Restart the runtime" in done.stderr


def test_what_is_installed_or_not_for_this_machine_is_left_alone(monkeypatch):
    monkeypatch.setattr(runtime.subprocess, "run", None)
    install_missing("numpy==0.0.1", 'no-such-package==1; sys_platform == "plan9"')


def test_a_package_that_cannot_be_installed_is_named(monkeypatch):
    def fails(command, **_):
        assert command[-1] == "no-such-package==1"
        return subprocess.CompletedProcess(command, 1, "", "no matching distribution")

    monkeypatch.setattr(runtime.subprocess, "run", fails)
    with pytest.raises(RuntimeError, match="(?s)no-such-package==1.*no matching distribution"):
        install_missing("numpy", "no-such-package==1")
