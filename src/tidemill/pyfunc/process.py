"""One model in a process of its own: started confined, asked over a socket with a deadline, killed when it breaks its word."""

from __future__ import annotations

import fcntl
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
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tidemill.errors import UnavailableError
from tidemill.kernels import Floats
from tidemill.pyfunc import child, confine
from tidemill.pyfunc.bounds import Bounds
from tidemill.pyfunc.child import ANSWER, ERROR, HEAD, MOST_TEXT, READY, SHAPE, TABLE
from tidemill.pyfunc.last_words import LastWords, readable
from tidemill.pyfunc.links import refuse_links

_OUT_S = 2.0  # for one that has hung up, until those above it have ended too, and how is known
_HELD = "held"  # a file that is locked as long as the folder is in use


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
        UnavailableError: from `start` and `ask`; the process has ended by then, unless the model only raised.
    """

    what: str
    python: Path
    model: Path
    folder: Path
    bounds: Bounds
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _channel: socket.socket | None = field(default=None, init=False)
    _words: LastWords | None = field(default=None, init=False)
    _own: tuple[Path, int] | None = field(default=None, init=False)
    _asking: threading.Lock = field(default_factory=threading.Lock, init=False)
    _ending: threading.RLock = field(default_factory=threading.RLock, init=False)

    @property
    def is_up(self) -> bool:
        """Whether it may be asked."""
        return self._channel is not None and self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it has loaded its model."""
        try:
            self._start(self._prepared())
        except BaseException:
            self.end()
            raise

    def _start(self, own: Path) -> None:
        ours, theirs = socket.socketpair()
        told = {
            "command": [str(self.python), "-I", str(own / "child.py"), str(theirs.fileno()), str(own / "model")],
            "environ": self._environ(own / "tmp"),
            "limits": self.bounds.limits,
            "user": self.bounds.user,
            "network": self.bounds.network,
            "cwd": str(own / "tmp"),
        }
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", confine.__file__, json.dumps(told)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        assert self._process.stderr is not None  # a pipe, as asked for
        self._words = LastWords(self._process.stderr)
        self._channel = ours
        self._receive(time.monotonic() + self.bounds.start_s, READY, 0)

    def ask(self, table: bytes, n_rows: int, widths: tuple[int, ...]) -> Floats:
        """(n_rows, width) numbers that it says of a table.

        Args:
            table: an Arrow IPC stream.
            n_rows: rows of it.
            widths: numbers a row that it may answer.
        """
        until_s = time.monotonic() + self.bounds.answer_s
        if not self._asking.acquire(timeout=self.bounds.answer_s):
            raise UnavailableError(f"{self.what} is busy: other questions have taken {self.bounds.answer_s:g} s")
        try:
            if not self.is_up:
                raise self._broken("is not running")
            self._send(TABLE, table, until_s)
            content = self._receive(until_s, ANSWER, SHAPE.size + 8 * n_rows * max(widths))
            rows, width = SHAPE.unpack_from(content) if len(content) >= SHAPE.size else (0, 0)
            if rows != n_rows or width not in widths or len(content) != SHAPE.size + 8 * rows * width:
                asked = " or ".join(str(one) for one in widths)
                raise self._broken(f"answered {rows} rows of {width} where {n_rows} rows of {asked} were asked for")
            return np.frombuffer(content, "<f8", offset=SHAPE.size).reshape(rows, width).astype(np.float64)
        finally:
            self._asking.release()

    def end(self) -> str:
        """Kill it with all it has started, and remove its folder; answers how it had ended before, and its last words."""
        with self._ending:
            how = self._stop()
            if self._channel is not None:
                self._channel.close()
                self._channel = None
            if self._own is not None:
                folder, lock = self._own
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)
                self._own = None
            return how

    def _stop(self) -> str:
        process, words = self._process, self._words
        if process is None:
            return ""
        with suppress(subprocess.TimeoutExpired):
            process.wait(_OUT_S if self._channel is None or _hung_up(self._channel) else 0)  # it may be on its way out; then how is told
        code = process.poll()
        with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of dead ones
            os.killpg(process.pid, signal.SIGKILL)
        if process.stdin is not None:
            process.stdin.close()
        process.wait()
        self._process = self._words = None
        said = words.end() if words is not None else ""
        return ("" if code is None else f" ({_ended(code)})") + (f": {said}" if said else "")

    def _prepared(self) -> Path:
        """Its own folder: the program, a copy of the model that it may read, and a place for its files."""
        self.folder.mkdir(parents=True, exist_ok=True)
        sweep(self.folder)
        own = Path(tempfile.mkdtemp(dir=self.folder))
        lock = os.open(own / _HELD, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        self._own = own, lock
        shutil.copyfile(child.__file__, own / "child.py")
        refuse_links(self.model)
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
            text = readable(self._exactly(length, until_s))
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
                part = channel.recv(min(size - len(parts), 1 << 20))
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
        return UnavailableError(f"{self.what} {what}{self.end()}")


def sweep(folder: Path) -> None:
    """Remove what processes left behind whose server was killed; what is in use is locked."""
    for left in folder.glob("*/" + _HELD):
        with suppress(OSError):
            lock = os.open(left, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left.parent, ignore_errors=True)
            finally:
                os.close(lock)


def _hung_up(channel: socket.socket) -> bool:
    """Whether the other side has closed: it has ended, or is about to."""
    try:
        channel.setblocking(False)  # else Python waits for its timeout
        return channel.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return False


def _ended(code: int) -> str:
    """How, for people.

    >>> _ended(-9), _ended(3)
    ('killed by SIGKILL', 'exit code 3')
    """
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
