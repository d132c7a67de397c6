"""The history of a CSV file as a recording: each row an event, a question, and later its outcome."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np

from tidemill.clock import DAY_MS, duration_ms, moment_ms, to_utc
from tidemill.errors import EventError, InputError
from tidemill.events import Keys, Stream, parse_event
from tidemill.learning import Model
from tidemill.sources.rows import row_text, typed_row
from tidemill.sources.text_rows import OPEN_AS, CsvRow, csv_rows
from tidemill.streams import Asked, Counts, Recorded, Recording

Row = CsvRow | str  # a text is what cannot be read


@dataclass(frozen=True)
class CsvHistory:
    """What a CSV file tells, as it would have come: give it as `Project(..., recording=CsvHistory(...))`, then `tidemill demo` plays it.

    A row is known when it happened: its event is of `stream`. Its question is asked when the model's `Requests(at=...)` says. Its outcome
    comes later, as an event of the label's stream: at the time in the column of that stream's event time, or where the file has none
    `outcome_after`; a row without an outcome has none. Columns are fields, and rows that cannot be read are rejected, as of `Files`; an id
    that the file lacks is made of the row's number. Rows may stand in any order. The file is held in memory, about a kilobyte a row.

    Args:
        file: its first line names the columns, fields are separated by commas. Times are ISO 8601, UTC where no zone is named, or numbers
            of seconds or milliseconds since 1970.
        stream: whose events the rows are.
        model: who is asked; None for events alone.
        outcome_after: when an outcome is known, counted from the event.
        keys: by stream, the fields that may not be too long, see `Project.keys`; the project that it is given to fills them in.

    Raises:
        InputError: when it is called: no such file, or none with rows.
    """

    file: Path
    stream: Stream
    model: Model | None = None
    outcome_after: str | int = "1d"
    keys: Mapping[str, Keys] = field(default_factory=dict, repr=False)

    def __call__(self, days: int, drift_from: int | None = None) -> Recording:
        """The first days of it. `drift_from` changes nothing: what a file tells is what happened."""
        rows = self._rows
        if not rows:
            raise InputError("there is no row below the first line, so nothing can be told again", where=str(self.file))
        end_ms = rows[0][0] + days * DAY_MS
        kept = [(at_ms, row) for at_ms, row in rows if at_ms < end_ms]
        told = sorted((event for event in self._events(kept) if event.known_at_ms < end_ms), key=lambda event: event.known_at_ms)
        asked = [question for question in self._requests(kept) if question.at_ms < end_ms]
        last_ms = max([told[-1].known_at_ms, *(question.at_ms for question in asked[-1:])])
        return Recording(lambda: iter(told), lambda: iter(asked), lambda: self._counts(told), told[0].known_at_ms, last_ms)

    @cached_property
    def _rows(self) -> list[tuple[int, Row]]:
        """The rows with the times at which they happened, in that order; one whose time nobody can read stays by the row before it.

        Those at the head of the file stay by the first row that has one.
        """
        read = enumerate(read_rows(self.file, self._fields), start=1)
        rows = [row if isinstance(row, str) else {self.stream.event_id: f"row{place}", **row} for place, row in read]
        times = [None if isinstance(row, str) else moment_ms(row.get(self.stream.event_time, "")) for row in rows]
        at_ms, placed = next((found_ms for found_ms in times if found_ms is not None), 0), list[tuple[int, Row]]()
        for row, found_ms in zip(rows, times, strict=True):
            at_ms = at_ms if found_ms is None else found_ms
            placed.append((at_ms, row))
        return sorted(placed, key=lambda one: one[0])

    @property
    def _fields(self) -> frozenset[str]:
        """What is looked for in the file."""
        of_model = () if self.model is None else (*self.model.label.stream.kinds, *self.model.request_kinds)
        return frozenset((*self.stream.kinds, *of_model))

    def _events(self, rows: Sequence[tuple[int, Row]]) -> Iterator[Recorded]:
        outcomes = None if self.model is None or self.model.label.stream == self.stream else self.model.label.stream
        after_ms = duration_ms(self.outcome_after)
        for at_ms, row in rows:
            yield Recorded(self.stream.name, at_ms, row if isinstance(row, str) else _payload(row, self.stream))
            if isinstance(row, str):
                continue
            if outcomes is not None and all(row.get(name) for name in self._told_by_outcome):
                known_ms = moment_ms(row.get(outcomes.event_time, "")) or at_ms + after_ms
                known = {**row, outcomes.event_time: to_utc(known_ms).isoformat()}
                yield Recorded(outcomes.name, known_ms, _payload(known, outcomes))

    @cached_property
    def _told_by_outcome(self) -> frozenset[str]:
        return frozenset() if self.model is None else self.model.label.expression.names

    def _requests(self, rows: Sequence[tuple[int, Row]]) -> list[Asked]:
        if self.model is None:
            return []
        readable = [row for _, row in rows if not isinstance(row, str)]
        at, kinds = self.model.requests.at, self.stream.python_types
        fields = {name: [_as_number(row.get(name), kinds[name]) for row in readable] for name in at.names}
        moments = at.evaluate({name: np.array(values, dtype=np.float64) for name, values in fields.items()})
        wanted = [name for name in self.stream.kinds if name in self.model.request_kinds]
        asked = [
            Asked(int(moment), self.model.name, {name: value for name, value in _typed(row, self.stream).items() if name in wanted})
            for moment, row in zip(moments.tolist(), readable, strict=True)
            if moment == moment
        ]
        return sorted(asked, key=lambda one: one.at_ms)

    def _counts(self, told: Sequence[Recorded]) -> dict[str, Counts]:
        """What the books must say; no row is late, as each is known when it happened."""
        streams = {stream.name: stream for stream in (self.stream, *([] if self.model is None else [self.model.label.stream]))}
        counts, met = {name: Counts() for name in streams}, set[tuple[str, str]]()
        for event in told:
            try:
                parsed = parse_event(event.payload, streams[event.stream], event.known_at_ms, self.keys.get(event.stream, ()))
                key = (event.stream, parsed.event_id)
                one = Counts(received=1, duplicate=1) if key in met else Counts(received=1, applied=1)
                met.add(key)
            except EventError:
                one = Counts(received=1, rejected=1)
            counts[event.stream] += one
        return counts


def read_rows(file: Path, known: frozenset[str]) -> Iterator[CsvRow | str]:
    """The rows of a CSV file, see `csv_rows`.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with file.open(**OPEN_AS) as text:
            yield from csv_rows(text, file.name, known)
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"cannot be read as CSV: {error}", where=str(file)) from error


def _typed(row: CsvRow, stream: Stream) -> dict[str, object]:
    """The fields of a stream, with the types that its schema asks for; what does not fit stays text, for the engine to judge."""
    values = typed_row({name: row.get(name) for name in stream.kinds}, stream)
    time = stream.event_time
    if stream.python_types[time] is int and (found_ms := moment_ms(row.get(time, ""))) is not None:
        values[time] = found_ms
    return values


def _payload(row: CsvRow, stream: Stream) -> str:
    return row_text(_typed(row, stream))


def _as_number(value: object, python_type: type) -> float:
    """A field that tells when a question is asked; NaN where it does not."""
    found: float | None = None
    if python_type is datetime:
        found = moment_ms(str(value or ""))
    else:
        with suppress(ValueError):
            found = float(str(value))
    return float("nan") if found is None else float(found)
