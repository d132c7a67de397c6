"""What a commit writes in SQL: position, books, dead letters, duplicates and outcomes, within the caller's transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from tidemill.errors import ConflictError
from tidemill.events import EventBatch
from tidemill.features import Label
from tidemill.stores.cursors import Cursor
from tidemill.streams import Commit, Position
from tidemill.streams.log_offset import Ints, offsets_of, partitions_of

# Run for every batch: plain SQL with bound parameters, as building it anew with Core costs more than running it.
_ADVANCE = "update position set token = ?, known_at_ms = ?, change = ? where token = ?"
_WRITE_BOOK = (
    "update book set applied = applied + ?1, duplicate = duplicate + ?2, late = late + ?3, rejected = rejected + ?4, "
    "last_event_ms = case when last_event_ms < ?5 then ?5 else last_event_ms end where stream = ?6"
)
_APPLIED, _DUPLICATE, _LATE, _REJECTED, _LAST = range(5)
_WRITE_DEAD_LETTER = "insert into dead_letter (stream, log_offset, known_at_ms, reason, detail, payload) values (?, ?, ?, ?, ?, ?)"
_WRITE_DUPLICATE = "insert into duplicate (stream, log_offset) values (?, ?)"
_WRITE_OUTCOME = "insert into outcome (model, number, log_offset, key, known_at_ms, value, text) values (?, ?, ?, ?, ?, ?, ?)"


def advance(cursor: Cursor, commit: Commit, change: int) -> None:
    """Move the position by compare-and-set.

    Raises:
        ConflictError: it is no longer `commit.before`.
    """
    before = commit.before.token
    if cursor.execute(_ADVANCE, (commit.after.token, commit.known_at_ms, change, before)).rowcount != 1:
        raise ConflictError(f"the position is no longer {before}; another engine has committed. Read it again, then go on from there")


def write_books(cursor: Cursor, commit: Commit) -> None:
    """Count each event of the commit, and keep those that were not applied with the reason."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    for name, batch in commit.applied.items():
        counts[name][_APPLIED] = len(batch)
        counts[name][_LAST] = int(batch.event_time_ms.max())
    for name, offsets in commit.duplicates.items():
        counts[name][_DUPLICATE] = len(offsets)
    for letter in commit.dead:
        counts[letter.record.stream][_LATE if letter.late else _REJECTED] += 1
    cursor.executemany(_WRITE_BOOK, [(*row, name) for name, row in counts.items()])
    letters = [(letter.record, letter.reason, letter.detail) for letter in commit.dead]
    rows = [(one.stream, one.log_offset, one.known_at_ms, reason, detail, one.payload) for one, reason, detail in letters]
    cursor.executemany(_WRITE_DEAD_LETTER, rows)


def write_duplicates(cursor: Cursor, commit: Commit) -> None:
    """Note the duplicates, so that the lake leaves them out."""
    cursor.executemany(_WRITE_DUPLICATE, [(name, offset) for name, offsets in commit.duplicates.items() for offset in offsets])


def write_outcomes(cursor: Cursor, commit: Commit, labels: Mapping[str, Label]) -> None:
    """Keep what the label events among the applied said; `labels` by model."""
    outcomes = [
        (model, number, offset, key, known_at_ms, *((None, value) if label.is_text else (float(value), None)))
        for model, label in labels.items()
        if (batch := commit.applied.get(label.stream.name)) is not None
        for number, offset, known_at_ms, key, value in zip(*_numbered(batch, commit.before), *label.read(batch), strict=True)
        if key is not None and value is not None and value == value
    ]
    if outcomes:
        cursor.executemany(_WRITE_OUTCOME, outcomes)


def _numbered(batch: EventBatch, before: Position) -> tuple[list[int], list[int], list[int]]:
    """Of each event the number in the order of commits, the log offset, and `known_at`.

    The number is how many offsets of its stream had been passed with it: where there is one partition, the offset itself.
    """
    name, numbers = batch.stream.name, batch.offsets
    if before.offsets.get(name, {}).keys() - {"0"} or partitions_of(numbers).any():
        numbers = _passed(numbers, before.offsets.get(name, {}))
    return numbers.tolist(), batch.offsets.tolist(), batch.known_at_ms.tolist()


def _passed(log_offsets: Ints, before: Mapping[str, int]) -> Ints:
    """(n,) how many offsets of all partitions have been passed with each event, given where each partition stood."""
    partitions, offsets = partitions_of(log_offsets), offsets_of(log_offsets)
    steps = np.empty_like(offsets)
    for partition in np.unique(partitions).tolist():
        mine = partitions == partition
        steps[mine] = np.diff(offsets[mine], prepend=before.get(str(partition), 0))
    return np.asarray(sum(before.values()) + np.cumsum(steps))
