"""`forget` killed at random moments: run again, it completes, and nothing else is lost."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests import payments
from tests.payments import OTHERS, PLAIN
from tidemill.project import Workspace, look_for_entity
from tidemill.stores import OFFSET, Entity, Lookup

ROOT = Path(__file__).parents[2]
NURSERY = """
import os, signal, sys, time
from pathlib import Path
from tests import payments
from tests.forked import end_after
from tidemill.kernels.ahead import compile_kernels
from tidemill.project import Workspace, forget_entity
from tidemill.stores import Entity

def forget(home):
    forget_entity(Workspace.open(payments.project, home), Entity("card", payments.PLAIN), lambda _: None)

compile_kernels()  # else each child would
for line in sys.stdin:
    home, after_s = line.split()
    pid = os.fork()
    if pid == 0:
        end_after(forget, Path(home))
    if float(after_s):
        time.sleep(float(after_s))
        os.kill(pid, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
Run = Callable[[Path, float], int]


@pytest.fixture
def run() -> Iterator[Run]:
    """Forgets in a home, killed after so many seconds, 0 for never; answers the exit code."""
    with subprocess.Popen([sys.executable, "-c", NURSERY], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as nursery:
        assert nursery.stdin is not None and nursery.stdout is not None
        into, out = nursery.stdin, nursery.stdout

        def one(home: Path, after_s: float) -> int:
            into.write(f"{home} {after_s}\n")
            into.flush()
            return int(out.readline())

        yield one
        into.close()
        assert nursery.wait(timeout=120) == 0


def everything(home: Path) -> dict[str, object]:
    """What the home comes to once an engine goes on."""
    with closing(Workspace.open(payments.project, home)) as workspace:
        workspace.engine().drain(100)
        workspace.lake_writer().flush()
        lookups = [Lookup("by_card", [*OTHERS, PLAIN]), Lookup("by_merchant", ["m0", "m1", "m2", "m3"]), Lookup("holder_info", OTHERS)]
        values = workspace.state.tiles.read(lookups, workspace.now_ms()).values
        return {
            "values": {name: str(column.tolist()) for name, column in values.items()},
            "books": workspace.books(),
            "lake": [workspace.lake.dataset(name).to_table().sort_by(OFFSET).to_pylist() for name in workspace.project.stream_names],
            "predictions": workspace.predictions.served("fraud").keys,
            "found": bool(look_for_entity(workspace, Entity("card", PLAIN)).log),
        }


def test_killed_at_any_moment_it_completes_when_it_is_run_again(run: Run, tmp_path: Path) -> None:
    past, straight = tmp_path / "past", tmp_path / "straight"
    with closing(Workspace.open(payments.project, past)) as workspace:
        payments.fill(workspace, PLAIN, 120)
    for home in (tmp_path / "first", straight):
        shutil.copytree(past, home)
        begin_s = time.monotonic()
        assert run(home, 0) == 0
        whole_s = time.monotonic() - begin_s
    want = everything(straight)
    assert not want["found"]
    n_killed = 0
    for place in range(6):
        home = tmp_path / f"home{place}"
        shutil.copytree(past, home)
        for _ in range(2):
            if run(home, random.uniform(0, 0.9 * whole_s)) == -signal.SIGKILL:
                n_killed += 1
            else:
                whole_s *= 0.7  # it was done before: the machine has become quicker
        assert run(home, 0) == 0
        got = everything(home)
        for name, value in want.items():
            assert got[name] == value, name
        mentioned = [path for path in home.rglob("*") if path.is_file() and PLAIN.encode() in path.read_bytes()]
        assert {path.relative_to(home).parts[0] for path in mentioned} <= {"artifacts", "logs"}
    assert n_killed
