"""Writes the databases of a small home as SQL: `python -m tests.golden.make_home 2` makes `home_v2/`.

Run it once for each time that a schema changes, by the tidemill that has it, before the next one changes a table; a folder that is there is
never written again. Each database says its version; the SQL of those that did not change can be removed. `test_schema_versions.py` opens
each home with today's tidemill.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np

from tests import tabled, tiny
from tidemill.project import Workspace
from tidemill.stores import Answered
from tidemill.streams import Entry

FOLDER = Path(__file__).parent
DATABASES = ("log", "state", "serving", "loop")


def make(number: int) -> None:
    """Apply some hours of the tabled project, with an event that is none; log a prediction, request a decision by hand."""
    target = FOLDER / f"home_v{number}"
    target.mkdir()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with closing(Workspace.open(tabled.project, home)) as workspace:
            entries = sorted([*tabled.first_rows(), *tiny.history(0, 1)[:120]], key=lambda entry: entry.known_at_ms or 0)
            workspace.log.append([*entries, Entry("orders", "{", entries[-1].known_at_ms)], 0)
            workspace.engine().drain(1_000)
            answer = Answered(
                model="late_order",
                at_ms=1,
                made_wall_ms=1,
                position="{}",
                digest="d",
                keys=["o1"],
                requests=['{"order_id":"o1"}'],
                numbers=np.zeros((1, 3)),
                scores={"champion": (1, np.array([0.25]))},
            )
            workspace.predictions.write(answer)
            workspace.decisions.freeze("late_order", "ann", "a holiday", 1)
        for name in DATABASES:
            with closing(sqlite3.connect(home / f"{name}.db")) as connection:
                (version,) = connection.execute("pragma user_version").fetchone()
                text = "\n".join([f"PRAGMA user_version = {version};", *connection.iterdump()])
                (target / f"{name}.sql").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    make(int(sys.argv[1]))
