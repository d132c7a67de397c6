"""What every log promises, held on each of them; a new log is one more line in `LOGS`."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.databases import new_database
from tidemill.errors import InputError
from tidemill.stores import Databases, SqlLog
from tidemill.streams import Entry, Log, Position, Record, Records, Tally

Open = Callable[[], Log]
STREAMS = ["taps", "gates"]
LOGS: dict[str, Callable[[Path, str], Log]] = {  # each in a home, and on a server where it needs one
    "sqlite": lambda home, _: SqlLog(Databases(home), STREAMS),
    "postgresql": lambda home, server: SqlLog(Databases(home, server), STREAMS),
}
N_APPENDS, PER_APPEND = 60, 5

# Both writers wait for the start file, so that neither is done before the other has begun; their clocks disagree on purpose.
WRITER = """
import sys, time
from pathlib import Path
from tests.contracts.test_logs import LOGS, N_APPENDS, PER_APPEND
from tidemill.streams import Entry
home, kind, server, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
log = LOGS[kind](home, server)
(home / f"ready-{name}").touch()
while not (home / "start").exists():
    time.sleep(0.001)
for i in range(N_APPENDS):
    log.append([Entry("taps", f"{name}-{i * PER_APPEND + j}") for j in range(PER_APPEND)], now_ms=1_000 + (i if name == "a" else -i))
log.close()
"""


@pytest.fixture(params=LOGS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which log."""
    return str(request.param)


@pytest.fixture
def server(kind: str, request: pytest.FixtureRequest) -> str:
    """Where the log's server is; "" where it needs none."""
    return new_database(request.getfixturevalue("postgres_url")) if kind == "postgresql" else ""


@pytest.fixture
def open_log(kind: str, server: str, tmp_path: Path) -> Iterator[Open]:
    """Opens the log of one home, as often as asked; all are closed in the end."""
    opened: list[Log] = []

    def open_one() -> Log:
        opened.append(LOGS[kind](tmp_path, server))
        return opened[-1]

    yield open_one
    for log in opened:
        if isinstance(log, SqlLog):
            log.close()


def read_all(log: Log, limit: int = 1_000) -> list[Record]:
    """Everything a log holds, `limit` records at a time."""
    found: list[Record] = []
    position = Position({})
    while True:
        records, position = log.read(position, limit)
        if not records:
            return found
        found.extend(records)


def test_an_empty_log_has_an_end_and_nothing_before_it(open_log: Open) -> None:
    log = open_log()
    assert log.read(log.end(), 10) == (Records.of([]), log.end())
    assert read_all(log) == []
    assert log.tally(Position({})) == {name: Tally(0, 0) for name in STREAMS}
    assert log.append([], now_ms=5) == log.end()


def test_records_come_back_as_they_were_appended_in_order(open_log: Open) -> None:
    log = open_log()
    texts = ["{}", "", "not json", "a\x00b", 'ünï "cödé" 🚆', "x" * 100_000]
    end = log.append([Entry(STREAMS[place % 2], text) for place, text in enumerate(texts)], now_ms=7)
    records = read_all(log)
    assert [(record.stream, record.payload, record.known_at_ms) for record in records] == [
        (STREAMS[place % 2], text, 7) for place, text in enumerate(texts)
    ]
    offsets = [record.offset for record in records]
    assert offsets == sorted(set(offsets))
    assert end == log.end()


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_a_read_can_be_repeated_and_goes_on_where_the_last_ended(open_log: Open, limit: int) -> None:
    log = open_log()
    log.append([Entry(STREAMS[place % 2], str(place)) for place in range(7)], now_ms=1)
    assert [record.payload for record in read_all(log, limit)] == [str(place) for place in range(7)]
    records, after = log.read(Position({}), limit)
    assert log.read(Position({}), limit) == (records, after)
    token = Position.from_token(after.token)
    assert [record.payload for record in log.read(token, 100)[0]] == [str(place) for place in range(len(records), 7)]


def test_a_position_has_taken_exactly_what_was_read(open_log: Open) -> None:
    log = open_log()
    log.append([Entry(STREAMS[place % 2], str(place)) for place in range(7)], now_ms=1)
    before = Position({})
    for taken in range(1, 8):
        records, after = log.read(before, 1)
        assert after.at_least(before) and not before.at_least(after)
        assert records[0].offset == after.offset(records[0].stream, records[0].partition)
        assert sum(tally.pending for tally in log.tally(after).values()) == 7 - taken
        before = after
    assert before == log.end()
    assert log.read(before, 10) == (Records.of([]), before)


def test_known_at_never_falls_when_the_clock_does(open_log: Open) -> None:
    log = open_log()
    for now_ms in (10, 30, 20, 40, 0):
        log.append([Entry("taps", "{}")], now_ms)
    assert [record.known_at_ms for record in read_all(log)] == [10, 30, 30, 40, 40]


def test_a_replay_sets_known_at_and_its_clock_is_not_asked(open_log: Open) -> None:
    log = open_log()
    log.append([Entry("taps", "{}", 5), Entry("gates", "{}", 5), Entry("taps", "{}", 9)], now_ms=1_000)
    log.append([Entry("taps", "{}", 9), Entry("taps", "{}", 12)], now_ms=1_000)
    assert [record.known_at_ms for record in read_all(log)] == [5, 5, 9, 9, 12]


@pytest.mark.parametrize("entries", [[Entry("taps", "{}", 9)], [Entry("taps", "{}", 20), Entry("taps", "{}", 19)]])
def test_a_replay_that_goes_back_is_refused_whole(open_log: Open, entries: list[Entry]) -> None:
    log = open_log()
    end = log.append([Entry("taps", "{}", 10)], now_ms=0)
    with pytest.raises(InputError, match=r"stream 'taps': known_at \d+ lies before the log's last"):
        log.append(entries, now_ms=0)
    assert log.end() == end
    assert [record.known_at_ms for record in read_all(log)] == [10]
    assert log.tally(end)["taps"] == Tally(1, 0)


def test_received_and_pending_are_counted_by_stream(open_log: Open) -> None:
    log = open_log()
    log.append([Entry("taps", "{}")] * 3 + [Entry("gates", "{}")], now_ms=1)
    _, after = log.read(Position({}), 2)
    assert log.tally(after) == {"taps": Tally(3, 1), "gates": Tally(1, 1)}
    assert log.tally(log.end()) == {"taps": Tally(3, 0), "gates": Tally(1, 0)}


def test_a_restart_loses_nothing(open_log: Open) -> None:
    first = open_log()
    first.append([Entry("taps", "1", 50), Entry("gates", "2", 60)], now_ms=0)
    end, records = first.end(), read_all(first)
    again = open_log()
    assert (again.end(), read_all(again), again.tally(end)) == (end, records, {"taps": Tally(1, 0), "gates": Tally(1, 0)})
    again.append([Entry("taps", "3")], now_ms=1)
    assert [(record.payload, record.known_at_ms) for record in read_all(first)] == [("1", 50), ("2", 60), ("3", 60)]


def test_two_processes_append_at_once_and_nothing_is_lost_or_torn(open_log: Open, kind: str, server: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path), kind, server]
    writers = [subprocess.Popen([*command, name], cwd=Path(__file__).parents[2]) for name in "ab"]
    try:
        waited = threading.Event()
        while not all((tmp_path / f"ready-{name}").exists() for name in "ab"):
            assert all(writer.poll() is None for writer in writers)
            waited.wait(0.01)
        log = open_log()
        (tmp_path / "start").touch()
        seen: list[Record] = []
        position = Position({})
        while len(seen) < 2 * N_APPENDS * PER_APPEND:  # read while they write: a reader sees each record once, in order
            records, position = log.read(position, 17)
            seen.extend(records)
            assert records or any(writer.poll() is None for writer in writers) or log.end() != position
    finally:
        codes = [writer.wait(timeout=240) for writer in writers]
    assert codes == [0, 0]
    assert seen == read_all(log)
    for name in "ab":
        assert [record.payload for record in seen if record.payload[0] == name] == [f"{name}-{i}" for i in range(N_APPENDS * PER_APPEND)]
    names = [record.payload[0] for record in seen]
    assert all(len(set(names[begin : begin + PER_APPEND])) == 1 for begin in range(0, len(names), PER_APPEND)), "an append was torn"
    known = [record.known_at_ms for record in seen]
    assert known == sorted(known)
    assert log.tally(log.end())["taps"].received == len(seen)
