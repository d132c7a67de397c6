"""What every command pays for at its start, and what each process that runs on."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tidemill.project import project_root


@pytest.mark.parametrize("modules", ["tidemill", "tidemill.cli.demo, tidemill.cli.relay, tidemill.serving, tidemill.ui, monitoring.checks"])
def test_nothing_is_imported_that_takes_seconds_and_may_never_be_needed(modules: str) -> None:
    """Only who fits needs a converter and a learner, only who reports needs Evidently; without a model nobody asks MLflow or Prefect."""
    said = f"import sys, {modules}; print(*sorted({{'skl2onnx', 'sklearn', 'mlflow', 'prefect', 'evidently'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", said], cwd=project_root(), capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
