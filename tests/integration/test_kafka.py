"""What Kafka does to a topic while it is copied: every event that was committed is in the log once, and no gap goes unsaid."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import TopicAlreadyExistsError

from tests.feeds import Tap, project_of, taps
from tests.kafka_server import KafkaServer, PatientCopier, kafka_server
from tidemill.errors import NotReadyError
from tidemill.project import Workspace
from tidemill.serving import Copier
from tidemill.sources import Kafka
from tidemill.streams import Position

PATIENCE_S = 120.0


@pytest.fixture
def server() -> KafkaServer:
    """The broker."""
    return kafka_server()


@contextmanager
def home(source: Kafka, folder: Path) -> Iterator[Workspace]:
    """A home whose only stream is copied from a topic; the same one for the same folder."""
    workspace = Workspace.open(project_of(source), folder / "home")
    yield workspace
    workspace.close()


def copier_of(workspace: Workspace) -> Copier:
    """A copier of its only stream."""
    return PatientCopier(workspace, workspace.project.streams[0], 1_000_000)


def kafka(topic: str, server: KafkaServer, **options: Any) -> Kafka:
    """The declaration of a topic of that server."""
    return Kafka(topic, server.bootstrap, connect_s=PATIENCE_S, **options)


def wait_until(holds: Callable[[], object], step: Callable[[], object] = lambda: time.sleep(0.05)) -> None:
    """Step until it holds."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come to hold"
        step()


def copy_all(workspace: Workspace, n_events: int) -> None:
    """Copy until the log holds so many events and the source has no more."""
    with closing(copier_of(workspace)) as copier:
        wait_until(lambda: n_in(workspace) >= n_events, copier.step)
        assert copier.step() == 0


def n_in(workspace: Workspace) -> int:
    """How many events the log holds."""
    return workspace.log.behind(Position({}))


def held(workspace: Workspace) -> list[Tap]:
    """The events in the log, by id."""
    records, _ = workspace.log.read(Position({}), 1_000_000)
    return sorted((Tap.model_validate_json(payload) for payload in records.payloads), key=lambda tap: tap.tap_id)


def values(events: Iterable[Tap]) -> list[bytes]:
    """As records hold them."""
    return [orjson.dumps(event.model_dump()) for event in events]


def offsets(workspace: Workspace) -> dict[str, int]:
    """By partition, the next offset that the log has kept."""
    kept: dict[str, int] = orjson.loads(workspace.log.copied("taps").checkpoint)["offsets"]
    return kept


def test_aborted_and_open_transactions_are_not_seen(server: KafkaServer, tmp_path: Path) -> None:
    topic = server.new_topic()
    opened = closing(KafkaProducer(bootstrap_servers=server.bootstrap, transactional_id=f"of {topic}"))
    with opened as producer, home(kafka(topic, server), tmp_path) as workspace:
        producer.init_transactions()

        def transact(events: list[Tap], end: Callable[[], object]) -> None:
            producer.begin_transaction()
            for value in values(events):
                producer.send(topic, value)
            producer.flush()
            end()

        transact(taps(0, 10), producer.commit_transaction)
        transact(taps(100, 10), producer.abort_transaction)
        transact(taps(10, 10), producer.commit_transaction)
        transact(taps(200, 10), producer.abort_transaction)
        with closing(copier_of(workspace)) as copier:
            # 40 records, and a mark at the end of each transaction: the position passes them all, though 20 hold no event
            wait_until(lambda: n_in(workspace) == 20 and offsets(workspace) == {"0": 44}, copier.step)
        transact(taps(20, 10), lambda: None)  # it stays open
        with closing(copier_of(workspace)) as copier:
            assert [copier.step() for _ in range(3)] == [0, 0, 0]
        producer.commit_transaction()
        copy_all(workspace, 30)
        assert held(workspace) == taps(0, 30)


def test_partitions_that_are_added_are_read_from_their_first_event(server: KafkaServer, tmp_path: Path) -> None:
    topic = server.new_topic()
    source = kafka(topic, server, begin="latest")
    server.send(topic, values(taps(100, 5)))
    with home(source, tmp_path) as workspace, closing(copier_of(workspace)) as copier:
        wait_until(lambda: workspace.log.copied("taps").checkpoint, copier.step)
        server.add_partitions(topic, 2)
        server.send(topic, values(taps(0, 10)), partition=1)
        wait_until(lambda: n_in(workspace) == 10, copier.step)
        server.add_partitions(topic, 3)  # and while nobody reads
        copier.close()
        server.send(topic, values(taps(10, 10)), partition=2)
        copy_all(workspace, 20)
        assert held(workspace) == taps(0, 20)


def test_the_latest_is_kept_from_the_first_look(server: KafkaServer, tmp_path: Path) -> None:
    topic = server.new_topic(partitions=2)
    server.send(topic, values(taps(100, 20)))
    with home(kafka(topic, server, begin="latest"), tmp_path) as workspace:
        with closing(copier_of(workspace)) as copier:
            wait_until(lambda: workspace.log.copied("taps").checkpoint, copier.step)
        server.send(topic, values(taps(0, 20)))
        copy_all(workspace, 20)
        assert held(workspace) == taps(0, 20)


def test_offsets_that_compaction_leaves_out_are_no_gap(server: KafkaServer, tmp_path: Path) -> None:
    compact = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.001", "segment.ms": "100", "max.compaction.lag.ms": "100"}
    topic = server.new_topic(configs=compact)
    server.send(topic, values(taps(0, 50)), key=b"one for all")
    with closing(KafkaConsumer(bootstrap_servers=server.bootstrap, auto_offset_reset="none")) as consumer:
        whole, n, deadline_s = TopicPartition(topic, 0), 50, time.monotonic() + PATIENCE_S

        def left() -> int:
            """How many of its records are still there, read to the end."""
            consumer.assign([whole])
            consumer.seek(whole, 0)
            found = 0
            while consumer.position(whole) < n:
                assert time.monotonic() < deadline_s, f"of {n} records {found} were read"
                found += sum(map(len, consumer.poll(1_000, max_records=1_000).values()))
            return found

        while left() >= n:  # the last segment is never compacted: more events begin a new one
            server.send(topic, values(taps(n, 1)), key=b"another")
            n += 1
            assert time.monotonic() < deadline_s, "it was not compacted"
    with home(kafka(topic, server), tmp_path) as workspace:
        with closing(copier_of(workspace)) as copier:
            wait_until(lambda: workspace.log.copied("taps").checkpoint and offsets(workspace) == {"0": n}, copier.step)
        found = held(workspace)
        assert len(found) < n
        assert all(tap in taps(0, n) for tap in found)
        assert found[-1:] == taps(n - 1, 1)


def test_a_broker_that_is_restarted_costs_nothing_but_time(server: KafkaServer, tmp_path: Path) -> None:
    topic = server.new_topic(partitions=2)
    with home(Kafka(topic, server.bootstrap), tmp_path) as workspace:
        copier, stopping = Copier(workspace, workspace.project.streams[0], 1_000_000), threading.Event()
        thread = threading.Thread(target=copier.run, args=(stopping,))
        thread.start()
        try:
            server.send(topic, values(taps(0, 50)))
            wait_until(lambda: n_in(workspace) >= 50)
            server.send(topic, values(taps(50, 50)))
            server.stop()
            wait_until(lambda: workspace.log.sources.standing()["taps"].error)
            server.start()
            server.send(topic, values(taps(100, 50)))
            wait_until(lambda: n_in(workspace) >= 150 and not workspace.log.sources.standing()["taps"].error)
        finally:
            stopping.set()
            thread.join()
    with home(kafka(topic, server), tmp_path) as workspace:
        copy_all(workspace, 150)
        assert held(workspace) == taps(0, 150)


def delete_before(server: KafkaServer, topic: str, offset: int) -> None:
    """What retention does."""
    server.admin.delete_records({TopicPartition(topic, 0): offset})


def make_anew(server: KafkaServer, topic: str, n: int) -> None:
    """Delete it, and make one of that name with so many events."""

    def made() -> bool:
        try:
            server.admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})
        except TopicAlreadyExistsError:  # deletion takes its time
            return False
        return True

    server.admin.delete_topics([topic])
    wait_until(made)
    server.forget()
    server.admin.wait_for_topics([topic])
    server.send(topic, values(taps(20, n)))


@pytest.mark.parametrize(
    ("happens", "said", "left"),
    [
        pytest.param(
            lambda server, topic: delete_before(server, topic, 15), "begins at offset 15 now and was read up to 10", (15, 5), id="retention"
        ),
        pytest.param(
            lambda server, topic: make_anew(server, topic, 3), "deleted and made anew", (20, 3), id="a shorter topic of that name"
        ),
        pytest.param(
            lambda server, topic: make_anew(server, topic, 30), "deleted and made anew", (20, 30), id="a longer topic of that name"
        ),
    ],
)
def test_a_gap_is_said_and_passed_only_when_told(
    server: KafkaServer, tmp_path: Path, happens: Callable[[KafkaServer, str], None], said: str, left: tuple[int, int]
) -> None:
    topic = server.new_topic()
    source = kafka(topic, server)
    server.send(topic, values(taps(0, 10)))
    with home(source, tmp_path) as workspace:
        copy_all(workspace, 10)
        server.send(topic, values(taps(10, 10)))
        happens(server, topic)
        with closing(copier_of(workspace)) as copier, pytest.raises(NotReadyError, match=said) as error:
            wait_until(lambda: False, copier.step)
        assert "on_gap='earliest'" in str(error.value)
        assert n_in(workspace) == 10
    with home(replace(source, on_gap="earliest"), tmp_path) as workspace:
        copy_all(workspace, 10 + left[1])
        assert held(workspace) == taps(0, 10) + taps(*left)


def test_a_gap_that_opens_under_a_reader_is_said_too(server: KafkaServer, tmp_path: Path) -> None:
    topic = server.new_topic()
    server.send(topic, values(taps(0, 10)))
    with home(kafka(topic, server), tmp_path) as workspace, closing(copier_of(workspace)) as copier:
        wait_until(lambda: n_in(workspace) == 10, copier.step)
        make_anew(server, topic, 5)
        with pytest.raises(NotReadyError, match="made anew"):
            wait_until(lambda: False, copier.step)


def test_a_topic_that_is_not_there_is_said(server: KafkaServer, tmp_path: Path) -> None:
    with home(kafka("no-such-topic", server), tmp_path) as workspace:
        with pytest.raises(NotReadyError, match=r"no-such-topic .* there is no such topic"):
            wait_until(lambda: False, copier_of(workspace).step)
        assert "no-such-topic" not in server.admin.list_topics()


def test_a_topic_that_is_deleted_under_a_reader_is_not_made_again(server: KafkaServer, tmp_path: Path) -> None:
    topic = server.new_topic(partitions=2)
    server.send(topic, values(taps(0, 10)))
    with home(kafka(topic, server), tmp_path) as workspace, closing(copier_of(workspace)) as copier:
        wait_until(lambda: n_in(workspace) == 10, copier.step)
        server.forget()  # the tests' own client would have it made anew
        server.admin.delete_topics([topic])
        with pytest.raises(NotReadyError, match=r"there is no such topic; make it"):
            wait_until(lambda: False, copier.step)
        assert topic not in server.admin.list_topics()


def committed(server: KafkaServer, group: str) -> dict[int, int]:
    """What a tool shows of a group."""
    found: dict[TopicPartition, Any] = server.admin.list_group_offsets({group: None})[group]
    return {named.partition: kept.offset for named, kept in found.items()}


def test_the_offsets_of_the_group_follow_the_log(server: KafkaServer, tmp_path: Path) -> None:
    topic = server.new_topic(partitions=2)
    server.send(topic, values(taps(0, 30)))
    with home(kafka(topic, server, group=f"of {topic}"), tmp_path) as workspace:
        copy_all(workspace, 30)
        with closing(copier_of(workspace)) as copier:
            wait_until(lambda: sum(committed(server, f"of {topic}").values()) == 30, copier.step)
        assert committed(server, f"of {topic}") == {int(partition): offset for partition, offset in offsets(workspace).items()}
