"""Features as they stood: the values of a view at many past moments, by DuckDB over the lake.

The predicate is the one rule of the design, for each feature of window w and bucket b:
`ts >= floor(t) - w and ts < floor(t) + b and <known by t>`, where known is `known_at <= t`, or for parity `offset <= position`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as ds

from tidemill.events import Column
from tidemill.features import View
from tidemill.features.aggregates import Floats
from tidemill.learning.lake_sql import relation

Clock = Literal["known_at", "offset"]
_CLOCKS: dict[Clock, str] = {"known_at": "known_at_ms", "offset": "offset_"}
MEMORY_LIMIT = "4GB"


@dataclass(frozen=True)
class Moments:
    """n questions of the past.

    Args:
        at_ms: (n,) int64, the time of each.
        known_up_to: (n,) int64, in the clock's unit: the `known_at` or the log offset up to which events count.
        columns: (n,) columns, among them the entity's fields; text, None for missing.
    """

    at_ms: npt.NDArray[np.int64]
    known_up_to: npt.NDArray[np.int64]
    columns: Mapping[str, Column]


def values_at(view: View, events: ds.Dataset, moments: Moments, clock: Clock) -> dict[str, Floats]:
    """The view's features at n moments.

    Args:
        view: what to compute.
        events: the lake's table of the view's stream.
        moments: where and when.
        clock: what `known_up_to` counts.

    Returns:
        By `view__feature`, (n,) float64 with NaN for missing, in the order of `moments`.
    """
    n_rows = len(moments.at_ms)
    if n_rows == 0:
        return {column: np.empty(0) for column in view.feature_columns}
    asks = pa.table(
        {
            "ask": np.arange(n_rows),
            "at_ms": moments.at_ms,
            "known_up_to": moments.known_up_to,
            **{f"k{place}": pa.array(moments.columns[name], type=pa.string()) for place, name in enumerate(view.entity_fields)},
        }
    )
    query, parameters = _sql(view, clock, int(moments.at_ms.min()), int(moments.at_ms.max()))
    with duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "threads": 2}) as connection:
        connection.register("asks", asks)
        connection.register("events", events)
        table = connection.sql(query, params=parameters).to_arrow_table()
    order = np.argsort(table.column("ask").to_numpy())
    return {column: _numpy(table.column(f"f{place}"))[order] for place, column in enumerate(view.feature_columns)}


def _sql(view: View, clock: Clock, first_ms: int, last_ms: int) -> tuple[str, dict[str, int | float]]:
    """An equi-join of questions and events on key and time slot, so that no range join is needed; then one filter a feature."""
    reach_ms = max(feature.window_ms + feature.bucket_ms for feature in view.features.values())
    ahead_ms = max(feature.bucket_ms for feature in view.features.values())
    slot_ms = max(reach_ms // 4, ahead_ms)
    parameters: dict[str, int | float] = {"from_ms": first_ms - reach_ms, "to_ms": last_ms + ahead_ms}
    expressions: dict[str, str] = {}
    outputs = []
    for place, feature in enumerate(view.features.values()):
        window, bucket = f"w{place}", f"b{place}"
        parameters |= {window: feature.window_ms, bucket: feature.bucket_ms}
        floor = f"(at_ms // ${bucket} * ${bucket})"
        value = "*"
        if feature.expression is not None:
            value = expressions.setdefault(feature.expression.sql(parameters), f"e{len(expressions)}")
        condition = f"ts >= {floor} - ${window} and ts < {floor} + ${bucket}"
        outputs.append(f"{feature.aggregate.sql(value, condition)} as f{place}")
    keys = range(len(view.entity_fields))
    columns = [f'"{name}" as k{place}' for place, name in enumerate(view.entity_fields)]
    columns += [f"{sql} as {name}" for sql, name in expressions.items()]
    on = " and ".join([*(f"a.k{place} = e.k{place}" for place in keys), "a.slot = e.slot", "e.known <= a.known_up_to"])
    query = f"""
with a as (
  select *, unnest(range((at_ms - {reach_ms}) // {slot_ms}, (at_ms + {ahead_ms}) // {slot_ms} + 1)) as slot from asks
), e as (
  select {", ".join(columns)}, event_time_ms as ts, {_CLOCKS[clock]} as known, event_time_ms // {slot_ms} as slot
  from {relation(view.stream, "events", view.fields_read.union(view.entity_fields))} where event_time_ms between $from_ms and $to_ms
)
select a.ask, {", ".join(outputs)} from a left join e on {on} group by a.ask"""
    return query, parameters


def _numpy(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
