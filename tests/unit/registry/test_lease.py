"""A run keeps hold of its decision while it lives, and no longer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from tidemill.registry import holding
from tidemill.stores import Databases, Decision, DecisionStore, open_loop
from tidemill.stores.loop_tables import DECISIONS

LEASE_S = 0.04
TIMEOUT_S = 60.0


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """A store with one decision that `run` has claimed, long ago."""
    engine = open_loop(Databases(tmp_path))
    store = DecisionStore(engine)
    store.request(Decision("d", "late", "error", "alarm", "errors rose", requested_at_ms=1, requested_wall_ms=1))
    assert store.claim("d", "run", 1)
    return engine


def alive_ms(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(select(DECISIONS.c.alive_wall_ms)) or 0)


def soon(true: Callable[[], bool]) -> None:
    until_s = time.monotonic() + TIMEOUT_S
    while not true():
        assert time.monotonic() < until_s
        time.sleep(0.005)


def holders() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "holding"]


def test_a_run_gives_signs_of_life_until_it_ends(engine: Engine) -> None:
    with holding(DecisionStore(engine), "d", "run", LEASE_S):
        soon(lambda: alive_ms(engine) > 1)
        first = alive_ms(engine)
        soon(lambda: alive_ms(engine) > first)
    assert holders() == []


def test_a_run_whose_claim_was_taken_back_gives_none(engine: Engine) -> None:
    store = DecisionStore(engine)
    store.release_stale(2, now_ms=1, wall_ms=2)
    assert store.claim("d", "another run", 3)
    with holding(store, "d", "run", LEASE_S):
        soon(lambda: holders() == [])
    assert alive_ms(engine) == 3


def test_a_run_that_hangs_gives_none_in_the_end(engine: Engine) -> None:
    with holding(DecisionStore(engine), "d", "run", LEASE_S, longest_s=0.0):
        soon(lambda: holders() == [])
    assert alive_ms(engine) == 1


def test_a_store_that_fails_is_asked_again(engine: Engine) -> None:
    class Failing(DecisionStore):
        asked = 0

        def renew(self, decision_id: str, flow_run_id: str, wall_ms: int) -> bool:
            self.asked += 1
            if self.asked == 1:
                raise OSError("the database is away")
            return super().renew(decision_id, flow_run_id, wall_ms)

    with holding(Failing(engine), "d", "run", LEASE_S):
        soon(lambda: alive_ms(engine) > 1)
