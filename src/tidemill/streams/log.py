"""The log: where events wait in order, durable before anyone is told they were accepted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from tidemill.events import Copied, Source
from tidemill.streams.log_offset import Ints, log_offset, log_offsets
from tidemill.streams.position import Position


@dataclass(frozen=True, slots=True)
class Entry:
    """One event to append; `known_at_ms` only in a replay, else the append time. `trace` is the `traceparent` of who brings it, if kept."""

    stream: str
    payload: str
    known_at_ms: int | None = None
    trace: str | None = None


class Record(NamedTuple):
    """One event as the log holds it; a partition's name is a number."""

    stream: str
    partition: str
    offset: int
    known_at_ms: int
    payload: str

    @property
    def log_offset(self) -> int:
        """What tells it apart within its stream."""
        return log_offset(self.partition, self.offset)


@dataclass(frozen=True, slots=True)
class Records:
    """n events as a log holds them, in its order, as columns: (n,) each; and the traces of who brought them, each once.

    >>> records = Records.of([("taps", "0", 1, 50, "{}"), ("gates", "0", 2, 60, "{}")])
    >>> len(records), records[1].stream, list(records.by_stream())
    (2, 'gates', ['taps', 'gates'])
    """

    streams: Sequence[str]
    partitions: Sequence[str]
    offsets: Sequence[int]
    known_at_ms: Sequence[int]
    payloads: Sequence[str]
    traces: Sequence[str] = ()

    @classmethod
    def of(cls, rows: Sequence[tuple[str, str, int, int, str]], traces: Sequence[str] = ()) -> Records:
        """The records of n rows, each with the fields of a `Record`."""
        if not rows:
            return cls((), (), (), (), ())
        streams, partitions, offsets, known_at_ms, payloads = zip(*rows, strict=True)
        return cls(streams, partitions, offsets, known_at_ms, payloads, traces)

    def __len__(self) -> int:
        """How many."""
        return len(self.offsets)

    def __getitem__(self, place: int) -> Record:
        """One of them."""
        return Record(self.streams[place], self.partitions[place], self.offsets[place], self.known_at_ms[place], self.payloads[place])

    def __iter__(self) -> Iterator[Record]:
        """Each of them."""
        return (self[place] for place in range(len(self)))

    def by_stream(self) -> dict[str, Records]:
        """Those of each stream, in order."""
        names = dict.fromkeys(self.streams)
        if len(names) == 1:
            return {self.streams[0]: self}
        rows: dict[str, list[tuple[str, str, int, int, str]]] = {name: [] for name in names}
        for row in zip(self.streams, self.partitions, self.offsets, self.known_at_ms, self.payloads, strict=True):
            rows[row[0]].append(row)
        return {name: Records.of(mine) for name, mine in rows.items()}

    @property
    def log_offsets(self) -> Ints:
        """(n,) int64, what tells each apart within its stream."""
        return log_offsets(self.partitions, self.offsets)


@dataclass(frozen=True, slots=True)
class Advance:
    """How a copy of a source moves on, with the events it appends.

    Args:
        stream: whose source.
        before: the checkpoint that the events were read after.
        after: the checkpoint with them.
        finished: names of the source's parts that end with them.
    """

    stream: str
    before: str
    after: str
    finished: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Tally:
    """What the log knows of one stream: how many events it received, and how many of them lie after a position."""

    received: int
    pending: int


class Log(Protocol):
    """What every log promises; `tests/contracts` holds each to it."""

    def append(self, entries: Sequence[Entry], now_ms: int, advance: Advance | None = None) -> Position:
        """Append all or nothing, in order, durable on return; answers the log's end.

        `known_at` never falls within a partition: an earlier clock is raised to the last one. A copy of a source advances with it.

        Raises:
            InputError: an entry of a replay lies before the log's last `known_at`.
            ConflictError: the copy stands elsewhere than `advance.before`, so another process copies that source.
        """
        ...

    def read(self, after: Position, limit: int, until: Position | None = None) -> tuple[Records, Position]:
        """At most `limit` records after a position, each partition's in order, and the position that has taken them.

        None only when nothing is there. Records of several partitions stand in the order in which they became known, as far as the
        partitions' clocks agree.

        Args:
            after: what was taken before.
            limit: how many at most.
            until: nothing that this one has not taken; by default everything.
        """
        ...

    def mark(self) -> int | None:
        """A number that is another one once something was appended; None where looking for that is no cheaper than reading."""
        ...

    def end(self) -> Position:
        """The position that has taken everything."""
        ...

    def behind(self, after: Position) -> int:
        """How many events lie after a position."""
        ...

    def identity(self) -> Mapping[str, str]:
        """By stream, what tells its log from another that had the same name before or has it after; nothing where only its length does."""
        ...

    def holds(self, source: Source) -> bool:
        """Whether what a source brings lies in this log already, so that nothing need be copied."""
        ...

    def copied(self, stream: str) -> Copied:
        """How far the source of a stream has been copied."""
        ...

    def follow(self, position: Position) -> None:
        """Let people's tools see how far the engine has come, where the log has such; nothing reads it."""
        ...

    def tally(self, after: Position) -> Mapping[str, Tally]:
        """What each stream has received, and how much of it lies after a position; both at one moment, so that books can be checked."""
        ...
