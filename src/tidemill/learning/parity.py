"""Parity: were the vectors that were served the ones that history says they must have been?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from tidemill.events import Column
from tidemill.kernels import Ints
from tidemill.learning.model import Model
from tidemill.learning.moments import Clock, Moments
from tidemill.learning.point_in_time import values_at
from tidemill.learning.position_line import in_lines
from tidemill.learning.training_set import vectors_of
from tidemill.stores import Lake, Served
from tidemill.streams import Position

TOLERANCE = 1e-6  # vectors hold float32 precision: one unit in the last place is 1.2e-7 of the value


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One feature of one prediction that history does not confirm."""

    prediction_id: int
    key: str
    column: str
    served: float | str | None
    recomputed: float | str | None


@dataclass(frozen=True)
class Parity:
    """How many vectors were recomputed, what differed, and the share that `known_at <= t` would have answered otherwise."""

    checked: int
    mismatches: tuple[Mismatch, ...]
    lag_skew: float


def check_parity(model: Model, lake: Lake, served: Served) -> Parity:
    """Recompute served vectors from the lake, at the positions they were read at.

    The lake must hold what the newest of them had read: take the sample first, then wait for the lake, or a live system's last
    answers look wrong. Vectors served under other definitions than today's are left out.
    """
    today = np.array([digest == model.source_digest for digest in served.digests], dtype=bool)
    if not today.any():
        return Parity(0, (), 0.0)
    kept = served.rows(np.flatnonzero(today))
    requests = TypeAdapter(list[model.request]).validate_json("[" + ",".join(kept.requests) + "]")  # type: ignore[name-defined]  # a model made at run time
    columns = model.request_columns([request.__dict__ for request in requests])
    vector = vectors_of(model, kept)
    at_position, by_time = _at_positions(model, lake, kept, columns), _by_time(model, lake, kept, columns)
    wrong = {name: _differs(vector[name], at_position[name]) for name in model.columns}
    skewed = np.zeros(len(kept.ids), dtype=bool)
    for name in model.columns:
        skewed |= _differs(vector[name], by_time[name])
    mismatches = tuple(
        Mismatch(int(kept.ids[row]), kept.keys[row], name, _plain(vector[name][row]), _plain(at_position[name][row]))
        for name, differs in wrong.items()
        for row in np.flatnonzero(differs)
    )
    return Parity(len(kept.ids), mismatches, float(skewed.mean()))


def _by_time(model: Model, lake: Lake, served: Served, columns: Mapping[str, Column]) -> dict[str, Column]:
    """What was known by the time of each."""
    values: dict[str, Column] = {}
    for source in model.sources:
        values |= values_at(source, lake.dataset(source.stream.name), Moments(served.at_ms, served.at_ms, columns), "known_at")
    return model.assemble(columns, values)


def _at_positions(model: Model, lake: Lake, served: Served, columns: Mapping[str, Column]) -> dict[str, Column]:
    """What the position of each had taken."""
    positions = [Position.from_token(token) for token in served.positions]
    values: dict[str, Column] = {}
    for source in model.sources:
        stream = source.stream.name
        for which, known, clock in _clocks(positions, stream):
            moments = Moments(served.at_ms[which], known, {name: column[which] for name, column in columns.items()})
            for name, told in values_at(source, lake.dataset(stream), moments, clock).items():
                values.setdefault(name, np.empty(len(positions), dtype=told.dtype))[which] = told
    return model.assemble(columns, values)


def _clocks(positions: Sequence[Position], stream: str) -> Iterator[tuple[Ints, Ints, Clock]]:
    """Which of the positions a clock can compare, what each has taken by that clock, and the clock."""
    if all(position.offsets.get(stream, {}).keys() <= {"0"} for position in positions):
        yield np.arange(len(positions)), np.array([position.offset(stream) for position in positions], dtype=np.int64), "offset"
    else:
        yield from in_lines(positions, stream)


def _differs(served: Column, recomputed: Column) -> npt.NDArray[np.bool_]:
    if served.dtype == object:
        return np.asarray(served != recomputed, dtype=np.bool_)
    missing = np.isnan(served) | np.isnan(recomputed)
    apart = np.abs(served - recomputed) > TOLERANCE * np.maximum(1.0, np.abs(recomputed))
    return np.asarray(np.where(missing, np.isnan(served) != np.isnan(recomputed), apart), dtype=np.bool_)


def _plain(value: float | str | None) -> float | str | None:
    return value if value is None or isinstance(value, str) else None if np.isnan(value) else float(value)
