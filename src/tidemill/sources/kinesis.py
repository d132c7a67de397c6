"""A Kinesis data stream as a source: all its shards, in the order in which they came out of one another."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from tidemill.clock import HOUR_MS, to_utc, wall_ms
from tidemill.errors import ProjectError
from tidemill.events import Arrived, Copied, Stream
from tidemill.sources.shards import Shard, Shards

_PATIENCE_S = 1.0
_READ_EVERY_S = 0.25  # of a shard; Kinesis allows five a second, and others may read it too
_LOOK_EVERY_S = 60.0
_NOTE_EVERY_MS = HOUR_MS
_MOST_RECORDS, _MOST_LETTERS = 10_000, 32_000_000
# what Kinesis refuses for its limits is tried again by the client itself, later and later
_CLIENT: dict[str, Any] = {"retries": {"mode": "standard", "max_attempts": 6}, "connect_timeout": 5, "read_timeout": 20}


@dataclass(frozen=True)
class Kinesis:
    """Every record of a Kinesis data stream once.

    A shard that came out of others by a split or a merge is read after them, so records of one partition key stay in order. A record's
    data is the event, a JSON object as UTF-8; what the Kinesis Producer Library packed together is not unpacked.

    Args:
        name: of the data stream.
        region: where it is; what the AWS configuration says when left out. Keys come from there or from the environment too.
        endpoint: of a server that speaks Kinesis, e.g. `http://127.0.0.1:5077`; AWS when left out.
        begin: where the first copy begins: with the oldest record that is kept, or with what arrives from then on.
        allow_gaps: go on, with a warning in the log, where records may have been deleted before they were copied; else the copy stops there
            with an error.

    Raises:
        ProjectError: `begin` is something else.

    >>> Kinesis("clicks", region="eu-west-1").description
    'kinesis clicks in eu-west-1'
    """

    name: str
    region: str | None = None
    endpoint: str | None = None
    begin: Literal["trim_horizon", "latest"] = "trim_horizon"
    allow_gaps: bool = False

    def __post_init__(self) -> None:
        """Check the declaration."""
        if self.begin not in ("trim_horizon", "latest"):
            raise ProjectError(f"begin={self.begin!r}", where=self.description, fix='write "trim_horizon" or "latest"')

    @property
    def description(self) -> str:
        """What and where."""
        return f"kinesis {self.name}" + (f" in {self.region}" if self.region else "") + (f" at {self.endpoint}" if self.endpoint else "")

    def open(self, stream: Stream, copied: Copied) -> KinesisReader:
        """See `Source`."""
        import boto3  # the client takes a quarter of a second to import, which those without Kinesis need not wait for
        from botocore.config import Config

        where = {"region_name": self.region, "endpoint_url": self.endpoint}
        client = boto3.session.Session().client("kinesis", **where, config=Config(**_CLIENT))
        try:
            return KinesisReader(self, copied, client)
        except BaseException:
            client.close()
            raise


class KinesisReader:
    """The shards of a data stream, in turn."""

    def __init__(self, source: Kinesis, copied: Copied, client: Any) -> None:
        self._source = source
        self._client = client
        held: Mapping[str, Any] = orjson.loads(copied.checkpoint) if copied.checkpoint else {}
        self._since_ms: int | None = held.get("since_ms")
        self._noted_ms = held.get("noted_ms", 0)
        if not held and source.begin == "latest":
            self._since_ms = wall_ms()  # held from now on, so that a copy that ends before the first record misses none
        self._shards = Shards(source.description, copied, held, allow_gaps=source.allow_gaps)
        self._look_s = 0.0
        self._look()

    def read(self, limit: int) -> Arrived | None:
        """See `Reader`."""
        payloads: list[str] = []
        finished: list[str] = []
        deadline_s = time.monotonic() + _PATIENCE_S
        while not payloads:
            self._wait(deadline_s)
            for shard in self._due():
                payloads += self._records(shard, limit - len(payloads))
                if shard.is_finished:
                    finished.append(self._shards.finish(shard))
                    self._look_s = 0.0  # for those that came out of it
                if len(payloads) >= limit or sum(map(len, payloads)) > _MOST_LETTERS or time.monotonic() >= deadline_s:
                    break
            if time.monotonic() >= deadline_s or (self._look_s and self._shards.are_at_the_end):
                break
        if payloads or finished or wall_ms() - self._noted_ms >= _NOTE_EVERY_MS:
            return self._arrived(payloads, finished)
        return None

    def close(self) -> None:
        """See `Reader`."""
        self._client.close()

    def _arrived(self, payloads: list[str], finished: list[str]) -> Arrived:
        self._noted_ms = wall_ms()
        held = {"since_ms": self._since_ms, "noted_ms": self._noted_ms, **self._shards.held}
        return Arrived(payloads, orjson.dumps(held).decode(), finished)

    def _wait(self, deadline_s: float) -> None:
        """Sleep until a shard may be read again."""
        if self._look_s:
            due_s = min((shard.due_s for shard in self._shards.readable), default=deadline_s)
            time.sleep(max(0.0, min(due_s, deadline_s) - time.monotonic()))

    def _due(self) -> Iterator[Shard]:
        """The shards that may be read now, the one that has waited longest first."""
        if time.monotonic() >= self._look_s:
            self._look()
        for shard in sorted(self._shards.readable, key=lambda shard: shard.due_s):
            if shard.due_s <= time.monotonic():
                shard.due_s = time.monotonic() + _READ_EVERY_S
                yield shard

    def _look(self) -> None:
        """See which shards there are, and how long records are kept."""
        told = self._client.describe_stream_summary(StreamName=self._source.name)["StreamDescriptionSummary"]
        pages = self._client.get_paginator("list_shards").paginate(StreamName=self._source.name)
        listed = [shard for page in pages for shard in page["Shards"]]
        self._shards.update(f"{told['StreamCreationTimestamp'].timestamp():.3f}", told["RetentionPeriodHours"] * HOUR_MS, listed)
        self._look_s = time.monotonic() + (_LOOK_EVERY_S if self._shards.readable else _PATIENCE_S)

    def _records(self, shard: Shard, limit: int) -> list[str]:
        """The next records of a shard, as texts; notes how far it is read."""
        asked_ms, most = wall_ms(), min(limit, _MOST_RECORDS)
        self._shards.check(shard, asked_ms)
        if shard.iterator is None:
            shard.iterator = self._iterator(shard)
        try:
            answer = self._client.get_records(ShardIterator=shard.iterator, Limit=most)
        except self._client.exceptions.ExpiredIteratorException:  # after five minutes, e.g. while the engine was behind
            shard.iterator = self._iterator(shard)
            answer = self._client.get_records(ShardIterator=shard.iterator, Limit=most)
        records = [record for record in answer["Records"] if int(record["SequenceNumber"]) > int(shard.sequence or -1)]
        if records:
            shard.sequence = records[-1]["SequenceNumber"]
            shard.read_ms = int(records[-1]["ApproximateArrivalTimestamp"].timestamp() * 1_000)
        shard.iterator = answer.get("NextShardIterator")
        shard.is_finished = shard.iterator is None
        behind_ms = answer.get("MillisBehindLatest", 0)
        shard.is_at_the_end = not answer["Records"] and not behind_ms
        if shard.is_at_the_end:
            shard.read_ms = asked_ms
        elif not answer["Records"] and behind_ms >= self._shards.retention_ms:
            # it stands at a record that was deleted, and may find nothing there for hours; what was read before is left out above
            shard.iterator, shard.is_from_oldest = None, not shard.is_finished
        return [record["Data"].decode("utf-8", "backslashreplace") for record in records]

    def _iterator(self, shard: Shard) -> str:
        place: dict[str, Any] = {"ShardIteratorType": "TRIM_HORIZON"}
        if shard.sequence is not None and not shard.is_from_oldest:
            place = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": shard.sequence}
        elif self._since_ms is not None and not shard.is_from_oldest:
            place = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": to_utc(self._since_ms)}
        shard.is_from_oldest = False
        return str(self._client.get_shard_iterator(StreamName=self._source.name, ShardId=shard.name, **place)["ShardIterator"])
