"""A file of one JSON event a line, copied into the log by hand; for what comes by itself see `tidemill.sources`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tidemill.errors import InputError
from tidemill.streams import Entry, Log

_BATCH = 5_000


def copy_file(log: Log, stream: str, file: Path, now_ms: int) -> int:
    """Append every line of a file to a stream's log; answers how many. Copied twice, the engine counts the second as duplicates.

    Raises:
        InputError: there is no such file, or it is not text.
    """
    lines, copied = lines_of(file), 0
    while batch := list(islice(lines, _BATCH)):
        log.append([Entry(stream, line) for line in batch], now_ms)
        copied += len(batch)
    return copied


def lines_of(file: Path) -> Iterator[str]:
    """The lines of a file, without blank ones; a mark of UTF-8 at its head is none of the first.

    Raises:
        InputError: there is no such file, or it is not text.
    """
    try:
        with file.open(encoding="utf-8-sig") as opened:
            lines = (line.strip() for line in opened)
            yield from (line for line in lines if line)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read it: {error}", where=str(file)) from error
