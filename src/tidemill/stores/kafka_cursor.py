"""Reading the topics of a log on from a position: every partition in its order, and all of them in the order of time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, LogTruncationError, OffsetOutOfRangeError

from tidemill.errors import NotReadyError
from tidemill.sources.kafka_client import opened, unanswered
from tidemill.stores.kafka_cluster import KafkaCluster
from tidemill.stores.kafka_partition import Partition, Row, next_in_time
from tidemill.stores.kafka_topics import StreamTopic, stamp_ms, traces_of
from tidemill.streams import Mark, Position, Records

_WAIT_MS = 50  # for something to come, before it is asked whether there is anything
_MORE_MS = 10
_UNKNOWN = 1 << 62  # an offset that nothing reaches
_SLOW_S = 1.0  # that long others wait for a partition that has more and does not bring it
_PATIENCE_S = 30.0
_FULL = 50_000  # events of a partition that wait, before no more are fetched
_FETCH_BYTES = 4_000_000  # of one partition at a time
_CONSUMER = {
    "group_id": None,  # which partitions are read is said, and positions lie with the tiles
    "enable_auto_commit": False,
    "isolation_level": "read_committed",
    "auto_offset_reset": "none",  # never skip or repeat on its own
    "metrics_enabled": False,
    "max_partition_fetch_bytes": _FETCH_BYTES,
    "client_id": "tidemill-log",
}


class KafkaCursor:
    """A place in the log that is read on.

    Args:
        cluster: where the topics are.
        topics: by stream.
        share: the partitions to read; None for all.
        on_gap: what to do where Kafka no longer holds what comes next; told of it, it may raise.
    """

    def __init__(
        self,
        cluster: KafkaCluster,
        topics: Mapping[str, StreamTopic],
        share: frozenset[TopicPartition] | None,
        on_gap: Callable[[str], None],
    ) -> None:
        self._cluster = cluster
        self._topics = {topic.name: topic for topic in topics.values()}
        self._share = share
        self._on_gap = on_gap
        self._parts = dict[TopicPartition, Partition]()
        self._ends = dict[TopicPartition, int]()
        self._consumer = opened(KafkaConsumer, cluster.where, {**cluster.config, **_CONSUMER})

    def begin(self, after: Position) -> None:
        """Go on after a position.

        Raises:
            NotReadyError: the cluster does not answer.
        """
        self._parts = {}
        self._add(after)
        self._consumer.assign(list(self._parts))
        self._seek(list(self._parts))

    def stands_at(self, position: Position) -> bool:
        """Whether what it gives out next is what comes after a position."""
        return bool(self._parts) and all(part.offset == position.offset(part.stream, part.name) for part in self._parts.values())

    def take(self, limit: int, until: Position | None) -> tuple[Records, Position]:
        """See `Log.read`; fewer than `limit` are all that was there when it was asked. Anything that is raised leaves it nowhere.

        Raises:
            NotReadyError: there is more, and the cluster does not bring it.
        """
        rows: list[Row] = []
        self._ends = {}
        with self._connected():
            self._add(None)
            while len(rows) < limit and (wanted := self._wanted(until)):
                self._fetch(wanted, limit, wait=not rows)
                more = self._next(wanted, limit - len(rows), until)
                if not more:
                    break
                rows += more
        traces = dict.fromkeys(trace for part in self._parts.values() for trace in part.traces())
        return Records.of(rows, list(traces)), self.position()

    def _next(self, wanted: Mapping[TopicPartition, Partition], limit: int, until: Position | None) -> list[Row]:
        """What is next in time of what waits."""
        last = {one: None if until is None else until.offset(part.stream, part.name) for one, part in wanted.items()}
        most = {one: len(part) if (end := last[one]) is None else part.up_to(end) for one, part in wanted.items()}
        known_at_ms = [part.known_at_ms(min(most[one], limit)) for one, part in wanted.items()]
        complete = [most[one] <= limit and (most[one] < len(part) or self._at_end(one)) for one, part in wanted.items()]
        n_of, owner = next_in_time(known_at_ms, complete, limit)
        rows = [iter(part.take(n, self._fetched(one), last[one])) for (one, part), n in zip(wanted.items(), n_of, strict=True)]
        return [next(rows[number]) for number in owner]

    def position(self) -> Position:
        """Where it stands."""
        offsets: dict[str, dict[str, int]] = {}
        marks: dict[str, dict[str, Mark]] = {}
        for part in self._parts.values():
            offsets.setdefault(part.stream, {})[part.name] = part.offset
            if part.offset:
                marks.setdefault(part.stream, {})[part.name] = part.mark
        return Position(offsets, marks)

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close(autocommit=False, timeout_ms=1_000)

    def _wanted(self, until: Position | None) -> dict[TopicPartition, Partition]:
        """The partitions of which something is asked for."""
        if until is None:
            return self._parts
        return {one: part for one, part in self._parts.items() if part.offset < until.offset(part.stream, part.name)}

    def _add(self, after: Position | None) -> None:
        """Read partitions that are there and not read yet: after a position, or those that were added since from their first event."""
        added = []
        for topic, count in self._cluster.partitions(self._topics).items():
            stream = self._topics[topic].stream.name
            for number in range(count):
                one = TopicPartition(topic, number)
                if one in self._parts or (self._share is not None and one not in self._share):
                    continue
                offset, mark = (0, None) if after is None else (after.offset(stream, str(number)), after.mark(stream, str(number)))
                self._parts[one] = Partition(stream, str(number), offset, mark or Mark(0, offset))
                added.append(one)
        if added and after is None:
            self._consumer.assign(list(self._parts))
            self._seek(added)

    def _seek(self, partitions: Sequence[TopicPartition]) -> None:
        """Fetch from where each stands; where nothing was taken, from the earliest that is there."""
        fresh = self._cluster.earliest([one for one in partitions if not self._parts[one].offset])
        for one in partitions:
            self._consumer.seek(one, fresh.get(one, self._parts[one].offset))

    def _fetch(self, wanted: Mapping[TopicPartition, Partition], limit: int, *, wait: bool) -> None:
        """Let something wait of each partition that has some, or know that it has none.

        Args:
            wanted: which.
            limit: about how many events at a time.
            wait: whether to wait a little for something to come.
        """
        begun_s = time.monotonic()
        self._poll(0, limit)
        if wait and not any(wanted.values()):
            self._poll(_WAIT_MS, limit)
        while lacking := [one for one, part in wanted.items() if not part and not self._at_end(one)]:
            waited_s = time.monotonic() - begun_s
            if not self._ends:
                self._ends = self._cluster.ends(self._parts)
            elif waited_s > _SLOW_S and any(wanted.values()):
                return
            elif waited_s > _PATIENCE_S:
                raise NotReadyError(
                    f"{self._cluster.where}: nothing comes of {', '.join(f'{one.topic} {one.partition}' for one in lacking)}"
                )
            else:
                self._poll(_MORE_MS, limit)

    def _at_end(self, one: TopicPartition) -> bool:
        """Whether everything has been fetched that was there when it was asked."""
        return (self._fetched(one) or 0) >= self._ends.get(one, _UNKNOWN)

    def _fetched(self, one: TopicPartition) -> int | None:
        """Up to where a partition was fetched, past what holds no event."""
        found: int | None = self._consumer.position(one, timeout_ms=0)
        return found

    def _poll(self, timeout_ms: int, limit: int) -> None:
        full = {one for one, part in self._parts.items() if len(part) >= _FULL}
        self._consumer.pause(*full - self._consumer.paused())
        self._consumer.resume(*self._consumer.paused() - full)
        try:
            found = self._consumer.poll(timeout_ms, max(limit, 500))
        except OffsetOutOfRangeError as error:
            self._close_gap(list(error.args[0]))
            return
        except LogTruncationError as error:
            self._close_gap(list(error.divergent_offsets))
            return
        for one, fetched in found.items():
            events = [record for record in fetched if record.value is not None]  # a tombstone is no event
            texts = self._topics[one.topic].texts(events)
            offsets = [record.offset + 1 for record in events]
            self._parts[one].add([stamp_ms(record) for record in events], offsets, texts, traces_of(events))

    def _close_gap(self, partitions: Sequence[TopicPartition]) -> None:
        """Go on where these begin, which do not hold what comes next, if that has been decided; never in a topic that was made anew."""
        self._cluster.look_again(self._topics)
        earliest = self._cluster.earliest(partitions)
        for one in partitions:
            stood = self._fetched(one)
            self._on_gap(f"topic {one.topic}: partition {one.partition} was read up to {stood} and begins at {earliest[one]} now")
            self._consumer.seek(one, earliest[one])

    @contextmanager
    def _connected(self) -> Iterator[None]:
        try:
            yield
        except KafkaError as error:
            raise unanswered(f"{self._cluster.where}: {error!r}", error) from error
