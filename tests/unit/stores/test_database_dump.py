"""What PostgreSQL's programs are told, and where."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tidemill.stores.database_dump import load

PROGRAM = """#!/bin/sh
echo "$PGPASSWORD" "$@" > "$(dirname "$0")/told"
"""


@pytest.mark.parametrize("url", ["postgresql://ann:secret@127.0.0.1:1/x", "postgresql://ann@127.0.0.1:1/x?password=secret"])
def test_a_password_goes_by_the_environment_wherever_the_url_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    program = tmp_path / "pg_restore"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    load(url, tmp_path / "dump")
    password, *line = (tmp_path / "told").read_text().split()
    assert password == "secret"
    assert "--dbname=postgresql://ann@127.0.0.1:1/x" in line
