"""What every command pays for at its start."""

from __future__ import annotations

import subprocess
import sys


def test_the_package_imports_no_converter_and_no_learner() -> None:
    """They take seconds, and only who fits needs them."""
    said = "import sys, tidemill; print(*sorted({'skl2onnx', 'sklearn', 'mlflow', 'prefect', 'evidently'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
