"""Real servers for tests: started on a free port, waited for, and ended with all their children."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

START_S = 240.0
STOP_S = 60.0
LOG_TAIL_LINES = 40


@dataclass(frozen=True)
class Server:
    """A server to start.

    Args:
        name: for messages and the log's file name.
        command: the command line; a bare program name is looked up beside this Python first.
        health_url: answers 200 once the server is ready.
        environ: what the server needs on top of `child_environ()`.
        folder: where it runs and where `NAME.log` goes.
    """

    name: str
    command: Sequence[str]
    health_url: str
    environ: Mapping[str, str]
    folder: Path

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.folder / f"{self.name}.log"


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def child_environ() -> dict[str, str]:
    """This process's environment for a server that is not ours: it writes bytecode, and its coverage is not measured."""
    dropped = ("PYTHONDONTWRITEBYTECODE", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
    return {name: value for name, value in os.environ.items() if name not in dropped}


def program(name: str) -> str:
    """The path of a console script installed beside this Python."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; run `make install`")
    return str(path)


@contextmanager
def running(server: Server, *, start_s: float = START_S) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block is left.

    Raises:
        RuntimeError: it ended, or did not answer within `start_s`; the message carries the end of its log.
    """
    server.folder.mkdir(parents=True, exist_ok=True)
    with server.log.open("wb") as log:
        process = subprocess.Popen(
            server.command,
            cwd=server.folder,
            env=child_environ() | dict(server.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_healthy(server, process, start_s)
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes], *, stop_s: float = STOP_S) -> None:
    """SIGTERM, then SIGKILL for whatever is left of the process group; the process must lead its group."""
    _signal_group(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(stop_s)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait(stop_s)


def log_tail(path: Path, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of a log."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _wait_until_healthy(server: Server, process: subprocess.Popen[bytes], start_s: float) -> None:
    deadline = time.monotonic() + start_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{server.name} ended with code {process.returncode} before it was ready:\n{log_tail(server.log)}")
        if _answers(server.health_url):
            return
        time.sleep(0.2)
    raise RuntimeError(f"{server.name} did not answer {server.health_url} within {start_s:g} s:\n{log_tail(server.log)}")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return
