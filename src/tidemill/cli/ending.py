"""Being told to end: SIGTERM or Ctrl-C sets an event, whatever the main thread is doing; a server ends, whatever its threads are doing."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI

logger = logging.getLogger(__name__)

_ENDING = (signal.SIGTERM, signal.SIGINT)
END_S = 10.0  # from when no request is under way any more, or those that are have been given up


def end_at_signals(stopping: threading.Event) -> None:
    """Set an event at SIGTERM and at Ctrl-C from now on; call it in the main thread, once a process.

    A handler runs in the main thread between any two of its steps, so also within `Event.wait`, which holds the lock that `Event.set`
    takes: a handler that sets the event can wait for itself for ever. Here the interpreter writes the signal's number into a pipe, and a
    thread that reads it sets the event.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for how in _ENDING:
        signal.signal(how, lambda *_: None)
    threading.Thread(target=_listen, args=(reader, stopping), name="ending", daemon=True).start()


def _listen(reader: int, stopping: threading.Event) -> None:
    while told := os.read(reader, 1):
        if told[0] in _ENDING:
            stopping.set()


def end_in_time(app: FastAPI) -> None:
    """End the process of a server some seconds after its application was told to end, where something keeps it.

    What may take long bounds itself. But a thread that hangs in a read of a store that stands still is waited for thrice: by the request
    that it works for, which cannot be cancelled, by the loop, which waits for its requests, and by the interpreter.
    """
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        async with inner(app) as state:
            try:
                yield state
            finally:  # also where it is given up, as Ctrl-C was pressed once more
                threading.Thread(target=_end_for_good, name="end in time", daemon=True).start()

    app.router.lifespan_context = lifespan


def _end_for_good() -> None:
    time.sleep(END_S)
    kept_by = sorted({one.name for one in threading.enumerate() if not one.daemon and one is not threading.main_thread()})
    logger.error("ended without waiting any longer threads=%s", kept_by)
    logging.shutdown()  # nothing else is written out at an end like this
    os._exit(1)
