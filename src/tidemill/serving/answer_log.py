"""The log of answers: every vector is in the store before its answer is told, in few transactions, and nobody waits for another's.

```
 request ─► read, score ─► submit ─┐                        ┌─► ids ─► answer
 request ─► read, score ─► submit ─┼─► one transaction of   ┼─► ids ─► answer
 request ─► read, score ─► submit ─┘   all that wait by now └─► ids ─► answer
```
Few rows are written by the server's loop itself where the store is a file that nobody else writes to just now: that takes some tenths of a
millisecond, less than to wake a thread and be woken by it. All else is written by a thread, so the loop goes on with other requests
meanwhile; the two pass one message each way a transaction. What waits is bounded; past that a request is told to come again. A process
that dies has told nobody what it had not written, and a store that is down makes the request fail: nothing is lost.
"""

from __future__ import annotations

import logging
import threading
from asyncio import AbstractEventLoop, Future, get_running_loop
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from tidemill.errors import BusyError, ConflictError
from tidemill.stores import Answered, PredictionStore

logger = logging.getLogger(__name__)

_ROWS_A_COMMIT = 2_000  # one request may bring more, and is written whole
_FEW_ROWS = 64  # are written in a millisecond or two
_TRIES = 10  # in as many rounds of the loop: another process that shares the port writes few rows too

Waiting = tuple[Answered, "Future[list[int]]"]
Outcome = list[int] | Exception


class AnswerLog:
    """Writes answers for many requests at once.

    Args:
        store: where they are kept.
        most_rows: that may wait; one request alone is taken whatever its size.
    """

    def __init__(self, store: PredictionStore, most_rows: int) -> None:
        self._store = store
        self._most = most_rows
        self._waiting: deque[Waiting] = deque()
        self._rows = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._handed_over = not store.is_file
        self._tries = 0  # that have met another writer
        self._closed = False

    def submit(self, answered: Answered) -> Future[list[int]]:
        """Have answers written; the future has their ids once they are durable, or the error of the store. Call it from an event loop.

        Raises:
            BusyError: too many wait already.
            ConflictError: it is closed.
        """
        loop = get_running_loop()
        future: Future[list[int]] = loop.create_future()
        with self._changed:
            if self._closed:
                raise ConflictError("the server is ending and takes no more questions; ask another")
            if self._rows and self._rows + len(answered.keys) > self._most:
                raise BusyError(f"{self._rows} answers wait to be logged, at most {self._most} may; ask again", retry_after_s=1)
            self._rows += len(answered.keys)
            self._waiting.append((answered, future))
        self._write()
        return future

    def close(self) -> None:
        """Write what waits, then end."""
        with self._changed:
            self._closed = True
            if self._waiting:
                self._hand_over()
            thread = self._thread
            self._changed.notify()
        if thread is not None:
            thread.join()

    def _write(self) -> None:
        with self._changed:
            if not self._waiting:  # asked by the thread, and a request has come before
                return
            if self._handed_over or self._rows > _FEW_ROWS:
                self._hand_over()
                return
            lot = self._take()
        try:
            outcomes: Sequence[Outcome] | None = self._store.write_at_once([answered for answered, _ in lot])
        except Exception as error:  # as in the thread
            outcomes = _failed(lot, error)
        if outcomes is None:
            self._tries += 1
            with self._changed:
                self._waiting.extendleft(reversed(lot))
                self._rows += sum(len(answered.keys) for answered, _ in lot)
                if self._tries < _TRIES:
                    get_running_loop().call_soon(self._write)
                else:
                    self._hand_over()
                    self._tries = 0
        else:
            self._tries = 0
            _tell(lot, outcomes, get_running_loop())

    def _hand_over(self) -> None:
        """Have the thread write what waits; the caller holds the lock."""
        self._handed_over = True
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="answer log", daemon=True)
            self._thread.start()
        self._changed.notify()

    def _run(self) -> None:
        while lot := self._next():
            try:
                outcomes: Sequence[Outcome] = self._store.write_all([answered for answered, _ in lot])
            except Exception as error:  # whatever it is, those who wait must hear of it
                outcomes = _failed(lot, error)
            if self._store.is_file:
                self._hand_back()
            _tell(lot, outcomes)

    def _next(self) -> list[Waiting]:
        """What the thread writes next; empty once it is closed and nothing waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (self._handed_over and self._waiting))
            lot = self._take()
            if not lot:
                self._thread = None
            return lot

    def _hand_back(self) -> None:
        """Let the loop write what has come meanwhile, if it still runs."""
        with self._changed, suppress(RuntimeError):
            if self._waiting:
                self._waiting[0][1].get_loop().call_soon_threadsafe(self._write)
            self._handed_over = False

    def _take(self) -> list[Waiting]:
        """What waits, the oldest first, up to what a transaction takes; the caller holds the lock."""
        lot: list[Waiting] = []
        rows = 0
        while self._waiting and rows < _ROWS_A_COMMIT:
            lot.append(self._waiting.popleft())
            rows += len(lot[-1][0].keys)
        self._rows -= rows
        return lot


def _failed(lot: Sequence[Waiting], error: Exception) -> list[Outcome]:
    logger.warning("answers not logged requests=%s error=%s", len(lot), error)
    return [error] * len(lot)


def _tell(lot: Sequence[Waiting], outcomes: Sequence[Outcome], running: AbstractEventLoop | None = None) -> None:
    """Tell each loop what became of its own, in one message; the one that runs this at once."""
    by_loop: dict[AbstractEventLoop, list[tuple[Future[list[int]], Outcome]]] = {}
    for (_, future), outcome in zip(lot, outcomes, strict=True):
        by_loop.setdefault(future.get_loop(), []).append((future, outcome))
    for loop, own in by_loop.items():
        if loop is running:
            _resolve(own)
            continue
        with suppress(RuntimeError):  # it has ended, and whoever asked with it
            loop.call_soon_threadsafe(_resolve, own)


def _resolve(outcomes: Sequence[tuple[Future[list[int]], Outcome]]) -> None:
    for future, outcome in outcomes:
        if future.done():  # whoever asked has gone
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
