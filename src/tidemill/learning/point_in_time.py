"""Features as they stood: the values of a view or table at many past moments, from the lake.

For a view the predicate is the one rule of the design, for each feature of window w and bucket b:
`ts >= floor(t) - w and ts < floor(t) + b and <known by t>`, where known is `known_at <= t`, or for parity that the position has taken it.

DuckDB reads the table once and keeps the events of the keys that are asked for (`event_blocks`). They are put in order by key and time,
on disk when memory does not do (`event_shards`). A block at a time is summed up by the code that makes the tiles of the online store
(`window_values`).

```
 this thread     DuckDB's rows, spread over shards ►│ hands out, in order of key and time
 other threads   DuckDB reads and joins ───────────►│ sort shard 2 ─ sum up block 1 ─ sort shard 3 ─ sum up block 2 ...
```
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pyarrow.dataset as ds

from tidemill.events import Column
from tidemill.features import FeatureSource, Table, View
from tidemill.kernels import Floats, Ints, order_rows
from tidemill.learning.block import Asked, Events
from tidemill.learning.event_blocks import EventSource, axis_of, no_events
from tidemill.learning.lake_sql import DEFAULT_LIMITS, Limits
from tidemill.learning.moments import Clock, Moments
from tidemill.learning.table_values import rows_at
from tidemill.learning.window_values import answer

_MAX_PLACES = 2**62  # of an axis: keys x milliseconds


def values_at(
    source: FeatureSource, events: ds.Dataset, moments: Moments, clock: Clock, limits: Limits = DEFAULT_LIMITS
) -> dict[str, Column]:
    """The features of a view, or the columns of a table (`table_values`), at n moments.

    Args:
        source: what to compute.
        events: the lake's table of its stream.
        moments: where and when.
        clock: what `known_up_to` counts.
        limits: what it may take; the values are the same to the last bit under any.

    Returns:
        By `view__feature`, (n,) float64 with NaN for missing, or text with None, in the order of `moments`.
    """
    if isinstance(source, Table):
        return rows_at(source, events, moments, clock, limits)
    return dict(_windows_at(source, events, moments, clock, limits))


def _windows_at(view: View, events: ds.Dataset, moments: Moments, clock: Clock, limits: Limits) -> dict[str, Floats]:
    axis = axis_of(view, moments.at_ms)
    nobody = answer(view, no_events(view, axis), Asked(*(np.zeros(1, dtype=np.int64) for _ in range(3))))
    values = {column: np.full(len(moments.at_ms), nobody[column][0]) for column in view.feature_columns}
    codes, keys = moments.numbered(view.entity_fields)
    step = _MAX_PLACES // axis.span  # so many keys fit on the axis; in practice all of them
    for first in range(0, len(keys), step):
        some = np.flatnonzero((codes >= first) & (codes < first + step))
        order = some[order_rows(codes[some], moments.at_ms[some])]
        asked = Asked(codes[order] - first, moments.at_ms[order], moments.known_up_to[order])
        source = EventSource(view, events, clock, axis, keys.slice(first, step))
        _answer_into(values, order, source, asked, limits)
    return values


def _answer_into(values: Mapping[str, Floats], order: Ints, source: EventSource, asked: Asked, limits: Limits) -> None:
    """Answer block by block, some of them at a time; `order` says which of `values` each question is."""
    pending: deque[Future[None]] = deque()

    def work(block: Events, which: slice) -> None:
        for column, answered in answer(source.view, block, asked.rows(which)).items():
            values[column][order[which]] = answered  # no question is in two blocks

    with ThreadPoolExecutor(limits.threads) as pool:
        for block, which in source.blocks(asked, limits, pool):
            pending.append(pool.submit(work, block, which))
            if len(pending) > limits.threads:
                pending.popleft().result()
        for done in pending:
            done.result()
