"""The flow `compact` on a real Prefect server: many small files become few, beside a lake that is read and written meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from deltalake import DeltaTable
from prefect.flows import load_flow_from_entrypoint
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.compact import compact
from tasks.context import Context, opened
from tests import tiny
from tidemill.clock import MINUTE_MS
from tidemill.project import project_root
from tidemill.stores import OFFSET
from tidemill.streams import Entry

APPENDS = 6


@pytest.fixture
def context(tmp_path_factory: pytest.TempPathFactory, prefect_api_url: str) -> Iterator[Context]:
    """The tiny project with a lake of many small files."""
    with pytest.MonkeyPatch.context() as patch, temporary_settings({PREFECT_API_URL: prefect_api_url}):
        patch.setenv("TIDEMILL_HOME", str(tmp_path_factory.mktemp("compact")))
        patch.setenv("TIDEMILL_PROJECT", str(tiny.FILE))
        opened.cache_clear()
        for number in range(APPENDS):
            happen(opened(), number)
        yield opened()
        opened().workspace.close()
        opened.cache_clear()


def happen(context: Context, minute: int) -> None:
    """One order becomes known and is moved to the lake."""
    at_ms = tiny.START_MS + minute * MINUTE_MS
    context.workspace.log.append([Entry("orders", tiny.order(f"o{minute}", at_ms), at_ms)], 0)
    context.workspace.engine().drain(10)
    context.workspace.lake_writer().flush()


def files(context: Context) -> int:
    return len(DeltaTable(context.workspace.lake.path("orders")).file_uris())


def orders(context: Context) -> list[int]:
    return sorted(context.workspace.lake.dataset("orders").to_table([OFFSET]).column(OFFSET).to_pylist())


def test_it_merges_files_and_says_how_many(context: Context) -> None:
    assert files(context) == APPENDS
    state = compact(return_state=True)
    assert (state.name, state.message) == ("Compacted", f"{APPENDS} files became 1; 0 old ones removed")
    assert files(context) == 1
    happen(context, APPENDS)
    assert orders(context) == list(range(1, APPENDS + 2))
    again = compact(streams=("orders",), keep_hours=1, return_state=True)
    assert again.message == "0 files became 0; 0 old ones removed"


def test_a_stream_that_is_not_there_fails_it_by_name(context: Context) -> None:
    state = compact(streams=("nobody's",), return_state=True)
    assert state.is_failed() and "no stream" in (state.message or "")


def test_it_is_loaded_by_its_entrypoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project_root())
    assert load_flow_from_entrypoint("flows/compact.py:compact").name == "compact"
