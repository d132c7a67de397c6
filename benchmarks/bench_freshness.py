"""`make bench NAME=freshness`: how long after its append an event is visible to a reader in another process, under a steady load.

Probes are open loop: each is due at a time drawn beforehand (Poisson), and its wait counts from then, so a stall of the engine or of the
log counts for every probe that it delays. Appending, applying and reading are three processes on the machine's cores, and each has loaded
the compiled loops, as `tidemill serve` has before it answers: the first read of a process that has not takes 0.3 s. No peer is beside
it: Feast computes nothing, and what Quix Streams or Flink hold can be read by nobody until a store has followed their topics.

For a quick look: ARGS="--rate 5000 --keys 5000 --seconds 3 --runs 2".
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.cards import project
from benchmarks.load import under_load
from benchmarks.probes import percentiles, probe
from benchmarks.report import Report, show
from tidemill.clock import wall_ms
from tidemill.kernels.ahead import compile_kernels
from tidemill.project import Workspace
from tidemill.streams import Entry

PERCENTILES = ("p50", "p95", "p99", "max")


def main() -> int:
    """Run the benchmark; answers the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=20_000, help="events a second beside the probes")
    parser.add_argument("--keys", type=int, default=100_000, help="of each entity")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each run")
    parser.add_argument("--runs", type=int, default=5, help="each on a new home")
    options = parser.parse_args()
    compile_kernels()
    runs = []
    for run in range(options.runs):
        with tempfile.TemporaryDirectory() as folder, under_load(project, Path(folder), options.keys, options.rate) as found:
            waits_ms = append_probes(Path(folder), options.seconds, seed=run)
        runs.append({"applied_per_s": found["applied_per_s"], **dict(zip(PERCENTILES, percentiles(waits_ms), strict=True))})
    names = ("applied_per_s", *PERCENTILES)
    rows = [(str(place), *(f"{run[name]:,.1f}" for name in names)) for place, run in enumerate(runs)]
    for what, of in (("median", np.median), ("least", np.min), ("most", np.max)):
        rows.append((what, *(f"{of([run[name] for run in runs]):,.1f}" for name in names)))
    show(
        Report("freshness", ("tidemill",), {"rate": options.rate, "runs": runs}),
        ("run", "events/s", "p50 ms", "p95 ms", "p99 ms", "max ms"),
        rows,
    )
    return 0


def append_probes(home: Path, seconds: float, seed: int) -> list[float]:
    """Probes appended to the log itself."""
    workspace = Workspace.open(project, home, durable_log=False)

    def put(text: str) -> None:
        workspace.log.append([Entry("payments", text)], now_ms=wall_ms())

    try:
        return probe(home, put, seconds, seed)
    finally:
        workspace.close()


if __name__ == "__main__":
    sys.exit(main())
