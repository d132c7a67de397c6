"""Tiles and ids as rows of PostgreSQL say to the bit what mapped tables say, which other tests hold against naive rules.

```
 taps ──log──┬──► engine ──► mapped tables ──► everything a reader can learn
             └──► engine ──► rows ───────────► the same
```
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine as Database
from sqlalchemy import delete

from tests.property.test_aggregates_store import VIEW as ENDS
from tests.property.test_engine import EDGES
from tests.property.test_sketch_store import BY_LINE, ONLY
from tests.unit.events.taps import BY_LINE_AND_GATE, LABEL, T0, TAPS, entry, open_log
from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS
from tidemill.features import Table
from tidemill.stores import Lookup, MappedState, SqlLog, SqlState
from tidemill.stores.postgres import open_postgres
from tidemill.stores.row_state import RowState
from tidemill.stores.row_tables import ROW_TABLES
from tidemill.streams import Engine, Entry

NEWEST = Table("newest", TAPS, key="line", columns=["gate", "fare"], allowed_lateness="1h")
SOURCES = (BY_LINE, ONLY, ENDS, BY_LINE_AND_GATE, NEWEST)
RETENTION_MS = {"taps": max(source.retention_ms for source in SOURCES)}
LINES, GATES = ["a", "B", "é", "", None], ["x", "\\", "a,b", "\0", None]
PAUSES = st.sampled_from([0, 0, 1, MINUTE_MS, HOUR_MS, RETENTION_MS["taps"] + 1, 2 * DAY_MS]) | st.integers(0, 7 * HOUR_MS)
LAGS = st.sampled_from(EDGES) | st.integers(-HOUR_MS, RETENTION_MS["taps"] + HOUR_MS)
FARES = st.none() | st.floats(-100, 100) | st.sampled_from([0.0, -0.0, 1e15, 1e-300])
ABOUT = (SOURCES, {"dear": LABEL}, RETENTION_MS)


@dataclass(frozen=True)
class Sent:
    """One tap; without a lag it is no valid event."""

    pause_ms: int
    lag_ms: int | None
    number: int
    line: str | None
    gate: str | None
    fare: float | None
    riders: int | None


SENT = st.builds(
    Sent,
    PAUSES,
    st.none() | LAGS,
    st.integers(0, 20),
    st.sampled_from(LINES),
    st.sampled_from(GATES),
    FARES,
    st.none() | st.integers(-3, 3),
)


def entries_of(taps: list[Sent]) -> list[Entry]:
    entries, known_at_ms = [], T0
    for tap in taps:
        known_at_ms += tap.pause_ms
        if tap.lag_ms is None:
            entries.append(Entry("taps", '{"tap_id": "\0"}', known_at_ms))
        else:
            fields = {"line": tap.line, "gate": tap.gate, "fare": tap.fare, "riders": tap.riders}
            entries.append(entry(f"t{tap.number}", known_at_ms - tap.lag_ms, known_at_ms, **fields))
    return entries


def everything(state: SqlState, log: SqlLog, now_ms: int) -> list[object]:
    """All that a reader can learn, as text where it may be NaN; ids only while they count."""
    keys = [*LINES, *(f"{line},{gate}" for line in LINES for gate in GATES), "nobody"]
    values = []
    for at_ms in (now_ms, now_ms + 5 * MINUTE_MS, now_ms + 3 * HOUR_MS):
        reading = state.tiles.read([Lookup(source.name, keys) for source in SOURCES], at_ms)
        values.append({column: repr(held.tolist()) for column, held in reading.values.items()})
    ids = {name: until for name, until in state.seen("taps", [f"t{number}" for number in range(21)]).items() if until >= now_ms}
    outcomes = [outcome for outcome in state.outcomes("dear", 0, 1_000) if outcome.key != "\0"]
    kept = [state.dead_letters("taps"), state.not_applied("taps", 1, 100), outcomes, state.last_event_ms()]
    return [state.position_and_time(), state.books(log), ids, *kept, *values]


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[Database]:
    """One schema for all examples: to make one costs more than an example."""
    engine = open_postgres(postgres_url, "rows", ROW_TABLES)
    yield engine
    engine.dispose()


def fed(state: SqlState, log: SqlLog, limit: int, now_ms: int) -> list[object]:
    """What a state says that has taken every tap."""
    with closing(state):
        Engine(log, state, [TAPS], RETENTION_MS).drain(limit)
        return everything(state, log, now_ms)


@settings(max_examples=3)
@given(taps=st.lists(SENT, min_size=1, max_size=25), limit=st.integers(2, 12))
def test_rows_say_what_mapped_tables_say(database: Database, taps: list[Sent], limit: int) -> None:
    with database.begin() as connection:
        for table in ROW_TABLES.sorted_tables:
            connection.execute(delete(table))
    now_ms = T0 + sum(tap.pause_ms for tap in taps)
    with tempfile.TemporaryDirectory() as folder, closing(open_log(Path(folder))) as log:
        log.append(entries_of(taps), now_ms=0)
        mapped, rows = MappedState(Path(folder) / "state.db", *ABOUT), RowState(database, *ABOUT)
        for mine, theirs in zip(fed(rows, log, limit, now_ms), fed(mapped, log, limit, now_ms), strict=True):
            assert mine == theirs
