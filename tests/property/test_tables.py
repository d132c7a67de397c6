"""Tables against a nested loop, from the lake under both clocks and from the store at every position.

```
 rows, each known some time before or after it is valid ──lake──► DuckDB, at (t, known up to k) ──► the newest row
 rows ──── for every question one loop over all of them ──────────────────────────────────────────► the same row
 rows ──in batches──► engine ──► rows in SQL, read at each position, now and later ───────────────► the same row
```
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.events.planes import OWNED, PLANE, PLANES, Row, lake_of, moments, plain
from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS
from tidemill.features import Table
from tidemill.learning import values_at
from tidemill.learning.lake_sql import Limits
from tidemill.stores import Databases, Lookup, MappedState, SqlLog
from tidemill.streams import Engine

T0 = 1_400_000_000_000
LIMITS = Limits(memory_mb=200)
TABLES = (PLANE, OWNED)
RETENTION_MS = {"planes": PLANE.retention_ms}
TAILS = st.sampled_from(["n1", "n1", "n1", "n2", "n,3", "", None])
OWNERS = st.sampled_from(["ua", "a,b", "\\", None])
# Long ones agree in more than 42 bytes; of the last two UTF-16 has another order than UTF-8.
ALONG = "x" * 50
IDS = ["1", "10", "2", "é", ALONG, f"{ALONG}a", f"{ALONG}b", f"{ALONG}\0", "\uffee", "\U0001f6eb", *(f"r{number}" for number in range(12))]
MOMENTS = st.sampled_from([T0 - 40 * DAY_MS, T0 - HOUR_MS, T0 - 1, T0, T0, T0, T0 + 1, T0 + HOUR_MS])
ROWS = st.builds(
    lambda row_id, at_ms, lag_ms, *rest: Row(row_id, at_ms, at_ms + lag_ms, *rest),
    st.sampled_from(IDS),
    MOMENTS,
    st.sampled_from([0, 1, MINUTE_MS, 2 * HOUR_MS, 60 * DAY_MS, -MINUTE_MS, -2 * HOUR_MS]),
    TAILS,
    OWNERS,
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.sampled_from([0.0, -0.0, 0.1, 1e300]),
    st.none() | st.integers(-(10**12), 10**12),
    st.none() | st.booleans(),
    st.none() | st.sampled_from(["BOEING", "", 'a "quoted" one', "Éclair"]),
)
HISTORIES = st.lists(ROWS, max_size=15, unique_by=lambda row: row.row_id).map(lambda rows: sorted(rows, key=lambda row: row.known_at_ms))
TIMES = st.lists(st.tuples(MOMENTS | st.just(T0 + 90 * DAY_MS), st.integers(0, 16), TAILS, OWNERS), min_size=1, max_size=12)


def naive(table: Table, rows: Sequence[Row], key: tuple[str | None, ...], at_ms: int) -> list[float | str | None]:
    """The columns of the newest row of a key among those that are known; one loop over all of them."""
    newest: Row | None = None
    for row in rows:
        mine = tuple(getattr(row, name) for name in table.entity_fields)
        if mine == key and None not in mine and row.at_ms <= at_ms:
            place = (row.at_ms, row.row_id.encode())
            if newest is None or place > (newest.at_ms, newest.row_id.encode()):
                newest = row
    return [None if newest is None else newest.value(name) for name in table.columns]


@settings(max_examples=60)
@given(rows=HISTORIES, times=TIMES, table=st.sampled_from(TABLES))
@example(rows=[], times=[(T0, 0, "n1", "ua"), (T0, 0, None, None)], table=PLANE)
@example(rows=[Row("1", T0, T0 + 1, "n1", seats=3)], times=[(T0, 0, "n1", None), (T0 + 1, 0, "n1", None)], table=PLANE)
def test_rows_known_by_then_are_those_of_a_nested_loop(
    rows: list[Row], times: list[tuple[int, int, str | None, str | None]], table: Table
) -> None:
    values = values_at(table, lake_of(rows), moments([(at, at, tail, owner) for at, _, tail, owner in times]), "known_at", LIMITS)
    assert list(values) == table.feature_columns
    got = list(zip(*map(plain, values.values()), strict=True))
    for (at_ms, _, tail, owner), said in zip(times, got, strict=True):
        known = [row for row in rows if row.known_at_ms <= at_ms]
        assert list(said) == naive(table, known, (tail, owner)[: len(table.entity_fields)], at_ms)


@settings(max_examples=60)
@given(rows=HISTORIES, times=TIMES, table=st.sampled_from(TABLES))
def test_rows_at_a_position_are_those_of_a_nested_loop(
    rows: list[Row], times: list[tuple[int, int, str | None, str | None]], table: Table
) -> None:
    got = list(zip(*map(plain, values_at(table, lake_of(rows), moments(times), "offset", LIMITS).values()), strict=True))
    for (at_ms, position, tail, owner), said in zip(times, got, strict=True):
        assert list(said) == naive(table, rows[:position], (tail, owner)[: len(table.entity_fields)], at_ms)


EVERYONE = [("n1", "ua"), ("n2", "a,b"), ("n,3", "\\"), ("", "ua"), ("nobody", "ua"), (None, "ua")]


@settings(max_examples=25, deadline=None)
@given(rows=HISTORIES, batches=st.lists(st.integers(1, 5), min_size=15, max_size=15))
def test_at_every_position_the_store_says_what_history_says(rows: list[Row], batches: list[int]) -> None:
    """Whatever the batches: now, when a row from ahead comes to hold, and in days."""
    with tempfile.TemporaryDirectory() as folder:
        log, state = SqlLog(Databases(Path(folder)), ["planes"]), MappedState(Path(folder) / "state.db", TABLES, {}, RETENTION_MS)
        log.append([row.entry for row in rows], now_ms=0)
        engine = Engine(log, state, [PLANES], RETENTION_MS)
        for size in batches:
            if not engine.step(size):
                break
            position, now_ms = state.position_and_time()
            offset = position.offset("planes")
            for at_ms in (now_ms, now_ms + MINUTE_MS, now_ms + 3 * HOUR_MS):
                asked = moments([(at_ms, offset, *who) for who in EVERYONE])
                reading = state.tiles.read([Lookup(table.name, table.keys(asked.columns)) for table in TABLES], at_ms)
                assert (reading.position, reading.known_at_ms) == (position, now_ms)
                for table in TABLES:
                    lake = values_at(table, lake_of(rows), asked, "offset", LIMITS)
                    for name, column in lake.items():
                        assert plain(reading.values[name]) == plain(column), f"{name} at {at_ms}, position {offset}"
                        assert reading.values[name].dtype == column.dtype
                    for place, who in enumerate(EVERYONE):
                        key = who[: len(table.entity_fields)]
                        want = naive(table, rows[:offset], key, at_ms)
                        assert [plain(reading.values[name])[place] for name in table.feature_columns] == want
        assert not engine.step(10)
        assert state.dead_letters("planes") == []
        state.close()
        log.close()
