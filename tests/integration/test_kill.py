"""Kill -9 anywhere, start again: nothing is lost, nothing is there twice.

A nursery process imports everything once and forks a child for each round; the child applies the log and moves events to the lake
until it is done, or until it kills itself at the step it was told, or is killed from outside at some moment.
"""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.property.naive import naive_verdicts
from tests.unit.events.taps import LABEL, RETENTION_MS, T0, TAPS, VIEWS, entry, lake_writer, make_engine, open_log
from tidemill.clock import HOUR_MS, MINUTE_MS
from tidemill.features import Table
from tidemill.stores import OFFSET, Lake, Lookup, MappedState, SqlState
from tidemill.streams import Books, Entry, Position

ROOT = Path(__file__).parents[2]
SOURCES = (*VIEWS, Table("newest", TAPS, key="line", columns=["gate", "fare"], allowed_lateness="1h"))
BATCH, LAKE_BATCH = 7, 11
KEYS = ["a", "b", "a,x", "b,y"]
STEPS = [
    "before commit",
    "slots claimed",
    "inside the journal",
    "journal written",
    "inside the transaction",
    "transaction committed",
    "inside the rows",
    "after commit",
    "before lake.append",
    "after lake.append",
    "before in_lake",
    "after in_lake",
]
Fault = dict[str, Any]
Run = Callable[[Path, Fault], int]

NURSERY = """
import json, os, signal, sys, time
from pathlib import Path
from sqlalchemy import Pool, event
from tests.forked import end_after
from tests.integration.test_kill import BATCH, LAKE_BATCH, SOURCES
from tests.unit.events.taps import RETENTION_MS, TAPS, LABEL, make_engine, open_log
import tidemill.stores.state
from tidemill.stores import AppliedReader, Lake, LakeWriter, MappedState, SqlState
from tidemill.stores.commit_sql import write_duplicates
from tidemill.stores.table_files import TableFiles
from tidemill.streams import Entry

hits = {}

def hit(step):
    hits[step] = hits.get(step, 0) + 1
    if (step, hits[step]) == (fault.get("step"), fault.get("nth")):
        os.kill(os.getpid(), signal.SIGKILL)

class DyingWrite:
    # half of the rows are written when the end comes
    def __init__(self, write):
        self.rows, self.tags, self.states, self.table = write.rows, write.tags, write.states, self
        self._table = write.table
    def put(self, rows, tags, states):
        half = len(rows) // 2
        self._table.put(rows[:half], tags[:half], states[:half])
        hit("inside the rows")
        self._table.put(rows, tags, states)

class DyingFiles(TableFiles):
    def prepare(self, change, token, known_at_ms, writes):
        hit("slots claimed")
        super().prepare(change, token, known_at_ms, writes)
        hit("journal written")
    def apply(self, change, token, known_at_ms, writes):
        hit("transaction committed")
        super().apply(change, token, known_at_ms, [DyingWrite(write) for write in writes])

class DyingState(MappedState):
    def commit(self, commit):
        hit("before commit")
        super().commit(commit)
        hit("after commit")
    def in_lake(self, position):
        hit("before in_lake")
        super().in_lake(position)
        hit("after in_lake")

def dying_duplicates(cursor, commit):
    hit("inside the transaction")
    write_duplicates(cursor, commit)

def dying_pwritev(*arguments):
    hit("inside the journal")
    return pwritev(*arguments)

pwritev = os.pwritev

class DyingLake(Lake):
    def append(self, stream, events):
        hit("before lake.append")
        super().append(stream, events)
        hit("after lake.append")

def die_at_statements():
    # SQLite's own trace: it sees what goes through SQLAlchemy and what goes to the driver, a statement for each row of many
    event.listen(Pool, "checkout", lambda connection, *_: connection.set_trace_callback(lambda _: hit("statement")))

def apply(home):
    log, lake = open_log(home), DyingLake(home / "lake", [TAPS])
    tidemill.stores.mapped_state.TableFiles = DyingFiles
    tidemill.stores.state.write_duplicates = dying_duplicates
    os.pwritev = dying_pwritev
    state = DyingState(home / "state.db", SOURCES, {"dear": LABEL}, RETENTION_MS)
    engine, writer = make_engine(log, state), LakeWriter(AppliedReader(log, state, [TAPS]), state, lake)
    die_at_statements()
    while engine.step(BATCH):
        writer.step(every_s=1000.0, every_events=LAKE_BATCH)
    writer.flush()

def append(home):
    log, batch = open_log(home), fault["from"]
    die_at_statements()
    while True:
        log.append([Entry("taps", f"{batch}-{i}") for i in range(BATCH)], now_ms=1)
        (home / "told").write_text(str(batch))
        batch += 1

for line in sys.stdin:
    fault = json.loads(line)
    pid = os.fork()
    if pid == 0:
        end_after({"apply": apply, "append": append}[fault["work"]], Path(fault["home"]))
    if "after_s" in fault:
        time.sleep(fault["after_s"])
        os.kill(pid, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Runs one child to its end; answers its exit code, -9 when it was killed."""
    with subprocess.Popen([sys.executable, "-c", NURSERY], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as nursery:
        assert nursery.stdin is not None and nursery.stdout is not None
        into, out = nursery.stdin, nursery.stdout

        def one(home: Path, fault: Fault) -> int:
            into.write(json.dumps({"work": "apply", "home": str(home), **fault}) + "\n")
            into.flush()
            return int(out.readline())

        yield one
        into.close()
        assert nursery.wait(timeout=120) == 0


def make_history(seed: int, n_events: int) -> tuple[list[Entry], list[tuple[int, str, int | None]]]:
    """Days of taps with duplicates, late and malformed ones; and the same for the naive rules."""
    rng = random.Random(seed)
    entries: list[Entry] = []
    records: list[tuple[int, str, int | None]] = []
    known_at_ms = T0
    for place in range(n_events):
        known_at_ms += rng.randrange(20 * MINUTE_MS)
        tap_id = f"t{rng.randrange(max(1, place - 20), place + 5)}"
        lag_ms = rng.choice([0, 1_000, HOUR_MS, RETENTION_MS["taps"] - 1, RETENTION_MS["taps"] + 1])
        if rng.random() < 0.1:
            entries.append(Entry("taps", "{", known_at_ms))
            records.append((known_at_ms, tap_id, None))
        else:
            fields = {"line": rng.choice("ab"), "gate": rng.choice("xy"), "fare": rng.choice([None, rng.random() * 4])}
            entries.append(entry(tap_id, known_at_ms - lag_ms, known_at_ms, **fields))
            records.append((known_at_ms, tap_id, known_at_ms - lag_ms))
    return entries, records


def open_state(home: Path) -> SqlState:
    """The state of a home: tiles of two views, and the rows of a table."""
    return MappedState(home / "state.db", SOURCES, {"dear": LABEL}, RETENTION_MS)


def everything(home: Path, at_ms: int) -> dict[str, Any]:
    """All that a reader can learn of a home."""
    log, state, lake = open_log(home), open_state(home), Lake(home / "lake", [TAPS])
    reading = state.tiles.read([Lookup(source.name, KEYS) for source in SOURCES], at_ms)
    found = {
        "position": reading.position.token,
        "known_at_ms": reading.known_at_ms,
        "values": {column: repr(values.tolist()) for column, values in reading.values.items()},
        "rows": rows_of(home),
        "books": state.books(log)["taps"],
        "ids": dict(state.seen("taps", [f"t{number}" for number in range(1_000)])),
        "dead": state.dead_letters("taps", 1_000),
        "outcomes": state.outcomes("dear", 0, 10_000),
        "lake position": state.lake_position().token,
        "lake": lake.dataset("taps").to_table().sort_by(OFFSET).to_pylist(),
    }
    state.close()
    log.close()
    return found


def rows_of(home: Path) -> list[Any]:
    """What the table holds, to the byte."""
    with closing(sqlite3.connect(home / "state.db")) as connection:
        return connection.execute("select * from table_row order by 1, 2, 3, 4").fetchall()


def prepare(folder: Path, seed: int, n_events: int) -> tuple[Path, dict[str, Any]]:
    """A home whose log waits to be applied, and what it must come to: that of a run that nothing interrupts."""
    entries, records = make_history(seed, n_events)
    home, straight = folder / "home", folder / "straight"
    for place in (home, straight):
        log = open_log(place)
        log.append(entries, now_ms=0)
        log.close()
    log, state = open_log(straight), open_state(straight)
    make_engine(log, state).drain(BATCH)
    lake_writer(log, state, Lake(straight / "lake", [TAPS])).flush(50)
    state.close()
    log.close()
    want = everything(straight, records[-1][0])
    verdicts = naive_verdicts(records, RETENTION_MS["taps"], TAPS.max_ahead_ms)
    of = {verdict: verdicts.count(verdict) for verdict in ("applied", "duplicate", "late", "rejected")}
    assert want["books"] == Books(received=n_events, pending=0, **of)
    assert [row[OFFSET] for row in want["lake"]] == [place + 1 for place, verdict in enumerate(verdicts) if verdict == "applied"]
    assert min(of.values()) >= 5, "the history has every kind of event"
    assert len(want["rows"]) == 2, "the newest of each line"
    return home, want


def finish(run: Run, home: Path, want: dict[str, Any]) -> None:
    """Run to the end, then compare everything."""
    assert run(home, {}) == 0
    got = everything(home, want["known_at_ms"])
    for name, value in want.items():
        assert got[name] == value, name


@pytest.mark.parametrize("nth", [1, 3])
def test_killed_at_every_named_step_in_turn(run: Run, tmp_path: Path, nth: int) -> None:
    home, want = prepare(tmp_path, seed=nth, n_events=300)
    for step in STEPS:
        assert run(home, {"step": step, "nth": nth}) == -9, f"{step} was never reached"
    finish(run, home, want)


@pytest.mark.parametrize("step", STEPS)
def test_killed_twice_at_one_step(run: Run, tmp_path: Path, step: str) -> None:
    """Whoever starts again must bear being killed at the same place, which is what a poisonous event would do."""
    home, want = prepare(tmp_path, seed=5, n_events=150)
    for _ in range(2):
        assert run(home, {"step": step, "nth": 2}) == -9
    finish(run, home, want)


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_after_any_statement(run: Run, tmp_path: Path, seed: int) -> None:
    home, want = prepare(tmp_path, seed, n_events=400)
    rng = random.Random(seed)
    counts = [rng.randrange(1, 150) for _ in range(15)]
    codes = [run(home, {"step": "statement", "nth": nth}) for nth in counts]
    assert codes == [-9] * len(codes), f"the log ended before all were killed: {codes}"
    finish(run, home, want)


def test_killed_at_any_moment(run: Run, tmp_path: Path) -> None:
    home, want = prepare(tmp_path, seed=3, n_events=400)
    moments_s = [random.uniform(0.005, 0.12) for _ in range(40)]
    codes = [run(home, {"after_s": after_s}) for after_s in moments_s]
    assert -9 in codes, f"all were done before they were killed: {moments_s}"
    finish(run, home, want)


def test_an_append_is_whole_and_what_was_told_is_kept(run: Run, tmp_path: Path) -> None:
    batches = 0
    for nth in (1, 2, 3, 5, 8, 13, 21, 34, 55, 89):
        assert run(tmp_path, {"work": "append", "from": batches, "step": "statement", "nth": nth}) == -9
        log = open_log(tmp_path)
        payloads = [record.payload for record in log.read(Position({}), 10_000)[0]]
        assert len(payloads) % BATCH == 0
        batches = len(payloads) // BATCH
        assert payloads == [f"{batch}-{i}" for batch in range(batches) for i in range(BATCH)]
        assert log.tally(log.end())["taps"].received == len(payloads)
        told = tmp_path / "told"
        assert batches >= (int(told.read_text()) + 1 if told.exists() else 0)
        log.close()
    assert batches >= 5
