"""The feed of the source that is a Kinesis data stream, the server that it needs, and a copy of it without a log."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import orjson

from tests.feeds import Tap, project_of
from tests.services import Server, free_port, running
from tidemill.events import Copied, Reader
from tidemill.sources import Kinesis

REGION = "eu-west-1"
KEYS = [f"key-{number}" for number in range(12)]
_AT_ONCE = 500
_NUMBERS = itertools.count()


@dataclass(frozen=True)
class KinesisServer:
    """A running one.

    Args:
        url: its address.
        control: the folder with which it is told to refuse; see `tests.kinesis_server`.
    """

    url: str
    control: Path

    @cached_property
    def client(self) -> Any:
        """A client of it, made once: that takes a third of a second."""
        return boto3.session.Session().client("kinesis", region_name=REGION, endpoint_url=self.url)

    def new_stream(self, n_shards: int) -> str:
        """The name of a new data stream."""
        name = f"taps-{next(_NUMBERS)}"
        self.client.create_stream(StreamName=name, ShardCount=n_shards)
        return name


@contextmanager
def running_kinesis(folder: Path) -> Iterator[KinesisServer]:
    """A server until the block is left."""
    port, control = free_port(), folder / "control"
    control.mkdir()
    command = [sys.executable, str(Path(__file__).with_name("kinesis_server.py")), str(port), str(control)]
    url = f"http://127.0.0.1:{port}"
    with running(Server("kinesis", command, f"{url}/moto-api/", {}, folder)):
        yield KinesisServer(url, control)


class KinesisFeed:
    """A record for each event, on one of several shards."""

    def __init__(self, server: KinesisServer, n_shards: int = 3) -> None:
        self._client = server.client
        self._name = server.new_stream(n_shards)
        self.source = Kinesis(self._name, region=REGION, endpoint=server.url)

    def put(self, events: Sequence[Tap]) -> None:
        """Put them as records, keyed by their ids."""
        for begin in range(0, len(events), _AT_ONCE):
            some = events[begin : begin + _AT_ONCE]
            records = [{"Data": event.model_dump_json().encode(), "PartitionKey": event.tap_id} for event in some]
            assert self._client.put_records(StreamName=self._name, Records=records)["FailedRecordCount"] == 0


class KinesisWorld:
    """A data stream with a writer, and what a log would hold of it."""

    def __init__(self, server: KinesisServer, n_shards: int, **options: Any) -> None:
        self.client = server.client
        self.name = server.new_stream(n_shards)
        self.source = Kinesis(self.name, region=REGION, endpoint=server.url, **options)
        self.checkpoint = ""
        self.finished: set[str] = set()
        self.copied: list[dict[str, Any]] = []
        self.reader: Reader | None = None
        self._n_put = 0

    def put(self, n_records: int) -> None:
        """Put records, numbered within all, in turn of the keys."""
        for _ in range(n_records):
            data = orjson.dumps({"key": KEYS[self._n_put % len(KEYS)], "number": self._n_put})
            self.client.put_record(StreamName=self.name, Data=data, PartitionKey=KEYS[self._n_put % len(KEYS)])
            self._n_put += 1

    def open_shards(self) -> list[dict[str, Any]]:
        """Those that are not closed, in the order of their keys."""
        shards = self.client.list_shards(StreamName=self.name)["Shards"]
        still = [shard for shard in shards if "EndingSequenceNumber" not in shard["SequenceNumberRange"]]
        return sorted(still, key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))

    def split(self, place: int) -> None:
        """Split one of the open shards in the middle."""
        shard = self.open_shards()[place]
        middle = sum(int(shard["HashKeyRange"][end]) for end in ("StartingHashKey", "EndingHashKey")) // 2
        self.client.split_shard(StreamName=self.name, ShardToSplit=shard["ShardId"], NewStartingHashKey=str(middle))

    def merge(self, place: int) -> None:
        """Merge one of the open shards with its neighbour."""
        first, second = self.open_shards()[place : place + 2]
        self.client.merge_shards(StreamName=self.name, ShardToMerge=first["ShardId"], AdjacentShardToMerge=second["ShardId"])

    def read(self, limit: int = 1_000) -> int:
        """Read once; how many records came."""
        if self.reader is None:
            self.reader = self.source.open(project_of(self.source).streams[0], Copied(self.checkpoint, self.finished.__contains__))
        arrived = self.reader.read(limit)
        if arrived is None:
            return 0
        assert len(arrived.payloads) <= limit
        self.checkpoint = arrived.checkpoint
        self.finished |= set(arrived.finished)
        self.copied += map(orjson.loads, arrived.payloads)
        return len(arrived.payloads)

    def restart(self) -> None:
        """Go on from what the log has."""
        if self.reader is not None:
            self.reader.close()
            self.reader = None

    def held(self, change: dict[str, Any]) -> None:
        """Go on from another checkpoint."""
        self.restart()
        self.checkpoint = orjson.dumps(orjson.loads(self.checkpoint) | change).decode()

    def settle(self) -> list[int]:
        """Read until all that was put has come; the numbers."""
        deadline_s = time.monotonic() + 120
        while len(self.copied) < self._n_put and time.monotonic() < deadline_s:
            self.read()
        self.read()
        return [record["number"] for record in self.copied]
