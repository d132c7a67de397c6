"""The stream that the tests of tables read: rows about planes, with a field of every kind."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from pydantic import BaseModel

from tidemill.clock import to_utc
from tidemill.events import Column, Stream
from tidemill.features import Table
from tidemill.learning import Moments
from tidemill.stores.lake import lake_schema
from tidemill.streams import Entry


class Plane(BaseModel):
    """One row: what is true of a plane from `valid_from` on."""

    row_id: str
    valid_from: int
    tail: str | None = None
    owner: str | None = None
    seats: int | None = None
    range_km: float | None = None
    built: datetime | None = None
    leased: bool | None = None
    maker: str | None = None


PLANES = Stream("planes", schema=Plane, event_time="valid_from", event_id="row_id", max_ahead="3h")
COLUMNS = ["seats", "maker", "range_km", "built", "leased", "owner"]
PLANE = Table("plane", PLANES, key="tail", columns=COLUMNS)
OWNED = Table("owned", PLANES, key=("tail", "owner"), columns=["maker", "seats"], allowed_lateness="30d")


@dataclass(frozen=True)
class Row:
    """A row with when it becomes known; its place in a list + 1 is its offset."""

    row_id: str
    at_ms: int
    known_at_ms: int
    tail: str | None = None
    owner: str | None = None
    seats: int | None = None
    range_km: float | None = None
    built_ms: int | None = None
    leased: bool | None = None
    maker: str | None = None

    def value(self, column: str) -> float | str | None:
        """What a vector says of a column; None for missing."""
        found = self.built_ms if column == "built" else getattr(self, column)
        return found if found is None or isinstance(found, str) else float(found)

    @property
    def fields(self) -> dict[str, object]:
        """As the stream's schema has it, for the lake."""
        own = {name: getattr(self, name) for name in ("row_id", "tail", "owner", "seats", "range_km", "leased", "maker")}
        return own | {"valid_from": self.at_ms, "built": None if self.built_ms is None else to_utc(self.built_ms)}

    @property
    def entry(self) -> Entry:
        """On its way to the log."""
        built = None if self.built_ms is None else to_utc(self.built_ms).isoformat()
        return Entry("planes", json.dumps({**self.fields, "built": built}), self.known_at_ms)


def lake_of(rows: list[Row]) -> ds.Dataset:
    """The lake's table of these rows, known in this order."""
    own = [
        {"_offset": offset, "_known_at_ms": row.known_at_ms, "_event_time_ms": row.at_ms, "_event_id": row.row_id, **row.fields}
        for offset, row in enumerate(rows, 1)
    ]
    return ds.dataset(pa.Table.from_pylist(own, schema=lake_schema(PLANES)))


def moments(asked: list[tuple[int, int, str | None, str | None]]) -> Moments:
    """Questions (at, known up to, tail, owner) as columns."""
    at_ms, known_up_to, tails, owners = (list(part) for part in zip(*asked, strict=True))
    columns: dict[str, Column] = {"tail": np.array(tails, dtype=object), "owner": np.array(owners, dtype=object)}
    return Moments(np.array(at_ms, dtype=np.int64), np.array(known_up_to, dtype=np.int64), columns)


def plain(column: Column) -> list[float | str | None]:
    """A column with None for missing."""
    return [None if isinstance(value, float) and value != value else value for value in column.tolist()]
