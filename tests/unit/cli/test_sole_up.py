"""There is one `tidemill up` of a home, and what a killed one has left is named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidemill.cli.sole_up import sole_up
from tidemill.errors import ConflictError

PATIENCE_S = 120.0
RUNS = """
import os, sys
from pathlib import Path
from tidemill.cli.sole_up import sole_up
from tidemill.cli.supervising import Stage, Supervisor

talks = "sh -c 'trap \\"yes | head -c 300000; exit\\" TERM; while :; do sleep 0.1; done'"  # more than a pipe holds that nobody reads
with sole_up(Path(sys.argv[1])) as note:
    Supervisor({"server": talks, "flows": "sleep 600"}, os.environ, [Stage(frozenset({"server", "flows"}), 600.0)], note).loop()
"""


@pytest.fixture
def up(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """One that keeps two processes up, which both have been started."""
    process = subprocess.Popen([sys.executable, "-c", RUNS, tmp_path])
    until_s = time.monotonic() + PATIENCE_S
    while len(left(tmp_path)) < 2:
        assert process.poll() is None and time.monotonic() < until_s
        time.sleep(0.05)
    yield process
    process.terminate()
    process.wait(PATIENCE_S)


def left(home: Path) -> dict[str, int]:
    """What it has noted of what it started."""
    path = home / "up.lock"
    lines = path.read_text().splitlines() if path.exists() else []
    return {name: int(pid) for name, pid in map(str.split, lines) if name != "up"}


def test_a_second_one_is_refused_until_the_first_has_ended(tmp_path: Path, up: subprocess.Popen[bytes]) -> None:
    with pytest.raises(ConflictError, match=f"is there already, as process {up.pid}; end it first"), sole_up(tmp_path):
        pass
    assert len(left(tmp_path)) == 2, "who is refused changes nothing"
    up.terminate()
    up.wait(PATIENCE_S)
    with sole_up(tmp_path):
        assert left(tmp_path) == {}


def test_what_a_killed_one_has_left_is_named_until_it_has_ended(tmp_path: Path, up: subprocess.Popen[bytes]) -> None:
    groups = left(tmp_path)
    up.kill()
    up.wait()
    both = f"was killed.*: kill -- -{groups['flows']} .flows., then kill -- -{groups['server']} .server."
    with pytest.raises(ConflictError, match=both), sole_up(tmp_path):
        pass
    os.killpg(groups["flows"], signal.SIGTERM)
    until_s = time.monotonic() + PATIENCE_S
    while os.path.exists(f"/proc/{groups['flows']}"):
        assert time.monotonic() < until_s
        time.sleep(0.05)
    with pytest.raises(ConflictError, match=f"one after the other: kill -- -{groups['server']} .server.$"), sole_up(tmp_path):
        pass
    os.killpg(groups["server"], signal.SIGTERM)
    while True:
        try:
            with sole_up(tmp_path):
                return
        except ConflictError:
            assert time.monotonic() < until_s
            time.sleep(0.05)
