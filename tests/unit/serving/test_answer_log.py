"""Answers are logged in groups, nobody's is lost, and what waits is bounded."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tidemill.errors import BusyError, ConflictError, UnavailableError
from tidemill.serving.answer_log import AnswerLog
from tidemill.stores import Answered, Databases, PredictionStore

PATIENCE_S = 120.0


def answered(keys: Sequence[str]) -> Answered:
    """A batch of one model."""
    return Answered(
        model="m",
        at_ms=1,
        made_wall_ms=2,
        position="{}",
        digest="d",
        keys=keys,
        requests=["{}"] * len(keys),
        numbers=np.zeros((len(keys), 1)),
        scores={"champion": (1, np.full(len(keys), 0.5))},
    )


class Gate(PredictionStore):
    """A store that writes only while its door is open, never at once, and says how many batches came together."""

    is_file = False

    def __init__(self, home: Path) -> None:
        super().__init__(Databases(home))
        self.open, self.inside = threading.Event(), threading.Event()
        self.lots: list[int] = []
        self.down = False

    def write_all(self, batches: Sequence[Answered]) -> list[list[int]]:
        """Wait for the door, then write."""
        self.inside.set()
        assert self.open.wait(PATIENCE_S)
        self.lots.append(len(batches))
        if self.down:
            raise UnavailableError("the store is down")
        return super().write_all(batches)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path)
    yield made
    made.close()


def test_what_comes_together_is_written_in_one_transaction_and_each_gets_its_own_ids(store: Gate) -> None:
    async def ask() -> None:
        log = AnswerLog(store, most_rows=100)
        first = log.submit(answered(["a", "b"]))
        await asyncio.to_thread(store.inside.wait, PATIENCE_S)
        others = [log.submit(answered([f"{number}-{row}" for row in range(number)])) for number in range(1, 6)]
        assert not first.done()
        store.open.set()
        assert await first == [1, 2]
        assert await asyncio.gather(*others) == [[3], [4, 5], [6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16, 17]]
        assert store.lots == [1, 5]
        assert store.served("m").keys[:5] == ["a", "b", "1-0", "2-0", "2-1"]
        log.close()

    asyncio.run(ask())


def test_more_than_may_wait_is_told_to_come_again_and_nothing_of_it_is_logged(store: Gate) -> None:
    async def ask() -> None:
        log = AnswerLog(store, most_rows=10)
        large = log.submit(answered(["x"] * 50))  # alone it is taken whatever its size
        await asyncio.to_thread(store.inside.wait, PATIENCE_S)
        kept = log.submit(answered(["y"] * 10))
        with pytest.raises(BusyError, match="10 answers wait") as busy:
            log.submit(answered(["z"]))
        assert busy.value.retry_after_s == 1
        store.open.set()
        assert (len(await large), len(await kept)) == (50, 10)
        assert await log.submit(answered(["z"])) == [61]
        log.close()

    asyncio.run(ask())
    assert store.count("m") == 61


def test_a_store_that_is_down_fails_those_who_wait_and_the_next_are_taken_again(store: Gate) -> None:
    async def ask() -> None:
        log = AnswerLog(store, most_rows=10)
        store.down = True
        store.open.set()
        failed = await asyncio.gather(*(log.submit(answered([key])) for key in "ab"), return_exceptions=True)
        assert [type(one) for one in failed] == [UnavailableError] * 2
        store.down = False
        assert await log.submit(answered(["c"])) == [1]
        log.close()

    asyncio.run(ask())


def test_it_ends_once_everything_is_written_and_takes_no_more(store: Gate) -> None:
    async def ask() -> None:
        log = AnswerLog(store, most_rows=10)
        waiting = [log.submit(answered([key])) for key in "abc"]
        store.open.set()
        log.close()
        assert await asyncio.gather(*waiting) == [[1], [2], [3]]
        with pytest.raises(ConflictError, match="ending"):
            log.submit(answered(["d"]))

    asyncio.run(ask())


def test_whoever_has_gone_does_not_hold_up_the_others(store: Gate) -> None:
    async def ask() -> None:
        log = AnswerLog(store, most_rows=10)
        log.submit(answered(["a"]))
        await asyncio.to_thread(store.inside.wait, PATIENCE_S)
        gone, there = log.submit(answered(["b"])), log.submit(answered(["c"]))
        assert gone.cancel()
        store.open.set()
        assert await there == [3], "the one that has gone is logged all the same"
        log.close()

    asyncio.run(ask())


def test_loops_of_their_own_are_each_told_and_one_that_has_ended_holds_up_nobody(store: Gate) -> None:
    log = AnswerLog(store, most_rows=10)

    async def leave() -> None:
        log.submit(answered(["gone"]))
        await asyncio.to_thread(store.inside.wait, PATIENCE_S)

    async def stay() -> list[int]:
        waiting = log.submit(answered(["there"]))
        store.open.set()
        return await waiting

    asyncio.run(leave())
    assert asyncio.run(stay()) == [2]
    log.close()


class Own(PredictionStore):
    """A store that says which thread wrote."""

    def __init__(self, home: Path) -> None:
        super().__init__(Databases(home))
        self.home = home
        self.threads: list[str] = []

    def write_at_once(self, batches: Sequence[Answered]) -> list[list[int]] | None:
        """Write, and say whether that was done."""
        ids = super().write_at_once(batches)
        self.threads.append("nobody" if ids is None else threading.current_thread().name)
        return ids

    def write_all(self, batches: Sequence[Answered]) -> list[list[int]]:
        """Write."""
        self.threads.append(threading.current_thread().name)
        return super().write_all(batches)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Own]:
    made = Own(tmp_path)
    yield made
    made.close()


def test_few_rows_are_written_by_the_loop_at_once_and_many_by_the_thread(own: Own) -> None:
    async def ask() -> None:
        own.write(answered(["z"]))
        own.threads.clear()
        log = AnswerLog(own, most_rows=1_000)
        assert [log.submit(answered([key])).result() for key in "abc"] == [[2], [3], [4]]
        assert own.threads == [threading.current_thread().name] * 3
        assert len(await log.submit(answered([str(number) for number in range(100)]))) == 100
        assert own.threads[3:] == ["answer log"]
        log.close()

    asyncio.run(ask())
    assert own.served("m").keys[:5] == ["z", "a", "b", "c", "0"]


def test_the_loop_waits_for_no_other_writer(own: Own) -> None:
    async def ask() -> None:
        log = AnswerLog(own, most_rows=10)
        with closing(sqlite3.connect(own.home / "serving.db", isolation_level=None)) as other:
            other.execute("begin immediate")
            waiting = [log.submit(answered([key])) for key in "ab"]
            while "answer log" not in own.threads:
                await asyncio.sleep(0.01)  # the loop goes on, the thread waits
            assert not any(one.done() for one in waiting)
            other.execute("commit")
        assert await asyncio.gather(*waiting) == [[1], [2]]
        assert await log.submit(answered(["c"])) == [3]
        handed_over = own.threads.index("answer log")
        assert set(own.threads[:handed_over]) == {"nobody"}
        assert set(own.threads[handed_over + 1 :]) == {threading.current_thread().name}, "the thread has handed back"
        log.close()

    asyncio.run(asyncio.wait_for(ask(), PATIENCE_S))
    assert own.served("m").keys == ["a", "b", "c"]


def test_what_is_wrong_with_the_file_fails_those_who_wait_and_the_next_are_taken_again(own: Own) -> None:
    async def ask() -> None:
        log = AnswerLog(own, most_rows=10)
        with closing(sqlite3.connect(own.home / "serving.db", isolation_level=None)) as other:
            other.execute("alter table prediction rename to away")
            failed = await asyncio.gather(*(log.submit(answered([key])) for key in "ab"), return_exceptions=True)
            assert [type(one) for one in failed] == [sqlite3.OperationalError] * 2
            other.execute("alter table away rename to prediction")
        assert await log.submit(answered(["c"])) == [1]
        log.close()

    asyncio.run(ask())


def test_what_waits_when_it_ends_is_written_whether_or_not_the_loop_comes_to_it(own: Own) -> None:
    async def ask() -> Sequence[Sequence[int]]:
        log = AnswerLog(own, most_rows=10)
        waiting = [log.submit(answered([key])) for key in "ab"]
        log.close()
        assert own.served("m").keys == ["a", "b"]
        return await asyncio.gather(*waiting)

    assert asyncio.run(ask()) == [[1], [2]]
