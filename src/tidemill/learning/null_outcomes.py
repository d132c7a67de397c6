"""Label events that bring no outcome: how many of those known in a time say null."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow.dataset as ds

from tidemill.features import Label
from tidemill.learning.lake_sql import open_duckdb, relation, scan, stored
from tidemill.stores import KNOWN_AT


@dataclass(frozen=True)
class NullOutcomes:
    """Of `n` label events so many have a null for an outcome."""

    n: int
    nulls: int


def count_null_outcomes(label: Label, events: ds.Dataset, after_ms: int, until_ms: int) -> NullOutcomes:
    """Count the label events that became known after a time, up to another.

    Args:
        label: what an outcome is.
        events: the lake's table of the label's stream.
        after_ms: what was known by then does not count.
        until_ms: what is known later does not count.
    """
    parameters: dict[str, Any] = {}
    value = label.expression.read_sql(parameters) if label.is_text else label.expression.sql(parameters)
    fields = {label.key, *label.expression.names}
    query = f"""
select count(*), count(*) filter (where value is null)
from (select {value} as value, "{KNOWN_AT}" as known_at_ms from {relation(label.stream, "events", fields)})
where known_at_ms > $after_ms and known_at_ms <= $until_ms"""
    when = (ds.field(KNOWN_AT) > after_ms) & (ds.field(KNOWN_AT) <= until_ms)
    with open_duckdb() as connection:
        scan(connection, "events", events, stored(fields), when)
        row = connection.execute(query, {**parameters, "after_ms": after_ms, "until_ms": until_ms}).fetchone()
    return NullOutcomes(*(row or (0, 0)))
