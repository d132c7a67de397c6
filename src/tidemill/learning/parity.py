"""Parity: were the vectors that were served the ones that history says they must have been?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from tidemill.events import Column
from tidemill.learning.model import Model
from tidemill.learning.moments import Clock, Moments
from tidemill.learning.point_in_time import values_at
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
    at_position = _recompute(model, lake, kept, columns, "offset")
    by_time = _recompute(model, lake, kept, columns, "known_at")
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


def _recompute(model: Model, lake: Lake, served: Served, columns: Mapping[str, Column], clock: Clock) -> dict[str, Column]:
    positions = [Position.from_token(token) for token in served.positions]
    values: dict[str, Column] = {}
    for source in model.sources:
        stream = source.stream.name
        known = served.at_ms if clock == "known_at" else np.array([position.offset(stream) for position in positions], dtype=np.int64)
        values |= values_at(source, lake.dataset(stream), Moments(served.at_ms, known, columns), clock)
    return model.assemble(columns, values)


def _differs(served: Column, recomputed: Column) -> npt.NDArray[np.bool_]:
    if served.dtype == object:
        return np.asarray(served != recomputed, dtype=np.bool_)
    missing = np.isnan(served) | np.isnan(recomputed)
    apart = np.abs(served - recomputed) > TOLERANCE * np.maximum(1.0, np.abs(recomputed))
    return np.asarray(np.where(missing, np.isnan(served) != np.isnan(recomputed), apart), dtype=np.bool_)


def _plain(value: float | str | None) -> float | str | None:
    return value if value is None or isinstance(value, str) else None if np.isnan(value) else float(value)
