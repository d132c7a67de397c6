"""`make bench NAME=reads`: how long a read of features takes: one key of one view with 3 windows, of 5 views, and over HTTP.

In the reader's own process: cached (a popular key, read again while nothing changes), popular (keys by popularity), cold (each key for the
first time), five views. Over HTTP, from a real `tidemill serve` on loopback: one key (`GET /v1/features/{view}/{key}`) and 100 keys
(`POST /v1/features/{view}`), keys by popularity, one connection, one read at a time. All of it quiet, and then under write load: while
another process appends 20,000 events a second and a third applies them.

Peers, with nothing written meanwhile, of values that someone else has computed: Feast's SDK reading one entity row of 5 feature views, and
Feast's own server (`feast serve`) asked as ours is, each from its SQLite and its Redis online store.

For a quick look: ARGS="--events 50000 --keys 5000 --runs 2 --reads 300".
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import http_reads
from benchmarks.beside import peer_versions, run_beside
from benchmarks.cards import Payments, draw_payments
from benchmarks.http_reads import MANY, serving
from benchmarks.load import fill, under_load
from benchmarks.peer import write_payments
from benchmarks.reads_project import project
from benchmarks.report import Report, show
from tidemill.clock import MINUTE_MS, wall_ms
from tidemill.project import Workspace
from tidemill.stores import Lookup

_KINDS = ("cached", "popular", "cold", "five_views", "http_one_key", "http_100_keys")
_WARM_UP = 200  # reads of five views, as Feast's SDK is given; they map the pages of a store that was just opened
_PLACES = ((0, "p50"), (1, "p99"))
_HTTP_PAIRS = (("http_one_key", "one_key"), ("http_100_keys", "100_keys"))  # ours, and the same of Feast's server
Percentiles = list[float]  # the median and the 99th, microseconds
Runs = list[dict[str, Any]]


def main() -> int:
    """Run the benchmark; answers the exit code."""
    options = _options()
    history = draw_payments(options.events, options.keys, span_ms=30 * MINUTE_MS, start_ms=wall_ms() - 30 * MINUTE_MS)
    ours: dict[str, Runs] = {"quiet": [], "under load": []}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        fill(project, home, history)
        with serving(home) as port:
            for seed in range(options.runs):
                ours["quiet"].append(measure(home, port, history, (seed, options.reads)))
            for seed in range(options.runs):
                with under_load(project, home, options.keys, options.rate) as found:
                    told = measure(home, port, history, (100 + seed, options.reads))
                ours["under load"].append({**told, "applied_per_s": found["applied_per_s"]})
    feast, versions = ({}, {}) if options.no_peers else _feast(history, options.runs, options.reads)
    rows = [(f"{state}, {kind}", *_spread([run[kind] for run in runs])) for state, runs in ours.items() for kind in _KINDS]
    rows += [(f"feast {name}", *_spread(runs)) for name, runs in feast.items()]
    ratios = _ratios(ours, feast)
    figures = {"quiet": ours["quiet"], "loaded": ours["under load"], "feast": feast}
    report = Report("reads", ("tidemill", "numpy", "fastapi", "uvicorn"), figures, ratios, versions)
    show(report, ("read", "p50 us", "p99 us", "p99 least", "p99 most"), rows, [f"{name}: {value:.2f}" for name, value in ratios.items()])
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000, help="events before the reads")
    parser.add_argument("--keys", type=int, default=100_000, help="of each entity")
    parser.add_argument("--rate", type=int, default=20_000, help="events a second under load")
    parser.add_argument("--runs", type=int, default=5, help="quiet, and as many under load")
    parser.add_argument("--reads", type=int, default=3_000, help="of each kind, a run; a tenth of it where 100 keys are read")
    parser.add_argument("--no-peers", action="store_true", help="leave Feast out")
    return parser.parse_args()


def measure(home: Path, port: int, history: Payments, draw: tuple[int, int]) -> dict[str, Percentiles]:
    """Each kind of read, here and from the server at `port`; `draw` is the seed of the keys and how many reads of each kind."""
    seed, n_reads = draw
    workspace = Workspace.open(project, home, durable_log=False)
    rng = np.random.default_rng(seed)
    places = rng.integers(0, len(history), n_reads + _WARM_UP)
    keys = {entity: [f"{entity[0]}{number:08d}" for number in history.keys[entity][places].tolist()] for entity in history.keys}
    rare = [f"c{number:08d}" for number in rng.permutation(len(np.unique(history.keys["card"])))[:n_reads].tolist()]
    five = [
        [
            Lookup("by_card", [card]),
            Lookup("by_device", [device]),
            Lookup("by_merchant", [merchant]),
            Lookup("by_card_merchant", [f"{card},{merchant}"]),
            Lookup("by_device_merchant", [f"{device},{merchant}"]),
        ]
        for card, device, merchant in zip(keys["card"], keys["device"], keys["merchant"], strict=True)
    ]
    _time(workspace, five[n_reads:])
    found = {
        "cached": _time(workspace, [[Lookup("by_card", keys["card"][:1])]] * n_reads),
        "popular": _time(workspace, [[Lookup("by_card", [key])] for key in keys["card"][:n_reads]]),
        "cold": _time(workspace, [[Lookup("by_card", [key])] for key in rare]),
        "five_views": _time(workspace, five[:n_reads]),
    }
    workspace.close()
    here = {what: [float(value) for value in np.percentile(times_us, [50, 99])] for what, times_us in found.items()}
    return here | http_reads.measure(port, [f"c{number:08d}" for number in _popular(history, rng, n_reads)], n_reads)


def _popular(history: Payments, rng: np.random.Generator, n_reads: int) -> list[int]:
    """Numbers of cards, each as likely as it pays; enough for POSTs of many that begin at different ones."""
    return [int(number) for number in history.keys["card"][rng.integers(0, len(history), n_reads + 2 * MANY)]]


def _time(workspace: Workspace, reads: Sequence[Sequence[Lookup]]) -> npt.NDArray[np.float64]:
    times_us = []
    at_ms = wall_ms() + MINUTE_MS  # ahead of what is applied meanwhile
    for lookups in reads:
        begin_s = time.perf_counter()
        workspace.state.tiles.read(lookups, at_ms)
        times_us.append((time.perf_counter() - begin_s) * 1e6)
    return np.array(times_us)


def _feast(history: Payments, runs: int, reads: int) -> tuple[dict[str, list[Percentiles]], dict[str, str]]:
    """By what was asked, each run's percentiles, and the versions; without what cannot run here."""
    found: dict[str, list[Percentiles]] = {}
    versions: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "payments.parquet"
        write_payments(history, file)
        asked = {"payments": str(file), "runs": runs, "reads": reads}
        for store in ("sqlite", "redis"):
            if (told := run_beside("feast", "online.py", {**asked, "store": store})) is not None:
                versions |= peer_versions("feast", told)
                found[f"sdk, five_views, {store}"] = [[run["p50_us"], run["p99_us"]] for run in told["runs"]]
            if (told := run_beside("feast", "serve.py", {**asked, "store": store})) is not None:
                versions |= peer_versions("feast", told)
                for kind in ("one_key", "five_views", "100_keys"):
                    found[f"serve, {kind}, {store}"] = [[run[f"{kind}_p50_us"], run[f"{kind}_p99_us"]] for run in told["runs"]]
    return found, versions


def _ratios(ours: Mapping[str, Runs], feast: Mapping[str, list[Percentiles]]) -> dict[str, float]:
    """Feast's time over ours, which is quiet, as Feast's is; for the SDK also ours under load."""
    found = {}
    for store in ("sqlite", "redis"):
        if runs := feast.get(f"sdk, five_views, {store}"):
            for state, name in (("quiet", "ours"), ("under load", "ours_under_load")):
                found[f"feast_{store}_p99_over_{name}"] = _median(runs, 1) / _median([run["five_views"] for run in ours[state]], 1)
        for kind, same in _HTTP_PAIRS:
            if runs := feast.get(f"serve, {same}, {store}"):
                own = [run[kind] for run in ours["quiet"]]
                found |= {f"feast_serve_{store}_{same}_{name}_over_ours": _median(runs, at) / _median(own, at) for at, name in _PLACES}
    return found


def _median(runs: Sequence[Percentiles], place: int) -> float:
    return float(np.median([run[place] for run in runs]))


def _spread(runs: Sequence[Sequence[float]]) -> tuple[str, ...]:
    p50, p99 = zip(*runs, strict=True)
    return tuple(f"{value:,.0f}" for value in (np.median(p50), np.median(p99), min(p99), max(p99)))


if __name__ == "__main__":
    sys.exit(main())
