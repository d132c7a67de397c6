"""One model in a process of its own: started confined, asked over a socket with a deadline, killed when it breaks its word."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tidemill.errors import UnavailableError
from tidemill.kernels import Floats
from tidemill.pyfunc import child, confine
from tidemill.pyfunc.child import ANSWER, ERROR, HEAD, MOST_TEXT, READY, SHAPE, TABLE

_MB = 1_000_000


@dataclass(frozen=True)
class Bounds:
    """What a model's process may take.

    Args:
        memory_mb: its address space, MB.
        file_mb: its largest file, MB.
        open_files: files it may hold open.
        cpu_s: seconds of computing in its life; None for no bound.
        threads: of numeric libraries.
        start_s: within which it has to be loaded, seconds.
        answer_s: within which it has to answer, seconds.
        user: uid and gid that it runs as; None for the server's own, where that is not root.
    """

    memory_mb: int = 4_096
    file_mb: int = 100
    open_files: int = 256
    cpu_s: int | None = None
    threads: int = 1
    start_s: float = 120.0
    answer_s: float = 5.0
    user: tuple[int, int] | None = None

    @property
    def limits(self) -> Mapping[str, int]:
        """By name of `resource`."""
        found = {"RLIMIT_AS": self.memory_mb * _MB, "RLIMIT_FSIZE": self.file_mb * _MB, "RLIMIT_NOFILE": self.open_files, "RLIMIT_CORE": 0}
        return found if self.cpu_s is None else {**found, "RLIMIT_CPU": self.cpu_s}


@dataclass
class ModelProcess:
    """A process that has loaded a model.

    Args:
        what: the version, for messages.
        python: the interpreter of the model's environment.
        model: the folder that MLflow wrote; it is copied.
        folder: where its own folder is made, which the user it runs as has to be able to enter.
        bounds: what it may take.

    Raises:
        UnavailableError: from `ModelProcess.start` and `ask`; the process has ended by then, unless the model only raised.
    """

    what: str
    python: Path
    model: Path
    folder: Path
    bounds: Bounds
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _channel: socket.socket | None = field(default=None, init=False)
    _own: Path | None = field(default=None, init=False)
    _asking: threading.Lock = field(default_factory=threading.Lock, init=False)

    @property
    def is_up(self) -> bool:
        """Whether it may be asked."""
        return self._channel is not None and self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it has loaded its model."""
        own = self._own = self._prepared()
        ours, theirs = socket.socketpair()
        told = {
            "command": [str(self.python), "-I", str(own / "child.py"), str(theirs.fileno()), str(own / "model")],
            "environ": self._environ(own / "tmp"),
            "limits": self.bounds.limits,
            "user": self.bounds.user,
            "cwd": str(own / "tmp"),
        }
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", confine.__file__, json.dumps(told)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._channel = ours
        self._receive(time.monotonic() + self.bounds.start_s, READY, 0)

    def ask(self, table: bytes, n_rows: int, width: int) -> Floats:
        """(n_rows, width) numbers that it says of a table.

        Args:
            table: an Arrow IPC stream.
            n_rows: rows of it.
            width: numbers a row that it has to answer.
        """
        until_s = time.monotonic() + self.bounds.answer_s
        if not self._asking.acquire(timeout=self.bounds.answer_s):
            raise UnavailableError(f"{self.what} is busy: other questions have taken {self.bounds.answer_s:g} s")
        try:
            if not self.is_up:
                raise UnavailableError(f"{self.what} is not running")
            self._send(TABLE, table, until_s)
            content = self._receive(until_s, ANSWER, SHAPE.size + 8 * n_rows * width)
            if len(content) < SHAPE.size or SHAPE.unpack_from(content) != (n_rows, width) or len(content) != SHAPE.size + 8 * n_rows * width:
                raise self._broken(f"did not answer {n_rows} rows of {width}")
            return np.frombuffer(content, "<f8", offset=SHAPE.size).reshape(n_rows, width).astype(np.float64)
        finally:
            self._asking.release()

    def end(self) -> None:
        """Kill it with all it has started, and remove its folder."""
        if self._process is not None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)  # not a zombie's: it is waited for below alone
            except ProcessLookupError:
                pass
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process.wait()
            self._process = None
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)
            self._own = None

    def _prepared(self) -> Path:
        """Its own folder: the program, a copy of the model that it may read, and a place for its files."""
        self.folder.mkdir(parents=True, exist_ok=True)
        own = Path(tempfile.mkdtemp(dir=self.folder))
        shutil.copyfile(child.__file__, own / "child.py")
        shutil.copytree(self.model, own / "model")
        (own / "tmp").mkdir(mode=0o700)
        if self.bounds.user is not None:
            uid, gid = self.bounds.user
            for path in (own, *own.rglob("*")):
                os.chown(path, 0, gid, follow_symlinks=False)
                if not path.is_symlink():
                    path.chmod(0o750 if path.is_dir() else 0o640)
            os.chown(own / "tmp", uid, gid)
            (own / "tmp").chmod(0o700)
        return own

    def _environ(self, temp: Path) -> Mapping[str, str]:
        """All that it is told of this machine: nothing of the server's own environment, which may hold secrets."""
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(self.bounds.threads))
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
        return {"PATH": "/usr/bin:/bin", "HOME": str(temp), "TMPDIR": str(temp), "LANG": "C.UTF-8", **threads, **quiet}

    def _send(self, kind: bytes, content: bytes, until_s: float) -> None:
        channel = self._open()
        try:
            channel.settimeout(max(0.001, until_s - time.monotonic()))
            channel.sendall(HEAD.pack(kind, len(content)) + content)
        except TimeoutError as error:
            raise self._broken("did not take the question in time") from error
        except OSError as error:
            raise self._broken("has ended") from error

    def _receive(self, until_s: float, wanted: bytes, most: int) -> bytes:
        """The content of the next frame, of which no more is read than the length that is allowed."""
        kind, length = HEAD.unpack(self._exactly(HEAD.size, until_s))
        if kind == ERROR and length <= MOST_TEXT:
            text = self._exactly(length, until_s).decode("utf-8", "replace")
            if wanted == READY:
                raise self._broken(f"could not be loaded: {text}")
            raise UnavailableError(f"{self.what} raised {text}")
        if kind != wanted or length > most:
            raise self._broken(f"answered {length} bytes where at most {most} were asked for")
        return self._exactly(length, until_s)

    def _exactly(self, size: int, until_s: float) -> bytes:
        channel, parts = self._open(), bytearray()
        while len(parts) < size:
            try:
                channel.settimeout(max(0.001, until_s - time.monotonic()))
                part = channel.recv(size - len(parts))
            except TimeoutError as error:
                raise self._broken("did not answer in time") from error
            except OSError as error:
                raise self._broken("has ended") from error
            if not part:
                raise self._broken("has ended")
            parts += part
        return bytes(parts)

    def _open(self) -> socket.socket:
        if self._channel is None:
            raise UnavailableError(f"{self.what} is not running")
        return self._channel

    def _broken(self, what: str) -> UnavailableError:
        self.end()
        return UnavailableError(f"{self.what} {what}; its process was ended")


def as_stream(columns: Mapping[str, Any]) -> bytes:
    """An Arrow IPC stream of (n,) columns: numbers as float64, texts with None for missing."""
    import pyarrow as pa

    table = pa.table({name: pa.array(column, from_pandas=column.dtype == object) for name, column in columns.items()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
