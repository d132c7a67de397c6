"""The training set: every mature question with its vector and outcome, served ones with the vector that served them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

from tidemill.clock import to_utc
from tidemill.errors import UnfitRowsError
from tidemill.events import Column
from tidemill.kernels import Floats
from tidemill.learning.lake_sql import DEFAULT_LIMITS, Limits, known_by, open_duckdb, relation, scan, stored
from tidemill.learning.model import Model
from tidemill.learning.moments import Moments
from tidemill.learning.outcomes import is_missing, maturity_ms, read_outcomes, with_absent
from tidemill.learning.point_in_time import values_at
from tidemill.learning.sampling import Sample
from tidemill.learning.value_cache import Missing, ValueCache
from tidemill.stores import KNOWN_AT, OFFSET, Class, Lake, PredictionStore, Served


@dataclass(frozen=True)
class TrainingSet:
    """n labelled rows in time order.

    Args:
        columns: the vectors, by column; see `Model.assemble`.
        outcome: (n,) float64: 0 or 1, a number, or the place of a class; see `Objective`.
        at_ms: (n,) int64, when each was asked; rising.
        keys: (n,) the label's key of each.
        n_served: how many rows carry the vector that was served.
        lake_versions: by stream, the Delta version that was read.
        now_ms: the stream time it was built at.
        maturity_ms: how old a question had to be.
        classes: what the outcomes are places of, where they are one of several.
    """

    columns: Mapping[str, Column]
    outcome: Floats
    at_ms: npt.NDArray[np.int64]
    keys: Sequence[str]
    n_served: int
    lake_versions: Mapping[str, int]
    now_ms: int
    maturity_ms: int
    classes: tuple[Class, ...] = ()

    def __len__(self) -> int:
        """How many rows."""
        return len(self.outcome)

    def frame(self) -> pd.DataFrame:
        """The vectors as a frame: numbers as float64, text as objects."""
        return pd.DataFrame(dict(self.columns))

    def rows(self, which: npt.NDArray[np.bool_]) -> TrainingSet:
        """The rows that `which` (n,) picks."""
        return TrainingSet(
            columns={name: column[which] for name, column in self.columns.items()},
            outcome=self.outcome[which],
            at_ms=self.at_ms[which],
            keys=[key for key, kept in zip(self.keys, which, strict=True) if kept],
            n_served=self.n_served,
            lake_versions=self.lake_versions,
            now_ms=self.now_ms,
            maturity_ms=self.maturity_ms,
            classes=self.classes,
        )

    def split(self, gate_ms: int) -> tuple[TrainingSet, TrainingSet]:
        """The rows to fit on, and the newest `gate_ms` of them to judge on; never mixed in time."""
        gate = self.at_ms > self.at_ms[-1] - gate_ms
        return self.rows(~gate), self.rows(gate)

    @property
    def digest(self) -> str:
        """Sixteen hex digits of the rows: equal rows in equal order, equal digests."""
        hashed = hashlib.sha256(orjson.dumps(self.classes) if self.classes else b"")
        for column in (self.at_ms, self.outcome, *self.columns.values()):
            hashed.update(column.tobytes() if column.dtype != object else orjson.dumps(column.tolist()))
        return hashed.hexdigest()[:16]


@dataclass(frozen=True)
class TrainingSetBuilder:
    """What a training set is built from. Built twice at one time it has the same rows in the same order, to the last bit.

    Args:
        model: whose.
        lake: where the events of its streams are.
        predictions: where served vectors are.
        cache: keeps computed values for the next time; none means that all are computed.
        sample: the share of questions that is learnt from.
        limits: what reading the past may take.
    """

    model: Model
    lake: Lake
    predictions: PredictionStore
    cache: ValueCache | None = None
    sample: Sample = field(default_factory=Sample)
    limits: Limits = DEFAULT_LIMITS

    def build(self, now_ms: int) -> TrainingSet:
        """All rows one may learn from at `now_ms`; see `build_training_set`.

        Raises:
            UnfitRowsError: there is no labelled row yet, or an outcome is none of the model's task.
        """
        model, label = self.model, self.model.label
        streams = {model.requests.stream.name, label.stream.name, *(source.stream.name for source in model.sources)}
        opened = {name: self.lake.read(name) for name in sorted(streams)}
        datasets = {name: dataset for name, (dataset, _) in opened.items()}
        requests, outcomes = datasets[model.requests.stream.name], datasets[label.stream.name]
        matured_ms = maturity_ms(model, requests, outcomes, now_ms)
        served = self._served(now_ms - matured_ms)
        unserved = self._unserved(requests, now_ms - matured_ms, set(served.keys))
        parts = [_served_vectors(model, served), self._computed_vectors(unserved, datasets)]
        keys = [*served.keys, *unserved.keys]
        at_ms = np.concatenate([served.at_ms, unserved.at_ms])
        told = with_absent(label, read_outcomes(label, outcomes, keys, now_ms, at_ms).value)
        usable = np.flatnonzero(~is_missing(told))
        if not len(usable):
            by = f"by {to_utc(now_ms).isoformat(timespec='minutes')}" if now_ms else "yet, as no event has come"
            what = f"model {model.name!r} has no labelled question {by}; let more events in, then train again"
            raise UnfitRowsError("TooFewLabels", what)
        order = usable[np.argsort(at_ms[usable], kind="stable")]
        try:
            outcome, classes = model.objective.encode(told[order])
        except ValueError as error:
            raise UnfitRowsError("BadData", f"model {model.name!r} cannot be trained: {error}") from error
        return TrainingSet(
            columns={name: np.concatenate([part[name] for part in parts])[order] for name in model.columns},
            outcome=outcome,
            at_ms=at_ms[order],
            keys=[keys[place] for place in order],
            n_served=int((order < len(served.keys)).sum()),
            lake_versions={name: version for name, (_, version) in opened.items()},
            now_ms=now_ms,
            maturity_ms=matured_ms,
            classes=classes,
        )

    def _served(self, up_to_ms: int) -> Served:
        """Of each key in the sample the last vector served under today's definitions."""
        served = self.predictions.served(self.model.name, before_ms=up_to_ms)
        today = np.array([digest == self.model.source_digest for digest in served.digests], dtype=np.bool_)
        rows = np.flatnonzero(today & self.sample.kept(served.keys)).tolist()
        last = {served.keys[row]: row for row in rows}
        kept = np.array(sorted(last.values()), dtype=np.int64)
        return served if len(kept) == len(served.ids) else served.rows(kept)

    def _unserved(self, requests: ds.Dataset, up_to_ms: int, served: set[str]) -> _Unserved:
        model, parameters = self.model, dict[str, int | float]()
        fields = set(model.request_kinds) | model.requests.at.names
        at = f"cast({model.requests.at.sql(parameters)} as bigint)"
        names = ", ".join(f'"{name}"' for name in model.request_kinds)
        when = f"""{at} <= $up_to_ms and "{KNOWN_AT}" <= {at} and {self.sample.sql(f'"{model.label.key}"')}"""
        source = relation(model.requests.stream, "requests", fields)
        # Questions of one moment by their key, and not as a log of several partitions happens to number them: a model learns the same.
        order = f'"_at_ms", "{model.label.key}", "{OFFSET}"'
        query = f'select {at} as "_at_ms", "{OFFSET}", {names} from {source} where {when} order by {order}'
        with open_duckdb(self.limits) as connection:
            scan(connection, "requests", requests, stored(fields), known_by(up_to_ms))
            table = connection.sql(query, params={**parameters, "up_to_ms": up_to_ms}).to_arrow_table()
        keys = table.column(model.label.key).to_pylist()
        fresh = np.array([key not in served for key in keys], dtype=bool)
        columns = {name: _column(table.column(name), kind)[fresh] for name, kind in model.request_kinds.items()}
        at_ms, offsets = (table.column(name).to_numpy().astype(np.int64)[fresh] for name in ("_at_ms", OFFSET))
        return _Unserved([key for key, kept in zip(keys, fresh, strict=True) if kept], offsets, at_ms, columns)

    def _computed_vectors(self, unserved: _Unserved, datasets: Mapping[str, ds.Dataset]) -> dict[str, Column]:
        def compute(which: Missing) -> dict[str, Column]:
            moments = unserved.moments(which)
            return {
                name: column
                for source in self.model.sources
                for name, column in values_at(source, datasets[source.stream.name], moments, "known_at", self.limits).items()
            }

        if self.cache is None:
            return self.model.assemble(unserved.columns, compute(np.ones(len(unserved.keys), dtype=np.bool_)))
        return self.model.assemble(unserved.columns, self.cache.complete(self.model, unserved.offsets, unserved.at_ms, compute))


def build_training_set(model: Model, lake: Lake, predictions: PredictionStore, now_ms: int, cache: ValueCache | None = None) -> TrainingSet:
    """All rows one may learn from at `now_ms`, with no sample and the default limits; see `TrainingSetBuilder`.

    A question that was served brings the vector it was served with; any other is computed from the lake with `known_at <= t`, or
    taken from `cache` when it was computed before. Only questions older than the maturity count, and only outcomes known by `now_ms`
    that became known within the label's `within`; without one, the label says what that means.

    Raises:
        UnfitRowsError: there is no labelled row yet, or an outcome is none of the model's task.
    """
    return TrainingSetBuilder(model, lake, predictions, cache).build(now_ms)


@dataclass(frozen=True)
class _Unserved:
    """Questions of the past that nobody asked the server."""

    keys: list[str]
    offsets: npt.NDArray[np.int64]
    at_ms: npt.NDArray[np.int64]
    columns: Mapping[str, Column]

    def moments(self, which: Missing) -> Moments:
        """Those that `which` (n,) picks, as moments of the clock `known_at`."""
        at_ms = self.at_ms[which]
        return Moments(at_ms, at_ms, {name: column[which] for name, column in self.columns.items()})


def vectors_of(model: Model, served: Served) -> dict[str, Column]:
    """The logged vectors by column: numbers as they were served, text from the request or, where that does not hold it, logged beside."""
    requests: list[Mapping[str, Any]] = [orjson.loads(request) for request in served.requests]
    texts: list[Mapping[str, Any]] = [orjson.loads(text or b"{}") for text in served.texts]
    columns: dict[str, Column] = {name: served.numbers[:, place] for place, name in enumerate(model.number_columns)} if requests else {}
    for name, kind in model.columns.items():
        if kind == "text":
            held = texts if name in model.logged_texts else requests
            columns[name] = np.array([row.get(name) for row in held], dtype=object)
    return columns


def _served_vectors(model: Model, served: Served) -> dict[str, Column]:
    columns = vectors_of(model, served)
    empty: dict[str, Column] = {name: np.array([], dtype=object if kind == "text" else np.float64) for name, kind in model.columns.items()}
    return empty | columns


def _column(column: pa.ChunkedArray, kind: str) -> Column:
    if kind == "text":
        return np.array(column.to_pylist(), dtype=object)
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
