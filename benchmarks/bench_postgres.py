"""`make bench NAME=postgres`: how many events a second the engine applies to PostgreSQL, how long a commit takes, and a read.

The load is that of `bench_engine`: card payments, nine tile sets, ids deduplicated. The log is a file of SQLite, so that the state is what
is measured. The server is started for it, waits for the disk as a server does, and is thrown away. Beside it the same tiles are written by
arrays and by COPY (`postgres_writes.py`), as ADR 9 chose between them.

For a quick look: ARGS="--events 20000 --runs 1".
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.cards import Payments, draw_payments, project
from benchmarks.postgres_writes import write_both_ways
from benchmarks.report import Report, show
from tests.databases import PostgresServer, new_database
from tidemill.kernels.ahead import compile_kernels
from tidemill.stores import Databases, Lookup, SqlLog, SqlState, open_state
from tidemill.streams import Engine, Entry

_READS = 500
_TILES, _COMMITS = 5_000, 40


def main() -> int:
    """Run the benchmark; answers the exit code."""
    options = _options()
    compile_kernels()
    figures: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        server = PostgresServer(Path(folder), ("max_wal_size=4GB", "shared_buffers=512MB"))
        try:
            for seed in range(options.runs + 1):  # the first warms up
                found = _run(server.url, draw_payments(options.events, options.keys, span_ms=options.events, seed=seed), options.batch)
                found |= write_both_ways(server.url, _TILES, _COMMITS)
                for name, value in found.items() if seed else ():
                    figures.setdefault(name, []).append(value)
        finally:
            server.stop()
    rows = [(name, f"{statistics.median(all_):,.2f}", f"{min(all_):,.2f}", f"{max(all_):,.2f}") for name, all_ in figures.items()]
    by_copy, by_arrays = (statistics.median(figures[f"{_TILES:,} tiles by {way}, ms"]) for way in ("copy", "unnest"))
    report = Report("postgres", ("tidemill", "numpy", "psycopg"), figures, {"copy_of_unnest": by_copy / by_arrays})
    load = f"{options.events:,} events, {options.keys:,} keys, {options.batch:,} a commit"
    show(report, ("what", "median", "least", "most"), rows, [load])
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000, help="events a run")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--keys", type=int, default=10_000, help="of each entity")
    parser.add_argument("--batch", type=int, default=1_000, help="events a commit")
    return parser.parse_args()


def _run(server_url: str, payments: Payments, batch: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        log = SqlLog(Databases(Path(folder)), ["payments"])
        texts = zip(payments.payloads(), payments.paid_at_ms.tolist(), strict=True)
        log.append([Entry("payments", text, at_ms) for text, at_ms in texts], now_ms=0)
        state = open_state(Databases(Path(folder), new_database(server_url)), project.sources, {}, project.retention_ms)
        engine = Engine(log, state, project.streams, project.retention_ms)
        commits_s, begin_s = [], time.perf_counter()
        while engine.step(batch):
            commits_s.append(time.perf_counter() - begin_s - sum(commits_s))
        found = {"events a second": len(payments) / sum(commits_s), "commit, p50 ms": 1_000 * statistics.median(commits_s)}
        cards = sorted({f"c{card:08d}" for card in payments.keys["card"][-_READS:].tolist()})
        found |= _reads(state, "one key", lambda place: [cards[place % len(cards)]], int(payments.paid_at_ms[-1]))
        found |= _reads(state, "100 keys", lambda place: (cards * 2)[place % len(cards) :][:100], int(payments.paid_at_ms[-1]))
        books = state.books(log)["payments"]
        assert books.applied == len(payments) and books.balanced
        state.close()
        log.close()
    return found


def _reads(state: SqlState, what: str, keys: Callable[[int], list[str]], at_ms: int) -> dict[str, float]:
    """Reads of three windows, each at a time of its own, so that none is remembered."""
    took_ms = []
    for place in range(_READS):
        begin_s = time.perf_counter()
        state.tiles.read([Lookup("by_card", keys(place))], at_ms + 10_000 * place // _READS * 10)
        took_ms.append(1_000 * (time.perf_counter() - begin_s))
    took_ms.sort()
    return {f"{what}, p50 ms": took_ms[_READS // 2], f"{what}, p99 ms": took_ms[_READS * 99 // 100]}


if __name__ == "__main__":
    sys.exit(main())
