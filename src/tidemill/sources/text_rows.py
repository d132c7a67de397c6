"""The rows of files of text, CSV and JSON lines. One that cannot be read as it was meant stands in its place as what is no event.

A file is opened with `OPEN_AS`, so that bytes that are no UTF-8 come to here and are found in the row that has them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import zip_longest
from typing import Any, TypedDict

from tidemill.events import unreadable
from tidemill.sources.field_names import field_names, shared_fields


class _OpenAs(TypedDict):
    encoding: str
    errors: str
    newline: str


OPEN_AS: _OpenAs = {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": ""}

CsvRow = dict[str, str]
_SHOWN = 60  # letters of a first line


def csv_rows(text: Iterable[str], file: str, known: Set[str]) -> Iterator[CsvRow | str]:
    """The rows of a CSV file by field, "" where a row ends early; of one that cannot be read what `unreadable` makes of it.

    Args:
        text: its lines; the first names the fields.
        file: what it is called.
        known: the fields that are looked for, see `field_names`.

    Raises:
        ValueError: its first line cannot be read, names no field, or has two columns that are one.
        csv.Error: a quote that is not closed takes other rows with it.

    >>> rows = csv_rows(["Amount (EUR),shop\\n", "1,a\\n", "2,b,c\\n", "3\\n"], "a.csv", {"amount_eur", "shop"})
    >>> next(rows), next(rows)
    ({'amount_eur': '1', 'shop': 'a'}, '[{"_error":"a.csv, line 3: 3 values, where the first line names 2","_text":"2,b,c"}]')
    """
    taken = _Taken(text)
    lines = csv.reader(taken, strict=True)
    names = _names(next(lines, []), known)
    while (read := _next(lines, taken)) is not None:
        begin, cells, fault = read
        fault = fault or _fault(taken.text) or _too_many(cells, names)
        if fault:
            yield _unreadable(file, begin, fault, taken.text)
        elif cells:
            yield dict(zip_longest(names, cells[: len(names)], fillvalue=""))


def json_lines(text: Iterable[str], file: str) -> Iterator[str]:
    """The lines of a file, without blank ones; of one that is not UTF-8 what `unreadable` makes of it."""
    for number, line in enumerate(text, start=1):
        if bare := line.strip():
            fault = _fault(bare)
            yield _unreadable(file, number, fault, bare) if fault else bare


class _Taken(Iterator[str]):
    """The lines of a file, and those that were taken last."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._last: list[str] = []

    def __next__(self) -> str:
        line = next(self._lines)
        self._last.append(line)
        return line

    @property
    def text(self) -> str:
        return "".join(self._last)

    def forget(self) -> None:
        self._last.clear()


def _names(headers: Sequence[str], known: Set[str]) -> list[str]:
    if fault := _fault("".join(headers)):
        raise ValueError(f"its first line is {fault}")
    for name, several in shared_fields(headers, known).items():
        if name in known:
            raise ValueError(f"its columns {' and '.join(map(repr, several))} are all the field {name}; rename all but one")
    names = field_names(headers, known)
    if names and not known & {*names}:
        raise ValueError(f"its first line, {','.join(headers)[:_SHOWN]!r}, names none of the fields {', '.join(sorted(known))}")
    return names


def _next(lines: Any, taken: _Taken) -> tuple[int, list[str], str] | None:
    """The line at which the next row begins, its cells, and what is wrong with its quotes; None at the end."""
    taken.forget()
    begin = lines.line_num + 1
    try:
        cells = next(lines, None)
    except csv.Error as error:
        if lines.line_num > begin:
            raise csv.Error(f"{error}, in what begins at line {begin}") from error
        return begin, [], str(error)
    return None if cells is None else (begin, cells, "")


def _too_many(cells: Sequence[str], names: Sequence[str]) -> str:
    """What is wrong with a row that has values without a name; a comma at the end is no value."""
    return f"{len(cells)} values, where the first line names {len(names)}" if any(cells[len(names) :]) else ""


def _fault(text: str) -> str:
    """What is wrong with the bytes of a text; "" where nothing is."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"not UTF-8, which byte {ord(text[error.start]) - 0xDC00:#x} is no part of"
    return ""


def _unreadable(file: str, line: int, fault: str, text: str) -> str:
    visible = text.rstrip("\r\n").encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return unreadable(f"{file}, line {line}: {fault}", _text=visible)
