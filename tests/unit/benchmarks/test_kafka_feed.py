"""What comes from Kafka lies in the log before its offsets may be committed, and counts once, however often it comes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from time import perf_counter

import pytest

from benchmarks.cards import draw_payments, project
from benchmarks.kafka_feed import take
from benchmarks.peer import PeerError
from tidemill.clock import wall_ms
from tidemill.project import Workspace

Batch = tuple[list[bytes], dict[int, int]]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """An empty home of the payments' project."""
    opened = Workspace.open(project, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def values() -> list[bytes]:
    """300 payments of the last minute, as a topic holds them."""
    return [text.encode() for text in draw_payments(300, 50, span_ms=60_000, start_ms=wall_ms() - 60_000).payloads()]


def test_a_batch_is_told_taken_when_it_lies_in_the_log_and_copies_count_once(workspace: Workspace, values: list[bytes]) -> None:
    batches = [(values[:200], {0: 200}), (values[100:], {0: 300})]  # a crash before the second commit made 100 come again
    received: list[int] = []
    link, other = Pipe()

    def consumer() -> None:
        for some, until in batches:
            other.send((perf_counter(), some, until))
            assert other.recv() == until
            received.append(workspace.books()["payments"].received)
        other.send(None)

    thread = threading.Thread(target=consumer)
    thread.start()
    fed = take(link, workspace)
    thread.join()
    assert fed.events == 400
    assert fed.seconds > 0
    assert received == [200, 400]
    books = workspace.books()["payments"]
    assert (books.applied, books.duplicate, books.pending) == (300, 100, 0)


def test_a_consumer_that_is_gone_is_an_error_and_what_it_gave_stays(workspace: Workspace, values: list[bytes]) -> None:
    link, other = Pipe()
    send_and_go(other, (values, {0: 300}))
    with pytest.raises(PeerError, match="ended after 300 records"):
        take(link, workspace)
    assert workspace.books()["payments"].applied == 300


def send_and_go(other: Connection, batch: Batch) -> None:
    """Send a batch, and close once it is taken."""

    def consumer() -> None:
        other.send((perf_counter(), *batch))
        other.recv()
        other.close()

    threading.Thread(target=consumer, daemon=True).start()
