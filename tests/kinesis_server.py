"""moto's Kinesis server, made to do what AWS documents and moto leaves out, over the same HTTP.

- A split or merge leaves the records that are there where they are; moto moves them into the new shards. New ones go to open shards only.
- A closed shard that is read to its end has no next iterator; moto never ends one.
- Two writers may put at the same time; moto gives both records one number, and loses one of them.
- An iterator issued before the file `expired` in the control folder was written is refused as expired.
- While the file `stuck` is there, an iterator after a record finds nothing and is a day behind, as where that record was deleted.
- The file `reads`, where it is there, grows by a letter with every read.
- While the file `throttled` holds a number above 0, reads are refused for the limit, and it counts down.

Run: python tests/kinesis_server.py PORT CONTROL_FOLDER
"""

from __future__ import annotations

import sys
import time
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import md5
from pathlib import Path
from threading import Lock
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.kinesis import models as kinesis_models
from moto.server import main

DAY_MS = 86_400_000
models: Any = kinesis_models  # whose functions are replaced here


def keep_records_where_they_are() -> None:
    """Reshard without moving records, and put new ones on open shards."""
    split, merge = models.Stream.split_shard, models.Stream.merge_shards

    def set_aside(stream: Any, names: Sequence[str], reshard: Any) -> None:
        kept = {name: stream.shards[name].records for name in names}
        for name in names:
            stream.shards[name].records = OrderedDict()
        reshard()
        for name in names:
            stream.shards[name].records = kept[name]

    def split_shard(stream: Any, shard: str, key: str) -> None:
        set_aside(stream, [shard], lambda: split(stream, shard, key))

    def merge_shards(stream: Any, shard: str, adjacent: str) -> None:
        set_aside(stream, [shard, adjacent], lambda: merge(stream, shard, adjacent))

    def open_shard(stream: Any, partition_key: str, explicit_hash_key: str) -> Any:
        place = int(explicit_hash_key) if explicit_hash_key else int.from_bytes(md5(partition_key.encode()).digest(), "big")
        return next(shard for shard in stream.shards.values() if shard.is_open and shard.starting_hash <= place <= shard.ending_hash)

    models.Stream.split_shard, models.Stream.merge_shards, models.Stream.get_shard_for_key = split_shard, merge_shards, open_shard


def put_one_by_one() -> None:
    """Give each record a number of its own, however many put at once."""
    put, turn = models.Shard.put_record, Lock()

    def put_record(shard: Any, partition_key: str, data: str, explicit_hash_key: str) -> Any:
        with turn:
            return put(shard, partition_key, data, explicit_hash_key)

    models.Shard.put_record = put_record


def end_throttle_and_expire(control: Path) -> None:
    """End closed shards, and refuse reads when told to."""
    compose, compose_new, decompose = models.compose_shard_iterator, models.compose_new_shard_iterator, models.decompose_shard_iterator
    get_records = models.KinesisBackend.get_records

    def records(backend: Any, stream_arn: str | None, shard_iterator: str, limit: int | None) -> Any:
        refuse_if_told(control, shard_iterator)
        plain = shard_iterator.split("~")[0]
        if (control / "stuck").exists() and int(decompose(plain)[2]) > 0:
            return shard_iterator, [], DAY_MS
        following, found, behind_ms = get_records(backend, stream_arn, plain, limit)
        name, shard_id, last = decompose(following.split("~")[0])
        shard = backend.describe_stream(stream_arn=stream_arn, stream_name=name).get_shard(shard_id)
        is_over = not shard.is_open and int(last) >= shard.get_max_sequence_number()
        return (None if is_over else following), found, behind_ms

    models.compose_shard_iterator = lambda *args: f"{compose(*args)}~{time.time()}"
    models.compose_new_shard_iterator = lambda *args: f"{compose_new(*args)}~{time.time()}"
    models.KinesisBackend.get_records = records


def refuse_if_told(control: Path, iterator: str) -> None:
    """Count a read, and raise what AWS would."""
    throttled, expired, reads = control / "throttled", control / "expired", control / "reads"
    if reads.exists():
        with reads.open("a") as counted:
            counted.write(".")
    if throttled.exists() and (left := int(throttled.read_text() or "0")) > 0:
        throttled.write_text(str(left - 1))
        raise JsonRESTError("ProvisionedThroughputExceededException", "Rate exceeded for shard")
    if expired.exists() and expired.stat().st_mtime > float(iterator.split("~")[1]):
        raise JsonRESTError("ExpiredIteratorException", "Iterator expired")


if __name__ == "__main__":
    keep_records_where_they_are()
    put_one_by_one()
    end_throttle_and_expire(Path(sys.argv[2]))
    main(["-H", "127.0.0.1", "-p", sys.argv[1]])
