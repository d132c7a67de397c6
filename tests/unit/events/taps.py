"""The stream that the tests of the core read: someone taps a card at a gate."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel

from tidemill.clock import HOUR_MS
from tidemill.events import EventBatch, EventParser, Stream
from tidemill.features import Label, View, col, count, max_, mean, min_, std, sum_, variance
from tidemill.stores import AppliedReader, Databases, Lake, LakeWriter, MappedState, SqlLog, SqlState
from tidemill.stores.postgres import open_postgres
from tidemill.stores.row_state import RowState
from tidemill.stores.row_tables import ROW_TABLES
from tidemill.streams import Engine, Entry, Log

AnyState = TypeVar("AnyState", bound=RowState)
_NUMBERS = itertools.count()
T0 = 1_400_000_000_000 // (24 * HOUR_MS) * (24 * HOUR_MS)  # a midnight, so that every bucket begins on it


class Tap(BaseModel):
    """One tap; `fare` is a float that may be missing, `riders` a whole number."""

    tap_id: str
    at: int
    line: str | None = None
    gate: str | None = None
    fare: float | None = None
    riders: int | None = None


class Stamped(BaseModel):
    """Every type that a stream may hold, twice: always there, and missing at times."""

    stamp_id: str
    at: datetime
    seen_at: datetime | None
    number: int
    share: float | None
    ok: bool
    sure: bool | None
    text: str | None


TAPS = Stream("taps", schema=Tap, event_time="at", event_id="tap_id", allowed_lateness="1h")
STAMPS = Stream("stamps", schema=Stamped, event_time="at", event_id="stamp_id")

BY_LINE = View(
    "by_line",
    TAPS,
    entity="line",
    features={
        "n_all": count(over="1h"),
        "n_fares": count("fare", over="3h", bucket="1min"),
        "sum_fare": sum_("fare", over="1h"),
        "mean_fare": mean("fare", over="3h", bucket="1min"),
        "dear": mean(col("fare") >= 2, over="1h"),
        "var_fare": variance("fare", over="1h", bucket="15min"),
        "std_fare": std("fare", over="1h"),
        "min_fare": min_("fare", over="5min", bucket="5min"),
        "max_fare": max_("fare", over="3h"),
        "sum_riders": sum_("riders", over="2h", bucket="1h"),
        "mean_riders": mean("riders", over="1h"),
    },
)
BY_LINE_AND_GATE = View("by_line_and_gate", TAPS, entity=("line", "gate"), features=BY_LINE.features)
VIEWS = (BY_LINE, BY_LINE_AND_GATE)
RETENTION_MS = {"taps": max(view.retention_ms for view in VIEWS)}
LABEL = Label(TAPS, key="line", value=col("fare") >= 2, within="1h")


def payload(tap_id: str, at: int, **fields: object) -> str:
    """The JSON text of a tap."""
    return json.dumps({"tap_id": tap_id, "at": at, **fields})


def entry(tap_id: str, at: int, known_at_ms: int | None = None, **fields: object) -> Entry:
    """A tap on its way to the log, known when it happened unless said otherwise."""
    return Entry("taps", payload(tap_id, at, **fields), at if known_at_ms is None else known_at_ms)


def batch_of(payloads: Sequence[str], stream: Stream = TAPS) -> EventBatch:
    """A batch of valid events at offsets 1, 2, ..., known long after they happened."""
    n_rows = len(payloads)
    parsed = EventParser(stream).parse(payloads, np.arange(1, n_rows + 1), np.full(n_rows, 4_000_000_000_000))
    assert not parsed.refused
    return parsed.batch


def open_log(home: Path) -> SqlLog:
    """The log of taps in a folder."""
    return SqlLog(Databases(home), ["taps"])


def open_state(home: Path) -> SqlState:
    """The state of taps in a folder."""
    return MappedState(home / "state.db", VIEWS, {"dear": LABEL}, RETENTION_MS)


def new_row_state(server_url: str, kind: type[AnyState] = RowState) -> Callable[[], AnyState]:  # type: ignore[assignment]  # mypy#3737
    """Opens the state of taps in a schema of PostgreSQL of its own, as often as asked."""
    schema = f"state_{next(_NUMBERS)}"
    return lambda: kind(open_postgres(server_url, schema, ROW_TABLES), VIEWS, {"dear": LABEL}, RETENTION_MS)


def make_engine(log: Log, state: SqlState) -> Engine:
    """An engine from that log to that state."""
    return Engine(log, state, [TAPS], RETENTION_MS)


def lake_writer(log: Log, state: SqlState, lake: Lake) -> LakeWriter:
    """A writer that moves what that state has applied to that lake."""
    return LakeWriter(AppliedReader(log, state, [TAPS]), state, lake)


def applied_offsets(log: SqlLog, state: SqlState) -> list[int]:
    """The log offsets of the taps that a state has applied and no lake has passed."""
    pieces = AppliedReader(log, state, [TAPS]).after(state.lake_position(), 1_000)
    return [int(offset) for batches, _ in pieces for batch in batches for offset in batch.offsets]
