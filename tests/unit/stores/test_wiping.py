"""A database is written anew and its write-ahead log emptied, though another process copies from it at that moment."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tidemill.stores import Databases, PredictionStore, wiping

# SQLite's lock of who copies from the log: byte 121 of the file beside it, see https://www.sqlite.org/walformat.html#locks
_HOLD = """
import fcntl, sys
with open(sys.argv[1], "r+b") as shared:
    fcntl.lockf(shared, fcntl.LOCK_EX, 1, 121)
    print("held", flush=True)
    sys.stdin.read()
"""


def test_who_copies_from_the_log_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    databases = Databases(tmp_path)
    with closing(PredictionStore(databases)) as store:
        store.confirm("a server", "shop", 1, 0)
        holder = subprocess.Popen([sys.executable, "-c", _HOLD, f"{databases.path('serving')}-shm"], stdin=-1, stdout=-1, text=True)
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        monkeypatch.setattr("tidemill.stores.wiping.time.sleep", lambda _: holder.communicate())
        wiping.wipe(databases, "serving")
        assert holder.returncode == 0  # it was waited for
        assert (tmp_path / "serving.db-wal").stat().st_size == 0
        assert store.servers("shop", 0) == {"a server": 1}
