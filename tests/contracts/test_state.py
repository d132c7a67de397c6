"""What every state store promises the engine, held on each of them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from sqlalchemy import Engine as Database

from tests.unit.events.taps import RETENTION_MS, T0, TAPS, batch_of, new_row_state, open_log, open_state, payload
from tidemill.clock import HOUR_MS
from tidemill.errors import ConflictError
from tidemill.stores import Lookup, Outcome, Reading, TileStore
from tidemill.stores.cursors import Cursor, writing_cursor
from tidemill.streams import Books, Commit, DeadLetter, Engine, Entry, Log, Position, Record, StateStore, log_offset


class Store(StateStore, Protocol):
    """What readers ask of a state store beside what the engine does."""

    tiles: TileStore

    def books(self, log: Log) -> Mapping[str, Books]: ...
    def dead_letters(self, stream: str, limit: int = 100) -> list[dict[str, Any]]: ...
    def not_applied(self, stream: str, first: int, last: int) -> set[int]: ...
    def lake_position(self) -> Position: ...
    def in_lake(self, position: Position) -> None: ...
    def seen(self, stream: str, event_ids: Sequence[str]) -> Mapping[str, int]: ...
    def outcomes(self, model: str, after: int, limit: int) -> list[Outcome]: ...
    def close(self) -> None: ...


Open = Callable[[], Store]
START, ONE, TWO = Position({}), Position({"taps": {"0": 4}}), Position({"taps": {"0": 9}})


@pytest.fixture(params=["mapped", "rows"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens the same store as often as asked; all are closed in the end."""
    opened: list[Store] = []
    open_it: Open = partial(open_state, tmp_path)
    if request.param == "rows":
        open_it = new_row_state(request.getfixturevalue("postgres_url"))

    def open_one() -> Store:
        opened.append(open_it())
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


def commit(before: Position, after: Position, ids: Sequence[str] = ("a", "b"), first_offset: int = 1) -> Commit:
    """Two taps, a duplicate, a late one and a malformed one."""
    taps = batch_of([payload(tap_id, T0 + place, line="x", fare=float(place)) for place, tap_id in enumerate(ids)])
    offset = first_offset + len(ids)
    dead = [
        DeadLetter(Record("taps", "0", offset, T0, "?"), "late", "old"),
        DeadLetter(Record("taps", "0", offset + 1, T0, "{"), "schema", "odd"),
    ]
    batch = replace(taps, offsets=np.arange(first_offset, offset), known_at_ms=np.full(len(ids), T0 + HOUR_MS))
    return Commit(before, after, known_at_ms=T0 + HOUR_MS, applied={"taps": batch}, duplicates={"taps": [offset + 2]}, dead=dead)


def read(store: Store) -> Reading:
    """The tiles of `x` half an hour later."""
    return store.tiles.read([Lookup("by_line", ["x"])], T0 + HOUR_MS // 2)


def everything(store: Store, log: Log) -> list[object]:
    """All that a reader can learn."""
    reading = read(store)
    values = {column: float(values[0]) for column, values in reading.values.items() if values[0] == values[0]}
    seen = store.seen("taps", ["a", "b", "c", "d"])
    kept = [store.dead_letters("taps"), store.not_applied("taps", 0, 100), store.outcomes("dear", 0, 100)]
    return [reading.position, reading.known_at_ms, values, seen, store.books(log), *kept]


def test_a_new_store_stands_before_everything(open_store: Open, tmp_path: Path) -> None:
    store, log = open_store(), open_log(tmp_path)
    assert store.position() == START
    assert everything(store, log)[3:] == [{}, {"taps": Books(0, 0, 0, 0, 0, 0)}, [], set(), []]
    log.close()


def test_a_commit_writes_everything(open_store: Open, tmp_path: Path) -> None:
    store, log = open_store(), open_log(tmp_path)
    log.append([Entry("taps", "{}")] * 7, now_ms=T0)
    store.commit(commit(START, Position({"taps": {"0": 4}})))
    reading = read(store)
    assert (reading.position, reading.known_at_ms) == (ONE, T0 + HOUR_MS)
    assert (reading.values["by_line__n_all"][0], reading.values["by_line__sum_fare"][0]) == (2.0, 1.0)
    assert store.seen("taps", ["a", "z", "b"]) == {"a": T0 + RETENTION_MS["taps"], "b": T0 + 1 + RETENTION_MS["taps"]}
    assert store.seen("gates", ["a"]) == {}
    assert store.books(log)["taps"] == Books(received=7, applied=2, duplicate=1, late=1, rejected=1, pending=3)
    assert [(letter["log_offset"], letter["reason"], letter["detail"], letter["payload"]) for letter in store.dead_letters("taps")] == [
        (4, "schema", "odd", "{"),
        (3, "late", "old", "?"),
    ]
    assert store.not_applied("taps", 1, 4) == {3, 4}
    assert store.not_applied("taps", 1, 9) == {3, 4, 5}
    assert store.outcomes("dear", 0, 100) == [Outcome(1, "x", T0 + HOUR_MS, 0.0), Outcome(2, "x", T0 + HOUR_MS, 0.0)]
    log.close()


def test_outcomes_of_partitions_stand_in_the_order_of_commits(open_store: Open) -> None:
    """Offsets of one partition say nothing of another's, so a monitor that goes on after a number misses none."""
    store = open_store()
    steps = [({"0": 0, "7": 2}, [("7", 1), ("7", 2)]), ({"0": 3, "7": 2}, [("0", 1), ("0", 3)]), ({"0": 4, "7": 5}, [("7", 5), ("0", 4)])]
    before, cursor, seen = START, 0, list[int]()
    for number, (parts, events) in enumerate(steps):
        taps = batch_of(
            [payload(f"{number}-{place}", T0 + place, line=f"{part}-{offset}", fare=3.0) for place, (part, offset) in enumerate(events)]
        )
        offsets = np.array([log_offset(*event) for event in events])
        known_at_ms = np.full(2, T0 + HOUR_MS - number)  # a partition that is behind does not turn the clock back
        after = Position({"taps": parts})
        store.commit(
            Commit(before, after, T0 + HOUR_MS - number, {"taps": replace(taps, offsets=offsets, known_at_ms=known_at_ms)}, {}, [])
        )
        told = store.outcomes("dear", cursor, 100)
        assert [outcome.key for outcome in told] == [f"{part}-{offset}" for part, offset in events]
        before, cursor = after, told[-1].number
        seen += [outcome.number for outcome in told]
        assert read(store).known_at_ms == T0 + HOUR_MS
    assert seen == sorted(set(seen))


def test_duplicates_are_remembered_until_the_lake_has_passed_their_partition(open_store: Open) -> None:
    store, after = open_store(), Position({"taps": {"0": 9, "2": 4}})
    duplicates = [1, 7, log_offset("2", 1), log_offset("2", 4)]
    store.commit(Commit(START, after, T0, {}, {"taps": duplicates}, []))
    assert store.not_applied("taps", 1, log_offset("3", 0)) == set(duplicates)
    store.in_lake(Position({"taps": {"0": 1, "2": 3}}))
    assert store.not_applied("taps", 1, log_offset("3", 0)) == {7, log_offset("2", 4)}
    assert store.not_applied("taps", 1, 9) == {7}


def test_the_lake_has_a_position_of_its_own(open_store: Open) -> None:
    store = open_store()
    store.commit(commit(START, ONE))
    assert store.lake_position() == START
    store.in_lake(ONE)
    assert (store.lake_position(), store.position()) == (ONE, ONE)
    assert store.not_applied("taps", 1, 4) == {3, 4}, "dead letters are kept"


def test_a_stale_position_conflicts_and_changes_nothing(open_store: Open, tmp_path: Path) -> None:
    store, other, log = open_store(), open_store(), open_log(tmp_path)
    store.commit(commit(START, ONE))
    before = everything(store, log)
    for stale in (START, TWO, Position({"taps": {"0": 3}})):
        with pytest.raises(ConflictError, match="the position is no longer"):
            other.commit(commit(stale, TWO, ids=("c", "d"), first_offset=5))
        assert everything(store, log) == before
        assert everything(other, log) == before
    other.commit(commit(ONE, TWO, ids=("c", "d"), first_offset=5))
    assert store.position() == TWO
    log.close()


def test_a_commit_that_fails_halfway_changes_nothing(open_store: Open, tmp_path: Path) -> None:
    """The last event claims an offset that the store holds already, which shows after ids and books are written."""
    store, log = open_store(), open_log(tmp_path)
    store.commit(commit(START, ONE))
    before = everything(store, log)
    with pytest.raises(Exception, match=r"(?i)unique|duplicate|constraint"):
        store.commit(replace(commit(ONE, TWO, ids=("c", "d"), first_offset=2), dead=[]))
    assert everything(store, log) == before
    store.commit(commit(ONE, TWO, ids=("c", "d"), first_offset=5))
    assert read(store).values["by_line__n_all"][0] == 4.0
    log.close()


class Failing:
    """The driver's cursor, until a countdown that all of them share has run out; then the disk is full."""

    def __init__(self, cursor: Cursor, countdown: Iterator[int]) -> None:
        self._cursor, self._countdown = cursor, countdown

    def execute(self, *arguments: Any) -> Cursor:
        self._count()
        return self._cursor.execute(*arguments)

    def executemany(self, *arguments: Any) -> Cursor:
        self._count()
        return self._cursor.executemany(*arguments)

    def _count(self) -> None:
        if next(self._countdown) == 0:
            raise RuntimeError("the disk is full")


def test_a_commit_that_fails_at_any_statement_changes_nothing(open_store: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each statement of the transaction fails in turn, until one commit needs fewer statements and succeeds."""
    store, log = open_store(), open_log(tmp_path)
    store.commit(commit(START, ONE))
    before, failures = everything(store, log), 0
    while store.position() == ONE:
        countdown = count(failures, -1)

        @contextmanager
        def failing(database: Database, countdown: Iterator[int] = countdown) -> Iterator[Failing]:
            with writing_cursor(database) as cursor:
                yield Failing(cursor, countdown)

        with monkeypatch.context() as patch:
            patch.setattr(sys.modules[type(store).__module__], "writing_cursor", failing)
            with suppress(RuntimeError):
                store.commit(commit(ONE, TWO, ids=("c", "d"), first_offset=5))
        if store.position() == ONE:
            failures += 1
            assert everything(store, log) == before
    assert failures >= 5
    assert read(store).values["by_line__n_all"][0] == 4.0
    log.close()


def test_a_reading_is_of_one_position(open_store: Open, tmp_path: Path) -> None:
    """A reader beside a writer never sees tiles of one commit with the position of another."""
    store, reader, log = open_store(), open_store(), open_log(tmp_path)
    n_events = 300
    log.append([Entry("taps", payload(f"t{place}", T0 + place, line="x"), T0 + place) for place in range(n_events)], now_ms=0)
    engine = Engine(log, store, [TAPS], RETENTION_MS)
    writer = threading.Thread(target=engine.drain, args=(3,))
    writer.start()
    taken: list[int] = []
    while not taken or taken[-1] < n_events:
        alive = writer.is_alive()
        reading = reader.tiles.read([Lookup("by_line", ["x"])], T0 + n_events)
        assert reading.values["by_line__n_all"][0] == reading.position.offset("taps")
        taken.append(reading.position.offset("taps"))
        assert alive or taken[-1] == n_events
    writer.join()
    assert taken == sorted(taken)
    log.close()


def test_a_restart_finds_what_was_committed(open_store: Open, tmp_path: Path) -> None:
    store, log = open_store(), open_log(tmp_path)
    store.commit(commit(START, ONE))
    before = everything(store, log)
    store.close()
    again = open_store()
    assert everything(again, log) == before
    again.commit(commit(ONE, TWO, ids=("c", "d"), first_offset=5))
    assert again.position() == TWO
    log.close()
