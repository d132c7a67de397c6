"""What a process wrote to standard error last: bounded, and read all the time so that it never waits to write."""

from __future__ import annotations

import threading
from typing import IO

MOST_BYTES = 4_000
_MOST_TOLD = 400  # characters in a message


class LastWords:
    """The end of a pipe's text.

    Args:
        pipe: what it writes to; it is closed by the end.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._kept = b""
        self._thread = threading.Thread(target=self._read, name="last-words", daemon=True)
        self._thread.start()

    def end(self) -> str:
        """Its last lines, once it has ended; others that hold the pipe still are not waited for."""
        self._thread.join(1.0)
        return readable(self._kept)

    def _read(self) -> None:
        with self._pipe:
            while part := self._pipe.read1(MOST_BYTES):  # type: ignore[attr-defined]  # a pipe is a buffered reader
                self._kept = (self._kept + part)[-MOST_BYTES:]


def readable(text: bytes) -> str:
    """The end of a text on one line, without what could deceive a terminal or a log.

    >>> readable(b"one\\n\\x1b[31mtwo\\n")
    'one | [31mtwo'
    """
    lines = [line.strip() for line in text.decode("utf-8", "replace").splitlines()]
    whole = " | ".join(line for line in lines if line)
    return "".join(one for one in whole if one.isprintable())[-_MOST_TOLD:]
