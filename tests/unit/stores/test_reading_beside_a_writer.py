"""Reading between a commit of the database and the change of the tables: a slow writer is waited for, one that died is said at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.unit.events.taps import RETENTION_MS, T0, TAPS, entry, make_engine, open_log
from tidemill.errors import ConflictError
from tidemill.features import Table
from tidemill.stores import Lookup, MappedState
from tidemill.streams import Engine

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
