"""What feeds a source in tests: events go in at one end, and the source under test must bring each of them once."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake
from pydantic import BaseModel

from tests.kafka_server import KafkaServer
from tidemill import Project, Stream
from tidemill.events import Source
from tidemill.sources import Delta, Files, Kafka

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


class Tap(BaseModel):
    """Somebody passes a gate."""

    tap_id: str
    at: datetime
    gate: str | None
    fare: float | None
    zones: int
    is_child: bool


def project_of(source: Source) -> Project:
    """A project of one stream, `taps`, with that source."""
    return Project("taps", streams=[Stream("taps", schema=Tap, event_time="at", event_id="tap_id", source=source)])


def taps(first: int, n: int) -> list[Tap]:
    """The taps numbered `first` and on, one a second; some say nothing of gate and fare."""
    return [
        Tap(
            tap_id=f"tap-{number:06d}",
            at=BEGIN + timedelta(seconds=number),
            gate=None if number % 7 == 3 else f'gate "{number % 5}", ü',
            fare=None if number % 5 == 2 else number / 8,
            zones=number % 4,
            is_child=number % 3 == 0,
        )
        for number in range(first, first + n)
    ]


class Feed(Protocol):
    """One end of a source."""

    @property
    def source(self) -> Source:
        """What is under test."""
        ...

    def put(self, events: Sequence[Tap]) -> None:
        """Let the source hold these too; durable on return."""
        ...


class FileFeed:
    """A new file of one format in a folder with every `put`."""

    def __init__(self, folder: Path, ending: str) -> None:
        folder.mkdir()
        self._folder, self._ending = folder, ending
        self._numbers = itertools.count()
        self.source = Files(f"{folder}/*{ending}", settle_s=0.0, look_every_s=0.01)

    def put(self, events: Sequence[Tap]) -> None:
        """Write under a name that is not looked at, and rename."""
        number = next(self._numbers)
        hidden = self._folder / f".{number:05d}{self._ending}"
        rows = [event.model_dump() for event in events]
        if self._ending == ".jsonl":
            hidden.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        elif self._ending == ".csv":
            with hidden.open("w", newline="", encoding="utf-8") as opened:
                writer = csv.DictWriter(opened, list(Tap.model_fields))
                writer.writeheader()
                writer.writerows(rows)
        else:
            pq.write_table(pa.Table.from_pylist(rows), hidden)
        hidden.rename(self._folder / f"{number:05d}{self._ending}")


class DeltaFeed:
    """A version of a table with every `put`; the table is there from the start."""

    def __init__(self, folder: Path) -> None:
        self.source = Delta(str(folder), look_every_s=0.01)
        write_deltalake(self.source.table, pa.Table.from_pylist([tap.model_dump() for tap in taps(0, 1)]).slice(0, 0))

    def put(self, events: Sequence[Tap]) -> None:
        """Append."""
        schema = pa.Table.from_pylist([tap.model_dump() for tap in taps(0, 1)]).schema
        write_deltalake(self.source.table, pa.Table.from_pylist([event.model_dump() for event in events], schema=schema), mode="append")


class KafkaFeed:
    """A topic of its own, with several partitions."""

    def __init__(self, server: KafkaServer) -> None:
        self._server = server
        self._topic = server.new_topic(partitions=3)
        self.source = Kafka(self._topic, server.bootstrap, connect_s=60.0)

    def put(self, events: Sequence[Tap]) -> None:
        """Send each as a record."""
        self._server.send(self._topic, [orjson.dumps(event.model_dump()) for event in events])
