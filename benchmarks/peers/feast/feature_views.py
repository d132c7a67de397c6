"""The views by card, device and merchant as Feast knows them, and a store that holds them.

Feast does not aggregate a stream itself: a feature view is a table of finished values, which something else computes. (Its
`Aggregation(time_window=...)` needs Spark or Flink; the local engine refuses it: "Time window aggregation is not supported in the local
compute engine".) So each view here has nine finished columns: count, sum and max over 10 minutes, 1 hour and 24 hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, PushSource, RepoConfig, ValueType
from feast.types import Float64, Int64

PACKAGES = ("feast", "redis", "duckdb", "dask", "pandas", "pyarrow")
ENTITIES = ("card", "device", "merchant")
WINDOWS = ("10m", "1h", "24h")
COLUMNS = [f"{name}_{window}" for window in WINDOWS for name in ("n", "sum", "max")]


def schema() -> list[Field]:
    """The nine columns of a view."""
    return [Field(name=column, dtype=Int64 if column.startswith("n_") else Float64) for column in COLUMNS]


def repo_settings(folder: Path, online: dict[str, Any] | None, offline: str = "file") -> dict[str, Any]:
    """A project of Feast with its registry file in `folder`.

    The registry is cached for the life of the process and refreshed off the request's path (`cache_mode: thread`), as Feast's guide to
    tuning online serving recommends.
    """
    return {
        "project": "cards",
        "provider": "local",
        "registry": {"path": str(folder / "registry.db"), "cache_mode": "thread", "cache_ttl_seconds": 3600},
        "online_store": online,
        "offline_store": {"type": offline},
        "entity_key_serialization_version": 3,
    }


def open_store(folder: Path, online: dict[str, Any] | None, offline: str = "file") -> FeatureStore:
    """A store with the settings above."""
    return FeatureStore(config=RepoConfig(**repo_settings(folder, online, offline)))


def online_settings(store: str, folder: Path, port: int, *, skip_dedup: bool) -> dict[str, Any]:
    """The section `online_store` of the project.

    Raises:
        SystemExit: `store` is neither sqlite nor redis.
    """
    if store == "sqlite":
        return {"type": "sqlite", "path": str(folder / "online.db")}
    if store == "redis":
        return {"type": "redis", "connection_string": f"127.0.0.1:{port}", "skip_dedup": skip_dedup}
    raise SystemExit(f"store is {store!r}; choose sqlite or redis")


def pushed_view(name: str, entity: str, folder: Path) -> tuple[Entity, PushSource, FeatureView]:
    """A view that is fed by `push`; the batch source is only its schema's anchor, and an empty file."""
    path = folder / f"{name}.parquet"
    example = pd.DataFrame({entity: ["x"], "event_timestamp": [pd.Timestamp(0, tz="UTC")], **{column: [0.0] for column in COLUMNS}})
    example.astype({column: np.int64 for column in COLUMNS if column.startswith("n_")}).iloc[:0].to_parquet(path)
    owner = Entity(name=entity, join_keys=[entity], value_type=ValueType.STRING)
    source = PushSource(
        name=f"push_{name}", batch_source=FileSource(name=f"file_{name}", path=str(path), timestamp_field="event_timestamp")
    )
    view = FeatureView(name=name, entities=[owner], ttl=timedelta(days=2), schema=schema(), source=source, online=True)
    return owner, source, view


def apply(store: FeatureStore, parts: Sequence[Entity | PushSource | FeatureView | FeatureService]) -> None:
    """Register definitions, without the questions Feast's validation asks of users."""
    store.apply(list(parts))
    store.refresh_registry()


def current_rows(payments: pd.DataFrame, entity: str) -> pd.DataFrame:
    """One row for each key of a batch of payments: what an aggregating job would hand to `push`.

    The values are those of the batch alone, under all three windows: what they are makes no difference to the store.
    """
    grouped = payments.groupby(entity, sort=False)
    rows = grouped.agg(n=("amount", "size"), sum=("amount", "sum"), max=("amount", "max"), event_timestamp=("event_timestamp", "max"))
    for window in WINDOWS:
        for name in ("n", "sum", "max"):
            rows[f"{name}_{window}"] = rows[name]
    return rows.reset_index()[[entity, "event_timestamp", *COLUMNS]]


def read_payments(path: str) -> pd.DataFrame:
    """The payments of a Parquet file, with `event_timestamp` made of `paid_at` (ms)."""
    payments = pd.read_parquet(path)
    payments["event_timestamp"] = pd.to_datetime(payments["paid_at"], unit="ms", utc=True)
    return payments
