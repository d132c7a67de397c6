"""Waiting for what may stand still, a database's server or another process: the event loop goes on meanwhile, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from anyio import to_thread

from tidemill.errors import UnavailableError

T = TypeVar("T")
PATIENCE_S = 60.0


async def in_thread(work: Callable[[], T]) -> T:
    """What `work` answers, which a thread does. One that is given up goes on, with nobody who would hear of it.

    Raises:
        UnavailableError: it takes too long.

    >>> asyncio.run(in_thread(lambda: 5))
    5
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await to_thread.run_sync(work, abandon_on_cancel=True)
    except TimeoutError as error:
        raise _too_long() from error


async def soon(future: asyncio.Future[T]) -> T:
    """What a future brings.

    Raises:
        UnavailableError: it takes too long.
    """
    if future.done():
        return future.result()
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await future
    except TimeoutError as error:
        raise _too_long() from error


def _too_long() -> UnavailableError:
    return UnavailableError(f"the store has not answered for {PATIENCE_S:.0f} s; try again once it does")
