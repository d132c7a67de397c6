"""Servers of a benchmark: each a process of its own on loopback, with all it starts, for as long as a block runs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

_START_S = 180.0
_STOP_S = 20.0
_PARENT, _USER, _SYSTEM = 1, 11, 12  # fields of /proc/PID/stat behind the name, see proc(5)


@dataclass(frozen=True)
class Command:
    """How a server is started.

    Args:
        name: for messages.
        line: the command line on a port.
        health: the path that answers 200 once it is ready.
        environ: its whole environment.
    """

    name: str
    line: Callable[[int], Sequence[str]]
    health: str = "/healthz"
    environ: Callable[[int], Mapping[str, str]] = lambda _port: os.environ


@dataclass(frozen=True)
class Running:
    """A server that answers.

    Args:
        port: of 127.0.0.1.
        pid: of its first process.
    """

    port: int
    pid: int

    def cpu_s(self) -> float:
        """Seconds of CPU that it and all it has started have taken, as far as they run still."""
        parents, ticks = dict[int, int](), dict[int, int]()
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # it has just ended
                told = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                pid = int(path.parent.name)
                parents[pid], ticks[pid] = int(told[_PARENT]), int(told[_USER]) + int(told[_SYSTEM])
        mine = [self.pid]  # children may have sessions of their own
        for pid in mine:
            mine += [child for child, parent in parents.items() if parent == pid]
        return sum(ticks.get(pid, 0) for pid in mine) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(command: Command) -> Iterator[Running]:
    """A server for as long as the block runs.

    Raises:
        RuntimeError: it does not answer within three minutes; with what it said last.
    """
    port = free_port()
    with tempfile.TemporaryFile() as said:
        # a session of its own, so that what it starts ends with it
        server = subprocess.Popen(command.line(port), stdout=said, stderr=said, env=command.environ(port), start_new_session=True)
        try:
            deadline = time.monotonic() + _START_S
            while not answers(port, command.health):
                if server.poll() is not None or time.monotonic() > deadline:
                    said.seek(0)
                    raise RuntimeError(f"{command.name} does not answer: {said.read().decode(errors='replace')[-1_500:]}")
                time.sleep(0.1)
            yield Running(port, server.pid)
        finally:
            _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    with suppress(subprocess.TimeoutExpired):
        server.wait(_STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)  # and whatever it started and left behind
    server.wait()


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def answers(port: int, path: str = "/healthz") -> bool:
    """Whether a server on loopback answers 200."""
    link = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        link.request("GET", path)
        return link.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        link.close()


def rss_mb(pid: int) -> float:
    """Resident memory of one process, MiB; what others share with it counts too."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
