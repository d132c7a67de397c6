"""How long Feast takes to join features to labels as they were at each label's time (`get_historical_features`), and in how much memory.

Feast has no windows to compute here: its local engine refuses a time window, and its offline stores look for the newest finished row of a
key at or before the label. So the nearest to a window feature is a file that holds, for each payment, the finished aggregates after
it, which some other job has to write. That job is here one query of DuckDB with window frames; `rows_s` is its time, apart from the
retrieval (`seconds`), which goes up to a pandas DataFrame. The values hold what was known only later, too, and one so found
stays as it was at the key's last payment: it does not fall when payments leave the window, as ours does.

Settings, chosen in Feast's favour: `ttl` is the longest window, as Feast's docs advise to bound the scan; the rows carry `known_at` as
`created_timestamp_column` and `filter_by_created_timestamp` hides what was not known yet (new in Feast; off with `known_at: false`);
labels carry the timezone that spares Dask a Python call a row. Both local offline stores are there: `file` (Dask, the default) and
`duckdb`, which Feast lets take 80 % of the machine's memory: here it may take `duckdb_memory_gb`, and puts the rest on disk.

Each run is a process of its own, so its peak of resident memory is its own too. Limits on time and memory are the caller's.

Arguments: payments (Parquet, with or without `known_at`), labels (Parquet: card, at), offline (file, duckdb), runs, known_at,
duckdb_memory_gb. The answer says `rows_s` beside the figures.
Figures: seconds, peak_rss_mb, found_rows (labels that got a row), lost_labels (labels missing from the answer).
"""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import ibis
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytz
from answer import answer, arguments, versions
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Int64
from feature_views import COLUMNS, PACKAGES, apply, open_store, schema

TTL = timedelta(hours=24)
FRAMES_MS = {"10m": 600_000, "1h": 3_600_000, "24h": 86_400_000}
_CHECKED_LABELS = 500


def main() -> None:
    """Make the file of rows, then run."""
    found = arguments({"payments": None, "labels": None, "offline": "file", "runs": 3, "known_at": True, "duckdb_memory_gb": 5})
    if found["offline"] not in ("file", "duckdb"):
        raise SystemExit(f"offline is {found['offline']!r}; choose file (Dask) or duckdb")
    with tempfile.TemporaryDirectory() as folder:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as alone:
            n_rows, rows_s = alone.submit(write_rows, found, Path(folder)).result()
            runs = [alone.submit(run, found, Path(folder)).result() for _ in range(found["runs"])]
        answer(versions(*PACKAGES), found, runs, rows=n_rows, rows_s=rows_s, labels=pq.read_metadata(found["labels"]).num_rows)


def write_rows(found: dict[str, Any], folder: Path) -> tuple[int, float]:
    """One row of finished aggregates for each payment, by card; `row_at` tells which row was found. Answers how many, and the seconds."""
    begin = time.perf_counter()
    payments = f"read_parquet('{found['payments']}')"
    known_at = "known_at" if "known_at" in pq.read_schema(found["payments"]).names else "paid_at"
    calls = {"n": "count(*)", "sum": "sum(amount)", "max": "max(amount)"}
    columns = [f"{calls[name]} over w{window} as {name}_{window}" for name, window in (column.split("_") for column in COLUMNS)]
    frames = [
        f"w{name} as (partition by card order by paid_at range between {ms} preceding and current row)" for name, ms in FRAMES_MS.items()
    ]
    query = f"""
select card, make_timestamptz(paid_at * 1000) as event_timestamp, make_timestamptz({known_at} * 1000) as known_at, {", ".join(columns)},
paid_at as row_at from {payments} window {", ".join(frames)} order by {known_at}"""
    settings = {"memory_limit": f"{found['duckdb_memory_gb']}GB", "temp_directory": str(folder / "spilled")}
    with duckdb.connect(config=settings) as connection:
        connection.sql(f"set timezone = 'UTC'; copy ({query}) to '{folder / 'rows.parquet'}'")
    return pq.read_metadata(folder / "rows.parquet").num_rows, time.perf_counter() - begin


def run(found: dict[str, Any], folder: Path) -> dict[str, float]:
    """One retrieval in this process, and the check of its answer."""
    store = history_store(folder, found["offline"])
    if found["offline"] == "duckdb":
        ibis.set_backend(ibis.duckdb.connect(memory_limit=f"{found['duckdb_memory_gb']}GB", temp_directory=str(folder / "spilled")))
    labels = pq.read_table(found["labels"]).to_pandas()
    entity_rows = pd.DataFrame(
        {"card": labels["card"], "event_timestamp": pd.to_datetime(labels["at"], unit="ms", utc=True).dt.tz_convert(pytz.UTC)}
    )
    names = [f"by_card:{column}" for column in (*COLUMNS, "row_at")]
    begin = time.perf_counter()
    answered = store.get_historical_features(entity_rows, names, filter_by_created_timestamp=found["known_at"]).to_df()
    seconds = time.perf_counter() - begin
    peak_mb = peak_rss_mb()
    check(answered, folder / "rows.parquet", known_at=found["known_at"])
    return {
        "seconds": seconds,
        "peak_rss_mb": peak_mb,
        "found_rows": int(answered["row_at"].notna().sum()),
        "lost_labels": len(labels) - len(answered),
    }


def history_store(folder: Path, offline: str) -> FeatureStore:
    """A store whose one view reads the file of rows."""
    card = Entity(name="card", join_keys=["card"], value_type=ValueType.STRING)
    source = FileSource(
        name="rows", path=str(folder / "rows.parquet"), timestamp_field="event_timestamp", created_timestamp_column="known_at"
    )
    fields = [*schema(), Field(name="row_at", dtype=Int64)]
    view = FeatureView(name="by_card", entities=[card], ttl=TTL, schema=fields, source=source, online=False)
    store = open_store(folder, {"type": "sqlite", "path": str(folder / "online.db")}, offline)
    apply(store, [card, view])
    return store


def check(answered: pd.DataFrame, path: Path, *, known_at: bool) -> None:
    """Some answers name the row that a search by hand finds.

    Raises:
        SystemExit: one does not, so the figures would be worth nothing.
    """
    rows = pq.read_table(path, columns=["card", "event_timestamp", "known_at"]).to_pandas().sort_values("card", kind="stable")
    at_ms, known_ms = (rows[name].dt.as_unit("ms").astype(np.int64).to_numpy() for name in ("event_timestamp", "known_at"))
    cards = rows["card"].to_numpy()
    for label in answered.sample(min(_CHECKED_LABELS, len(answered)), random_state=0).itertuples():
        t_ms = int(label.event_timestamp.timestamp() * 1000 + 0.5)
        own = slice(np.searchsorted(cards, label.card, side="left"), np.searchsorted(cards, label.card, side="right"))
        seen = (at_ms[own] <= t_ms) & (at_ms[own] >= t_ms - TTL // timedelta(milliseconds=1))
        seen &= (known_ms[own] <= t_ms) | (not known_at)
        expected = at_ms[own][seen].max(initial=-1)
        got = -1 if pd.isna(label.row_at) else int(label.row_at)
        if got != expected:
            raise SystemExit(f"card {label.card} at {t_ms} got the row of {got}, the right one is of {expected} (-1: none)")


def peak_rss_mb() -> float:
    """The peak of resident memory of this process, in MiB."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:  # macOS, which counts in bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


if __name__ == "__main__":
    main()
