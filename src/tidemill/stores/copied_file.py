"""A file of one JSON event a line, copied into the log by hand; for what comes by itself see `tidemill.sources`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tidemill.errors import InputError
from tidemill.sources.text_rows import OPEN_AS, json_lines
from tidemill.streams import Entry, Log

_BATCH = 5_000


def copy_file(log: Log, stream: str, file: Path, now_ms: int) -> int:
    """Append every line of a file to a stream's log; answers how many. Copied twice, the engine counts the second as duplicates.

    Raises:
        InputError: there is no such file.
    """
    lines, copied = lines_of(file), 0
    while batch := list(islice(lines, _BATCH)):
        log.append([Entry(stream, line) for line in batch], now_ms)
        copied += len(batch)
    return copied


def lines_of(file: Path) -> Iterator[str]:
    """The lines of a file, see `json_lines`.

    Raises:
        InputError: there is no such file.
    """
    try:
        with file.open(**OPEN_AS) as text:
            yield from json_lines(text, file.name)
    except OSError as error:
        raise InputError(f"cannot read it: {error}", where=str(file)) from error
