"""Being told to end: SIGTERM or Ctrl-C sets an event, whatever the main thread is doing."""

from __future__ import annotations

import os
import signal
import threading

_ENDING = (signal.SIGTERM, signal.SIGINT)


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
