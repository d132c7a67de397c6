"""Kinesis over HTTP: shards that are split and merged in the middle, copies that end, and reads that are refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.feeds import project_of
from tests.kinesis_feeds import REGION, KinesisServer, KinesisWorld
from tidemill.errors import ProjectError
from tidemill.events import Copied
from tidemill.sources import Kinesis

Worlds = Callable[..., KinesisWorld]


def in_order(records: Sequence[dict[str, Any]]) -> bool:
    """Whether the records of each key came in the order in which they were put."""
    numbers: dict[str, list[int]] = {}
    for record in records:
        numbers.setdefault(record["key"], []).append(record["number"])
    return all(mine == sorted(mine) for mine in numbers.values())


@pytest.mark.parametrize(("limit", "is_restarted"), [(3, True), (1_000, False), (1_000, True)])
def test_splits_and_merges_keep_the_order_of_each_key(worlds: Worlds, limit: int, is_restarted: bool) -> None:
    world = worlds(2)
    world.put(40)
    world.read(limit)  # half a shard, or some shards whole
    world.split(0)
    world.put(20)
    world.split(2)
    world.put(20)
    if is_restarted:
        world.restart()
    world.read(limit)
    world.merge(1)
    world.put(20)
    world.merge(0)
    world.put(20)
    if is_restarted:
        world.restart()
    assert sorted(world.settle()) == list(range(120))
    assert in_order(world.copied)
    assert len(world.finished) == 6, "two that were split, four that were merged"


def test_shards_that_come_while_nothing_is_put_are_found(worlds: Worlds) -> None:
    world = worlds(1)
    world.put(5)
    assert world.settle() == list(range(5))
    world.split(0)
    world.put(12)
    assert sorted(world.settle()) == list(range(17))


def test_shards_that_are_half_read_are_gone_on_with(worlds: Worlds) -> None:
    world = worlds(3)
    world.put(60)
    while len(world.copied) < 60:
        world.read(limit=13)
        world.restart()
    assert sorted(world.settle()) == list(range(60))
    assert in_order(world.copied)


def test_an_iterator_that_has_expired_is_renewed(worlds: Worlds, kinesis: KinesisServer) -> None:
    world = worlds(2)
    world.put(30)
    world.read(limit=10)
    (kinesis.control / "expired").write_text("")  # all that were issued until now, as after five minutes
    assert sorted(world.settle()) == list(range(30))


def test_a_read_that_is_refused_for_the_limit_is_tried_again_by_the_client(worlds: Worlds, kinesis: KinesisServer) -> None:
    world = worlds(1)
    world.put(10)
    (kinesis.control / "throttled").write_text("2")
    assert world.settle() == list(range(10))
    assert (kinesis.control / "throttled").read_text() == "0"


def test_no_shard_is_read_more_than_five_times_a_second(worlds: Worlds, kinesis: KinesisServer) -> None:
    world = worlds(2)
    world.put(1)
    world.settle()
    counted, begin_s = kinesis.control / "reads", time.monotonic()
    counted.write_text("")
    for _ in range(5):
        world.read()
    n_reads = len(counted.read_text())
    assert 4 <= n_reads <= 2 * (5 * (time.monotonic() - begin_s) + 1)


def test_a_copy_of_the_latest_misses_nothing_although_it_ends_before_the_first_record(worlds: Worlds) -> None:
    world = worlds(2, begin="latest")
    world.put(6)
    time.sleep(0.01)  # the server's clock and this one are the same, to the millisecond
    assert world.read() == 0
    world.restart()
    world.put(6)
    world.split(0)
    world.put(6)
    while len(world.copied) < 12:
        world.read()
    assert sorted(record["number"] for record in world.copied) == list(range(6, 18))


def test_bytes_that_are_no_text_are_brought_for_the_engine_to_judge(worlds: Worlds) -> None:
    world = worlds(1)
    world.client.put_record(StreamName=world.name, Data=b"h\xff", PartitionKey="k")
    reader = world.source.open(project_of(world.source).streams[0], Copied("", lambda name: False))
    arrived = reader.read(10)
    reader.close()
    assert arrived is not None
    assert arrived.payloads == ["h\\xff"]


def test_a_stream_that_is_not_there_is_named(kinesis: KinesisServer) -> None:
    source = Kinesis("nosuch", region=REGION, endpoint=kinesis.url)
    with pytest.raises(Exception, match=r"Stream nosuch .* not found"):
        source.open(project_of(source).streams[0], Copied("", lambda name: False))


def test_a_wrong_beginning_is_named() -> None:
    with pytest.raises(ProjectError, match="trim_horizon"):
        Kinesis("clicks", begin="yesterday")  # type: ignore[arg-type]  # what a project file may say
