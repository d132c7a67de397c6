"""Waiting for what may stand still, a database's server or another process: the event loop goes on meanwhile, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

from tidemill.errors import UnavailableError

logger = logging.getLogger(__name__)

T = TypeVar("T")
PATIENCE_S = 60.0
_END_S = 5.0
_THREADS = 40  # at a time, of each event loop; as many as all other routes have
_LIMITER = RunVar[CapacityLimiter]("_LIMITER")


async def in_thread(work: Callable[[], T], *, bounded: bool = True) -> T:
    """What `work` answers, which a thread does. One that is given up goes on, with nobody who would hear of it.

    All that wait so share their own threads, so that other routes, `/readyz` say, answer while a store stands still.

    Args:
        work: to be done.
        bounded: whether it is given up after some time; not where it bounds itself.

    Raises:
        UnavailableError: it takes too long.

    >>> asyncio.run(in_thread(lambda: 5))
    5
    """
    if not bounded:
        return await to_thread.run_sync(work, limiter=_limiter())
    async with _patience():
        return await to_thread.run_sync(work, abandon_on_cancel=True, limiter=_limiter())


async def soon(future: asyncio.Future[T]) -> T:
    """What a future brings.

    Raises:
        UnavailableError: it takes too long.
    """
    if future.done():
        return future.result()
    async with _patience():
        return await future


def end_all(*ends: Callable[[], None]) -> None:
    """Let each of these end, all at once, and go on without what takes longer than some seconds: its thread ends with the process."""
    threads = [threading.Thread(target=_end, args=(end,), name=end.__qualname__, daemon=True) for end in ends]
    until_s = time.monotonic() + _END_S
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until_s - time.monotonic()))
        if thread.is_alive():
            logger.warning("not waited for any longer what=%s", thread.name)


def _end(end: Callable[[], None]) -> None:
    try:
        end()
    except Exception as error:  # whatever it is, the others end too
        logger.warning("did not end in order what=%s error=%s", end.__qualname__, error)


def _limiter() -> CapacityLimiter:
    """Of the running event loop."""
    try:
        return _LIMITER.get()
    except LookupError:
        made = CapacityLimiter(_THREADS)
        _LIMITER.set(made)
        return made


@asynccontextmanager
async def _patience() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(PATIENCE_S) as patience:
            yield
    except TimeoutError as error:
        if not patience.expired():  # an error of the work itself
            raise
        raise UnavailableError(f"the store has not answered for {PATIENCE_S:.0f} s; try again once it does") from error
