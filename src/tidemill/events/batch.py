"""Valid events of one stream as columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.clock import to_ms
from tidemill.events.stream import FieldKind, Stream

Column = npt.NDArray[Any]
Columns = Mapping[str, Column]


@dataclass(frozen=True)
class EventBatch:
    """Valid events of one stream with the log's word on each.

    Args:
        stream: their stream.
        event_ids: (n,) the id of each.
        event_time_ms: (n,) int64, when each happened.
        offsets: (n,) int64, their log offsets, which tell events of a stream apart; rising within each partition.
        known_at_ms: (n,) int64, when each was appended, never falling within a partition.
        values: by field, (n,) plain Python values, None for null.
    """

    stream: Stream
    event_ids: Sequence[str]
    event_time_ms: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    known_at_ms: npt.NDArray[np.int64]
    values: Mapping[str, Sequence[Any]]

    def __len__(self) -> int:
        """How many events."""
        return len(self.event_ids)

    def columns(self, names: Iterable[str]) -> dict[str, Column]:
        """The named fields: numbers and times as float64 with NaN for null, text as objects with None for null."""
        return {name: to_column(self.values[name], self.stream.kinds[name]) for name in names}

    def rows(self, which: npt.NDArray[np.bool_]) -> EventBatch:
        """The events that `which` (n,) picks."""
        if which.all():
            return self
        places = np.flatnonzero(which).tolist()
        return replace(
            self,
            event_ids=[self.event_ids[place] for place in places],
            event_time_ms=self.event_time_ms[which],
            offsets=self.offsets[which],
            known_at_ms=self.known_at_ms[which],
            values={name: [column[place] for place in places] for name, column in self.values.items()},
        )


def to_columns(rows: Sequence[Mapping[str, Any]], kinds: Mapping[str, FieldKind]) -> dict[str, Column]:
    """The fields of n rows as columns, each as `to_column` makes it; a field that a row lacks is null.

    >>> to_columns([{"size": 2}, {"shop": "a"}], {"shop": "text", "size": "number"})
    {'shop': array([None, 'a'], dtype=object), 'size': array([ 2., nan])}
    """
    names = [name for name, kind in kinds.items() if kind == "number"]
    # all of them at once: of few rows an array costs more than its values
    values = np.array([*chain.from_iterable(map(row.get, names) for row in rows)], dtype=np.float64).reshape(len(rows), len(names))
    numbers = dict(zip(names, np.ascontiguousarray(values.T), strict=True))
    return {name: numbers[name] if kind == "number" else to_column([row.get(name) for row in rows], kind) for name, kind in kinds.items()}


def to_column(values: Iterable[Any], kind: FieldKind) -> Column:
    """One column of plain values: float64 (times in ms, NaN for null) or objects (None for null).

    >>> to_column([1, None, 2.5], "number")
    array([1. , nan, 2.5])
    """
    found = values if isinstance(values, list | tuple) else list(values)
    if kind == "text":
        column = np.empty(len(found), dtype=object)
        column[:] = found
        return column
    if kind == "time":
        found = [None if value is None else to_ms(value) if isinstance(value, datetime) else value for value in found]
    return np.array(found, dtype=np.float64)  # None becomes NaN
