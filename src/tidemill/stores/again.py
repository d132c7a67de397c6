"""What is done again and again beside everything else, in a thread of its own."""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tidemill.errors import UnavailableError

logger = logging.getLogger(__name__)


@contextmanager
def again_and_again(step: Callable[[], None], every_s: float, name: str, *, nice: int = 0) -> Iterator[None]:
    """Take a step again and again for as long as the block runs; one that a file fails (a full disk, say) is told of and taken again.

    Args:
        step: what is done.
        every_s: how long to wait before each.
        name: of the thread, and of what is done in a warning.
        nice: how far it stands back where there are too few cores, up to 19; on Linux, where a thread has a priority of its own.
    """
    stopping = threading.Event()

    def run() -> None:
        if nice and sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)
        while not stopping.wait(every_s):
            try:
                step()
            except (UnavailableError, sqlite3.Error, OSError) as error:
                logger.warning("%s did not go on error=%s", name, error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
