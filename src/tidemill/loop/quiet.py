"""Keeping secret URLs out of the logs of whoever calls them for us."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# These write whole URLs, tokens and all, at debug level and some above.
_TALKATIVE = ("apprise", "urllib3.connectionpool", "urllib3.util.retry")


@contextmanager
def quiet() -> Iterator[list[str]]:
    """Keep what the talkative loggers say in this thread out of every log; the list holds it for reading a status from."""
    seen: list[str] = []
    thread = threading.get_ident()

    def keep_back(record: logging.LogRecord) -> bool:
        if record.thread != thread:
            return True
        seen.append(record.getMessage())
        return False

    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    for each in loggers:
        each.addFilter(keep_back)
    try:
        yield seen
    finally:
        for each in loggers:
            each.removeFilter(keep_back)
