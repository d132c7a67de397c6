"""What every test stands on: a clean environment, markers by folder, and one way to draw examples."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.databases import Disposed, disposing, fresh_databases, running_postgres
from tests.kafka_server import end_kafka
from tests.kinesis_feeds import KinesisServer, running_kinesis
from tests.workers import ByFile, arrange
from tidemill.stores import Databases

_TESTS = Path(__file__).parent
_PREFECT_HOME = tempfile.TemporaryDirectory(prefix="tidemill-tests-prefect-", ignore_cleanup_errors=True)

# Before anything heavy is imported: no setting or server of the developer's own may leak into a test, and no test may write
# to the home folder. One thread each, since two cores are shared by all that runs here.
for _name in [name for name in os.environ if name.startswith(("TIDEMILL_", "PREFECT_", "MLFLOW_", "AWS_"))]:
    del os.environ[_name]
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.update(
    OMP_NUM_THREADS="1",
    DO_NOT_TRACK="true",
    MLFLOW_DISABLE_TELEMETRY="true",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    PREFECT_SERVER_ALLOW_EPHEMERAL_MODE="false",
    PREFECT_HOME=_PREFECT_HOME.name,
    AWS_ACCESS_KEY_ID="tests",
    AWS_SECRET_ACCESS_KEY="tests",
    AWS_EC2_METADATA_DISABLED="true",
)

# No deadline: a slow machine is not a wrong result. CI draws the same examples every time, a developer new ones.
settings.register_profile("tidemill", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("tidemill"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "tidemill")


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by their folder, so that `-m "not integration and not browser"` needs no decorator."""
    for item in items:
        for folder in ("integration", "browser"):
            if (_TESTS / folder) in item.path.parents:
                item.add_marker(folder)
    if hasattr(config, "workerinput"):
        arrange(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    """See `tests.workers`."""
    return ByFile(config, log)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server; `tests.databases.new_schema` makes a place of its own for each test."""
    with running_postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Databases]:
    """Empty databases of a home: what stands on them holds on files of SQLite and on schemas of PostgreSQL."""
    if request.param == "sqlite":
        with disposing(Disposed(tmp_path / "home")) as found:
            yield found
        return
    with fresh_databases(request.getfixturevalue("postgres_url"), tmp_path / "home") as found:
        yield found


@pytest.fixture(scope="session")
def kinesis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KinesisServer]:
    """A server that speaks Kinesis; `new_stream` makes a data stream of its own for each test."""
    with running_kinesis(tmp_path_factory.mktemp("kinesis")) as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def _kafka_ends_with_the_session() -> Iterator[None]:
    """One that was started is ended before the handlers of logs are closed, to which its clients would go on to write."""
    yield
    end_kafka()


@pytest.fixture(scope="session", autouse=True)
def _kernels_are_compiled_for_one_kind_of_arrays() -> Iterator[None]:
    """Another kind would be compiled for seconds, in the middle of somebody's work."""
    yield
    if "tidemill.kernels" in sys.modules:
        kernels = vars(sys.modules["tidemill.kernels"])
        kinds = {name: kernel.signatures for name, kernel in kernels.items() if hasattr(kernel, "signatures")}
        assert not {name: several for name, several in kinds.items() if len(several) > 1}
