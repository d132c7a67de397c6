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
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, MetaData, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from tests.services import child_environ, free_port, log_tail
from tidemill.stores import Databases

_START_S = 240.0
_DEBIAN = Path("/usr/lib/postgresql")
_FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=100", "shared_buffers=32MB")
_NUMBERS = itertools.count()


def postgres_program(name: str) -> str:
    """Where a program of PostgreSQL lies; Debian keeps the server's out of PATH."""
    found = shutil.which(name)
    for folder in sorted(_DEBIAN.glob("*/bin"), key=lambda folder: int(folder.parent.name)):
        found = str(folder / name) if (folder / name).exists() else found
    if found is None:
        raise FileNotFoundError(f"there is no {name}; install PostgreSQL (Debian's package postgresql), or run `make test`")
    return found


class PostgresServer:
    """A cluster in a folder; it refuses root, so as root it runs as the user `postgres`."""

    def __init__(self, folder: Path, settings: Sequence[str] = _FAST) -> None:
        self._folder = folder
        self._settings = settings
        self._user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        made = ["-D", f"{folder}/data", "-U", "tidemill", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"]
        _run([postgres_program("initdb"), *made], self._user, folder)
        self.port = free_port()
        self.url = f"postgresql://tidemill@127.0.0.1:{self.port}/postgres"
        self.start()

    def start(self) -> None:
        """Start it, at the same address each time, and wait until it answers."""
        options = [f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self._folder}", *self._settings]
        command = [postgres_program("postgres"), "-D", f"{self._folder}/data", *(part for option in options for part in ("-c", option))]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self._folder, env=child_environ(), start_new_session=True, **_as(self._user)
            )
        try:
            _wait_until_ready(self.url, self._process, self._folder / "log")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it at once, its children too, as a crash would."""
        self._end(signal.SIGQUIT)

    def shut_down(self) -> None:
        """Stop it in order, whoever is connected."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """kill -9 of it and its children; all are gone on return."""
        pids = self.pids()
        _signal_all(pids, signal.SIGKILL)
        self._process.wait(_START_S)
        deadline_s = time.monotonic() + _START_S
        while any(_runs(pid) for pid in pids) and time.monotonic() < deadline_s:
            time.sleep(0.01)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Have it and its children answer nothing while the block runs."""
        pids = self.pids()
        _signal_all(pids, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal_all(pids, signal.SIGCONT)

    def pids(self) -> list[int]:
        """Its process and its children's, the parent first; empty once it has ended."""
        if self._process.poll() is not None:
            return []
        parent = self._process.pid
        return [parent, *map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())]

    def limit_files(self, size: str) -> None:
        """Let it and its children write no file beyond so many bytes, as on a full disk; `unlimited` gives room again."""
        for pid in self.pids()[:1]:  # what it starts from now on has the limit too
            self._limit(pid, size)
        for pid in self.pids()[1:]:
            self._limit(pid, size)

    def _limit(self, pid: int, size: str) -> None:
        """As its own user, as one may do with one's own; a child may end meanwhile."""
        line = ["prlimit", f"--pid={pid}", f"--fsize={size}:unlimited"]
        subprocess.run(line, stderr=subprocess.DEVNULL, cwd=self._folder, **_as(self._user))

    def _end(self, how: signal.Signals) -> None:
        self._process.send_signal(how)
        self._process.wait(_START_S)


@contextmanager
def postgres_server(settings: Sequence[str] = _FAST) -> Iterator[PostgresServer]:
    """A PostgreSQL of one's own, to stop and start."""
    with tempfile.TemporaryDirectory(prefix="tidemill-postgres-") as name:
        server = PostgresServer(Path(name), settings)
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def running_postgres() -> Iterator[str]:
    """The URL of a PostgreSQL that runs until the block is left."""
    with postgres_server() as server:
        yield server.url


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


@dataclass(frozen=True)
class Disposed(Databases):
    """Databases that know what was opened of them, so that a test need not close it."""

    opened: list[Engine] = field(default_factory=list)

    def open(self, name: str, tables: MetaData, *, durable: bool = False) -> Engine:
        """See `Databases`."""
        self.opened.append(super().open(name, tables, durable=durable))
        return self.opened[-1]


@contextmanager
def disposing(databases: Disposed) -> Iterator[Databases]:
    """Close what was opened when the block is left."""
    try:
        yield databases
    finally:
        for engine in databases.opened:
            engine.dispose()


@contextmanager
def fresh_databases(server_url: str, home: Path) -> Iterator[Databases]:
    """The databases of a home, as schemas of a PostgreSQL database that is dropped after, whoever still holds it open."""
    url = new_database(server_url)
    with disposing(Disposed(home, url)) as databases:
        yield databases
    with create_engine(server_url, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text(f"drop database {url.rpartition('/')[2]} with (force)"))


def _run(command: Sequence[str], user: pwd.struct_passwd | None, folder: Path) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder, env=child_environ(), **_as(user))
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]


def _signal_all(pids: Sequence[int], how: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # one that served a connection, or cleaned up, may have ended meanwhile
            os.kill(pid, how)


def _runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


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
