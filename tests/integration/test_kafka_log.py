"""An engine on a log in Kafka: three partitions, transactions, a broker that restarts, an engine that is killed, events that are gone."""

from __future__ import annotations

import gc
import json
import random
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.errors import RetriableError, TopicAlreadyExistsError

from tests import payments, tiny
from tests.kafka_server import KafkaServer, kafka_server
from tests.property.naive import naive_verdicts
from tests.unit.events.taps import RETENTION_MS, TAPS, VIEWS, entry, lake_writer, make_engine, open_log, open_state, payload
from tests.unit.learning.test_parity import ask, check
from tidemill import Project
from tidemill.clock import HOUR_MS, wall_ms
from tidemill.errors import ConflictError, InputError, NotReadyError, UnavailableError
from tidemill.project import Workspace
from tidemill.project.forgetting import forget_entity
from tidemill.serving import copiers
from tidemill.settings import KafkaLogSettings, LogSettings
from tidemill.sources import Avro, Kafka
from tidemill.stores import OFFSET, AppliedReader, Databases, Entity, Lake, Lookup, SqlState, kafka_writer, rebuild
from tidemill.stores.kafka_log import KafkaLog
from tidemill.stores.kafka_replay import clear_topics
from tidemill.stores.source_books import open_source_books
from tidemill.streams import Advance, Entry, Log, Position, Record, log_offset

ROOT = Path(__file__).parents[2]
LINES = ["a", "b", "c", None]
PATIENCE = 600  # steps


@pytest.fixture
def server() -> KafkaServer:
    """The broker."""
    return kafka_server()


def new_topic(server: KafkaServer, partitions: int = 3) -> str:
    """A topic as logs are."""
    return server.new_topic(partitions, {"message.timestamp.type": "LogAppendTime"})


def open_kafka(bootstrap: str, topic: str, home: Path, settings: KafkaLogSettings | None = None) -> KafkaLog:
    """The log of taps in a topic."""
    settings = (settings or KafkaLogSettings()).model_copy(update={"bootstrap": bootstrap})
    stream = replace(TAPS, source=Kafka(topic, bootstrap))
    return KafkaLog([stream], settings, f"p-{topic}", open_source_books(Databases(home)))


@contextmanager
def opened(server: KafkaServer, topic: str, home: Path) -> Iterator[tuple[KafkaLog, SqlState]]:
    """The log in a topic, and a state on it."""
    with closing(open_kafka(server.bootstrap, topic, home)) as log, closing(open_state(home)) as state:
        yield log, state


def history(n_events: int, rng: random.Random) -> list[Entry]:
    """Taps of now, with copies, late ones, and texts that are none."""
    now_ms, entries = wall_ms(), list[Entry]()
    for number in range(n_events):
        kind = rng.random()
        name = f"t{rng.randrange(number + 1) if kind < 0.2 else number}"
        at_ms = now_ms - (RETENTION_MS["taps"] + HOUR_MS if 0.2 <= kind < 0.25 else rng.randrange(2 * HOUR_MS))
        told = payload(name, at_ms, line=rng.choice(LINES), gate="x", fare=float(rng.randrange(8)))
        entries.append(Entry("taps", "{" if 0.25 <= kind < 0.3 else told))
    return entries


def read_all(log: Log) -> list[Record]:
    """Everything that the log holds."""
    found, position = list[Record](), Position({})
    while True:
        records, position = log.read(position, 100)
        if not len(records):
            return found
        found.extend(records)


def values_of(state: SqlState) -> dict[str, list[float]]:
    """What every line says at the state's time."""
    lookups = [Lookup(VIEWS[0].name, LINES), Lookup(VIEWS[1].name, ["a,x", "b,x"])]
    reading = state.tiles.read(lookups, state.position_and_time()[1])
    return {name: [float(value) for value in column] for name, column in reading.values.items()}


def check_against_naive_rules(log: Log, state: SqlState, lake: Lake, folder: Path) -> None:
    """Each event of the log is where the naive rules send it, and the values are those of an embedded log with the same events."""
    records = read_all(log)
    told = [(record.known_at_ms, *_id_and_time(record)) for record in records]
    verdicts = naive_verdicts(told, RETENTION_MS["taps"], TAPS.max_ahead_ms)
    where = {verdict: {one.log_offset for one, said in zip(records, verdicts, strict=True) if said == verdict} for verdict in set(verdicts)}
    books = state.books(log)["taps"]
    assert books.balanced and books.pending == 0
    counted = (books.applied, books.duplicate, books.late, books.rejected)
    assert counted == tuple(len(where.get(verdict, ())) for verdict in ("applied", "duplicate", "late", "rejected"))
    assert set(lake.dataset("taps").to_table([OFFSET]).column(OFFSET).to_pylist()) == where["applied"]
    assert lake.dataset("taps").count_rows() == len(where["applied"])
    dead = {letter["log_offset"] for letter in state.dead_letters("taps", 10_000)}
    assert dead == where.get("late", set()) | where.get("rejected", set())
    folder.mkdir()
    with closing(open_log(folder)) as twin_log, closing(open_state(folder)) as twin:
        twin_log.append([Entry("taps", one.payload, one.known_at_ms) for one in sorted(records, key=lambda one: one.known_at_ms)], 0)
        make_engine(twin_log, twin).drain(1_000)
        want = twin.tiles.read([Lookup(VIEWS[0].name, LINES), Lookup(VIEWS[1].name, ["a,x", "b,x"])], state.position_and_time()[1]).values
    for name, values in values_of(state).items():
        assert values == pytest.approx([float(value) for value in want[name]], rel=1e-9, nan_ok=True), name


def _id_and_time(record: Record) -> tuple[str, int | None]:
    if record.payload == "{":
        return "", None
    fields = json.loads(record.payload)
    return fields["tap_id"], fields["at"]


def drain(log: KafkaLog, state: SqlState, limit: int = 50) -> int:
    """Apply everything; the books balance at every commit."""
    engine, total = make_engine(log, state), 0
    while taken := engine.step(limit):
        total += taken
        books = state.books(log)["taps"]
        assert books.balanced, books
    return total


def test_an_engine_on_three_partitions_does_what_the_naive_rules_say(server: KafkaServer, tmp_path: Path) -> None:
    rng, topic, lake = random.Random(1), new_topic(server), Lake(tmp_path / "lake", [TAPS])
    entries = history(400, rng)
    with opened(server, topic, tmp_path) as (log, state):
        for begin in range(0, 400, 100):
            log.append(entries[begin : begin + 100], 0)
            drain(log, state, rng.randrange(7, 60))
            if begin == 200:
                lake_writer(log, state, lake).flush(37)
        assert {part for part, offset in state.position().offsets["taps"].items() if offset} == {"0", "1", "2"}
        assert not state.lake_position().at_least(state.position()), "so the tiles are built anew from lake and log"
        values = values_of(state)
        assert rebuild(state, lake, AppliedReader(log, state, [TAPS]), [TAPS], RETENTION_MS) == state.books(log)["taps"].applied
        for name, told in values_of(state).items():
            assert told == pytest.approx(values[name], rel=1e-9, nan_ok=True), name
        assert drain(log, state) == 0
        lake_writer(log, state, lake).flush(37)
        assert state.lake_position() == state.position()
        check_against_naive_rules(log, state, lake, tmp_path / "twin")


def test_what_is_aborted_or_still_open_is_not_seen_and_marks_count_for_nothing(server: KafkaServer, tmp_path: Path) -> None:
    topic, now_ms = new_topic(server, 2), wall_ms()
    producer = KafkaProducer(bootstrap_servers=server.bootstrap, transactional_id=f"somebody-{uuid.uuid4().hex}")
    producer.init_transactions()
    with opened(server, topic, tmp_path) as (log, state), closing(producer):
        for number in range(6):
            producer.begin_transaction()
            producer.send(topic, payload(f"other{number}", now_ms, line="a").encode(), partition=number % 2)
            if number % 3 == 2:
                producer.flush()
                producer.abort_transaction()
            else:
                producer.commit_transaction()
            checkpoint = log.copied("taps").checkpoint
            log.append([entry_now(f"copied{number}")], 0, Advance("taps", checkpoint, str(number)))
            drain_until(log, state, 2 * (number + 1) - (number + 1) // 3)
        books = state.books(log)["taps"]
        assert (books.received, books.applied, books.pending) == (10, 10, 0)
        assert sum(state.position().offsets["taps"].values()) > 10, "marks take offsets"
        producer.begin_transaction()
        producer.send(topic, payload("open", now_ms, line="a").encode(), partition=0)
        producer.flush()
        assert (drain(log, state), state.books(log)["taps"].pending) == (0, 0)
        producer.commit_transaction()
        drain_until(log, state, 11)


def drain_until(log: KafkaLog, state: SqlState, applied: int) -> None:
    """Apply until so many are; a transaction of somebody else may be read a moment after it was committed."""
    for _ in range(PATIENCE):
        drain(log, state)
        if state.books(log)["taps"].applied >= applied:
            break
    assert state.books(log)["taps"].applied == applied


def entry_now(name: str) -> Entry:
    """A tap of now."""
    return Entry("taps", payload(name, wall_ms(), line="a"))


def test_a_broker_that_restarts_holds_up_and_loses_nothing(server: KafkaServer, tmp_path: Path) -> None:
    rng, topic, lake = random.Random(2), new_topic(server), Lake(tmp_path / "lake", [TAPS])
    entries = history(200, rng)
    with opened(server, topic, tmp_path) as (log, state):
        log.append(entries[:120], 0)
        engine = make_engine(log, state)
        assert engine.step(30) == 30
        server.stop()
        with pytest.raises(NotReadyError):  # what it has fetched it may apply; then it says that it waits
            for _ in range(PATIENCE):
                engine.step(30)
        server.start()
        eventually(lambda: log.append(entries[120:], 0))
        eventually(lambda: drain(log, state))
        lake_writer(log, state, lake).flush()
        check_against_naive_rules(log, state, lake, tmp_path / "twin")


def eventually(act: Callable[[], object]) -> None:
    """Do it until the broker lets us."""
    for _ in range(PATIENCE):
        try:
            act()
            return
        except NotReadyError:
            continue
    raise AssertionError("the broker does not come back")


ENGINE = """
import sys
from pathlib import Path
from tests.integration.test_kafka_log import open_kafka
from tests.unit.events.taps import TAPS, lake_writer, make_engine, open_state
from tidemill.stores import Lake
home = Path(sys.argv[1])
log, state, lake = open_kafka(sys.argv[2], sys.argv[3], home), open_state(home), Lake(home / "lake", [TAPS])
engine, writer = make_engine(log, state), lake_writer(log, state, lake)
while True:
    print(engine.step(7), flush=True)
    writer.step(0.0, 20)
"""


def test_an_engine_that_is_killed_loses_nothing_and_repeats_nothing(server: KafkaServer, tmp_path: Path) -> None:
    rng, topic, lake = random.Random(3), new_topic(server), Lake(tmp_path / "lake", [TAPS])
    entries = history(300, rng)
    with closing(open_kafka(server.bootstrap, topic, tmp_path)) as log:
        for begin in (0, 150):
            log.append(entries[begin : begin + 150], 0)
            command = [sys.executable, "-c", ENGINE, str(tmp_path), server.bootstrap, topic]
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as engine:
                assert engine.stdout is not None
                for _ in range(rng.randrange(2, 9)):
                    assert engine.stdout.readline(), "it ended by itself"
                engine.kill()
    with opened(server, topic, tmp_path) as (log, state):
        assert state.books(log)["taps"].applied > 0
        drain(log, state)
        lake_writer(log, state, lake).flush()
        check_against_naive_rules(log, state, lake, tmp_path / "twin")


def test_events_that_are_gone_stop_the_engine_until_somebody_decides(server: KafkaServer, tmp_path: Path) -> None:
    topic = new_topic(server, 1)
    with opened(server, topic, tmp_path) as (log, state):
        log.append([entry_now(f"t{number}") for number in range(20)], 0)
        assert make_engine(log, state).step(5) == 5
        server.admin.delete_records({TopicPartition(topic, 0): 12})
        log.append([entry_now("last")], 0)
    with opened(server, topic, tmp_path) as (log, state), pytest.raises(NotReadyError, match=r"was read up to 5 and begins at 12 now"):
        drain(log, state)
    settings = KafkaLogSettings(on_gap="earliest")
    with closing(open_kafka(server.bootstrap, topic, tmp_path, settings)) as log, closing(open_state(tmp_path)) as state:
        assert drain(log, state) == 9
        assert state.books(log)["taps"].received == 14, "what nobody has read was not received"
    (tmp_path / "new").mkdir()
    with opened(server, topic, tmp_path / "new") as (log, state):
        assert drain(log, state) == 9, "who begins anew begins with what there is"


def test_partitions_that_are_added_are_read_from_their_first_event(server: KafkaServer, tmp_path: Path) -> None:
    topic = new_topic(server, 1)
    with opened(server, topic, tmp_path) as (log, state):
        log.append([entry_now("first")], 0)
        assert drain(log, state) == 1
        server.add_partitions(topic, 3)
        server.send(topic, [payload(f"t{number}", wall_ms()).encode() for number in range(3)], partition=2)
        applied = 0
        for _ in range(PATIENCE):
            applied += drain(log, state)
            if applied == 3:
                break
        assert applied == 3
        assert state.position().offset("taps", "2") == 3


def test_the_groups_offsets_follow_the_position(server: KafkaServer, tmp_path: Path) -> None:
    topic = new_topic(server)
    group = f"group-{topic}"
    with (
        closing(open_kafka(server.bootstrap, topic, tmp_path, KafkaLogSettings(group=group))) as log,
        closing(open_state(tmp_path)) as state,
    ):
        log.append([entry_now(f"t{number}") for number in range(30)], 0)
        drain(log, state)
        position = state.position()
        expected = {int(part): offset for part, offset in position.offsets["taps"].items()}
        for _ in range(PATIENCE):  # the broker's first group: its topic of groups is being made
            if committed(server, group) == expected:
                break
            log.follow(position)
            time.sleep(0.2)
    assert committed(server, group) == expected


def committed(server: KafkaServer, group: str) -> dict[int, int]:
    """By partition, the offset that a group has committed; nothing while the broker does not say."""
    try:
        held = server.admin.list_group_offsets(group)
    except RetriableError:
        return {}
    return {one.partition: found.offset for one, found in next(iter(held.values()), {}).items()}


def test_a_home_with_its_log_in_kafka_is_opened_by_the_settings(server: KafkaServer, tmp_path: Path) -> None:
    topic, other = new_topic(server), f"rides_{uuid.uuid4().hex[:8]}"
    streams = [replace(TAPS, source=Kafka(topic, server.bootstrap)), replace(TAPS, name=other)]
    project = Project(other, streams=streams)
    settings = LogSettings(kind="kafka", kafka=KafkaLogSettings(bootstrap=server.bootstrap, partitions=2))
    with closing(Workspace.open(project, tmp_path, log=settings)) as workspace:
        server.send(topic, [payload("t1", wall_ms()).encode(), b"\xff"])
        server.send(topic, [None], key=b"t1")
        workspace.log.append([Entry(other, payload("r1", wall_ms())), Entry(other, "not json")], 0)
        workspace.engine().drain(100)
        books = workspace.books()
        assert (books["taps"].applied, books["taps"].rejected, books["taps"].received) == (1, 1, 2), "a tombstone is no event"
        assert (books[other].applied, books[other].rejected) == (1, 1)
        assert copiers(workspace, 1_000) == [], "the topic is the log"
        assert server.admin.describe_topics([other])[0]["partitions"][1:], "made with two partitions"
        with pytest.raises(InputError, match="no stream 'nobody'"):
            workspace.log.append([Entry("nobody", "{}")], 0)
        with pytest.raises(InputError, match="only a replay"):
            workspace.log.append([entry("t9", 1)], 0)
    with closing(Workspace.open(project, tmp_path, log=settings)) as workspace, pytest.raises(ConflictError, match="the log is in Kafka"):
        forget_entity(workspace, Entity("line", "a"), lambda _: None)


def test_an_entity_is_forgotten_but_for_its_topics_and_one_is_told_what_they_keep(server: KafkaServer, tmp_path: Path) -> None:
    settings = LogSettings(kind="kafka", kafka=KafkaLogSettings(bootstrap=server.bootstrap, partitions=2))
    entity, names = Entity("card", payments.PLAIN), list(payments.project.stream_names)

    def opened_anew() -> Workspace:
        return Workspace.open(payments.project, tmp_path, log=settings, durable_log=False)

    try:
        with closing(opened_anew()) as workspace:
            payments.fill(workspace, payments.PLAIN, 60)
        with closing(opened_anew()) as workspace:
            with pytest.raises(ConflictError, match="the log is in Kafka, which deletes no single event"):
                forget_entity(workspace, entity, lambda _: None)
            with pytest.raises(ConflictError, match=r"wait in the topics for the engine \(1 of payments\)"):
                forget_entity(workspace, entity, lambda _: None, topic_keeps=True)
            assert workspace.engine().drain(10) == 2
        with closing(opened_anew()) as workspace:
            books = workspace.books()
            found = forget_entity(workspace, entity, lambda _: None, topic_keeps=True)
            assert found.lake["payments"] > 0 and found.predictions["fraud"] >= 2
            assert {keeps.topic: keeps.events for keeps in found.topics} == found.log
            assert all(keeps.until == "for good: retention.ms is -1" for keeps in found.topics)
            ends = workspace.log.end().offsets
            for keeps in found.topics:
                assert 0 < sum(keeps.cut.values()) <= sum(ends[keeps.topic].values())
            assert workspace.books() == books and all(of.balanced for of in books.values())
            read = workspace.state.tiles.read([Lookup("by_card", [payments.PLAIN, "other-1"])], workspace.now_ms()).values
            assert read["by_card__n_6h"][0] == 0 < read["by_card__n_6h"][1]
            assert workspace.lake.dataset("payments").to_table(filter=ds.field("card") == payments.PLAIN).num_rows == 0
            again = forget_entity(workspace, entity, lambda _: None, topic_keeps=True)
            assert [keeps.topic for keeps in again.topics] == [keeps.topic for keeps in found.topics]
            assert (again.lake, again.dead_letters, again.predictions, again.built_anew) == ({}, {}, {}, 0), "it is done"
    finally:
        server.admin.delete_topics([*names, f"tidemill.sources.{payments.project.name}"])


def test_a_topic_that_was_made_anew_is_known_by_its_id_however_long_it_is(server: KafkaServer, tmp_path: Path) -> None:
    topic = new_topic(server, 1)
    project = Project(topic.replace("-", "_"), streams=[replace(TAPS, source=Kafka(topic, server.bootstrap))])
    settings = LogSettings(kind="kafka", kafka=KafkaLogSettings(bootstrap=server.bootstrap))
    with closing(Workspace.open(project, tmp_path, log=settings)) as workspace:
        workspace.log.append([entry_now(f"t{number}") for number in range(3)], 0)
        assert workspace.engine().drain(10) == 3
        server.admin.delete_topics([topic])
        make_anew(server, topic)
        server.send(topic, [payload(f"n{number}", wall_ms()).encode() for number in range(9)])
        assert isinstance(workspace.log, KafkaLog)
        wait_until_seen(workspace.log)
    with closing(Workspace.open(project, tmp_path, log=settings)) as workspace:
        assert workspace.log.end().at_least(workspace.state.position())
        with pytest.raises(ConflictError, match="was made from another log of 'taps' than the one of that name now"):
            workspace.engine()
    (tmp_path / "other").mkdir()
    with closing(Workspace.open(project, tmp_path / "other", log=settings)) as workspace:
        assert workspace.engine().drain(10) == 9, "who begins anew begins with what there is"


def make_anew(server: KafkaServer, topic: str) -> None:
    """Make a topic again; one that was just deleted may be there for a moment."""
    for _ in range(PATIENCE):
        try:
            configs = {"message.timestamp.type": "LogAppendTime"}
            server.admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1, "configs": configs}})
            break
        except TopicAlreadyExistsError:
            time.sleep(0.1)
    server.forget()
    server.admin.wait_for_topics([topic])


def wait_until_seen(log: KafkaLog) -> None:
    """Until a log that is open has noticed; it looks every few seconds, and the broker may know the old one for a moment."""
    for _ in range(PATIENCE):
        try:
            log.end()
        except NotReadyError as error:
            if "was deleted and made anew (its id was" in str(error):
                return
        time.sleep(0.1)
    raise AssertionError("it reads on in another topic")


def test_a_topic_of_other_times_or_other_values_is_refused(server: KafkaServer, tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match=r"has message\.timestamp\.type=CreateTime, this log needs LogAppendTime"):
        open_kafka(server.bootstrap, server.new_topic(), tmp_path)
    avro = Avro(
        schema='{"type": "record", "name": "Tap", "fields": [{"name": "tap_id", "type": "string"}, {"name": "at", "type": "long"}]}'
    )
    stream = replace(TAPS, source=Kafka(new_topic(server, 1), server.bootstrap, value=avro))
    settings = KafkaLogSettings(bootstrap=server.bootstrap)
    with (
        closing(KafkaLog([stream], settings, "avro", open_source_books(Databases(tmp_path)))) as log,
        closing(open_state(tmp_path)) as state,
    ):
        with pytest.raises(InputError, match="holds Avro; send events there"):
            log.append([entry_now("t1")], 0)
        server.send(stream.source.topic, [b"\x02x\x02", b"no avro"])  # type: ignore[union-attr]  # it is Kafka
        assert drain(log, state) == 2
        letters = {letter["log_offset"]: letter["reason"] for letter in state.dead_letters("taps")}
        assert log_offset("0", 2) in letters, "what cannot be decoded never stops the stream"


def test_a_replays_log_is_one_for_whoever_opens_it(server: KafkaServer, tmp_path: Path) -> None:
    """The server beside a replay, and whoever comes after it, with events of their own time."""
    stream = replace(TAPS, source=Kafka(f"replayed-{uuid.uuid4().hex[:8]}", server.bootstrap))
    settings, name = KafkaLogSettings(bootstrap=server.bootstrap, partitions=2), f"r_{uuid.uuid4().hex[:8]}"
    with closing(KafkaLog([stream], settings, name, open_source_books(Databases(tmp_path)), replay=True)) as log:
        log.append([entry(f"t{number}", 1_000 + number) for number in range(9)], 0)
    with closing(KafkaLog([stream], settings, name, open_source_books(Databases(tmp_path)))) as log:
        log.append([entry_now("t9")], 5_000)
        assert sorted(record.known_at_ms for record in read_all(log)) == [*range(1_000, 1_009), 5_000]
    with pytest.raises(NotReadyError, match="CreateTime"):
        KafkaLog([stream], settings, f"another_{name}", open_source_books(Databases(tmp_path)))
    with pytest.raises(ConflictError, match="holds the events of an earlier run; start anew with --fresh"):
        clear_topics([stream], settings, name, drop=False)
    with pytest.raises(ConflictError, match="is not of a replay, so it stays"):
        clear_topics([stream], settings, f"another_{name}", drop=True)
    clear_topics([stream], settings, name, drop=True)
    clear_topics([stream], settings, name, drop=False)
    with closing(KafkaLog([stream], settings, name, open_source_books(Databases(tmp_path)), replay=True)) as log:
        log.append([entry("t1", 1_000)], 0)
        assert [record.known_at_ms for record in read_all(log)] == [1_000]


def test_what_was_served_on_three_partitions_is_what_the_lake_says(server: KafkaServer, tmp_path: Path) -> None:
    """A replay with a prediction after each small step, so that positions end anywhere in the partitions."""
    settings = LogSettings(kind="kafka", kafka=KafkaLogSettings(bootstrap=server.bootstrap, partitions=3))
    with closing(Workspace.open(tiny.project, tmp_path, log=settings, durable_log=False)) as workspace:
        workspace.log.append(tiny.history(0, 1)[:240], 0)
        engine, asked = workspace.engine(), 0
        while engine.step(9):
            ask(workspace, f"q{asked}", workspace.now_ms() + 1)
            asked += 1
        workspace.lake_writer().flush()
        tokens = workspace.predictions.served(tiny.LATE_ORDER.name).positions
        assert {len(Position.from_token(token).offsets["deliveries"]) for token in tokens} == {3}
        found = check(workspace)
        assert (found.checked, found.mismatches) == (asked, ())
        assert all(books.balanced and not books.pending for books in workspace.books().values())


def test_a_broker_that_hangs_leaves_no_client_that_goes_on(server: KafkaServer, monkeypatch: pytest.MonkeyPatch) -> None:
    gc.collect()  # what tests before this one have left
    left: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: left.append(repr(told.object)))
    monkeypatch.setattr(kafka_writer, "_PATIENCE_MS", 500)  # no more than an answer takes that does not come
    topic = server.new_topic()
    writer = kafka_writer.KafkaWriter("the log", {"bootstrap_servers": server.bootstrap, "bootstrap_timeout_ms": 10_000}, "taps")
    others = set(threading.enumerate())
    writer.write([kafka_writer.Message(topic, None, b"taken", [])])
    with server.hanging():
        with pytest.raises(UnavailableError, match="send them again"):
            writer.write([kafka_writer.Message(topic, None, b"not taken", [])])
        gc.collect()
        assert [thread.name for thread in threading.enumerate() if thread not in others] == []
    assert left == [], "the client says nothing of its own at its end"
    writer.close()
