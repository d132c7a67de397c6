"""How many payments a second Feast can take into its online store by `push`.

Feast does not aggregate, so it gets the easier half of the work: the finished current row (9 values) of every key that a batch of payments
touches, for each of the views by card, device and merchant. Making these rows is not timed. A batch is one `push` a view.

Settings, chosen in Feast's favour: Redis writes nothing to disk and `skip_dedup` spares the reading of old timestamps, which Feast's guide
allows where writes are in order, as here; the registry is cached. SQLite is as Feast sets it up. Feast knows no event ids, no late
events and no position: a batch that is sent twice, or lost between two views, goes unnoticed.

Arguments: payments (Parquet), store (sqlite, redis), batch, runs, skip_dedup.
Figures: events_per_s (payments), rows_per_s (rows of all views).
"""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
from answer import answer, arguments, versions
from feast import FeatureStore
from feature_views import COLUMNS, ENTITIES, PACKAGES, apply, current_rows, online_settings, open_store, pushed_view, read_payments
from redis_server import redis_server, redis_version


def main() -> None:
    """Each run on a new, empty store."""
    found = arguments({"payments": None, "store": "sqlite", "batch": 1000, "runs": 5, "skip_dedup": True})
    payments = read_payments(found["payments"])
    starts = range(0, len(payments), found["batch"])
    batches = [{entity: current_rows(payments.iloc[at : at + found["batch"]], entity) for entity in ENTITIES} for at in starts]
    runs, server = [], {}
    for _ in range(found["runs"]):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            port = stack.enter_context(redis_server(folder)) if found["store"] == "redis" else 0
            server = {"redis-server": redis_version(port)} if port else {}
            store = open_store(folder, online_settings(found["store"], folder, port, skip_dedup=found["skip_dedup"]))
            apply(store, [part for entity in ENTITIES for part in pushed_view(f"by_{entity}", entity, folder)])
            runs.append(push_all(store, batches, len(payments)))
            check(store, batches)
            store.teardown()
    answer(versions(*PACKAGES) | server, found, runs, payments=len(payments))


def push_all(store: FeatureStore, batches: list[dict[str, pd.DataFrame]], n_payments: int) -> dict[str, float]:
    """Push batch after batch; the time is that of all pushes together."""
    begin = time.perf_counter()
    for batch in batches:
        for entity, rows in batch.items():
            store.push(f"push_by_{entity}", rows)
    seconds = time.perf_counter() - begin
    n_rows = sum(len(rows) for batch in batches for rows in batch.values())
    return {"events_per_s": n_payments / seconds, "rows_per_s": n_rows / seconds, "seconds": seconds}


def check(store: FeatureStore, batches: list[dict[str, pd.DataFrame]]) -> None:
    """The last batch's first row of each view reads back as it was pushed.

    Raises:
        SystemExit: it does not, so the figures would be worth nothing.
    """
    for entity, rows in batches[-1].items():
        pushed = rows.iloc[0]
        read = store.get_online_features(
            features=[f"by_{entity}:{column}" for column in COLUMNS], entity_rows=[{entity: pushed[entity]}]
        ).to_dict()
        if any(read[column] != [pushed[column]] for column in COLUMNS):
            raise SystemExit(f"view by_{entity} reads {read} after the push of {pushed.to_dict()}")


if __name__ == "__main__":
    main()
