"""Kill -9 of an engine in the middle of its commit to PostgreSQL: nothing is lost, nothing is there twice.

A nursery imports everything once and forks a child for each round; the child applies the log until it is done, or kills itself.
"""

from __future__ import annotations

import random
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tests.unit.events.taps import LABEL, RETENTION_MS, T0, VIEWS, entry, make_engine, open_log, open_state
from tidemill.clock import MINUTE_MS
from tidemill.stores import Lookup, SqlLog, SqlState
from tidemill.stores.postgres import open_postgres
from tidemill.stores.row_state import RowState
from tidemill.stores.row_tables import ROW_TABLES

ROOT = Path(__file__).parents[2]
BATCH = 7
STEPS = ["position moved", "tiles merged", "ids written", "before the end", "committed", "never"]

NURSERY = """
import os, signal, sys
from pathlib import Path
from tests.integration.test_row_state_kill import BATCH, open_rows
from tests.unit.events.taps import make_engine, open_log
from tidemill.stores.row_ids import RowIds
from tidemill.stores.row_state import RowState
from tidemill.stores.row_tiles import RowTiles

url, home, left = sys.argv[1], Path(sys.argv[2]), 2  # it dies in its second commit

def dying(kind, name, before, after):
    act = getattr(kind, name)
    def die_at(step):
        global left
        if step == wanted:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
    def acted(*arguments):
        die_at(before)
        found = act(*arguments)
        die_at(after)
        return found
    setattr(kind, name, acted)

dying(RowTiles, "merge", "position moved", "tiles merged")
dying(RowIds, "write", None, "ids written")
dying(RowIds, "expire", None, "before the end")
dying(RowState, "commit", None, "committed")
for wanted in map(str.strip, sys.stdin):
    pid = os.fork()
    if pid == 0:
        engine = make_engine(open_log(home), open_rows(url))
        while engine.step(BATCH):
            pass
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def open_rows(url: str) -> RowState:
    """The state of the test."""
    return RowState(open_postgres(url, "killed", ROW_TABLES), VIEWS, {"dear": LABEL}, RETENTION_MS)


def everything(state: SqlState, log: SqlLog, at_ms: int) -> list[object]:
    """All that a reader can learn; NaN as text."""
    reading = state.tiles.read([Lookup(view.name, ["a", "b", "a,x", "b,y"]) for view in VIEWS], at_ms)
    values = {column: repr(held.tolist()) for column, held in reading.values.items()}
    kept = [state.dead_letters("taps"), state.not_applied("taps", 0, 1_000), state.outcomes("dear", 0, 1_000)]
    ids = state.seen("taps", [f"t{number}" for number in range(40)])
    return [reading.position, reading.known_at_ms, state.books(log), ids, *kept, values]


def test_an_engine_that_dies_in_its_commit_leaves_nothing_half(postgres_url: str, tmp_path: Path) -> None:
    draw, at_ms = random.Random(7), T0
    entries = []
    for _ in range(80):
        at_ms += draw.choice([0, 1, MINUTE_MS])
        fields = {"line": draw.choice("ab"), "gate": draw.choice("xy"), "fare": float(draw.randrange(9))}
        entries.append(entry(f"t{draw.randrange(40)}", at_ms, at_ms, **fields))
    with closing(open_log(tmp_path)) as log:
        log.append(entries, now_ms=0)
    arguments = [sys.executable, "-c", NURSERY, postgres_url, str(tmp_path)]
    done = subprocess.run(arguments, cwd=ROOT, input="\n".join(STEPS), text=True, capture_output=True, timeout=600, check=False)
    assert done.stdout.split() == ["-9"] * (len(STEPS) - 1) + ["0"], done.stderr
    with closing(open_log(tmp_path)) as log, closing(open_rows(postgres_url)) as state, closing(open_state(tmp_path)) as twin:
        from_one_run = make_whole(log, twin)
        assert everything(state, log, at_ms) == everything(from_one_run, log, at_ms)
        assert state.books(log)["taps"].applied == len({one.payload.split('"')[3] for one in entries})


def make_whole(log: SqlLog, state: SqlState) -> SqlState:
    """The state once an engine that nobody disturbs has taken the log in the same batches."""
    engine = make_engine(log, state)
    while engine.step(BATCH):
        pass
    return state
