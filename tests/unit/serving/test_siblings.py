"""Whichever process is asked tells the counts of all that live, each under its name, and of none that is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, generate_latest

from tidemill.serving.series import Counts, Times
from tidemill.serving.siblings import Siblings

BESIDE = """
import sys
from pathlib import Path
from tidemill.serving.series import Counts
from tidemill.serving.siblings import Siblings

asked = Counts("shop_asked", "Requests.", ["route"])
asked.add("GET /", by=40)
with Siblings(Path(sys.argv[1]), [asked]).going():
    print("there", flush=True)
    sys.stdin.read()
"""


@contextmanager
def beside(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has counted 40."""
    line = [sys.executable, "-c", BESIDE, str(folder)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        yield process
        process.kill()


def told(siblings: Siblings) -> list[str]:
    """The lines of the series that Prometheus reads."""
    registry = CollectorRegistry()
    registry.register(siblings)
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#") and "_created" not in line]


def test_the_counts_of_all_that_live_are_told_under_their_names(tmp_path: Path) -> None:
    mine, folder = os.getpid(), tmp_path / "servers" / "8000"
    asked, times = Counts("shop_asked", "Requests.", ["route"]), Times("shop_seconds", "Times.", "route", (0.1,))
    events = Counter("shop_events", "Events.", ["stream"], registry=None)
    siblings = Siblings(folder, [asked, times, events])
    asked.add("GET /", by=2)
    times.took("GET /", 0.05)
    events.labels("orders").inc(3)
    own = [
        f'shop_asked_total{{process="{mine}",route="GET /"}} 2.0',
        f'shop_seconds_bucket{{le="0.1",process="{mine}",route="GET /"}} 1.0',
        f'shop_events_total{{process="{mine}",stream="orders"}} 3.0',
    ]
    with siblings.going(), beside(folder) as other:
        asked.add("GET /")  # is told once it is written down, as another process would tell it
        theirs = f'shop_asked_total{{process="{other.pid}",route="GET /"}} 40.0'
        assert {*own, theirs} <= set(told(siblings))
        other.kill()
        other.wait()
        siblings.write()
        lines = told(siblings)
        assert own[0].replace("2.0", "3.0") in lines
        assert set(own[1:]) <= set(lines)
        assert not any(str(other.pid) in line for line in lines)
        assert {file.name for file in folder.iterdir()} >= {f"{mine}.json", f"{mine}.lock"}
        assert not list(folder.glob(f"{other.pid}.*"))
    assert list(folder.iterdir()) == []
