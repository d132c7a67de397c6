"""The log in Kafka: the topic of a stream is its log, each of its partitions in its own order.

A position counts what Kafka calls the next offset, beside it the last `known_at` and the number of events up to there: offsets alone tell
neither, as some hold no event (the marks of transactions, what was aborted, what was deleted).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from kafka import TopicPartition

from tidemill.errors import ConflictError, InputError, NotReadyError
from tidemill.events import Copied, Source, Stream
from tidemill.settings import KafkaLogSettings
from tidemill.stores.kafka_checkpoints import KafkaCheckpoints
from tidemill.stores.kafka_cluster import STAMPED_BY, cluster_of
from tidemill.stores.kafka_cursors import KafkaCursors
from tidemill.stores.kafka_share import KafkaShare
from tidemill.stores.kafka_topics import KNOWN_AT_HEADER, TRACE_HEADER, checkpoints_topic, is_log, topics_of
from tidemill.stores.kafka_writer import KafkaWriter, Message
from tidemill.stores.source_books import SourceBooks
from tidemill.stores.topic_keeps import CLEANUP, RETENTION, TopicKeeps, topic_keeps
from tidemill.streams import Advance, Entry, Position, Records, Tally

logger = logging.getLogger(__name__)

_COUNTED = 2_000  # so many events after a position are counted one by one
_FOLLOW_EVERY_S = 2.0
_FRESH_S = 0.1
_LAST = 20


class KafkaLog:
    """A log in the topics of one cluster; see `tidemill.streams.Log` for what it promises, ADR 8 for what that takes.

    Args:
        streams: the project's streams.
        settings: of the cluster.
        project: the project's name: checkpoints of sources and transactions are kept under it.
        sources: where it is written down, for people, how copies are doing; closed with the log.
        replay: whether events say themselves when they became known; the topics that are made are of a replay then, and nobody else writes
            to them. Where they are there, they are what they are.

    Raises:
        NotReadyError: no broker lets us in, or a topic is of another kind.
        SettingsError: the environment lacks what the settings name.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        settings: KafkaLogSettings,
        project: str,
        sources: SourceBooks,
        *,
        replay: bool = False,
    ) -> None:
        self.sources = sources
        self._settings = settings
        self._topics = topics_of(streams, settings.brokers)
        self._cluster = cluster_of(settings)
        self._writer = KafkaWriter(self._cluster.where, self._cluster.config, project)
        self._checkpoints = KafkaCheckpoints(self._cluster, checkpoints_topic(project))
        self._cursors = KafkaCursors(self._cluster, self._topics, self._on_gap)
        self._seen: tuple[float, Position] = (0.0, Position({}))
        self._followed_s = 0.0
        try:
            self._cluster.make_compacted(checkpoints_topic(project), replication=settings.replication)
            self._replay = self._make_topics(replay=replay)
            self.end()
            self._last_ms = self._last_known() if self._replay else 0
        except BaseException:
            self.close()
            raise

    def append(self, entries: Sequence[Entry], now_ms: int, advance: Advance | None = None) -> Position:
        """See `Log`. The events of a source are one transaction with its checkpoint.

        Others are durable on return, but no transaction: when it fails, some may be there, and come again with the same ids when they are
        sent again. So a process that dies never holds up those that read.
        """
        messages = self._messages(entries, now_ms)
        if advance is None:
            return self._seen[1].furthest(self._position(self._writer.write(messages)))
        self._copy(advance, messages)
        self.sources.note(advance, len(messages), now_ms)
        return self.end()

    def read(self, after: Position, limit: int, until: Position | None = None) -> tuple[Records, Position]:
        """See `Log`."""
        return self._cursors.read(after, limit, until)

    def mark(self) -> int | None:
        """See `Log`; reading asks nobody, as the client fetches by itself."""
        return None

    def end(self) -> Position:
        """See `Log`."""
        self._seen = (time.monotonic(), self._position(self._cluster.ends(self._partitions())))
        return self._seen[1]

    def behind(self, after: Position) -> int:
        """See `Log`; offsets that hold no event are counted too."""
        seen_s, end = self._seen
        if time.monotonic() - seen_s > _FRESH_S:
            end = self.end()
        return sum(_offsets_between(after, end, stream) for stream in end.offsets)

    def identity(self) -> Mapping[str, str]:
        """See `Log`: the ids of the topics."""
        ids = self._cluster.topic_ids([topic.name for topic in self._topics.values()])
        return {stream: ids[topic.name] for stream, topic in self._topics.items()}

    def holds(self, source: Source) -> bool:
        """See `Log`."""
        return is_log(source, self._settings.brokers)

    def copied(self, stream: str) -> Copied:
        """See `Log`."""
        return self._checkpoints.copied(stream)

    def tally(self, after: Position) -> Mapping[str, Tally]:
        """See `Log`: what was received is what the position says it has taken, and what lies after it.

        That is counted while it is little; of much the offsets are counted, some of which may hold no event. Either way it is in both.
        """
        end = self.end()
        pending = {stream: _offsets_between(after, end, stream) for stream in self._topics}
        if 0 < sum(pending.values()) <= _COUNTED:
            records, _ = self.read(after, _COUNTED, end)
            pending = dict.fromkeys(pending, 0) | {stream: len(mine) for stream, mine in records.by_stream().items()}
        return {stream: Tally(_events(after, stream) + waiting, waiting) for stream, waiting in pending.items()}

    def follow(self, position: Position) -> None:
        """See `Log`: the group's committed offsets follow, every few seconds."""
        if self._settings.group is None or time.monotonic() - self._followed_s < _FOLLOW_EVERY_S:
            return
        self._followed_s = time.monotonic()
        offsets = {one: position.offset(stream, str(one.partition)) for stream, one in self._named(self._partitions())}
        try:
            self._cluster.commit(self._settings.group, offsets)
        except NotReadyError as error:
            logger.warning("offsets of the group do not follow group=%s error=%s", self._settings.group, error)

    def share(self) -> KafkaShare | None:
        """What one engine reads of the log when several share it; None where no group is set. Whoever asks closes it."""
        settings = self._settings
        if settings.group is None:
            return None
        return KafkaShare(self._cluster, self._topics, settings.group, settings.session_s, self._on_gap)

    def members(self) -> int:
        """How many engines are in the group that shares it; one that was killed is, until its session is over.

        Raises:
            NotReadyError: the cluster does not answer.
        """
        return 0 if self._settings.group is None else self._cluster.members_of(self._settings.group)

    def keeps(self, stream: str, log_offsets: Iterable[int], newest_ms: int) -> TopicKeeps:
        """What stays of some events of a stream, as no single one can be deleted, if it is still there; see `topic_keeps`.

        Raises:
            NotReadyError: the cluster does not answer.
        """
        topic = self._topics[stream].name
        numbers = range(self._cluster.partitions([one.name for one in self._topics.values()])[topic])
        begins = self._position(self._cluster.earliest(TopicPartition(topic, number) for number in numbers))
        wanted = np.array(sorted(log_offsets), dtype=np.int64)
        there = wanted[~begins.taken(stream, wanted)].tolist()
        return topic_keeps(topic, self._cluster.settings_of(topic, RETENTION, CLEANUP), there, newest_ms)

    def close(self) -> None:
        """Let go of the connections."""
        self._cursors.close()
        self._writer.close()
        self._checkpoints.close()
        self._cluster.close()
        self.sources.close()

    def _make_topics(self, *, replay: bool) -> bool:
        """Make what is missing; answers whether the log is a replay's.

        Raises:
            NotReadyError: the times in a topic are not what they must be.
        """
        stamped_by = "CreateTime" if replay else "LogAppendTime"
        names, settings = [topic.name for topic in self._topics.values()], self._settings
        found = self._cluster.make_topics(names, partitions=settings.partitions, replication=settings.replication, stamped_by=stamped_by)
        others = sorted(name for name, has in found.items() if has != stamped_by)
        if not replay and len(others) == len(found) and self._checkpoints.is_of_replay():
            return True
        if others:
            has, topic = found[others[0]], others[0]
            fix = f"set it, e.g. kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config {STAMPED_BY}={stamped_by}"
            raise NotReadyError(f"{self._cluster.where}: topic {topic} has {STAMPED_BY}={has}, this log needs {stamped_by}; {fix}")
        if replay:
            self._writer.write([self._checkpoints.of_replay()])
        return replay

    def _messages(self, entries: Sequence[Entry], now_ms: int) -> list[Message]:
        """What is written of each entry.

        Raises:
            InputError: a stream has no topic or one that we do not write to, or an entry lies before the log's last `known_at`.
        """
        messages, last_ms = [], self._last_ms
        for entry in entries:
            topic = self._topics.get(entry.stream)
            if topic is None:
                raise InputError(f"no stream {entry.stream!r} in the project; there is: {', '.join(sorted(self._topics))}")
            topic.check_writable()
            headers = [] if entry.trace is None else [(TRACE_HEADER, entry.trace.encode())]
            if self._replay:
                last_ms = _known_at(entry, now_ms, last_ms)
                headers.append((KNOWN_AT_HEADER, str(last_ms).encode()))
            elif entry.known_at_ms is not None:
                raise InputError("only a replay says when an event became known", where=f"stream {entry.stream!r}")
            messages.append(Message(topic.name, topic.key(entry.payload), entry.payload.encode(), headers))
        self._last_ms = last_ms
        return messages

    def _copy(self, advance: Advance, messages: Sequence[Message]) -> None:
        """Write events of a source with its checkpoint, all or nothing; whoever takes over a source looks first how far it has come."""
        if not self._writer.is_copying(advance.stream):
            self._writer.take_over(advance.stream)
        if self._checkpoints.copied(advance.stream).checkpoint != advance.before:
            self._writer.leave(advance.stream)
            raise ConflictError(f"another process copies the source of {advance.stream!r}; it has moved on meanwhile")
        self._cluster.wait_for(self._writer.write_together(advance.stream, [*messages, *self._checkpoints.messages(advance)]))

    def _on_gap(self, what: str) -> None:
        """Say that events are missing, or refuse to go on.

        Raises:
            NotReadyError: nobody has decided to go on without them.
        """
        if self._settings.on_gap == "fail":
            raise NotReadyError(
                f"{self._cluster.where}: {what}; to go on without what lay between, set TIDEMILL_LOG__KAFKA__ON_GAP=earliest"
            )
        logger.warning("events are missing where=%s what=%s", self._cluster.where, what)

    def _partitions(self) -> list[TopicPartition]:
        counts = self._cluster.partitions([topic.name for topic in self._topics.values()])
        return [TopicPartition(name, number) for name, count in counts.items() for number in range(count)]

    def _position(self, offsets: Mapping[TopicPartition, int]) -> Position:
        found: dict[str, dict[str, int]] = {}
        for stream, one in self._named(offsets):
            found.setdefault(stream, {})[str(one.partition)] = offsets[one]
        return Position(found)

    def _named(self, partitions: Iterable[TopicPartition]) -> list[tuple[str, TopicPartition]]:
        """Each partition with its stream."""
        streams = {topic.name: name for name, topic in self._topics.items()}
        return [(streams[one.topic], one) for one in partitions]

    def _last_known(self) -> int:
        """The last `known_at` of a replay's log: it rises in every partition, so that of each one's last events is enough."""
        ends = self.end().offsets
        shortly_before = Position({stream: {part: max(0, end - _LAST) for part, end in parts.items()} for stream, parts in ends.items()})
        records, _ = self.read(shortly_before, _LAST * sum(map(len, ends.values())))
        return max(records.known_at_ms, default=0)


def _known_at(entry: Entry, now_ms: int, last_ms: int) -> int:
    """When an entry of a replay becomes known.

    Raises:
        InputError: before the log's last.
    """
    if entry.known_at_ms is None:
        return max(last_ms, now_ms)
    if entry.known_at_ms < last_ms:
        raise InputError(f"known_at {entry.known_at_ms} lies before the log's last, {last_ms}", where=f"stream {entry.stream!r}")
    return entry.known_at_ms


def _offsets_between(after: Position, end: Position, stream: str) -> int:
    return sum(max(0, offset - after.offset(stream, part)) for part, offset in end.offsets.get(stream, {}).items())


def _events(position: Position, stream: str) -> int:
    """How many events a position has taken; of a partition that this log has not read, its offset stands for it."""
    parts = position.offsets.get(stream, {})
    return sum(offset if (mark := position.mark(stream, part)) is None else mark.events for part, offset in parts.items())
