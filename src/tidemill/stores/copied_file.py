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
    copied = 0
    for lines in _batches(file):
        log.append([Entry(stream, line) for line in lines], now_ms)
        copied += len(lines)
    return copied


def _batches(file: Path) -> Iterator[list[str]]:
    try:
        with file.open(encoding="utf-8") as opened:
            lines = (line.strip() for line in opened)
            full = (line for line in lines if line)
            while batch := list(islice(full, _BATCH)):
                yield batch
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read it: {error}", where=str(file)) from error
