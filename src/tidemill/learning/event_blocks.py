"""The events of the keys that are asked for, ordered by key and time, in blocks that fit in memory."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from tidemill.features import View
from tidemill.kernels import Ints
from tidemill.learning.block import Asked, Axis, Events
from tidemill.learning.event_shards import PLACE, TIED, Shards
from tidemill.learning.lake_sql import Limits, column_of, column_sql, open_duckdb, scan, spill_folder
from tidemill.learning.moments import Clock, clock_column, read_clock
from tidemill.stores import EVENT_ID, EVENT_TIME, OFFSET

_BATCH_ROWS = 262_144
_AHEAD = 25  # the part of the memory that DuckDB reads ahead while what it has read is spread
_FEWEST = 16  # a block has at least this part of the most, so that calls cost little beside what they sum up


def reach_ms(view: View) -> int:
    """A question at t reads only events after t - reach."""
    return max(feature.window_ms + feature.bucket_ms for feature in view.features.values())


def ahead_ms(view: View) -> int:
    """A question at t reads only events before t + ahead."""
    return max(feature.bucket_ms for feature in view.features.values())


def axis_of(view: View, at_ms: Ints) -> Axis:
    """The axis of every event that questions at these times may read."""
    if not len(at_ms):
        return Axis(0, 1)
    begin_ms = int(at_ms.min()) - reach_ms(view)
    return Axis(begin_ms, int(at_ms.max()) + ahead_ms(view) - begin_ms + 1)


def no_events(view: View, axis: Axis) -> Events:
    """An empty block."""
    none = np.empty(0, dtype=np.int64)
    fields = {name: np.empty(0, dtype=object if view.stream.kinds[name] == "text" else np.float64) for name in view.fields_read}
    return Events(axis, none, none, fields, np.empty(0, dtype=object))


@dataclass(frozen=True)
class EventSource:
    """Where blocks come from.

    Args:
        view: whose events.
        events: the lake's table of the view's stream.
        clock: of the questions.
        axis: where events stand.
        keys: the keys that are asked for, by entity field; a row's place is the key's number.
    """

    view: View
    events: ds.Dataset
    clock: Clock
    axis: Axis
    keys: pa.Table

    def blocks(self, asked: Asked, limits: Limits, pool: Executor) -> Generator[tuple[Events, slice]]:
        """Blocks of events, each with the questions of which it holds every event; `asked` is ordered by key and time; `pool` sorts them.

        An event that is needed twice comes twice, so a block is as large as what one question of a key needs, if that is more than
        the limit. Few are: as a rule shards end between two keys, and what is asked of those before needs nothing from beyond.
        """
        held, carried, done = list[pa.RecordBatch](), 0, 0
        for batch, end in self._sorted(limits, pool):
            held.append(batch)
            # What is carried over is summed up again, so a block brings at least as much that is new: twice the work at most.
            if sum(len(part) for part in held) < carried + max(limits.block_events // _FEWEST, carried):
                continue
            block = self._block(held)
            upto = self._complete(end, asked)
            yield block, slice(done, upto)
            done = upto
            needless = self._needless(block, asked, done)
            carried = len(block) - needless
            held = pa.Table.from_batches(held).slice(needless).to_batches() if carried else []
        yield self._block(held), slice(done, len(asked))

    def _complete(self, end: int, asked: Asked) -> int:
        """Up to which question nothing is missing, when every event before the place `end` is there."""
        key, moment_ms = divmod(end, self.axis.span)
        first, last = np.searchsorted(asked.key, [key, key + 1])
        latest_ms = moment_ms + self.axis.begin - ahead_ms(self.view)
        return int(first + np.searchsorted(asked.at_ms[first:last], latest_ms, side="right"))

    def _needless(self, block: Events, asked: Asked, done: int) -> int:
        """How many of a block's first events no question from `done` on reads."""
        if done == len(asked):
            return len(block)
        oldest = self.axis.places(asked.key[done : done + 1], asked.at_ms[done : done + 1] - reach_ms(self.view))
        return int(np.searchsorted(block.place, oldest[0]))

    def _sorted(self, limits: Limits, pool: Executor) -> Iterator[tuple[pa.RecordBatch, int]]:
        with spill_folder(limits) as folder:
            span = self.axis.span
            shards = Shards(0, len(self.keys) * span, span, folder, limits.memory_mb / 2, limits.block_events)
            self._spread(shards, limits)
            yield from shards.ordered(pool, limits.threads)

    def _spread(self, shards: Shards, limits: Limits) -> None:
        entity, fields, known = self.view.entity_fields, sorted(self.view.fields_read), clock_column(self.clock)
        last_ms = self.axis.begin + self.axis.span - 1
        when = (ds.field(EVENT_TIME) >= self.axis.begin) & (ds.field(EVENT_TIME) <= last_ms)
        read = [column_sql(self.view.stream, name) for name in fields] + ([f'"{EVENT_ID}"'] if self.view.reads_event_ids else [])
        on = " and ".join(f'e."{name}" = k.k{i}' for i, name in enumerate(entity))
        query = f"""
select k.code * {self.axis.span} + ("{EVENT_TIME}" - ({self.axis.begin})) as {PLACE}, "{OFFSET}" as {TIED}, "{known}" as known
{"".join(f", {sql} as f{i}" for i, sql in enumerate(read))}
from events e join keys k on {on} where "{EVENT_TIME}" between {self.axis.begin} and {last_ms}
"""
        with open_duckdb(limits) as connection:
            # The keys fit in memory; of an Arrow scan DuckDB does not know how many events it brings, and might hash those.
            connection.execute("set disabled_optimizers = 'join_order,build_side_probe_side'")
            connection.execute(f"set streaming_buffer_size = '{limits.memory_mb / _AHEAD}MB'")
            texts = {f"k{i}": self.keys.column(name) for i, name in enumerate(entity)}
            connection.register("keys", pa.table({"code": np.arange(len(self.keys)), **texts}))
            own = {OFFSET, EVENT_TIME, known, *([EVENT_ID] if self.view.reads_event_ids else [])}
            scan(connection, "events", self.events, {*own, *entity, *fields}, when)
            for batch in connection.sql(query).to_arrow_reader(_BATCH_ROWS):
                shards.add(batch)

    def _block(self, batches: list[pa.RecordBatch]) -> Events:
        if not batches:
            return no_events(self.view, self.axis)
        place, _, known, *columns = (column_of(column) for column in pa.Table.from_batches(batches).columns)
        place = np.require(place, requirements="W")
        ids = columns.pop() if self.view.reads_event_ids else np.empty(0, dtype=object)
        known = read_clock(self.clock, known)
        return Events(self.axis, place, known, dict(zip(sorted(self.view.fields_read), columns, strict=True)), ids)
