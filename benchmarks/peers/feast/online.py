"""How long Feast takes to answer `get_online_features` for one card and five feature views, in this process.

The five views share the entity `card` and hold nine values each; the answer is turned into a dict, as a caller needs it. Cards are asked
for as often as they pay. It is the call of the library, without Feast's feature server in between.

Settings, chosen in Feast's favour: a feature service names the features and the registry is cached, as its guide to tuning online serving
recommends; Redis fetches all views in one round trip by itself. With `precompute` the service keeps one finished vector a card
(`precompute_online=True`, new in Feast and recommended for several views); the vectors are made once, before the reads, since every
`push` would otherwise make those of all cards again; Feast makes them on stores it can scan, of these two only Redis. The SQLite store is
"local development only" by Feast's own words.

Arguments: payments (Parquet), store (sqlite, redis), views, reads (a run), runs, precompute.
Figures: p50_us and p99_us of one call, reads_per_s.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
from answer import answer, arguments, versions
from feast import FeatureService, FeatureStore
from feature_views import COLUMNS, PACKAGES, apply, current_rows, online_settings, open_store, pushed_view, read_payments
from redis_server import redis_server, redis_version

_WARM_UP = 200


def main() -> None:
    """One store for all runs: reading changes nothing in it."""
    found = arguments({"payments": None, "store": "sqlite", "views": 5, "reads": 2000, "runs": 5, "precompute": False})
    if found["precompute"] and found["store"] != "redis":
        raise SystemExit("precompute needs the store redis: Feast cannot scan SQLite for the keys to make vectors of")
    payments = read_payments(found["payments"])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = stack.enter_context(redis_server(folder)) if found["store"] == "redis" else 0
        store = open_store(folder, online_settings(found["store"], folder, port, skip_dedup=True))
        service = fill(store, folder, current_rows(payments, "card"), found["views"], precompute=found["precompute"])
        rng = np.random.default_rng(0)
        cards = payments["card"].to_numpy()
        read(store, service, rng.choice(cards, _WARM_UP).tolist())
        runs = [read(store, service, rng.choice(cards, found["reads"]).tolist()) for _ in range(found["runs"])]
        server = {"redis-server": redis_version(port)} if port else {}
    answer(versions(*PACKAGES) | server, found, runs, cards=int(payments["card"].nunique()))


def fill(store: FeatureStore, folder: Path, rows: pd.DataFrame, n_views: int, *, precompute: bool) -> FeatureService:
    """Push every card's row to each view and check one answer.

    Raises:
        SystemExit: a card does not read back as it was pushed.
    """
    parts = [pushed_view(f"card_{number}", "card", folder) for number in range(n_views)]
    service = FeatureService(name="all_views", features=[view for _, _, view in parts], precompute_online=precompute)
    apply(store, [*(part for three in parts for part in three), service])
    # one push makes all precomputed vectors again: made once, after the last push
    for _, _, view in parts:
        store.write_to_online_store(view.name, rows)
    if precompute:
        store.precompute_feature_service(service.name)
    pushed = rows.iloc[-1]
    found = store.get_online_features(service, [{"card": pushed["card"]}], full_feature_names=True).to_dict()
    if any(found[f"{view.name}__{column}"] != [pushed[column]] for _, _, view in parts for column in COLUMNS):
        raise SystemExit(f"the views answer {found} for {pushed.to_dict()}")
    return service


def read(store: FeatureStore, service: FeatureService, cards: list[str]) -> dict[str, float]:
    """Ask for card after card."""
    took_ns = np.empty(len(cards), dtype=np.int64)
    begin = time.perf_counter()
    for number, card in enumerate(cards):
        at_ns = time.perf_counter_ns()
        store.get_online_features(service, [{"card": card}], full_feature_names=True).to_dict()
        took_ns[number] = time.perf_counter_ns() - at_ns
    seconds = time.perf_counter() - begin
    p50, p99 = (float(value) / 1000 for value in np.percentile(took_ns, (50, 99)))
    return {"p50_us": p50, "p99_us": p99, "reads_per_s": len(cards) / seconds}


if __name__ == "__main__":
    main()
