"""The load of `bench_trainingset`, and one run of each of its methods."""

from __future__ import annotations

import hashlib
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake
from pydantic import BaseModel

from benchmarks.cards import START_MS, draw_payments, payments, views
from tidemill import Label, Model, Requests, Stream, col
from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from tidemill.kernels.ahead import compile_kernels
from tidemill.learning import Clock, Moments, values_at
from tidemill.learning.lake_sql import Limits, open_duckdb, scan
from tidemill.learning.training_set import TrainingSetBuilder
from tidemill.stores import EVENT_ID, EVENT_TIME, KNOWN_AT, OFFSET, Databases, Lake, PredictionStore, lake_schema

SPAN_MS = int(8.4 * DAY_MS)
PAYMENTS_A_CARD = 100
PLAIN = Limits(memory_mb=8_000)
VIEW = views[0]
_CHUNK = 1_000_000
Found = Mapping[str, npt.NDArray[Any]]


class Check(BaseModel):
    """A question: is this card misused?"""

    check_id: str
    asked_at: int
    card: str


class Answer(BaseModel):
    """What was found out."""

    answer_id: str
    told_at: int
    check_id: str
    misused: bool


checks = Stream("checks", schema=Check, event_time="asked_at", event_id="check_id")
answers = Stream("answers", schema=Answer, event_time="told_at", event_id="answer_id")
STREAMS = {stream.name: stream for stream in (payments, checks, answers)}
MODEL = Model(
    "misuse",
    request=Check,
    requests=Requests(checks, at=col("asked_at")),
    features=[VIEW],
    label=Label(answers, key="check_id", value="misused", within="1h"),
    estimator=dict,  # nothing is fitted here
)


@dataclass(frozen=True)
class Size:
    """How much is drawn; `hot` gives a tenth of everything to one card."""

    labels: int
    events: int
    cards: int
    hot: bool = False


def draw(size: Size, folder: Path) -> None:
    """Write the lake, and beside it the questions as `labels.parquet` and the payments as `payments.parquet`, for peers."""
    rng = np.random.default_rng(1)
    lake = Lake(folder / "lake", list(STREAMS.values()))
    drawn = draw_payments(size.events, size.cards, span_ms=SPAN_MS)
    lag_ms = np.where(rng.random(size.events) < 0.9, rng.integers(0, 2 * SECOND_MS, size.events), rng.integers(0, HOUR_MS, size.events))
    known_at_ms = drawn.paid_at_ms + lag_ms
    order = np.argsort(known_at_ms, kind="stable")
    known_at_ms, paid_at_ms, amount = known_at_ms[order], drawn.paid_at_ms[order], drawn.amount[order]
    cards = _cards(size, rng, size.events)
    with pq.ParquetWriter(folder / "payments.parquet", _PEER_SCHEMA) as for_peers:
        for begin in range(0, size.events, _CHUNK):
            some = slice(begin, begin + _CHUNK)
            fields = {name: _texts(name[0], drawn.keys[name][order][some]) for name in ("device", "merchant")}
            fields |= {"card": _texts("c", cards[some]), "amount": amount[some]}
            _append(lake, "payments", known_at_ms[some], begin + 1, {"paid_at": paid_at_ms[some], **fields})
            columns = {"paid_at": paid_at_ms[some], "known_at": known_at_ms[some], "card": fields["card"], "amount": amount[some]}
            for_peers.write_table(pa.table(columns, schema=_PEER_SCHEMA))
    at_ms = np.sort(START_MS + rng.integers(0, SPAN_MS, size.labels))
    asked = _texts("c", _cards(size, rng, size.labels))
    _append(lake, "checks", at_ms, 1, {"asked_at": at_ms, "card": asked})
    told_at_ms = at_ms + rng.integers(MINUTE_MS, 50 * MINUTE_MS, size.labels)
    told = np.argsort(told_at_ms, kind="stable")
    misused = rng.random(size.labels) < 0.02
    _append(lake, "answers", told_at_ms[told], 1, {"told_at": told_at_ms[told], "check_id": _texts("c", told + 1), "misused": misused})
    upto = np.searchsorted(known_at_ms, at_ms, side="right")  # the offset of the last payment known then, as they begin at 1
    pq.write_table(pa.table({"card": asked, "at": at_ms, "upto": upto}), folder / "labels.parquet")


_PEER_SCHEMA = pa.schema([("paid_at", pa.int64()), ("known_at", pa.int64()), ("card", pa.string()), ("amount", pa.float64())])


def _cards(size: Size, rng: np.random.Generator, n_rows: int) -> npt.NDArray[np.int64]:
    """Even keys; with a hot one, a tenth of all rows are of card 0."""
    return np.where((rng.random(n_rows) < 0.1) & size.hot, 0, rng.integers(0, size.cards, n_rows))


def _texts(letter: str, numbers: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(np.char.add(letter, np.char.zfill(numbers.astype(str), 8)))


def _append(lake: Lake, name: str, known_at_ms: npt.NDArray[np.int64], first: int, fields: Mapping[str, Any]) -> None:
    """Write rows as the lake would, but from arrays; ids are the stream's letter and the offset."""
    stream = STREAMS[name]
    lake.held(name)  # makes the table
    offsets = np.arange(first, first + len(known_at_ms))
    event_time_ms, ids = fields[stream.event_time], _texts(name[0], offsets)
    own = {OFFSET: offsets, KNOWN_AT: known_at_ms, EVENT_TIME: event_time_ms, EVENT_ID: ids, stream.event_id: ids}
    table = pa.table({**own, **fields}, schema=lake_schema(stream))
    days = pa.array((event_time_ms // DAY_MS).astype(np.int32)).cast(pa.date32())
    write_deltalake(DeltaTable(lake.path(name)), table.append_column("_day", days), mode="append")


def run(method: str, folder: Path) -> dict[str, Any]:
    """One run of one method in this process; its answer is written beside the lake."""
    labels = pq.read_table(folder / "labels.parquet")
    work = METHODS[method](folder, labels)
    compile_kernels()  # ready in 0.3 s, once a process, as imports are
    begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
    found = work()
    seconds, cpu_s = time.perf_counter() - begin_s, time.process_time() - begin_cpu_s
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(column).tobytes() for column in found.values())).hexdigest()[:16]
    pq.write_table(pa.table(dict(found)), folder / f"{method}.parquet")
    return {"seconds": seconds, "cpu_s": cpu_s, "peak_mb": peak_mb(), "digest": digest, "rows": len(next(iter(found.values())))}


def _ours(clock: Clock) -> Callable[[Path, pa.Table], Callable[[], Found]]:
    def prepare(folder: Path, labels: pa.Table) -> Callable[[], Found]:
        at_ms, upto = labels.column("at").to_numpy(), labels.column("upto").to_numpy()
        card = np.array(labels.column("card").to_pylist(), dtype=object)
        moments = Moments(at_ms, at_ms if clock == "known_at" else upto, {"card": card})
        events = Lake(folder / "lake", [payments]).dataset("payments")
        return lambda: values_at(VIEW, events, moments, clock)

    return prepare


def _plain(clock: Clock, *, own_reader: bool) -> Callable[[Path, pa.Table], Callable[[], Found]]:
    """Pairs by card, the widest window as the range of the join, a filter a feature.

    Args:
        clock: what is known.
        own_reader: whether DuckDB reads the files by itself, as ours does, or through the dataset that the lake gives.
    """

    def prepare(folder: Path, labels: pa.Table) -> Callable[[], Found]:
        events = Lake(folder / "lake", [payments]).dataset("payments")

        def join() -> Found:
            with open_duckdb(PLAIN) as connection:
                if own_reader:
                    scan(connection, "events", events, ("card", "amount", EVENT_TIME, KNOWN_AT, OFFSET), ds.field(EVENT_TIME) >= 0)
                else:
                    connection.register("events", events)
                return _range_join(connection, labels, clock)

        return join

    return prepare


def _range_join(connection: duckdb.DuckDBPyConnection, labels: pa.Table, clock: Clock) -> Found:
    known, upto = (KNOWN_AT, 'a."at"') if clock == "known_at" else (OFFSET, "a.upto")
    held = {}
    for name, feature in VIEW.features.items():
        floor = f'a."at" // {feature.bucket_ms} * {feature.bucket_ms}'
        held[name] = f"ts >= {floor} - {feature.window_ms} and ts < {floor} + {feature.bucket_ms}"
    aggregates = {"n": "count(card_)::double", "sum": "sum(amount)", "max": "max(amount)"}
    columns = [f"{_filtered(aggregates[name.partition('_')[0]], where)} as {VIEW.column(name)}" for name, where in held.items()]
    connection.register("labels", labels.append_column("ask", pa.array(np.arange(len(labels)))))
    query = f"""
select {", ".join(columns)} from labels a
left join (select card as card_, amount, "{EVENT_TIME}" as ts, "{known}" as known from events) e
on card_ = a.card and {held["n_24h"]} and known <= {upto}
group by a.ask order by a.ask"""
    table = connection.sql(query).to_arrow_table()
    return {name: table.column(name).to_numpy() for name in table.column_names}


def _filtered(aggregate: str, where: str) -> str:
    call, cast, kind = aggregate.partition("::")
    return f"({call} filter (where {where})){cast}{kind}"


def _whole(folder: Path, _labels: pa.Table) -> Callable[[], Found]:
    """A training set from questions, outcomes and payments: what `train` waits for the first time, with nothing in its cache."""
    lake = Lake(folder / "lake", list(STREAMS.values()))
    predictions = PredictionStore(Databases(folder))
    builder = TrainingSetBuilder(MODEL, lake, predictions)

    def build() -> Found:
        rows = builder.build(START_MS + SPAN_MS + 2 * HOUR_MS)
        return {"outcome": rows.outcome, "at_ms": rows.at_ms, **{name: rows.columns[name] for name in VIEW.feature_columns}}

    return build


METHODS: dict[str, Callable[[Path, pa.Table], Callable[[], Found]]] = {
    "ours, known_at": _ours("known_at"),
    "plain, known_at": _plain("known_at", own_reader=True),
    "plain through the dataset, known_at": _plain("known_at", own_reader=False),
    "ours, offset": _ours("offset"),
    "plain, offset": _plain("offset", own_reader=True),
    "whole training set": _whole,
}


def peak_mb() -> float:
    """The most resident memory of this process so far, MB; not `getrusage`'s on Linux, where it begins with what the parent had."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000_000  # macOS counts in bytes
    peak = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1_024 / 1_000_000
