"""The engine and its lake writer killed with -9, again and again, end where an uninterrupted run ends.

```
 log ──step──► state ──flush──► lake        killed before, within and after each arrow, and at random
```
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import sqlalchemy

from tests.unit.events.taps import LABEL, RETENTION_MS, T0, TAPS, VIEWS, entry, make_engine, open_log, open_state
from tidemill.clock import HOUR_MS, MINUTE_MS
from tidemill.stores import OFFSET, Applied, Lake, LakeWriter, SqlState
from tidemill.streams import Commit, Engine, Entry

N_EVENTS, A_STEP = 900, 10
STEPS = ["commit:before", "commit:within", "commit:after", "append:before", "append:after", "in_lake:before", "in_lake:after"]
N_RANDOM = 9
TABLES = ("position", "tile_set", "tile", "seen", "book", "dead_letter", "for_lake", "outcome")


class Fuse:
    """Kills this process with -9 the n-th time that a step comes by."""

    def __init__(self, step: str, times: int) -> None:
        self.step = step
        self.left = times

    def at(self, step: str) -> None:
        """The step comes by."""
        if step == self.step:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class FusedState(SqlState):
    """The real state with a fuse around what it commits."""

    fuse: Fuse

    def commit(self, commit: Commit) -> None:
        self.fuse.at("commit:before")
        super().commit(commit)
        self.fuse.at("commit:after")

    def _expire(self, connection: sqlalchemy.Connection, known_at_ms: int) -> None:
        super()._expire(connection, known_at_ms)
        self.fuse.at("commit:within")  # everything is written, nothing is committed

    def in_lake(self, up_to_offset: int) -> None:
        self.fuse.at("in_lake:before")
        super().in_lake(up_to_offset)
        self.fuse.at("in_lake:after")


class FusedLake(Lake):
    """The real lake with a fuse around its appends."""

    fuse: Fuse

    def append(self, stream: str, events: Sequence[Applied]) -> None:
        self.fuse.at("append:before")
        super().append(stream, events)
        self.fuse.at("append:after")


def live(home: Path, fuse: Fuse, ready: Connection) -> None:
    """What the killed process does: apply the log and fill the lake to the end, unless the fuse blows first."""
    log = open_log(home)
    state = FusedState(home / "state.db", VIEWS, {"dear": LABEL}, RETENTION_MS)
    lake = FusedLake(home / "lake", [TAPS])
    state.fuse = lake.fuse = fuse
    engine, writer = make_engine(log, state), LakeWriter(state, lake, 0.0, 1_000)
    ready.send("ready")
    run(engine, writer)


def run(engine: Engine, writer: LakeWriter) -> None:
    """Apply a log to its end, and move what was applied to the lake after each step."""
    taken = 1
    while taken:
        taken = engine.step(A_STEP)
        writer.flush()


def history() -> list[Entry]:
    """Taps of a week with copies, late ones and malformed text; floats whose sums depend on their order in the last bits."""
    draw = random.Random(7)
    known_at_ms, entries = T0, list[Entry]()
    for place in range(N_EVENTS):
        known_at_ms += draw.choice([0, 1, 1_000, 13 * MINUTE_MS])
        lag_ms = draw.choice([0, 1_000, MINUTE_MS, 20 * MINUTE_MS, HOUR_MS, 2 * HOUR_MS, 3 * HOUR_MS, RETENTION_MS["taps"] + 1])
        if draw.random() < 0.05:
            entries.append(Entry("taps", '{"tap_id": "torn', known_at_ms))
            continue
        tap_id = f"t{draw.randrange(place) if place and draw.random() < 0.2 else place}"
        fields = {
            "line": draw.choice("abc"),
            "gate": draw.choice(["n", "s", None]),
            "fare": draw.uniform(-5, 5),
            "riders": draw.randrange(9),
        }
        entries.append(entry(tap_id, known_at_ms - lag_ms, known_at_ms, **fields))
    return entries


def contents(home: Path) -> dict[str, list[Any]]:
    """Every row of every table of the state, to the bit, and of the lake."""
    with sqlite3.connect(home / "state.db") as connection:
        found: dict[str, list[Any]] = {name: sorted(connection.execute(f"select * from {name}").fetchall()) for name in TABLES}
    connection.close()
    found["lake"] = sorted(Lake(home / "lake", [TAPS]).dataset("taps").to_table().to_pylist(), key=lambda row: int(row[OFFSET]))
    return found


def fill(home: Path) -> None:
    """Write the history to the log of a folder."""
    log = open_log(home)
    log.append(history(), now_ms=0)
    log.close()


def start(home: Path, step: str = "never", times: int = 1) -> ForkServerProcess:
    """Start a life on a folder; answers when it is about to begin."""
    context = get_context("forkserver")  # a process of its own each time, without a fresh import of everything
    context.set_forkserver_preload(["tidemill"])
    mine, its = context.Pipe(duplex=False)
    process = context.Process(target=live, args=(home, Fuse(step, times), its))
    process.start()
    its.close()
    assert mine.recv() == "ready"
    return process


def check_books(home: Path) -> int:
    """Between two lives the books balance; answers how many events wait."""
    log, state = open_log(home), open_state(home)
    books = state.books(log)["taps"]
    state.close()
    log.close()
    assert books.balanced
    return books.pending


def test_killed_anywhere_and_at_random_nothing_is_lost_and_nothing_is_there_twice(tmp_path: Path) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    fill(straight)
    fill(broken)
    log, state = open_log(straight), open_state(straight)
    run(make_engine(log, state), LakeWriter(state, Lake(straight / "lake", [TAPS]), 0.0, 1_000))
    books = state.books(log)["taps"]
    assert min(books.applied, books.duplicate, books.late, books.rejected) > 20  # there is something of each to lose
    assert books.pending == 0
    state.close()
    log.close()
    draw = random.Random()
    rounds = [*[(step, draw.choice([1, 2, 3])) for step in STEPS], *[("never", 1)] * N_RANDOM]
    draw.shuffle(rounds)
    for step, times in rounds:
        process = start(broken, step, times)
        process.join(draw.uniform(0, 0.15) if step == "never" else 60)
        if step == "never":
            process.kill()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL, f"{step} {times}: it came to its end before it was killed"
        assert check_books(broken) > 0, f"{step} {times}: nothing is left to be killed at"
    last = start(broken)
    last.join(120)
    assert last.exitcode == 0
    want, got = contents(straight), contents(broken)
    for name, rows in want.items():
        assert got[name] == rows, name
    assert len(got["lake"]) == len({row[OFFSET] for row in got["lake"]}) == books.applied
