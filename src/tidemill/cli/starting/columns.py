"""A CSV file as a newcomer has it: its first line, a bounded sample of its rows, and what kind of values each column holds."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Literal

from tidemill.clock import moment_ms
from tidemill.errors import InputError
from tidemill.sources.field_names import field_names, shared_fields

Kind = Literal["time", "flag", "whole", "number", "text", "empty"]

SAMPLE_ROWS = 20_000
_TAIL_BYTES = 256_000
_FLAGS = frozenset(("true", "false", "t", "f", "yes", "no", "0", "1"))
_WHOLE = re.compile(r"[+-]?(0|[1-9]\d{0,17})")  # a number that begins with 0 is a code
_CODE = re.compile(r"0\d+")
_ID_NAME = re.compile(r"(^|_)(id|ids|key|code|zip|postcode|phone|iban|uuid|number|no)$")
KEY_NAME = re.compile(
    r"(^|_)(id|user|customer|client|account|card|device|machine|sensor|host|shop|store|merchant|seller|product|item|sku|vehicle|driver"
    r"|patient|member|visitor|session|ip|email|phone|plant|site|station)(_id)?$"
)
_TIME_NAME = re.compile(r"(^|_)(at|time|timestamp|ts|date|datetime|when|on)(_|$)|time")
_EPOCHS = ((1_000_000_000, 4_000_000_000), (1_000_000_000_000, 4_000_000_000_000))  # seconds or ms of 2001 to 2096


@dataclass(frozen=True)
class Column:
    """One column of a sample.

    Args:
        header: its name in the file.
        name: its name as a field.
        values: (n_rows,) its texts, "" where empty.
        is_name: whether it names something, so that its numbers are texts.
    """

    header: str
    name: str
    values: Sequence[str]
    is_name: bool = False

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each value that is not empty occurs."""
        return Counter(value for value in self.values if value)

    @property
    def has_gaps(self) -> bool:
        """Whether a row has no value."""
        return sum(self.counts.values()) < len(self.values)

    @property
    def is_unique(self) -> bool:
        """Whether every row has a value of its own."""
        return len(self.counts) == len(self.values) > 0

    @cached_property
    def kind(self) -> Kind:
        """What its values are."""
        values = list(self.counts)
        if not values:
            return "empty"
        if self.is_name:
            return "text"
        if all(value.lower() in _FLAGS for value in values) and len({value.lower() for value in values}) <= 2:
            return "flag"
        if self._is_time(values):
            return "time"
        if all(_WHOLE.fullmatch(value) for value in values):
            return "text" if _ID_NAME.search(self.name) or KEY_NAME.search(self.name) else "whole"
        return "number" if all(_is_number(value) and not _CODE.fullmatch(value) for value in values) else "text"

    def _is_time(self, values: Sequence[str]) -> bool:
        if all(_is_number(value) for value in values):
            numbers = [float(value) for value in values]
            is_epoch = any(low <= min(numbers) and max(numbers) < high for low, high in _EPOCHS)
            return is_epoch and _TIME_NAME.search(self.name) is not None
        return all(moment_ms(value) is not None for value in values)


@dataclass(frozen=True)
class Sample:
    """The first rows of a file and, of a long one, its last ones.

    Args:
        file: which.
        columns: each with its values.
        is_whole: whether there is no other row.
        n_longer: rows with more values than there are columns, which are no events and were left out.
    """

    file: Path
    columns: Sequence[Column]
    is_whole: bool
    n_longer: int = 0

    @property
    def n_rows(self) -> int:
        """Of the sample."""
        return len(self.columns[0].values)

    def column(self, named: str) -> Column:
        """The column that somebody names, as the file does or as a field.

        Raises:
            InputError: there is none.
        """
        for column in self.columns:
            if named in (column.header, column.name):
                return column
        there = ", ".join(column.header for column in self.columns)
        raise InputError(f"there is no column {named!r}; there is: {there}", where=str(self.file))


def read_sample(file: Path) -> Sample:
    """A sample of a CSV file: at most its first 20,000 rows and its last 256 kB.

    Raises:
        InputError: it cannot be read, is separated by something else than commas, or has no rows.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            taken = _Taken(text)
            lines = csv.reader(taken)
            headers = next(lines, [])
            _check_headers(headers, file)
            first = [cells for cells in islice(lines, SAMPLE_ROWS) if cells]
            n_bytes = taken.n_bytes
            is_whole = next(lines, None) is None
        rows = [cells for cells in first if not any(cells[len(headers) :])]
        n_longer = len(first) - len(rows)
        if not is_whole:
            rows += _last_rows(file, len(headers), n_bytes)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(file)) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot be read as CSV in UTF-8: {error}", where=str(file)) from error
    if not rows and n_longer:
        raise InputError("every row has more values than its first line has names; name each column", where=str(file))
    if not rows:
        raise InputError("has no row below its first line; give a file with some events in it", where=str(file))
    filled = [[*cells, *[""] * (len(headers) - len(cells))] for cells in rows]
    names = field_names(headers)
    columns = [Column(header, names[place], [cells[place].strip() for cells in filled]) for place, header in enumerate(headers)]
    return Sample(file, columns, is_whole, n_longer)


def _check_headers(headers: Sequence[str], file: Path) -> None:
    twice = next((header for header, n_columns in Counter(headers).items() if n_columns > 1), None)
    if twice is not None:
        raise InputError(f"two columns are called {twice!r}, and one would be lost; rename one", where=str(file))
    for name, several in shared_fields(headers).items():
        raise InputError(f"{' and '.join(several)} would all be the field {name}; rename all but one", where=str(file))
    if len(headers) > 1:
        return
    said = headers[0] if headers else ""
    other = next((separator for separator in (";", "\t", "|") if separator in said), None)
    if other is not None:
        raise InputError(f"its fields are separated by {other!r}; write it with commas, as e.g. pandas' to_csv does", where=str(file))
    raise InputError(f"its first line is {said!r}; it must name the columns, with commas between them", where=str(file))


class _Taken(Iterator[str]):
    """The lines of a file, and how many of its bytes those make up that were taken."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.n_bytes = 0

    def __next__(self) -> str:
        line = next(self._lines)
        self.n_bytes += len(line.encode())
        return line


def _last_rows(file: Path, width: int, from_byte: int) -> list[list[str]]:
    """The rows in the last bytes, but for those before a byte; what is torn, or has a line break in it, is left out."""
    with file.open("rb") as opened:
        opened.seek(max(file.stat().st_size - _TAIL_BYTES, from_byte))
        tail = opened.read().decode("utf-8", errors="replace")
    with suppress(csv.Error):
        return [cells for cells in islice(csv.reader(io.StringIO(tail, newline="")), 1, None) if len(cells) == width]
    return []


def _is_number(text: str) -> bool:
    try:
        return isfinite(float(text)) and "_" not in text
    except ValueError:
        return False
