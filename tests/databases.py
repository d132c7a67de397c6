"""A real PostgreSQL for tests: a cluster of its own in a temporary folder, without durability, on a free port of 127.0.0.1."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from tests.services import child_environ, free_port, log_tail

_START_S = 60.0
_DEBIAN = Path("/usr/lib/postgresql")
_FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=40", "shared_buffers=32MB")
_NUMBERS = itertools.count()


def postgres_program(name: str) -> str:
    """Where a program of PostgreSQL lies; Debian keeps the server's out of PATH."""
    found = shutil.which(name)
    for folder in sorted(_DEBIAN.glob("*/bin"), key=lambda folder: int(folder.parent.name)):
        found = str(folder / name) if (folder / name).exists() else found
    if found is None:
        raise FileNotFoundError(f"there is no {name}; install PostgreSQL (Debian's package postgresql), or run `make test`")
    return found


@contextmanager
def running_postgres() -> Iterator[str]:
    """The URL of a PostgreSQL that runs until the block is left; it refuses root, so as root it runs as the user `postgres`."""
    with tempfile.TemporaryDirectory(prefix="tidemill-postgres-") as name:
        folder = Path(name)
        user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        _run(
            [postgres_program("initdb"), "-D", f"{folder}/data", "-U", "tidemill", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"],
            user,
            folder,
        )
        port = free_port()
        options = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", *_FAST]
        command = [postgres_program("postgres"), "-D", f"{folder}/data", *(part for option in options for part in ("-c", option))]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=folder, env=child_environ(), start_new_session=True, **_as(user)
            )
        try:
            url = f"postgresql://tidemill@127.0.0.1:{port}/postgres"
            _wait_until_ready(url, process, folder / "log")
            yield url
        finally:
            process.send_signal(signal.SIGQUIT)  # at once, its children too: nobody needs the data any more
            process.wait(15)


def new_schema(server_url: str) -> str:
    """The URL of an empty schema of its own; a database of its own would take most of a second."""
    name = f"test_{next(_NUMBERS)}"
    engine = create_engine(server_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(f"create schema {name}"))
    return f"{server_url}?options=-csearch_path%3D{name}"


def new_database(server_url: str) -> str:
    """The URL of an empty database of its own, for what needs several schemas; its text is ordered as in English, as servers often are."""
    name = f"test_{next(_NUMBERS)}"
    engine = create_engine(server_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"create database {name} strategy file_copy template template0 locale_provider icu icu_locale 'en-US'"))
    return f"{server_url.rpartition('/')[0]}/{name}"


def _run(command: Sequence[str], user: pwd.struct_passwd | None, folder: Path) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder, env=child_environ(), **_as(user))
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]


def _as(user: pwd.struct_passwd | None) -> dict[str, Any]:
    return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    engine, deadline_s = create_engine(url, poolclass=NullPool), time.monotonic() + _START_S
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            engine.connect().close()
            return
        except OperationalError:
            time.sleep(0.1)
    raise RuntimeError(f"PostgreSQL did not start:\n{log_tail(log)}")
