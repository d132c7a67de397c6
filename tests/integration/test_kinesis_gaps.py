"""Kinesis over HTTP: records that are gone before they were copied are not passed over in silence."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import orjson
import pytest

from tests.kinesis_feeds import REGION, KinesisServer, KinesisWorld
from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.errors import NotReadyError
from tidemill.sources import Kinesis

Worlds = Callable[..., KinesisWorld]


def test_what_may_have_been_deleted_is_not_passed_over(worlds: Worlds, caplog: pytest.LogCaptureFixture) -> None:
    world = worlds(1)
    world.put(3)
    world.settle()
    held = orjson.loads(world.checkpoint)
    ((shard, (sequence, read_ms)),) = held["shards"].items()
    world.held({"shards": {shard: (sequence, read_ms - DAY_MS + HOUR_MS)}})
    world.put(1)
    assert world.read() == 1, "all is there yet"
    world.held({"shards": {shard: (sequence, read_ms - DAY_MS)}})
    with pytest.raises(NotReadyError, match="longer ago than the 24 h that records are kept"):
        world.read()
    world.restart()
    world.source = Kinesis(world.name, region=REGION, endpoint=world.source.endpoint, allow_gaps=True)
    with caplog.at_level(logging.WARNING):
        assert world.read() == 1, "those after the last that was read, which happens to be there"
    assert "records may be gone" in caplog.text


def test_an_idle_shard_is_noted_as_read_so_that_it_makes_no_false_alarm(worlds: Worlds) -> None:
    world = worlds(1)
    world.put(1)
    world.settle()
    ((shard, (sequence, read_ms)),) = orjson.loads(world.checkpoint)["shards"].items()
    world.held({"noted_ms": 0})
    time.sleep(0.002)
    assert world.read() == 0
    assert orjson.loads(world.checkpoint)["shards"][shard][0] == sequence
    assert orjson.loads(world.checkpoint)["shards"][shard][1] > read_ms


def test_a_shard_that_is_no_more_is_not_passed_over(worlds: Worlds) -> None:
    world = worlds(1)
    world.put(1)
    world.settle()
    world.held({"shards": {"shardId-000000000099": ("5", 1)}})
    with pytest.raises(NotReadyError, match="shardId-000000000099 is no more"):
        world.read()


def test_a_stream_that_was_made_anew_is_told_from_the_old_one(worlds: Worlds) -> None:
    world = worlds(1)
    world.put(3)
    world.split(0)
    world.settle()
    world.client.delete_stream(StreamName=world.name)
    world.client.create_stream(StreamName=world.name, ShardCount=1)
    world.restart()
    with pytest.raises(NotReadyError, match="made anew"):
        world.read()
    world.source = Kinesis(world.name, region=REGION, endpoint=world.source.endpoint, allow_gaps=True)
    world.put(2)
    assert sorted(world.settle()) == [0, 1, 2, 3, 4]


def test_a_copy_that_stands_at_a_record_that_was_deleted_goes_on_with_the_oldest(worlds: Worlds, kinesis: KinesisServer) -> None:
    world = worlds(1)
    world.put(3)
    world.settle()
    world.put(2)
    (kinesis.control / "stuck").write_text("")
    world.restart()
    assert world.settle() == [0, 1, 2, 3, 4], "an idle stream, whose last record is no more: those that were read come no second time"
