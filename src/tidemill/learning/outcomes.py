"""Outcomes from the lake: what became of each question, and how long that takes to be known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as ds

from tidemill.events import Column
from tidemill.features import Label
from tidemill.kernels import Floats, Ints
from tidemill.learning.lake_sql import column_of, known_by, open_duckdb, relation, scan, stored
from tidemill.learning.model import Model
from tidemill.stores import KNOWN_AT, OFFSET, Followed, Judged, QualityReader


@dataclass(frozen=True)
class Outcomes:
    """The last known outcome of each key.

    Args:
        value: (n,) float64, NaN where there is none; or texts, None where there is none.
        known_at_ms: (n,) when it was known; -1 where there is none.
    """

    value: Column
    known_at_ms: npt.NDArray[np.int64]


def read_outcomes(label: Label, events: ds.Dataset, keys: Sequence[str], now_ms: int, at_ms: Ints | None = None) -> Outcomes:
    """The outcomes of `keys` as known at `now_ms`; of several for one key the last known wins.

    Args:
        label: what an outcome is.
        events: the lake's table of the label's stream.
        keys: n keys.
        now_ms: what is known later does not count.
        at_ms: (n,) int64, when each was asked; then only what became known after that, and up to `within` later, counts.
    """
    parameters: dict[str, Any] = {}
    value = label.expression.read_sql(parameters) if label.is_text else label.expression.sql(parameters)
    until_ms = np.full(len(keys), now_ms) if at_ms is None else np.minimum(at_ms + label.within_ms, now_ms)
    asks = pa.table({"ask": np.arange(len(keys)), "key": pa.array(keys, type=pa.string()), "until_ms": until_ms.astype(np.int64)})
    fields = {label.key, *label.expression.names}
    # One row a key and moment, so that among those of one moment the offset decides and no thread does.
    query = f"""
with told as (
  select key, known_at_ms, arg_max(value, place) as value
  from (
    select "{label.key}" as key, "{KNOWN_AT}" as known_at_ms, "{OFFSET}" as place, {value} as value
    from {relation(label.stream, "events", fields)}
  )
  where known_at_ms <= $now_ms and value is not null and key in (select key from asks) group by all
)
select {"value" if label.is_text else "coalesce(value, 'nan'::double) as value"}, coalesce(told.known_at_ms, -1) as known_at_ms
from asks asof left join told on asks.key = told.key and asks.until_ms >= told.known_at_ms order by asks.ask"""
    with open_duckdb() as connection:
        scan(connection, "events", events, stored(fields), known_by(now_ms))
        connection.register("asks", asks)
        found = connection.sql(query, params={**parameters, "now_ms": now_ms}).to_arrow_table()
    values, known_at_ms = column_of(found.column("value")), found.column("known_at_ms").to_numpy().astype(np.int64)
    if at_ms is None:
        return Outcomes(values, known_at_ms)
    after = known_at_ms > at_ms
    values = values.copy()
    values[~after] = None if label.is_text else np.nan
    return Outcomes(values, np.where(after, known_at_ms, -1))


def is_missing(values: Column) -> npt.NDArray[np.bool_]:
    """(n,) where there is no outcome."""
    return np.asarray(values == None if values.dtype == object else np.isnan(values), dtype=np.bool_)  # noqa: E711  # of each


def with_absent(label: Label, values: Column) -> Column:
    """(n,) outcomes, with what the label says for those that are missing."""
    return values if label.absent == "drop" else np.where(is_missing(values), label.absent, values)


def maturity_ms(model: Model, requests: ds.Dataset, outcomes: ds.Dataset, now_ms: int) -> int:
    """How old a question must be before its outcome can be counted on.

    Slow outcomes differ from fast ones, so rows younger than this are used neither for training nor for the gate. Where rows without an
    outcome are dropped, it is the 99th percentile of the label lag, at most `within`. Where none means something, it is `within`: before
    that nobody can say that there will be none.
    """
    if model.label.absent != "drop":
        return model.label.within_ms
    parameters: dict[str, int | float] = {}
    key = model.label.key
    asked = relation(model.requests.stream, "requests", {key, *model.requests.at.names})
    told = relation(model.label.stream, "outcomes", {key})
    query = f"""
select quantile_cont(o.known_at_ms - r.at_ms, 0.99)
from (select "{key}" as key, {model.requests.at.sql(parameters)} as at_ms from {asked} where "{KNOWN_AT}" <= $now_ms) r
join (select "{key}" as key, min("{KNOWN_AT}") as known_at_ms from {told} where "{KNOWN_AT}" <= $now_ms group by 1) o using (key)
where o.known_at_ms > r.at_ms and o.known_at_ms <= r.at_ms + $within_ms"""
    with open_duckdb() as connection:
        scan(connection, "requests", requests, stored({key, *model.requests.at.names}), known_by(now_ms))
        scan(connection, "outcomes", outcomes, stored({key}), known_by(now_ms))
        row = connection.execute(query, {**parameters, "now_ms": now_ms, "within_ms": model.label.within_ms}).fetchone()
    lag_ms = row[0] if row else None
    return model.label.within_ms if lag_ms is None else min(int(lag_ms), model.label.within_ms)


def settled(rows: Followed, label: Label, now_ms: int) -> Floats:
    """(n,) the outcomes that may be counted at `now_ms`, NaN where there is none.

    Where no outcome means something, one that was told counts only once `within` is over, like one that was not: until then only one
    kind of outcome can have been told, and quality would be that of this kind alone.
    """
    if label.absent == "drop":
        return rows.outcome
    told = np.where(np.isnan(rows.outcome), rows.absent, rows.outcome)
    return np.where(rows.at_ms + label.within_ms < now_ms, told, np.nan)


def read_settled(reader: QualityReader, model: Model, span: tuple[int, int], now_ms: int) -> Judged:
    """The predictions asked in `[span[0], span[1])` whose outcome counts at a time.

    Where no outcome means something, those that were told none are among them, once `within` is over.
    """
    if model.label.absent == "drop":
        return reader.judged(model.name, model.label, *span)
    rows = reader.followed(model.name, model.label, span)
    outcome = settled(rows, model.label, now_ms)
    known = ~np.isnan(outcome)
    return Judged(rows.role[known], rows.version[known], rows.at_ms[known], rows.said[known], outcome[known], rows.classes)
