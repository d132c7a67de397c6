"""The places in a log in Kafka that are read on, each by one reader at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from tidemill.stores.kafka_cluster import KafkaCluster
from tidemill.stores.kafka_cursor import KafkaCursor
from tidemill.stores.kafka_topics import StreamTopic
from tidemill.streams import Position, Records

_MOST = 4  # of an engine alone, the lake, reactions, and whoever looks


class KafkaCursors:
    """Reads on where somebody has stopped, or begins anew.

    Args:
        cluster: where the topics are.
        topics: by stream.
        on_gap: told where Kafka no longer holds what comes next; it may raise.
    """

    def __init__(self, cluster: KafkaCluster, topics: Mapping[str, StreamTopic], on_gap: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._topics = topics
        self._on_gap = on_gap
        self._lock = threading.Lock()
        self._idle: list[KafkaCursor] = []

    def read(self, after: Position, limit: int, until: Position | None) -> tuple[Records, Position]:
        """See `Log.read`."""
        cursor = self._at(after) or self._anew()
        try:
            if not cursor.stands_at(after):
                cursor.begin(after)
            records, end = cursor.take(limit, until)
        except BaseException:
            cursor.close()
            raise
        with self._lock:
            self._idle.append(cursor)
        return records, end if len(records) else after

    def close(self) -> None:
        """Let go of the connections; who reads after that connects anew."""
        with self._lock:
            idle, self._idle = self._idle, []
        for cursor in idle:
            cursor.close()

    def _at(self, position: Position) -> KafkaCursor | None:
        """One that stands there, or else the one that has been idle for longest if there are enough."""
        with self._lock:
            found = next((cursor for cursor in self._idle if cursor.stands_at(position)), None)
            if found is None and len(self._idle) >= _MOST:
                found = self._idle[0]
            if found is not None:
                self._idle.remove(found)
            return found

    def _anew(self) -> KafkaCursor:
        return KafkaCursor(self._cluster, self._topics, None, self._on_gap)
