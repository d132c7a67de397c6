"""What PostgreSQL's programs are told, and where."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tidemill.stores.database_dump import load

PROGRAM = """#!/bin/sh
echo "$PGPASSWORD" "$@" > "$(dirname "$0")/told"
[ -z "$PGSERVICEFILE" ] || cp -p "$PGSERVICEFILE" "$(dirname "$0")/service"
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for pg_restore: it writes down what it is told."""
    program = tmp_path / "pg_restore"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return program


@pytest.mark.parametrize("url", ["postgresql://ann:secret@127.0.0.1:1/x", "postgresql://ann@127.0.0.1:1/x?password=secret"])
def test_a_password_goes_by_the_environment_wherever_the_url_has_it(tmp_path: Path, program: Path, url: str) -> None:
    load(url, tmp_path / "dump")
    password, *line = program.with_name("told").read_text().split()
    assert password == "secret"
    assert "--dbname=postgresql://ann@127.0.0.1:1/x" in line


def test_the_password_of_a_key_goes_by_a_file_of_its_own(tmp_path: Path, program: Path) -> None:
    load("postgresql://ann@127.0.0.1:1/x?sslkey=ann.key&sslpassword=of%20key", tmp_path / "dump")
    assert "--dbname=postgresql://ann@127.0.0.1:1/x?service=tidemill&sslkey=ann.key" in program.with_name("told").read_text().split()
    service = program.with_name("service")
    assert service.read_text() == "[tidemill]\nsslpassword=of key\n"
    assert stat.S_IMODE(service.stat().st_mode) == 0o600
