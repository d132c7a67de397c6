"""`make bench NAME=drift_cost`: what the feature windows and the outcome monitor cost, beside scipy's two-sample test column by column.

Ours counts a window into the reference's bins once; the peer compares it with a sample of the reference, as one would by hand.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from scipy import stats

from benchmarks.report import Report, show
from tidemill.drift import SAMPLE_ROWS, WINDOW_ROWS, FeatureDrift, OutcomeMonitor, profile_reference

COLUMNS, REFERENCE_ROWS, ROUNDS, OUTCOMES = 80, 20_000, 20, 300_000


def main() -> int:
    """Run the benchmark; answers the exit code."""
    rng = np.random.default_rng(0)
    reference = {f"x{i}": rng.normal(size=REFERENCE_ROWS) for i in range(COLUMNS)}
    windows = [{name: rng.normal(size=WINDOW_ROWS) for name in reference} for _ in range(ROUNDS)]
    detector = FeatureDrift(profile_reference(reference, rng.random(REFERENCE_ROWS), np.arange(REFERENCE_ROWS) * 60_000))
    samples = {name: column[:SAMPLE_ROWS] for name, column in reference.items()}
    ours_ms = [_cpu_ms(lambda rows=rows: detector.update(rows, 0)) for rows in windows]
    peer_ms = [
        _cpu_ms(lambda rows=rows: [stats.ks_2samp(rows[name], samples[name], method="asymp") for name in samples]) for rows in windows
    ]
    p = rng.random(OUTCOMES)
    happened = rng.random(OUTCOMES) < p
    outcomes_ms = _cpu_ms(lambda: OutcomeMonitor().update_many("1", happened, p, np.arange(OUTCOMES) * 100_000))
    ours, peer = statistics.median(ours_ms), statistics.median(peer_ms)
    figures = {"window_ms": ours, "scipy_window_ms": peer, "outcomes_per_s": OUTCOMES / outcomes_ms * 1_000}
    rows = [
        (f"window of {WINDOW_ROWS} rows x {COLUMNS} columns", f"{ours:.2f} ms", f"{peer:.2f} ms", f"{peer / ours:.1f}x"),
        (f"{OUTCOMES:,} outcomes", f"{outcomes_ms:.0f} ms", "-", "-"),
    ]
    show(
        Report("drift_cost", ("tidemill", "numpy", "scipy"), figures, {"scipy_over_ours": peer / ours}),
        ("what", "ours", "scipy", "ratio"),
        rows,
    )
    return 0


def _cpu_ms(work: Callable[[], object]) -> float:
    begin_s = time.process_time()
    work()
    return (time.process_time() - begin_s) * 1_000


if __name__ == "__main__":
    sys.exit(main())
