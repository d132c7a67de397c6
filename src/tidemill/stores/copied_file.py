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
        InputError: there is no such file, or a line is not text; those before may be in the log.
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
        with file.open("rb") as opened:
            for number, line in enumerate(opened, start=1):
                if text := _text(line, number, file).strip():
                    yield text
    except OSError as error:
        raise InputError(f"cannot read it: {error}", where=str(file)) from error


def _text(line: bytes, number: int, file: Path) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        what = f"line {number} is not UTF-8: {error.reason}, {line[error.start]:#x} at byte {error.start}"
        raise InputError(f"{what}; mend it and copy the file anew: what was copied before counts once", where=str(file)) from error
