"""What every test stands on: a clean environment, markers by folder, and one way to draw examples."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

_TESTS = Path(__file__).parent
_PREFECT_HOME = tempfile.TemporaryDirectory(prefix="tidemill-tests-prefect-", ignore_cleanup_errors=True)

# Before anything heavy is imported: no setting or server of the developer's own may leak into a test, and no test may write
# to the home folder. One thread each, since two cores are shared by all that runs here.
for _name in [name for name in os.environ if name.startswith(("TIDEMILL_", "PREFECT_", "MLFLOW_"))]:
    del os.environ[_name]
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.update(
    OMP_NUM_THREADS="1",
    DO_NOT_TRACK="true",
    MLFLOW_DISABLE_TELEMETRY="true",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    PREFECT_SERVER_ALLOW_EPHEMERAL_MODE="false",
    PREFECT_HOME=_PREFECT_HOME.name,
)

# No deadline: a slow machine is not a wrong result. CI draws the same examples every time, a developer new ones.
settings.register_profile("tidemill", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("tidemill"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "tidemill")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their folder, so that `-m "not integration and not browser"` needs no decorator."""
    for item in items:
        for folder in ("integration", "browser"):
            if (_TESTS / folder) in item.path.parents:
                item.add_marker(folder)
