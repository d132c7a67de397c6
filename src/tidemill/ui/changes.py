"""Who has the page open is told what has changed. One watcher looks for all of them, and only while somebody listens.

```
 signs of the stores, each half second ──changed, or half a minute is over──► one look ──► marks of the parts ──► every listener
```
Each message holds the marks of all parts, so that whoever missed some is right after the next, and nobody has a queue that grows.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool

from tidemill.errors import BusyError, UnavailableError
from tidemill.ui.parts import Marks

logger = logging.getLogger(__name__)

MOST_STREAMS = 24  # of one key; the pages of one browser that are in sight share one
_RETRY_S = 5


@dataclass(frozen=True)
class Told:
    """What listeners are told: the mark of each part, or why nothing can be read."""

    marks: Marks = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True)
class Pace:
    """How often is looked, in seconds: at the signs, at most at everything, and at least at everything.

    A look that takes long is followed by a pause four times as long, so that watching never takes more than a part of one core.
    """

    signs_s: float = 0.5
    least_s: float = 2.0
    most_s: float = 30.0

    def pause_s(self, took_s: float) -> float:
        """The least time between two looks.

        >>> Pace().pause_s(0.1), Pace().pause_s(3.0)
        (2.0, 12.0)
        """
        return max(self.least_s, 4 * took_s)


class Changes:
    """Watches for all who listen.

    Args:
        look: reads the marks of all parts anew, in a worker thread.
        signs: something that stays equal while nothing has changed, in a worker thread; cheap.
        pace: how often.
    """

    def __init__(self, look: Callable[[], Marks], signs: Callable[[], object], pace: Pace = Pace()) -> None:
        self._look, self._signs, self._pace = look, signs, pace
        self._streams: Counter[str] = Counter()
        self._told: Told | None = None
        self._news = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None
        self._ended = False

    def begin(self, caller: str) -> None:
        """One more stream of a caller; each is followed by a `leave`.

        Raises:
            BusyError: the caller has too many.
            UnavailableError: the server is about to end.
        """
        if self._ended:
            raise UnavailableError("the server is about to end; try again in a moment")
        if self._streams[caller] >= MOST_STREAMS:
            raise BusyError(f"{MOST_STREAMS} pages listen already with this key; close one", retry_after_s=_RETRY_S)
        self._streams[caller] += 1
        if self._watcher is None:
            self._told, self._news = None, asyncio.Event()
            self._watcher = asyncio.create_task(self._watch(), name="page watcher")

    def leave(self, caller: str) -> None:
        """A stream is over; with the last one the watcher stops."""
        self._streams[caller] -= 1
        self._streams += Counter()  # which keeps those above zero
        if not self._streams:
            self._stop()

    def end(self) -> None:
        """End every stream, and take no other: a server that ends waits for its connections. Call it where they run."""
        self._ended = True
        self._stop()
        self._news.set()

    @property
    def n_streams(self) -> int:
        """How many listen."""
        return self._streams.total()

    async def follow(self, at_least_s: float) -> AsyncIterator[Told | None]:
        """What is known at once, then whatever changes; None where nothing has for a while. Ends with the server.

        Args:
            at_least_s: how long that while is.
        """
        heard: Told | None = None
        while not self._ended:
            if self._told is not None and self._told != heard:
                heard = self._told
                yield heard
                continue
            news = self._news
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), at_least_s)
            if self._told == heard:
                yield None

    def _stop(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None

    async def _watch(self) -> None:
        was: object = None
        looked_s, took_s, is_moving = 0.0, 0.0, True
        while True:
            signs = await run_in_threadpool(self._read_signs)
            now_s = time.monotonic()
            is_due = is_moving or signs != was or now_s - looked_s >= self._pace.most_s
            if is_due and (self._told is None or now_s - looked_s >= self._pace.pause_s(took_s)):
                told = await run_in_threadpool(self._read)
                # What differs goes on to: a rate that falls, older weeks that are added, a store that comes back.
                is_moving = told != self._told or bool(told.failure)
                was, looked_s, took_s = signs, time.monotonic(), time.monotonic() - now_s
                self._tell(told)
            await asyncio.sleep(self._pace.signs_s)

    def _tell(self, told: Told) -> None:
        if told != self._told:
            self._told = told
            self._news.set()
            self._news = asyncio.Event()

    def _read_signs(self) -> object:
        try:
            return self._signs()
        except Exception:  # then the look fails as well, and says why
            return object()

    def _read(self) -> Told:
        try:
            return Told(self._look())
        except Exception as error:  # whatever a store raises, the page says it and the log keeps it whole
            logger.exception("page not looked at error=%s", type(error).__name__)
            return Told(failure=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}")
