"""What every source promises, held on each of them: all that it holds is in the log once, whatever ends in between."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.database_feeds import OutboxFeed, TableFeed
from tests.databases import new_schema
from tests.feeds import DeltaFeed, Feed, FileFeed, KafkaFeed, Tap, project_of, taps
from tests.forked import forked
from tests.kafka_server import PatientCopier, kafka_server
from tests.kinesis_feeds import KinesisFeed
from tidemill.errors import ConflictError
from tidemill.events import Source, parse_event
from tidemill.project import Workspace
from tidemill.serving import Copier
from tidemill.streams import Position

FEEDS: dict[str, Callable[[Path], Feed]] = {
    "jsonl files": lambda folder: FileFeed(folder / "in", ".jsonl"),
    "csv files": lambda folder: FileFeed(folder / "in", ".csv"),
    "delta table": lambda folder: DeltaFeed(folder / "table"),
    "parquet files": lambda folder: FileFeed(folder / "in", ".parquet"),
    "kafka topic": lambda _: KafkaFeed(kafka_server()),
    "sqlite outbox": lambda folder: OutboxFeed(f"sqlite:///{folder}/shop.db", mark=True),
    "sqlite table": lambda folder: TableFeed(f"sqlite:///{folder}/shop.db"),
}
# by name: the fixture that starts the server, and what makes a feed with its value
SERVED_FEEDS: dict[str, tuple[str, Callable[[Any], Feed]]] = {
    "kinesis": ("kinesis", KinesisFeed),
    "postgres table": ("postgres_url", lambda url: TableFeed(new_schema(url))),
    "postgres outbox": ("postgres_url", lambda url: OutboxFeed(new_schema(url))),
}
PATIENCE_S = 120.0


@pytest.fixture(params=[*FEEDS, *SERVED_FEEDS])
def feed(request: pytest.FixtureRequest, tmp_path: Path) -> Feed:
    """One end of each source."""
    if request.param in FEEDS:
        return FEEDS[request.param](tmp_path)
    server, make = SERVED_FEEDS[request.param]
    return make(request.getfixturevalue(server))


@pytest.fixture
def workspace(feed: Feed, tmp_path: Path) -> Iterator[Workspace]:
    """The home that its events are copied into."""
    opened = Workspace.open(project_of(feed.source), tmp_path / "home")
    yield opened
    opened.close()


def copier_of(workspace: Workspace, max_behind: int = 1_000_000) -> Copier:
    """A copier of the only stream."""
    return PatientCopier(workspace, workspace.project.streams[0], max_behind)


def copy_until(workspace: Workspace, n_events: int) -> None:
    """Copy until the log holds so many events, or two minutes have passed."""
    deadline_s = time.monotonic() + PATIENCE_S
    with closing(copier_of(workspace)) as copier:
        while workspace.log.behind(Position({})) < n_events and time.monotonic() < deadline_s:
            copier.step()


def held(workspace: Workspace) -> list[Tap]:
    """The events in the log, by id."""
    records, _ = workspace.log.read(Position({}), 1_000_000)
    return sorted((Tap.model_validate_json(payload) for payload in records.payloads), key=lambda tap: tap.tap_id)


def test_all_that_is_put_arrives_with_every_value(feed: Feed, workspace: Workspace) -> None:
    feed.put(taps(0, 40))
    feed.put(taps(40, 3))
    copy_until(workspace, 43)
    assert held(workspace) == taps(0, 43)


def test_what_arrives_is_valid(feed: Feed, workspace: Workspace) -> None:
    feed.put(taps(0, 20))
    copy_until(workspace, 20)
    records, _ = workspace.log.read(Position({}), 100)
    assert {parse_event(payload, workspace.project.streams[0], 2**41).event_id for payload in records.payloads} == {
        tap.tap_id for tap in taps(0, 20)
    }


def test_a_copier_goes_on_where_the_last_one_ended(feed: Feed, workspace: Workspace) -> None:
    for turn in range(4):
        feed.put(taps(10 * turn, 10))
        copy_until(workspace, 10 * (turn + 1))
    with closing(copier_of(workspace)) as copier:
        assert copier.step() == 0, "nothing is left"
    assert held(workspace) == taps(0, 40)


def test_what_was_read_and_not_appended_is_read_again(feed: Feed, workspace: Workspace) -> None:
    feed.put(taps(0, 10))
    copied = workspace.log.copied("taps")
    reader = feed.source.open(workspace.project.streams[0], copied)
    deadline_s = time.monotonic() + PATIENCE_S
    while reader.read(4) is None and time.monotonic() < deadline_s:
        pass
    reader.close()
    copy_until(workspace, 10)
    assert held(workspace) == taps(0, 10)


def test_of_two_copiers_one_is_told_and_nothing_is_copied_twice(feed: Feed, workspace: Workspace) -> None:
    feed.put(taps(0, 10))
    slow = copier_of(workspace)
    while not slow.step():
        pass
    copy_until(workspace, 10)
    feed.put(taps(10, 10))
    copy_until(workspace, 20)
    feed.put(taps(20, 10))
    with closing(slow), pytest.raises(ConflictError, match="another process copies"):
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            slow.step()
    copy_until(workspace, 30)
    assert held(workspace) == taps(0, 30)


def test_it_pauses_while_the_engine_is_behind(feed: Feed, workspace: Workspace) -> None:
    feed.put(taps(0, 10))
    copy_until(workspace, 10)
    feed.put(taps(10, 5))
    with closing(copier_of(workspace, max_behind=9)) as copier:
        assert [copier.step() for _ in range(3)] == [0, 0, 0]
    workspace.engine().drain(100)
    copy_until(workspace, 15)
    assert held(workspace) == taps(0, 15)


def test_how_it_goes_is_told(feed: Feed, workspace: Workspace) -> None:
    feed.put(taps(0, 10))
    copy_until(workspace, 10)
    said = workspace.log.sources.standing()["taps"]
    assert (said.events, said.error) == (10, None)
    assert said.last_ms is not None
    assert feed.source.description


def copy_for_ever(source: Source, home: Path) -> None:
    """What is killed."""
    workspace = Workspace.open(project_of(source), home)
    Copier(workspace, workspace.project.streams[0], 1_000_000).run(threading.Event())


def test_kill_9_at_any_moment_repeats_nothing_and_skips_nothing(feed: Feed, workspace: Workspace) -> None:
    rng, n_put = random.Random(7), 0
    for _ in range(6):
        process = forked(copy_for_ever, feed.source, workspace.home)
        before, deadline_s = workspace.log.behind(Position({})), time.monotonic() + PATIENCE_S
        while workspace.log.behind(Position({})) == before and time.monotonic() < deadline_s:
            feed.put(taps(n_put, 7))
            n_put += 7
            time.sleep(rng.uniform(0.0, 0.2))
        process.kill()
        process.join()
    copy_until(workspace, n_put)
    assert held(workspace) == taps(0, n_put)


def test_the_way_from_source_to_books(feed: Feed, workspace: Workspace) -> None:
    feed.put(taps(0, 30))
    copy_until(workspace, 30)
    workspace.engine().drain(1_000)
    books = workspace.books()["taps"]
    assert books.balanced
    assert books.received == 30
