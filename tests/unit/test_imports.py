"""What every command pays for at its start, and what each process that runs on."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tidemill
from tidemill.project import project_root

HEAVY = ("mlflow", "numba", "pandas", "prefect", "sklearn", "sqlalchemy")


@pytest.mark.parametrize(
    "modules",
    [
        "tidemill.client, tidemill.project, tidemill.targets",
        "tidemill.cli.demo, tidemill.cli.relay, tidemill.serving, tidemill.ui, monitoring.checks",
    ],
)
def test_nothing_is_imported_that_takes_seconds_and_may_never_be_needed(modules: str) -> None:
    """Only who fits needs a converter and a learner, only who reports needs Evidently; without a model nobody asks MLflow or Prefect."""
    said = f"import sys, {modules}; print(*sorted({{'skl2onnx', 'sklearn', 'mlflow', 'prefect', 'evidently'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", said], cwd=project_root(), capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("said", ["import tidemill.cli.main", "from tidemill import AsyncClient, Client"])
def test_help_and_a_client_wait_for_nothing_that_is_heavy(said: str) -> None:
    code = f"import sys; {said}; print(*sorted({set(HEAVY)} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_each_name_of_the_package_is_there() -> None:
    assert all(callable(getattr(tidemill, name)) for name in tidemill.__all__)
    with pytest.raises(AttributeError, match="Streem"):
        tidemill.Streem  # type: ignore[attr-defined]  # noqa: B018
