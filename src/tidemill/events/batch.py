"""Applied events of one stream as columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.clock import to_ms
from tidemill.events.event import Event
from tidemill.events.stream import FieldKind, Stream

Column = npt.NDArray[Any]
Columns = Mapping[str, Column]


@dataclass(frozen=True)
class EventBatch:
    """Valid events of one stream with the log's word on each.

    Args:
        stream: their stream.
        events: (n,) the events.
        offsets: (n,) int64, the log's offsets, rising.
        known_at_ms: (n,) int64, when each was appended, never falling.
        payloads: (n,) the text that was sent.
    """

    stream: Stream
    events: Sequence[Event]
    offsets: npt.NDArray[np.int64]
    known_at_ms: npt.NDArray[np.int64]
    payloads: Sequence[str]

    @property
    def event_time_ms(self) -> npt.NDArray[np.int64]:
        """(n,) int64, when each happened."""
        return np.fromiter((event.event_time_ms for event in self.events), dtype=np.int64, count=len(self.events))

    def columns(self, names: Iterable[str]) -> dict[str, Column]:
        """The named fields: numbers and times as float64 with NaN for null, text as objects with None for null."""
        return {name: to_column((getattr(event.fields, name) for event in self.events), self.stream.kinds[name]) for name in names}


def to_column(values: Iterable[Any], kind: FieldKind) -> Column:
    """One column of plain values: float64 (times in ms, NaN for null) or objects (None for null).

    >>> to_column([1, None, 2.5], "number")
    array([1. , nan, 2.5])
    """
    if kind == "text":
        return np.array(list(values), dtype=object)
    return np.array([_number(value) for value in values], dtype=np.float64)


def _number(value: Any) -> float:
    if value is None:
        return np.nan
    return float(to_ms(value)) if isinstance(value, datetime) else float(value)
