"""The topics of a replay's log, which the next replay makes anew; whoever has events of their own in topics keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from kafka import TopicPartition

from tidemill.errors import ConflictError
from tidemill.events import Stream
from tidemill.settings import KafkaLogSettings
from tidemill.stores.kafka_checkpoints import KafkaCheckpoints
from tidemill.stores.kafka_cluster import cluster_of
from tidemill.stores.kafka_topics import checkpoints_topic, topics_of


def clear_topics(streams: Sequence[Stream], settings: KafkaLogSettings, project: str, *, drop: bool) -> None:
    """See that no topic of a project's streams holds an event.

    Args:
        streams: the project's.
        settings: of the cluster.
        project: its name.
        drop: delete the topics of an earlier replay.

    Raises:
        ConflictError: some do, and they are to stay, or are not of a replay.
        NotReadyError: no broker lets us in, or it does not let us delete.
    """
    marks = checkpoints_topic(project)
    with closing(cluster_of(settings)) as cluster:
        there = cluster.there({marks, *(topic.name for topic in topics_of(streams, settings.brokers).values())})
        counts = cluster.partitions(there - {marks}) if there - {marks} else {}
        ends = cluster.ends(TopicPartition(name, number) for name, count in counts.items() for number in range(count))
        held = sorted({one.topic for one, end in ends.items() if end})
        if not drop and held:
            raise ConflictError(f"{cluster.where}: the topic {held[0]} holds the events of an earlier run; start anew with --fresh")
        if held and not (marks in there and _are_of_replay(KafkaCheckpoints(cluster, marks))):
            raise ConflictError(f"{cluster.where}: the topic {held[0]} is not of a replay, so it stays; use another cluster for this")
        if drop and there:
            cluster.drop(there)


def _are_of_replay(checkpoints: KafkaCheckpoints) -> bool:
    with closing(checkpoints):
        return checkpoints.is_of_replay()
