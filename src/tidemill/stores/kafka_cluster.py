"""What a Kafka cluster is asked and told beside reading and writing: topics, where they begin and end, a group's offsets."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from kafka import IsolationLevel, KafkaAdminClient, OffsetSpec, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import GroupIdNotFoundError, KafkaError, NoError, TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata

from tidemill.errors import NotReadyError, UnavailableError
from tidemill.settings import KafkaLogSettings
from tidemill.sources.kafka_client import opened, unanswered
from tidemill.sources.kafka_security import KafkaSecurity, keep_secrets_out_of_logs

_ANSWER_MS = 5_000
_PATIENCE_S = 30.0
_LOOK_EVERY_S = 5.0
STAMPED_BY = "message.timestamp.type"
_KEPT = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}  # the log is the truth


def cluster_of(settings: KafkaLogSettings) -> KafkaCluster:
    """The cluster that the settings name; it is connected to when it is first asked.

    Raises:
        SettingsError: the environment lacks what the settings name.
    """
    keep_secrets_out_of_logs()
    config = {"bootstrap_servers": settings.brokers, "bootstrap_timeout_ms": settings.connect_s * 1_000, **_security(settings)}
    return KafkaCluster(f"kafka at {','.join(settings.brokers)}", config)


def _security(settings: KafkaLogSettings) -> dict[str, object]:
    """What a client is told of TLS and login, secrets included."""
    if settings.protocol == "PLAINTEXT":
        return {}
    login = (settings.mechanism, settings.username_env, settings.password_env)
    return KafkaSecurity(settings.protocol, *login, ca_file=settings.ca_file).config()


class KafkaCluster:
    """A cluster, asked by any thread, one question at a time.

    Args:
        where: what is connected to, for messages.
        config: of the client: brokers, security, how long to try to connect.
    """

    def __init__(self, where: str, config: Mapping[str, object]) -> None:
        self.where = where
        self.config = dict(config)
        self._lock = threading.Lock()
        self._admin: Any = None
        self._away: str | None = None  # what was said last, while it does not answer
        self._partitions = dict[str, int]()
        self._ids = dict[str, str]()
        self._looked_s = -_LOOK_EVERY_S

    def make_topics(self, topics: Iterable[str], *, partitions: int, replication: int, stamped_by: str) -> dict[str, str]:
        """Make the topics that are missing, kept for good; answers who sets the times in each, now that all are there.

        Args:
            topics: their names.
            partitions: of one that is made.
            replication: copies of each partition, of one that is made.
            stamped_by: who sets the times in one that is made: `LogAppendTime` for the broker, `CreateTime` for a replay.

        Raises:
            NotReadyError: the cluster does not answer, or does not let us.
        """
        names = sorted(set(topics))
        config = {**_KEPT, STAMPED_BY: stamped_by}
        with self.asked() as admin:
            there = set(admin.list_topics())
            for name in (name for name in names if name not in there):
                made = {name: {"num_partitions": partitions, "replication_factor": replication, "configs": config}}
                try:
                    admin.create_topics(made)
                except TopicAlreadyExistsError:  # another process was faster
                    there.add(name)
            admin.wait_for_topics(names)
        return dict.fromkeys(names, stamped_by) | {
            name: self.settings_of(name, STAMPED_BY)[STAMPED_BY] for name in there.intersection(names)
        }

    def there(self, topics: Iterable[str]) -> set[str]:
        """Those of these topics that there are.

        Raises:
            NotReadyError: the cluster does not answer.
        """
        with self.asked() as admin:
            return set(topics).intersection(admin.list_topics())

    def drop(self, topics: Iterable[str]) -> None:
        """Delete topics with all they hold; they are gone on return.

        Raises:
            NotReadyError: the cluster does not answer, or does not let us.
        """
        names, deadline_s = sorted(topics), time.monotonic() + _PATIENCE_S
        with self.asked() as admin:
            admin.delete_topics(names)
        while left := sorted(self.there(names)):
            if time.monotonic() > deadline_s:
                raise NotReadyError(f"{self.where}: the topic {left[0]} was deleted and is there after {_PATIENCE_S:.0f} s")
            time.sleep(0.1)

    def make_compacted(self, topic: str, *, replication: int) -> None:
        """Make a topic that keeps the last value of each key, unless it is there.

        Raises:
            NotReadyError: the cluster does not answer, or does not let us.
        """
        with self.asked() as admin:
            if topic not in admin.list_topics():
                config = {"cleanup.policy": "compact"}
                with suppress(TopicAlreadyExistsError):
                    admin.create_topics({topic: {"num_partitions": 1, "replication_factor": replication, "configs": config}})
            admin.wait_for_topics([topic])

    def partitions(self, topics: Iterable[str]) -> dict[str, int]:
        """By topic, how many partitions it has; partitions that are added are seen within seconds.

        Raises:
            NotReadyError: there is no such topic, or another one has its name by now.
        """
        names = sorted(set(topics))
        if time.monotonic() - self._looked_s > _LOOK_EVERY_S or not self._partitions.keys() >= set(names):
            with self.asked() as admin:
                told = list(admin.describe_topics(names))
            found = {one["name"]: len(one["partitions"]) for one in told}
            if gone := sorted(name for name in names if not found.get(name)):
                raise NotReadyError(f"{self.where}: there is no topic {gone[0]}")
            self._refuse_others({one["name"]: str(one["topic_id"]) for one in told})
            self._partitions, self._looked_s = found, time.monotonic()
        return {name: self._partitions[name] for name in names}

    def look_again(self, topics: Iterable[str]) -> None:
        """See now what these topics are.

        Raises:
            NotReadyError: see `partitions`.
        """
        self._looked_s = -_LOOK_EVERY_S
        self.partitions(topics)

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        """By topic, the id that the cluster knows it by: another one when it was deleted and made anew.

        Raises:
            NotReadyError: it has another one than when this was first asked, or there is no such topic.
        """
        return {name: self._ids[name] for name in self.partitions(topics)}

    def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Of each partition the offset before which everything may be read now: committed, and of no open transaction."""
        return self._offsets(partitions, OffsetSpec.LATEST)

    def wait_for(self, behind: Mapping[TopicPartition, int]) -> None:
        """Wait until what lies before these offsets may be read: a transaction that was committed is marked so a moment later.

        Raises:
            NotReadyError: it does not come to be.
        """
        deadline_s, pause_s = time.monotonic() + _PATIENCE_S, 0.001
        while any(end < behind[one] for one, end in self.ends(behind).items()):
            if time.monotonic() > deadline_s:
                raise NotReadyError(f"{self.where}: a transaction was committed and cannot be read after {_PATIENCE_S:.0f} s")
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.1)

    def earliest(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Of each partition the earliest offset that it holds."""
        return self._offsets(partitions, OffsetSpec.EARLIEST)

    def commit(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Set a group's committed offsets.

        Raises:
            NotReadyError: it has members of its own, we may not, or no answer.
        """
        named = {partition: OffsetAndMetadata(offset, "", -1) for partition, offset in offsets.items()}
        with self.asked() as admin:
            for error in admin.alter_group_offsets(group, named).values():
                if error is not NoError:
                    raise error(f"offsets of the group {group}")

    @contextmanager
    def asked(self) -> Iterator[Any]:
        """The client, for one question.

        While the cluster does not answer, one at a time asks whether it does again; others are told so at once, and hold up no thread.

        Raises:
            NotReadyError: no answer, or the answer is no; a new client asks next time.
        """
        self._take_turn()
        try:
            if self._admin is None:
                self._admin = opened(KafkaAdminClient, self.where, {**self.config, "client_id": "tidemill-log-admin"})
            yield self._admin
            self._away = None
        except KafkaError as error:
            self._hang_up()
            told = unanswered(f"{self.where}: {error}", error)
            self._away = str(told) if isinstance(told, UnavailableError) else None
            raise told from error
        except UnavailableError as error:
            self._away = str(error)
            raise
        finally:
            self._lock.release()

    def _take_turn(self) -> None:
        """Have the lock on return.

        Raises:
            UnavailableError: somebody else asks, or has asked meanwhile, and the cluster does not answer.
        """
        if self._lock.acquire(blocking=False):
            return
        if not self._away:
            self._lock.acquire()
            if self._away is None:
                return
            self._lock.release()
        raise UnavailableError(self._away or self.where)

    def close(self) -> None:
        """Let go of the connections."""
        with self._lock:
            self._hang_up()

    def settings_of(self, topic: str, *names: str) -> dict[str, str]:
        """Some of a topic's settings.

        Raises:
            NotReadyError: the cluster does not answer, or does not let us ask.
        """
        with self.asked() as admin:
            asked = ConfigResource(ConfigResourceType.TOPIC, topic, dict.fromkeys(names))
            told = admin.describe_configs([asked], config_filter="all")
        (found,) = told["topic"].values()
        return {name: str(found[name]["value"]) for name in names}

    def members_of(self, group: str) -> int:
        """How many clients are in a group now; one that was killed is, until its session is over.

        Raises:
            NotReadyError: the cluster does not answer, or does not let us ask.
        """
        with self.asked() as admin:
            try:
                return len(admin.describe_groups([group])[group]["members"])
            except GroupIdNotFoundError:
                return 0

    def _refuse_others(self, ids: Mapping[str, str]) -> None:
        """Keep the ids of topics that are new here, and read on in no other that has one's name."""
        for name, now in ids.items():
            if (was := self._ids.setdefault(name, now)) != now:
                what = f"the topic {name} was deleted and made anew (its id was {was} and is {now})"
                raise NotReadyError(f"{self.where}: {what}; end what reads it, and start again")

    def _offsets(self, partitions: Iterable[TopicPartition], which: OffsetSpec) -> dict[TopicPartition, int]:
        asked = dict.fromkeys(partitions, which)
        if not asked:
            return {}
        with self.asked() as admin:
            found = admin.list_partition_offsets(asked, IsolationLevel.READ_COMMITTED, timeout_ms=_ANSWER_MS)
        return {partition: answer.offset for partition, answer in found.items()}

    def _hang_up(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            admin.close()
