"""Filling tiles and rows from the lake: those of a view or table that came later, or all of them when the files were lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb
import numpy as np
import pyarrow as pa

from tidemill.errors import ConflictError, NotReadyError
from tidemill.events import EventBatch, Stream
from tidemill.features import FeatureSource, Table
from tidemill.stores.applied import AppliedReader
from tidemill.stores.cursors import Cursor
from tidemill.stores.lake import EVENT_ID, EVENT_TIME, KNOWN_AT, OFFSET, Lake
from tidemill.stores.shelves import NO_BUCKET
from tidemill.stores.state import SqlState
from tidemill.streams import Position

AT_ONCE = 50_000
Progress = Callable[[int], None]


@dataclass(frozen=True)
class _Piece:
    """What to read of a stream's table, in the order of log offsets: events after one of them that a position has taken, none older
    than `since_ms`.
    """

    stream: Stream
    after: int
    taken_by: Position
    since_ms: int


def backfill_view(state: SqlState, lake: Lake, view: FeatureSource, progress: Progress | None = None, at_once: int = AT_ONCE) -> int:
    """Fill what a view or table lacks from the lake, piece by piece beside a running engine; answers how many events it read.

    Each piece is one change of the state with how far it has come, so a backfill that was killed goes on where it stopped. It
    reads as missing until it is whole; then it says what it would have said had it been there from the start.

    Args:
        state: whose tiles or rows to fill.
        lake: where the events are; it must hold those that are lacking.
        view: of the project, or a table.
        progress: told after each piece how many events were read.
        at_once: how many events to merge in one change.

    Raises:
        NotReadyError: the lake does not hold yet what is lacking.
        ConflictError: an engine that does not know it is running.
    """
    total, numbers = 0, None
    while (lacks := state.sets.unfilled(view)) is not None:
        if numbers not in (None, lacks.numbers):
            raise ConflictError(
                f"an engine that does not know {view.kind} {view.name!r} is running; start it anew with this project file, then try again"
            )
        numbers = lacks.numbers
        _check_in_lake(state, view, lacks.fed_from)
        since_ms = 0 if isinstance(view, Table) else state.position_and_time()[1] - view.retention_ms  # a row never grows too old
        batch = _read(lake, _Piece(view.stream, lacks.filled_to, lacks.fed_from, since_ms), at_once)
        whole = len(batch) < at_once
        up_to = lacks.fed_from.last(view.stream.name) if whole else int(batch.offsets[-1])

        def done(cursor: Cursor, numbers: Sequence[int] = tuple(lacks.numbers.values()), up_to: int = up_to, whole: bool = whole) -> None:
            state.sets.filled(cursor, numbers, up_to, whole=whole)

        state.fill({view.stream.name: batch} if len(batch) else {}, lacks.numbers, ids=False, done=done)
        total += len(batch)
        if progress is not None:
            progress(total)
    return total


def _check_in_lake(state: SqlState, view: FeatureSource, wanted: Position) -> None:
    in_lake, name = state.lake_position(), view.stream.name
    for part, offset in wanted.offsets.get(name, {}).items():
        if in_lake.offset(name, part) < offset:
            where = f"{in_lake.offset(name, part)} of the log" + (f"'s partition {part}" if part != "0" else "")
            raise NotReadyError(f"the lake has events up to offset {where}, {view.kind} {view.name!r} lacks those up to {offset}")


def rebuild(state: SqlState, lake: Lake, applied: AppliedReader, streams: Sequence[Stream], retention_ms: Mapping[str, int]) -> int:
    """Build every tile, row and id anew from the lake, and from the log what the lake lacks, when the files were lost.

    It begins from nothing each time, so it may be killed and started again. Answers how many events it took.
    """
    numbers = state.begin_anew()
    rows = {key: number for key, number in numbers.items() if key[1] == NO_BUCKET}
    position, now_ms = state.position_and_time()
    held: dict[str, dict[str, int]] = {}
    in_lake = Position(held)
    total = 0
    for stream in streams:
        since_ms = now_ms - retention_ms[stream.name]
        held[stream.name] = {part: lake.held(stream.name, part) for part in position.offsets.get(stream.name, ())}
        has_rows = stream.name in state.tiles.rows.streams
        for batch in _in_pieces(lake, _Piece(stream, 0, in_lake, 0 if has_rows else since_ms)):
            young = batch.event_time_ms >= since_ms
            if young.any():
                state.fill({stream.name: batch.rows(young)}, numbers, ids=True)
            if not young.all():  # rows stay valid when their ids count no longer
                state.fill({stream.name: batch.rows(~young)}, rows, ids=False)
            total += len(batch)
    for batches, _ in applied.after(state.lake_position(), AT_ONCE):
        fresh = [batch.rows(~in_lake.taken(batch.stream.name, batch.offsets)) for batch in batches]
        state.fill({batch.stream.name: batch for batch in fresh if len(batch)}, numbers, ids=True)
        total += sum(map(len, fresh))
    state.end_anew()
    return total


def _in_pieces(lake: Lake, piece: _Piece) -> Iterator[EventBatch]:
    while len(batch := _read(lake, piece, AT_ONCE)):
        yield batch
        piece = replace(piece, after=int(batch.offsets[-1]))


def _read(lake: Lake, piece: _Piece, limit: int) -> EventBatch:
    """At most `limit` events in the order of their log offsets."""
    parameters = {"after": piece.after, "since_ms": piece.since_ms, "limit": limit}
    taken = []
    for number, (first, last) in enumerate(piece.taken_by.spans(piece.stream.name)):
        taken.append(f'"{OFFSET}" between $first{number} and $last{number}')
        parameters |= {f"first{number}": first, f"last{number}": last}
    query = (
        f'select * from events where "{OFFSET}" > $after and ({" or ".join(taken) or "false"}) and "{EVENT_TIME}" >= $since_ms '
        f'order by "{OFFSET}" limit $limit'
    )
    with duckdb.connect() as connection:
        connection.register("events", lake.dataset(piece.stream.name))
        table = connection.sql(query, params=parameters).to_arrow_table()
    return _batch(piece.stream, table)


def _batch(stream: Stream, table: pa.Table) -> EventBatch:
    def numbers(name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.asarray(table.column(name).to_numpy(), dtype=np.int64)

    return EventBatch(
        stream=stream,
        event_ids=table.column(EVENT_ID).to_pylist(),
        event_time_ms=numbers(EVENT_TIME),
        offsets=numbers(OFFSET),
        known_at_ms=numbers(KNOWN_AT),
        values={name: table.column(name).to_pylist() for name in stream.kinds},
    )
