"""Reading between a commit of the database and the change of the tables: a slow writer is waited for, one that died is said at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.unit.events.taps import RETENTION_MS, T0, TAPS, entry, make_engine, open_log
from tidemill.errors import ConflictError, UnavailableError
from tidemill.features import Table
from tidemill.stores import Lookup, MappedState, table_files
from tidemill.streams import Engine
from tidemill.streams.engine import Ints

NEWEST = Table("newest", TAPS, key="line", columns=["fare"], allowed_lateness="1h")


@pytest.fixture
def states(tmp_path: Path) -> Iterator[list[MappedState]]:
    """The state of a writer and that of a reader."""
    opened = [MappedState(tmp_path / "state.db", [NEWEST], {}, RETENTION_MS) for _ in range(2)]
    yield opened
    for state in opened:
        state.close()


@pytest.fixture
def engine(states: list[MappedState], tmp_path: Path) -> Engine:
    """The writer's engine, for which one event waits."""
    log = open_log(tmp_path)
    log.append([entry("t1", T0, T0, line="a", fare=7.0)], 0)
    return make_engine(log, states[0])


def fare(state: MappedState) -> float:
    """What a reader finds."""
    return float(state.tiles.read([Lookup("newest", ["a"])], T0).values["newest__fare"][0])


def test_a_slow_writer_is_waited_for(states: list[MappedState], engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, reader = states
    committed, looked, go_on = threading.Event(), threading.Semaphore(0), threading.Event()
    apply, standing_still = writer.files.apply, reader.files.standing_still

    def slowly(*change: object) -> None:
        committed.set()
        assert go_on.wait(120)
        apply(*change)  # type: ignore[arg-type]  # as handed in

    def counted() -> AbstractContextManager[bool]:
        looked.release()
        return standing_still()

    monkeypatch.setattr(writer.files, "apply", slowly)
    monkeypatch.setattr(reader.files, "standing_still", counted)
    with ThreadPoolExecutor(2) as pool:
        applying = pool.submit(engine.drain, 10)
        assert committed.wait(120)
        reading = pool.submit(fare, reader)
        assert all(looked.acquire(timeout=120) for _ in range(3)), "it did not look again"
        go_on.set()
        assert (applying.result(), reading.result()) == (1, 7.0)


def test_a_writer_that_died_is_said_at_once_and_set_right_by_the_next(
    states: list[MappedState], engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def die(*_: object) -> None:
        raise OSError("the power is gone")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="power"):
        patch.setattr(states[0].files, "apply", die)
        engine.drain(10)
    with pytest.raises(ConflictError, match="an engine died while it changed the tiles"):
        fare(states[1])
    MappedState(tmp_path / "state.db", [NEWEST], {}, RETENTION_MS).close()
    assert fare(states[1]) == 7.0


def test_a_writer_that_stands_still_while_rows_change_is_said(states: list[MappedState], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_files, "PATIENCE_S", 0.0)
    assert not states[1].tiles.may_wait(["by_line"])
    with states[0].files.alone():
        assert states[1].tiles.may_wait(["by_line"])
        with pytest.raises(UnavailableError, match="an engine has been changing the tiles for 0 s; has somebody stopped it"):
            states[1].known_until("taps", ["t1"])
    assert not states[1].tiles.may_wait(["by_line"])


def test_a_copy_of_an_event_whose_writer_stood_between_commit_and_tables_does_not_count(
    states: list[MappedState], engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = open_log(tmp_path)
    second = make_engine(log, states[1])
    committed, judged, go_on = threading.Event(), threading.Event(), threading.Event()
    apply, known_until = states[0].files.apply, states[1].known_until

    def slowly(*change: object) -> None:
        committed.set()
        assert go_on.wait(120)
        apply(*change)  # type: ignore[arg-type]  # as handed in

    def judging(stream: str, event_ids: Sequence[str]) -> Ints:
        found = known_until(stream, event_ids)
        judged.set()
        return found

    monkeypatch.setattr(states[0].files, "apply", slowly)
    monkeypatch.setattr(states[1], "known_until", judging)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(engine.drain, 10)
        assert committed.wait(120)
        log.append([entry("t1", T0, T0 + 1, line="a", fare=9.0)], 0)
        other = pool.submit(second.drain, 10)
        assert judged.wait(120)
        go_on.set()
        assert (first.result(), other.result()) == (1, 1)
    assert (books := states[0].books(log)["taps"]).balanced
    assert (books.applied, books.duplicate, fare(states[1])) == (1, 1, 7.0)
