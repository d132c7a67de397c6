"""A process that is kept up: where it has ended it is started again, a little later each time."""

from __future__ import annotations

import logging
import threading
import time

from tidemill.errors import UnavailableError
from tidemill.kernels import Floats
from tidemill.pyfunc.process import ModelProcess

logger = logging.getLogger(__name__)

_FIRST_S, _LONGEST_S = 1.0, 60.0


class Kept:
    """Keeps one process up, from `start` to `end`.

    Args:
        process: not started yet.

    Raises:
        UnavailableError: from `ask`, with why it is down and when it is started again.
    """

    def __init__(self, process: ModelProcess) -> None:
        self._process = process
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._failures = 0
        self._why = ""
        self._again_s: float | None = None  # when it is started, by the monotonic clock; None while it is up

    def start(self) -> None:
        """Start it for the first time; whoever asks for that is told what is wrong with it."""
        self._process.start()

    @property
    def down(self) -> str:
        """Why it is down, and when it is started again; "" while it is up."""
        again_s = self._again_s
        if again_s is None:
            return ""
        wait_s = max(0.0, again_s - time.monotonic())
        return f"{self._why}; it is started again {f'in {wait_s:.0f} s' if wait_s >= 1 else 'now'}"

    def ask(self, table: bytes, n_rows: int, widths: tuple[int, ...]) -> Floats:
        """See `ModelProcess.ask`."""
        if down := self.down:
            raise UnavailableError(down)
        try:
            said = self._process.ask(table, n_rows, widths)
        except UnavailableError as error:
            if not self._process.is_up:
                self._fell(str(error))
            raise
        self._failures = 0
        return said

    def end(self) -> None:
        """End it for good."""
        self._ended.set()
        self._process.end()

    def _fell(self, why: str) -> None:
        with self._lock:
            if self._again_s is not None or self._ended.is_set():  # another question has seen it too
                return
            self._plan(why)
        threading.Thread(target=self._restart, name="model-restart", daemon=True).start()

    def _plan(self, why: str) -> None:
        wait_s = min(_LONGEST_S, _FIRST_S * 2.0**self._failures)
        self._failures, self._why, self._again_s = self._failures + 1, why, time.monotonic() + wait_s
        logger.error("model process ended why=%s again_in_s=%.0f", why, wait_s)

    def _restart(self) -> None:
        while self._again_s is not None:
            if self._ended.wait(max(0.0, self._again_s - time.monotonic())):
                return
            try:
                self._process.start()
            except Exception as error:  # whatever it is, no memory or no thread: it is tried again
                self._plan(str(error))
                continue
            self._again_s = None
            if self._ended.is_set():  # it was ended while it was started
                self._process.end()
            else:
                logger.info("model process runs again what=%s", self._process.what)
