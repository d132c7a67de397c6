"""From the texts of many events to columns, and the reason of each that is not an event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.clock import to_ms
from tidemill.errors import EventError
from tidemill.events.batch import EventBatch
from tidemill.events.decoder import Row, make_decoder
from tidemill.events.event import MAX_KEY_BYTES, MAX_TIME_MS, Keys, key_bytes, parse_event
from tidemill.events.stream import Stream

_SURELY_SHORT = MAX_KEY_BYTES // 4  # letters: in UTF-8 one takes up to four bytes
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Parsed:
    """What became of n texts.

    Args:
        batch: the m valid ones, in order.
        places: (m,) int64, where each of them stood in what was handed in.
        refused: by place in what was handed in, why the others are not events.
    """

    batch: EventBatch
    places: Ints
    refused: dict[int, EventError]


class EventParser:
    """Parses the events of one stream; says of each exactly what `parse_event` says.

    Args:
        stream: theirs.
        keys: its fields whose length is bounded, alone or together.

    >>> from pydantic import BaseModel
    >>> class Reading(BaseModel):
    ...     reading_id: str
    ...     at: int
    >>> parser = EventParser(Stream("readings", schema=Reading, event_time="at", event_id="reading_id"))
    >>> parsed = parser.parse(['{"reading_id": "r1", "at": 5}', "{"], np.array([1, 2]), np.array([9, 9]))
    >>> parsed.batch.event_ids, {place: error.reason for place, error in parsed.refused.items()}
    (('r1',), {1: 'not_json'})
    """

    def __init__(self, stream: Stream, keys: Keys = ()) -> None:
        self._stream = stream
        self._keys = keys
        self._decode = make_decoder(stream)
        self._names = list(stream.kinds)
        self._id = self._names.index(stream.event_id)
        self._time = self._names.index(stream.event_time)
        self._key_places = [[self._names.index(name) for name in names] for names in keys]
        self._floats = [place for place, name in enumerate(self._names) if stream.python_types[name] is float]
        self._ints = [place for place, name in enumerate(self._names) if stream.python_types[name] is int]
        self._times = [place for place, name in enumerate(self._names) if stream.python_types[name] is datetime]

    def parse(self, payloads: Sequence[str], offsets: Ints, known_at_ms: Ints) -> Parsed:
        """Judge n texts.

        Args:
            payloads: (n,) JSON texts as they were sent.
            offsets: (n,) int64, their log offsets.
            known_at_ms: (n,) when each was appended, to tell the future.
        """
        rows = self._decode(payloads)
        columns = _columns(rows) if rows and None not in rows else None
        doubtful = self._doubtful(rows, known_at_ms) if columns is None else self._suspicious(columns, known_at_ms)
        if columns is not None and not doubtful.any():
            return Parsed(self._batch(columns, offsets, known_at_ms), np.arange(len(rows)), {})
        refused: dict[int, EventError] = {}
        for place in np.flatnonzero(doubtful).tolist():
            try:
                fields = parse_event(payloads[place], self._stream, int(known_at_ms[place]), self._keys).fields
                rows[place] = tuple(getattr(fields, name) for name in self._names)
            except EventError as error:
                rows[place], refused[place] = None, error
        places = np.delete(np.arange(len(rows)), list(refused))
        columns = _columns([row for row in rows if row is not None]) or [()] * len(self._names)
        return Parsed(self._batch(columns, offsets[places], known_at_ms[places]), places, refused)

    def _doubtful(self, rows: Sequence[Row | None], known_at_ms: Ints) -> npt.NDArray[np.bool_]:
        """(n,) whether `parse_event` must judge: not decoded, or with a value that it may refuse."""
        doubtful = np.ones(len(rows), dtype=bool)
        decoded = [place for place, row in enumerate(rows) if row is not None]
        if decoded:
            doubtful[decoded] = self._suspicious(_columns([rows[place] for place in decoded]), known_at_ms[decoded])
        return doubtful

    def _suspicious(self, columns: Sequence[tuple[object, ...]], known_at_ms: Ints) -> npt.NDArray[np.bool_]:
        """(n,) whether a decoded row must be looked at again. None is NaN here, so it passes every check but that of the time."""
        times = np.array(
            [_loose_ms(value) for value in columns[self._time]] if self._time in self._times else columns[self._time], dtype=np.float64
        )
        wrong = ~((times >= 0) & (times <= np.minimum(MAX_TIME_MS, known_at_ms + self._stream.max_ahead_ms)))
        if "" in columns[self._id]:
            wrong |= np.array([event_id == "" for event_id in columns[self._id]])
        for places in self._key_places:
            parts = [columns[place] for place in places]
            if sum(max(len(part) if isinstance(part, str) else 0 for part in column) for column in parts) > _SURELY_SHORT:
                wrong |= np.array([key_bytes(row) > MAX_KEY_BYTES for row in zip(*parts, strict=True)])
        for place in self._floats:
            wrong |= np.isinf(np.array(columns[place], dtype=np.float64))
        for place in (place for place in self._ints if place != self._time):
            wrong |= np.abs(np.array(columns[place], dtype=np.float64)) >= 2.0**63
        for place in self._times:
            wrong |= np.fromiter((_is_odd_time(value) for value in columns[place]), dtype=bool, count=len(wrong))
        return wrong

    def _batch(self, columns: Sequence[tuple[Any, ...]], offsets: Ints, known_at_ms: Ints) -> EventBatch:
        moments = columns[self._time]
        times = [to_ms(value) for value in moments] if self._time in self._times else moments
        return EventBatch(
            stream=self._stream,
            event_ids=columns[self._id],
            event_time_ms=np.array(times, dtype=np.int64),
            offsets=offsets,
            known_at_ms=known_at_ms,
            values=dict(zip(self._names, columns, strict=True)),
        )


def _columns(rows: Sequence[Row | None]) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True))


def _loose_ms(moment: object) -> float:
    return to_ms(moment) if isinstance(moment, datetime) and moment.tzinfo is not None else np.nan


def _is_odd_time(value: object) -> bool:
    """A time without zone, or so near the calendar's ends that its zone may carry it out of it."""
    return isinstance(value, datetime) and (value.tzinfo is None or not 1 < value.year < 9999)
