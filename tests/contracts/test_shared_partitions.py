"""Several engines on one PostgreSQL, each with partitions of its own: nothing is applied twice, whoever comes first, and none waits long.

```
 partition 0 ──► engine ─┐                    one id in several partitions: the first that commits has it,
 partition 1 ──► engine ─┼──► one state       whoever judged before that judges again
 partition 2 ──► engine ─┘
```
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.unit.events.parts import Part
from tests.unit.events.taps import BY_LINE, RETENTION_MS, T0, TAPS, entry, new_row_state, open_log, open_state
from tidemill.errors import ConflictError, JudgedTooEarlyError
from tidemill.stores import Lookup, SqlState
from tidemill.stores.row_state import RowState
from tidemill.streams import Books, Commit, Engine, Entry, Position
from tidemill.streams.engine import Ints

PARTS = ("0", "1", "2")


class Watched(RowState):
    """A state that lets something happen right after ids were looked up, and tells which commits it refused."""

    meanwhile: Callable[[], object] | None = None

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.refused: list[type[Exception]] = []

    def known_until(self, stream: str, event_ids: Sequence[str]) -> Ints:
        found, act = super().known_until(stream, event_ids), self.meanwhile
        self.meanwhile = None
        if act is not None:
            act()
        return found

    def commit(self, commit: Commit) -> None:
        try:
            super().commit(commit)
        except ConflictError as error:
            self.refused.append(type(error))
            raise


Open = Callable[[], Watched]


@pytest.fixture
def open_row(postgres_url: str) -> Iterator[Open]:
    """Opens one state as often as asked, as each engine does; all are closed in the end."""
    with ExitStack() as opened:
        open_it = new_row_state(postgres_url, Watched)
        yield lambda: opened.enter_context(closing(open_it()))


def taps(n: int, *, seed: int) -> list[Entry]:
    """Taps in some order, the fare told by the id."""
    numbers = random.Random(seed).sample(range(n), n)
    return [entry(f"t{number}", T0 + 60_000 * (number % 50), T0 + 3_600_000, line="a", fare=float(number)) for number in numbers]


def count_and_sum(state: SqlState) -> list[float]:
    values = state.tiles.read([Lookup("by_line", ["a"])], T0 + 3_600_000).values
    return [float(values[BY_LINE.column(name)][0]) for name in ("n_all", "sum_fare")]


def test_each_partition_moves_by_itself(open_row: Open) -> None:
    ours, theirs = open_row(), open_row()

    def move(state: SqlState, part: str, before: int, after: int) -> None:
        state.commit(Commit(Position({"taps": {part: before}}), Position({"taps": {part: after}}), T0 + after, {}, {}, []))

    move(ours, "0", 0, 5)
    move(theirs, "1", 0, 3)
    move(ours, "0", 5, 9)
    assert theirs.position_and_time() == (Position({"taps": {"0": 9, "1": 3}}), T0 + 9)
    with pytest.raises(ConflictError, match="the position is no longer 5 in partition 0 of taps but 9"):
        move(theirs, "0", 5, 7)
    move(theirs, "1", 3, 4)
    assert ours.position_and_time() == (Position({"taps": {"0": 9, "1": 4}}), T0 + 9), "the clock does not fall"


def test_what_another_engine_has_applied_meanwhile_is_judged_again(open_row: Open, tmp_path: Path) -> None:
    """The other engine commits between this one's judgement and its commit."""
    entries = taps(8, seed=1)
    ours, theirs = open_row(), open_row()
    for part in ("0", "1"):
        with closing(Part(tmp_path, part)) as log:
            log.append(entries, now_ms=0)
    with closing(Part(tmp_path, "0")) as left, closing(Part(tmp_path, "1")) as right:
        first, second = Engine(left, ours, [TAPS], RETENTION_MS), Engine(right, theirs, [TAPS], RETENTION_MS)
        theirs.meanwhile = lambda: first.step(5)
        assert second.step(8) == 8
        assert theirs.refused == [JudgedTooEarlyError]
        assert theirs.books(right)["taps"].duplicate == 5
        assert first.step(8) == 3
    assert ours.position() == Position({"taps": {"0": 8, "1": 8}})
    assert count_and_sum(ours) == [8, sum(range(8))]


def test_engines_that_share_a_stream_give_what_one_engine_gives(open_row: Open, tmp_path: Path) -> None:
    n = 120
    for place, part in enumerate(PARTS):
        with closing(Part(tmp_path, part)) as log:
            log.append(taps(n, seed=place), now_ms=0)
    raised: list[BaseException] = []

    def work(part: str) -> None:
        try:
            with closing(Part(tmp_path, part)) as log:
                Engine(log, open_row(), [TAPS], RETENTION_MS).drain(7)
        except BaseException as error:
            raised.append(error)
            raise

    engines = [threading.Thread(target=work, args=(part,)) for part in PARTS]
    for engine in engines:
        engine.start()
    for engine in engines:
        engine.join()
    assert not raised
    state = open_row()
    assert state.position() == Position({"taps": dict.fromkeys(PARTS, n)})
    with closing(open_log(tmp_path)) as whole, closing(open_state(tmp_path)) as alone:
        whole.append(taps(n, seed=0), now_ms=0)
        Engine(whole, alone, [TAPS], RETENTION_MS).drain(1_000)
        assert count_and_sum(state) == count_and_sum(alone) == [n, sum(range(n))]
        assert state.books(whole)["taps"] == Books(received=n, applied=n, duplicate=2 * n, late=0, rejected=0, pending=0)
    assert sum(len(state.not_applied("taps", *span)) for span in state.position().spans("taps")) == 2 * n
