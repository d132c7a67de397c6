"""Questions of the past: of whom, about which time, knowing how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tidemill.events import Column
from tidemill.kernels import Ints
from tidemill.learning.position_line import PositionLine
from tidemill.stores import KNOWN_AT, OFFSET

Clock = Literal["known_at", "offset"] | PositionLine


def clock_column(clock: Clock) -> str:
    """The lake's column that a clock reads."""
    return KNOWN_AT if clock == "known_at" else OFFSET


def read_clock(clock: Clock, column: Ints) -> Ints:
    """(n,) int64, when each event became known, in the clock's unit."""
    return clock.numbers(column) if isinstance(clock, PositionLine) else column


@dataclass(frozen=True)
class Moments:
    """n questions of the past.

    Args:
        at_ms: (n,) int64, the time of each.
        known_up_to: (n,) int64, in the clock's unit: the `known_at`, the offset of a log of one partition, or the number of the position
            in its line, up to which events count.
        columns: (n,) columns, among them the entity's fields; text, None for missing.
    """

    at_ms: npt.NDArray[np.int64]
    known_up_to: npt.NDArray[np.int64]
    columns: Mapping[str, Column]

    def numbered(self, fields: tuple[str, ...]) -> tuple[Ints, pa.Table]:
        """(n,) the number of each question's key, -1 where a part of it is null, and the keys in the order of their numbers."""
        texts = [pa.array(self.columns[name], type=pa.string()) for name in fields]
        codes, n_codes = _encoded(texts[0])
        for text in texts[1:]:
            more, n_more = _encoded(text)
            mixed = np.where((codes < 0) | (more < 0), -1, codes * n_more + more)
            found, codes = np.unique(np.append(mixed, -1), return_inverse=True)
            codes, n_codes = codes[:-1] - 1, len(found) - 1
        somebody = np.flatnonzero(codes >= 0)
        one_of = np.empty(n_codes, dtype=np.int64)
        one_of[codes[somebody]] = somebody  # any question of a key has its texts
        return codes, pa.table({name: text.take(pa.array(one_of)) for name, text in zip(fields, texts, strict=True)})


def _encoded(text: pa.Array) -> tuple[Ints, int]:
    encoded = text.dictionary_encode()
    return encoded.indices.fill_null(-1).to_numpy().astype(np.int64), len(encoded.dictionary)
