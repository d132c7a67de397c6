"""Outcomes from the lake: what became of each key, and how long that takes to be known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow.dataset as ds

from tidemill.features import Label
from tidemill.features.aggregates import Floats
from tidemill.learning.lake_sql import relation
from tidemill.learning.model import Model


@dataclass(frozen=True)
class Outcomes:
    """The last known outcome of each key: (n,) `value`, NaN where there is none, and when it was known, -1 where there is none."""

    value: Floats
    known_at_ms: npt.NDArray[np.int64]


def read_outcomes(label: Label, events: ds.Dataset, keys: Sequence[str], now_ms: int) -> Outcomes:
    """The outcomes of `keys` as known at `now_ms`; of several for one key the last known wins."""
    parameters: dict[str, int | float] = {}
    value = label.expression.sql(parameters)
    source = relation(label.stream, "events", {label.key, *label.expression.names})
    query = (
        f'select "{label.key}" as key, arg_max({value}, offset_) as value, arg_max(known_at_ms, offset_) as known_at_ms '
        f"from {source} where known_at_ms <= $now_ms and {value} is not null group by 1"
    )
    with duckdb.connect() as connection:
        connection.register("events", events)
        found = connection.sql(query, params={**parameters, "now_ms": now_ms}).to_arrow_table()
    place = {key: index for index, key in enumerate(found.column("key").to_pylist())}
    index = np.array([place.get(key, -1) for key in keys], dtype=np.int64)
    values = np.append(found.column("value").to_numpy().astype(np.float64), np.nan)
    known = np.append(found.column("known_at_ms").to_numpy().astype(np.int64), -1)
    return Outcomes(values[index], known[index])


def maturity_ms(model: Model, requests: ds.Dataset, outcomes: ds.Dataset, now_ms: int) -> int:
    """How old a question must be before its outcome can be counted on: the 99th percentile of the label lag, at most `within`.

    Slow outcomes differ from fast ones, so rows younger than this are used neither for training nor for the gate.
    """
    parameters: dict[str, int | float] = {}
    key = model.label.key
    asked = relation(model.requests.stream, "requests", {key, *model.requests.at.names})
    told = relation(model.label.stream, "outcomes", {key})
    query = f"""
select quantile_cont(o.known_at_ms - r.at_ms, 0.99)
from (select "{key}" as key, {model.requests.at.sql(parameters)} as at_ms from {asked}) r
join (select "{key}" as key, min(known_at_ms) as known_at_ms from {told} where known_at_ms <= $now_ms group by 1) o using (key)
where o.known_at_ms > r.at_ms and o.known_at_ms <= r.at_ms + $within_ms"""
    with duckdb.connect() as connection:
        connection.register("requests", requests)
        connection.register("outcomes", outcomes)
        row = connection.execute(query, {**parameters, "now_ms": now_ms, "within_ms": model.label.within_ms}).fetchone()
    lag_ms = row[0] if row else None
    return model.label.within_ms if lag_ms is None else min(int(lag_ms), model.label.within_ms)
