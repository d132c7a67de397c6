"""Kill -9 of appends and compactions of the lake at any moment: no event is lost, none is there twice.

A nursery process imports everything once. In each round it forks a writer and a compaction, which work on one table until a timer kills
them, each at a moment of its own; whoever comes next goes on with what is on disk.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests.unit.events.taps import TAPS
from tidemill.stores import EVENT_ID, OFFSET, Lake

ROOT = Path(__file__).parents[2]
AT_ONCE, ROUNDS = 8, 24

NURSERY = """
import json, os, signal, sys, threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
import numpy as np
from tests.forked import end_after
from tests.integration.test_lake_kill import AT_ONCE
from tests.unit.events.taps import T0, TAPS, batch_of, payload
from tidemill.clock import HOUR_MS
from tidemill.errors import ConflictError
from tidemill.stores import Lake

def taps(first, last):
    offsets = np.arange(first, last + 1)
    batch = batch_of([payload(f"t{n}", T0 + n * HOUR_MS, line="a", fare=n / 2) for n in offsets.tolist()])
    return replace(batch, offsets=offsets, known_at_ms=T0 + offsets)

def write(lake):
    held = lake.held("taps")
    with suppress(ConflictError):
        lake.append("taps", taps(max(held - 3, 1), held + AT_ONCE))

def compact(lake):
    lake.compact("taps", min_files=2)
    lake.vacuum("taps", keep_hours=1)

def child(work, kill_after_s):
    pid = os.fork()
    if pid:
        return pid
    end_after(live, work, kill_after_s)

def live(work, kill_after_s):
    lake = Lake(folder, [TAPS])
    if kill_after_s:
        threading.Timer(kill_after_s, os.kill, (os.getpid(), signal.SIGKILL)).start()
    while kill_after_s:
        work(lake)
    work(lake)

folder = Path(sys.argv[1])
for line in sys.stdin:
    writer_s, compaction_s = json.loads(line)
    pids = [child(write, writer_s), child(compact, compaction_s)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    print(json.dumps(codes), flush=True)
"""


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The process that forks writers and compactions of the lake in `tmp_path`."""
    command = [sys.executable, "-c", NURSERY, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        yield process
        process.kill()


def let(nursery: subprocess.Popen[str], writer_s: float, compaction_s: float) -> list[int]:
    """One round; answers how the writer and the compaction ended."""
    assert nursery.stdin is not None and nursery.stdout is not None
    nursery.stdin.write(json.dumps([writer_s, compaction_s]) + "\n")
    nursery.stdin.flush()
    codes: list[int] = json.loads(nursery.stdout.readline())
    return codes


def test_appends_and_compactions_killed_at_any_moment_lose_and_double_nothing(tmp_path: Path, nursery: subprocess.Popen[str]) -> None:
    rng, lake = random.Random(0), Lake(tmp_path, [TAPS])
    longest_s, rounds, last = 0.25, 0, 0
    while rounds < ROUNDS or last <= ROUNDS:
        assert let(nursery, rng.uniform(0.01, longest_s), rng.uniform(0.01, 1.6 * longest_s)) == [-9, -9]
        rounds, before, last = rounds + 1, last, check(lake)
        if last == before:
            longest_s *= 1.1  # on a slow machine nothing is done so soon
    assert let(nursery, 0, 0) == [0, 0], "whoever comes after the killed ones is not stopped by what they left"
    assert check(lake) > ROUNDS
    files = [Path(uri) for uri in DeltaTable(lake.path("taps")).file_uris()]
    assert len(files) < lake.version("taps"), "nothing was compacted"


def check(lake: Lake) -> int:
    """Every event up to the last is there once; answers how many."""
    table, last = lake.dataset("taps").to_table().sort_by(OFFSET), lake.held("taps")
    assert table.column(OFFSET).to_pylist() == list(range(1, last + 1))
    assert table.column(EVENT_ID).to_pylist() == [f"t{number}" for number in range(1, last + 1)]
    assert table.column("fare").to_pylist() == [number / 2 for number in range(1, last + 1)]
    return last
