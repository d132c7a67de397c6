"""Ends of `bench_ingest` whose writers bring many events at a time: Parquet files, a Delta table, a Kinesis stream of one shard."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

from benchmarks.ingest_ends import Pace
from tests.kinesis_feeds import REGION, running_kinesis
from tidemill.events import Source
from tidemill.sources import Delta, Files, Kinesis

_LAKE = Pace(put_every_s=0.5, probes_per_s=4.0)
_ONE_SHARD = Pace(share=0.1, put_every_s=0.1, probes_per_s=20.0)  # AWS lets a shard take 1,000 records a second
_AT_ONCE = 500
_MOST = 10_000


@dataclass
class Parquet:
    """A watched folder: a Parquet file with every `put`."""

    path: Path
    pace: Pace = _LAKE
    _numbers: itertools.count[int] = field(default_factory=itertools.count, repr=False)

    @property
    def source(self) -> Source:
        """What copies it."""
        return Files(f"{self.path}/*.parquet", settle_s=0.0, look_every_s=0.1)

    def put(self, texts: Sequence[str]) -> None:
        """Write under a hidden name, and rename."""
        self.path.mkdir(exist_ok=True)
        hidden = self.path / f".{next(self._numbers):09d}-{time.time_ns()}.parquet"
        pq.write_table(_table(texts), hidden)
        hidden.rename(self.path / hidden.name[1:])

    def close(self) -> None:
        """See `End`."""

    def read_alone(self) -> int:
        """Make Python's rows of every file and do nothing with them; answers how many."""
        return sum(len(pq.read_table(file).to_pylist()) for file in sorted(self.path.glob("*.parquet")))


@dataclass
class DeltaRows:
    """A Delta table: a version with every `put`."""

    path: Path
    pace: Pace = _LAKE

    @property
    def source(self) -> Source:
        """What copies it."""
        return Delta(str(self.path), look_every_s=0.1)

    def put(self, texts: Sequence[str]) -> None:
        """Append them."""
        write_deltalake(self.path, _table(texts), mode="append")

    def close(self) -> None:
        """See `End`."""

    def read_alone(self) -> int:
        """Make Python's rows of the table and do nothing with them; answers how many."""
        return sum(len(batch.to_pylist()) for batch in DeltaTable(self.path).to_pyarrow_dataset().to_batches())


@dataclass
class Shard:
    """A data stream of one shard, on a server of moto's: it is moto that is measured with it, not AWS."""

    name: str
    endpoint: str
    pace: Pace = _ONE_SHARD
    _client: Any = field(default=None, repr=False)

    @property
    def source(self) -> Source:
        """What copies it."""
        return Kinesis(self.name, region=REGION, endpoint=self.endpoint)

    def put(self, texts: Sequence[str]) -> None:
        """Put them as records, as many at once as AWS takes."""
        for begin in range(0, len(texts), _AT_ONCE):
            records = [{"Data": text.encode(), "PartitionKey": "one"} for text in texts[begin : begin + _AT_ONCE]]
            answer = self._connected().put_records(StreamName=self.name, Records=records)
            if answer["FailedRecordCount"]:
                raise RuntimeError(f"{answer['FailedRecordCount']} records were not taken")

    def close(self) -> None:
        """See `End`."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def read_alone(self) -> int:
        """Get every record, without the pauses that AWS asks for, and do nothing with it; answers how many."""
        client, n_records = self._connected(), 0
        (shard,) = client.list_shards(StreamName=self.name)["Shards"]
        begin = {"StreamName": self.name, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = client.get_shard_iterator(**begin)["ShardIterator"]
        while (answer := client.get_records(ShardIterator=iterator, Limit=_MOST))["Records"]:
            n_records += len(answer["Records"])
            iterator = answer["NextShardIterator"]
        return n_records

    def _connected(self) -> Any:
        if self._client is None:
            self._client = boto3.session.Session().client("kinesis", region_name=REGION, endpoint_url=self.endpoint)
        return self._client


@contextmanager
def in_kinesis(folder: Path) -> Iterator[Shard]:
    """A data stream of a server of its own."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ.setdefault(name, "benchmarks")  # no client asks without
    place = folder / "kinesis"
    place.mkdir()
    with running_kinesis(place) as server:
        yield Shard(server.new_stream(1), server.url)


def _table(texts: Sequence[str]) -> pa.Table:
    return pa.Table.from_pylist([orjson.loads(text) for text in texts])
