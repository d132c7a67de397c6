"""What every log promises, held on each of them; a new log is one more line in `LOGS`."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from pydantic import BaseModel

from tests.databases import new_database
from tests.forked import forked
from tests.kafka_server import kafka_server
from tidemill.errors import ConflictError, InputError
from tidemill.events import Stream
from tidemill.settings import KafkaLogSettings
from tidemill.sources import Kafka
from tidemill.stores import Databases, SqlLog
from tidemill.stores.kafka_log import KafkaLog
from tidemill.stores.source_books import open_source_books
from tidemill.streams import Advance, Entry, Log, Position, Record, Records, Tally

STREAMS = ["taps", "gates"]
N_APPENDS, PER_APPEND = 60, 5
TRACES = [f"00-{number:032x}-{number:016x}-01" for number in (1, 2)]
PATIENCE_S = 240.0
BROKER, SERVER = "broker", "server"  # the files in a home that say where Kafka and PostgreSQL are


class Event(BaseModel):
    """What lies in the streams of these tests."""

    event_id: str
    at: int


def kafka_log(home: Path, partitions: int, *, replay: bool = False) -> KafkaLog:
    """The log in topics of that home alone."""
    bootstrap, mark = (home / BROKER).read_text(), hashlib.sha256(str(home).encode()).hexdigest()[:12]
    streams = [
        Stream(name, schema=Event, event_time="at", event_id="event_id", source=Kafka(f"{name}-{mark}", bootstrap)) for name in STREAMS
    ]
    settings = KafkaLogSettings(bootstrap=bootstrap, partitions=partitions)
    return KafkaLog(streams, settings, f"kit-{mark}", open_source_books(Databases(home)), replay=replay)


LOGS: dict[str, Callable[[Path], SqlLog | KafkaLog]] = {
    "sqlite": lambda home: SqlLog(Databases(home), STREAMS),
    "postgresql": lambda home: SqlLog(Databases(home, (home / SERVER).read_text()), STREAMS),
    "kafka": lambda home: kafka_log(home, 3),
    "kafka, a replay": lambda home: kafka_log(home, 1, replay=True),
}
ONE_ORDER = {"sqlite", "postgresql"}  # over all streams
OWN_CLOCK = {"kafka"}  # the broker's; nobody is asked when an event became known
of_replays = pytest.mark.parametrize("kind", [name for name in LOGS if name not in OWN_CLOCK], indirect=True)

Open = Callable[[], Log]


@pytest.fixture(params=LOGS)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Which log; the server that it needs runs."""
    name = str(request.param)
    if name.startswith("kafka"):
        (tmp_path / BROKER).write_text(kafka_server().bootstrap)
    if name == "postgresql":
        (tmp_path / SERVER).write_text(new_database(request.getfixturevalue("postgres_url")))
    return name


@pytest.fixture
def open_log(kind: str, tmp_path: Path) -> Iterator[Open]:
    """Opens the log of one folder, as often as asked; all are closed in the end."""
    opened: list[SqlLog | KafkaLog] = []

    def open_one() -> Log:
        opened.append(LOGS[kind](tmp_path))
        return opened[-1]

    yield open_one
    for log in opened:
        log.close()


def write_when_told(home: Path, kind: str, name: str) -> None:
    """Append in turns once the start file is there: no writer is done before the other has begun. Their clocks disagree on purpose."""
    log = LOGS[kind](home)
    (home / f"ready-{name}").touch()
    while not (home / "start").exists():
        time.sleep(0.001)
    for turn in range(N_APPENDS):
        entries = [Entry("taps", f"{name}-{turn * PER_APPEND + place}") for place in range(PER_APPEND)]
        log.append(entries, now_ms=1_000 + (turn if name == "a" else -turn))
    log.close()


class DyingEntries(list[Entry]):
    """Kill the process that takes them, when as many as lie in one row have been written within the transaction."""

    def __iter__(self) -> Iterator[Entry]:
        for place in range(len(self)):
            if place == 1_500:
                os.kill(os.getpid(), signal.SIGKILL)
            yield self[place]


def die_in_an_append(home: Path, kind: str) -> None:
    """Append what nobody survives."""
    LOGS[kind](home).append(DyingEntries([Entry("taps", "torn")] * 2_000), now_ms=1)


def read_all(log: Log, limit: int = 1_000, until: Position | None = None) -> list[Record]:
    """Everything a log holds, `limit` records at a time."""
    found: list[Record] = []
    position = Position({})
    while True:
        records, position = log.read(position, limit, until)
        if not records:
            return found
        found.extend(records)


def check_order(kind: str, records: Sequence[Record], payloads: Sequence[str]) -> None:
    """Every one of these payloads, which differ, is there once, each partition in the order in which they were appended."""
    assert sorted(record.payload for record in records) == sorted(payloads)
    if kind in ONE_ORDER:
        assert [record.payload for record in records] == list(payloads)
    for partition in {(record.stream, record.partition) for record in records}:
        mine = [record for record in records if (record.stream, record.partition) == partition]
        places = [payloads.index(record.payload) for record in mine]
        assert places == sorted(places)
        assert [record.offset for record in mine] == sorted({record.offset for record in mine})
        assert [record.known_at_ms for record in mine] == sorted(record.known_at_ms for record in mine)


def test_an_empty_log_has_an_end_and_nothing_before_it(open_log: Open) -> None:
    log = open_log()
    assert log.read(log.end(), 10) == (Records.of([]), log.end())
    assert read_all(log) == []
    assert log.tally(Position({})) == {name: Tally(0, 0) for name in STREAMS}
    assert log.append([], now_ms=5) == log.end()


def test_records_come_back_as_they_were_appended_in_order(open_log: Open, kind: str) -> None:
    log = open_log()
    texts = ["{}", "", "not json", "a\x00b", 'ünï "cödé" 🚆', "x" * 100_000]
    end = log.append([Entry(STREAMS[place % 2], text) for place, text in enumerate(texts)], now_ms=7)
    records = read_all(log)
    check_order(kind, records, texts)
    assert {(record.stream, record.payload) for record in records} == {(STREAMS[place % 2], text) for place, text in enumerate(texts)}
    assert kind in OWN_CLOCK or {record.known_at_ms for record in records} == {7}
    assert end == log.end()


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_a_read_can_be_repeated_and_goes_on_where_the_last_ended(open_log: Open, kind: str, limit: int) -> None:
    log, texts = open_log(), [str(place) for place in range(7)]
    log.append([Entry(STREAMS[place % 2], text) for place, text in enumerate(texts)], now_ms=1)
    whole = read_all(log, limit)
    check_order(kind, whole, texts)
    records, after = log.read(Position({}), limit)
    assert log.read(Position({}), limit) == (records, after)
    assert list(records) == whole[: len(records)]
    assert len(records) == min(limit, 7)
    again = log.read(Position.from_token(after.token), 100)
    assert sorted([*records, *again[0]]) == sorted(whole)
    assert read_all(open_log(), limit) == whole, "whoever opens it later reads the same"


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_events_are_read_with_the_traces_of_who_brought_them(open_log: Open, limit: int) -> None:
    log = open_log()
    brought = {"0": TRACES[0], "1": TRACES[0], "2": None, "3": TRACES[1], "4": None}
    log.append([Entry(STREAMS[0], text, trace=trace) for text, trace in brought.items()], now_ms=1)
    after, taken = Position({}), 0
    while taken < len(brought):
        records, after = log.read(after, limit)
        assert sorted(records.traces) == sorted({trace for text in records.payloads if (trace := brought[text]) is not None})
        taken += len(records)


def test_a_position_has_taken_exactly_what_was_read(open_log: Open) -> None:
    log = open_log()
    log.append([Entry(STREAMS[place % 2], str(place)) for place in range(7)], now_ms=1)
    before = Position({})
    for taken in range(1, 8):
        records, after = log.read(before, 1)
        assert after.at_least(before) and not before.at_least(after)
        assert records[0].offset == after.offset(records[0].stream, records[0].partition)
        tallies = log.tally(after).values()
        assert (sum(tally.pending for tally in tallies), sum(tally.received for tally in tallies)) == (7 - taken, 7)
        before = after
    assert before == log.end()
    assert log.read(before, 10) == (Records.of([]), before)


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_nothing_is_read_beyond_a_position(open_log: Open, limit: int) -> None:
    log = open_log()
    first = log.append([Entry(STREAMS[place % 2], f"first {place}") for place in range(9)], now_ms=1)
    middle = log.read(Position({}), 4)
    log.append([Entry(STREAMS[place % 2], f"second {place}") for place in range(5)], now_ms=1)
    assert sorted(record.payload for record in read_all(log, limit, first)) == [f"first {place}" for place in range(9)]
    assert sorted(read_all(log, limit, middle[1])) == sorted(middle[0])
    assert log.read(first, limit, middle[1]) == (Records.of([]), first)
    assert log.read(log.end(), limit, first)[0] == Records.of([])


def test_known_at_never_falls_when_the_clock_does(open_log: Open, kind: str) -> None:
    log = open_log()
    for now_ms in (10, 30, 20, 40, 0):
        log.append([Entry("taps", f"at {now_ms}")], now_ms)
    records = read_all(log)
    check_order(kind, records, [f"at {now_ms}" for now_ms in (10, 30, 20, 40, 0)])
    assert kind in OWN_CLOCK or [record.known_at_ms for record in records] == [10, 30, 30, 40, 40]


@of_replays
def test_a_replay_sets_known_at_and_its_clock_is_not_asked(open_log: Open) -> None:
    log = open_log()
    log.append([Entry("taps", "{}", 5), Entry("gates", "{}", 5), Entry("taps", "{}", 9)], now_ms=1_000)
    log.append([Entry("taps", "{}", 9), Entry("taps", "{}", 12)], now_ms=1_000)
    assert [record.known_at_ms for record in read_all(log)] == [5, 5, 9, 9, 12]


@of_replays
@pytest.mark.parametrize("entries", [[Entry("taps", "{}", 9)], [Entry("taps", "{}", 20), Entry("taps", "{}", 19)]])
def test_a_replay_that_goes_back_is_refused_whole(open_log: Open, entries: list[Entry]) -> None:
    log = open_log()
    end = log.append([Entry("taps", "{}", 10)], now_ms=0)
    for one in (log, open_log()):
        with pytest.raises(InputError, match=r"stream 'taps': known_at \d+ lies before the log's last"):
            one.append(entries, now_ms=0)
    assert log.end() == end
    assert [record.known_at_ms for record in read_all(log)] == [10]
    assert log.tally(end)["taps"] == Tally(1, 0)


def test_received_and_pending_are_counted_by_stream(open_log: Open) -> None:
    log = open_log()
    log.append([Entry("taps", "{}")] * 3 + [Entry("gates", "{}")], now_ms=1)
    records, after = log.read(Position({}), 2)
    taken = {name: sum(record.stream == name for record in records) for name in STREAMS}
    assert log.tally(after) == {"taps": Tally(3, 3 - taken["taps"]), "gates": Tally(1, 1 - taken["gates"])}
    assert log.tally(log.end()) == {"taps": Tally(3, 0), "gates": Tally(1, 0)}
    assert (log.behind(Position({})), log.behind(log.end())) == (4, 0)


def test_a_restart_loses_nothing(open_log: Open, kind: str) -> None:
    replayed = kind not in OWN_CLOCK
    first = open_log()
    first.append([Entry("taps", "1", 50 if replayed else None), Entry("gates", "2", 60 if replayed else None)], now_ms=0)
    end, records = first.end(), read_all(first)
    again = open_log()
    assert (again.end(), read_all(again), again.tally(end)) == (end, records, {"taps": Tally(1, 0), "gates": Tally(1, 0)})
    again.append([Entry("taps", "3")], now_ms=1)
    assert sorted((record.payload, record.known_at_ms) for record in read_all(first))[:2] == [
        (record.payload, record.known_at_ms) for record in sorted(records, key=lambda record: record.payload)
    ]
    assert not replayed or [record.known_at_ms for record in read_all(first)] == [50, 60, 60]


def test_a_source_moves_on_with_its_events_or_not_at_all(open_log: Open, kind: str) -> None:
    log, other = open_log(), open_log()
    assert log.copied("taps").checkpoint == ""
    log.append([Entry("taps", "1"), Entry("taps", "2")], 0, Advance("taps", "", "c1", finished=["a.csv"]))
    with pytest.raises(ConflictError):
        other.append([Entry("taps", "twice")], 0, Advance("taps", "", "c1"))
    copied = other.copied("taps")
    assert (copied.checkpoint, copied.is_finished("a.csv"), copied.is_finished("b.csv")) == ("c1", True, False)
    other.append([Entry("taps", "3")], 0, Advance("taps", "c1", "c2", finished=["b.csv"]))
    with pytest.raises(ConflictError):
        log.append([Entry("taps", "late")], 0, Advance("taps", "c1", "c2"))
    log.append([Entry("taps", "4")], 0, Advance("taps", log.copied("taps").checkpoint, "c3"))
    log.append([], 0, Advance("taps", "c3", "c4"))
    log.append([Entry("gates", "5")], 0, Advance("gates", "", "g1"))
    check_order(kind, read_all(other), list("12345"))
    again = open_log()
    assert (again.copied("taps").checkpoint, again.copied("gates").checkpoint) == ("c4", "g1")
    assert all(again.copied("taps").is_finished(name) for name in ("a.csv", "b.csv"))
    tally = again.tally(Position({}))
    assert (tally["taps"], tally["gates"]) == (Tally(4, 4), Tally(1, 1)), "the marks of transactions are no events"
    records, end = again.read(Position({}), 100)
    assert (len(records), again.tally(end)) == (5, {"taps": Tally(4, 0), "gates": Tally(1, 0)})


def test_two_processes_append_at_once_and_nothing_is_lost_or_torn(open_log: Open, tmp_path: Path, kind: str) -> None:
    writers = [forked(write_when_told, tmp_path, kind, name) for name in "ab"]
    try:
        while not all((tmp_path / f"ready-{name}").exists() for name in "ab"):
            assert all(writer.is_alive() for writer in writers)
            time.sleep(0.01)
        log = open_log()
        (tmp_path / "start").touch()
        seen: list[Record] = []
        position = Position({})
        while len(seen) < 2 * N_APPENDS * PER_APPEND:  # read while they write: a reader sees each record once, in order
            records, position = log.read(position, 17)
            seen.extend(records)
            assert records or any(writer.is_alive() for writer in writers) or log.end() != position
    finally:
        for writer in writers:
            writer.join(PATIENCE_S)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert sorted(seen) == sorted(read_all(log))
    for name in "ab":
        check_order(kind if name == "a" else "", [record for record in seen if record.payload[0] == name], named(name))
    if kind in ONE_ORDER:
        names = [record.payload[0] for record in seen]
        assert all(len(set(names[begin : begin + PER_APPEND])) == 1 for begin in range(0, len(names), PER_APPEND)), "an append was torn"
    assert log.tally(log.end())["taps"].received == len(seen)


def named(name: str) -> list[str]:
    """What one of the writers appends."""
    return [f"{name}-{i}" for i in range(N_APPENDS * PER_APPEND)]


@pytest.mark.parametrize("kind", sorted(ONE_ORDER), indirect=True)
def test_of_an_append_that_was_killed_nothing_is_there_and_others_go_on(open_log: Open, tmp_path: Path, kind: str) -> None:
    log = open_log()
    log.append([Entry("taps", "before")], now_ms=1)
    dying = forked(die_in_an_append, tmp_path, kind)
    dying.join(PATIENCE_S)
    assert dying.exitcode == -signal.SIGKILL
    log.append([Entry("taps", "after")], now_ms=2)
    assert [(record.offset, record.payload) for record in read_all(log)] == [(1, "before"), (2, "after")]
    assert log.tally(log.end())["taps"] == Tally(2, 0)


def test_a_mark_is_another_once_somebody_has_appended_and_the_same_until_then(open_log: Open, kind: str) -> None:
    log, other = open_log(), open_log()
    before = log.mark()
    assert (before is not None) == (kind == "sqlite")
    log.read(log.end(), 10)
    assert log.mark() == before
    other.append([Entry("taps", "a")], now_ms=1_000)
    of_other = log.mark()
    log.append([Entry("taps", "b")], now_ms=1_001)
    of_itself = log.mark()
    if before is not None:
        assert len({before, of_other, of_itself}) == 3
    assert log.mark() == of_itself
