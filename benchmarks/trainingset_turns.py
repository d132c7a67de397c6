"""Methods of `bench_trainingset` in turn, each run a process of its own, so that its peak of memory is its own too; their answers compared.

One run by hand, of a folder that `draw` has filled: `python -m benchmarks.trainingset_turns METHOD FOLDER`.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.trainingset_methods import run

Runs = list[dict[str, Any]]


def take_turns(methods: tuple[str, ...], folder: Path, runs: int) -> dict[str, Runs]:
    """Each method as often as `runs` says, in turn.

    Raises:
        AssertionError: ours answered differently from one run to the next, or the two methods differ.
    """
    found: dict[str, Runs] = {method: [] for method in methods}
    for _ in range(runs):
        for method, each in found.items():
            command = [sys.executable, "-m", "benchmarks.trainingset_turns", method, str(folder)]
            each.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]))
    for method, each in found.items():
        assert method.startswith("plain") or len({one["digest"] for one in each}) == 1, f"{method} is not the same each time"
        plain = method.replace("ours", "plain")
        if method.startswith("ours") and plain in found:
            assert_equal(folder / f"{method}.parquet", folder / f"{plain}.parquet")
    return found


def assert_equal(ours: Path, plain: Path) -> None:
    """Row by row: count and maximum are equal, sums to 1e-12 of themselves (all amounts are above 0)."""
    for name, column in pq.read_table(ours).to_pydict().items():
        exact = "__n_" in name or "__max_" in name
        other = pq.read_table(plain, columns=[name]).column(0).to_numpy()
        np.testing.assert_allclose(np.array(column, dtype=np.float64), other, rtol=0 if exact else 1e-12, atol=0, err_msg=name)


def median(runs: Runs, name: str) -> float:
    """Of one figure over the runs."""
    return float(statistics.median(one[name] for one in runs))


def shown(runs: Runs) -> tuple[str, str, str]:
    """Time with its spread, processor time and memory, as a row of the table; a peer does not tell its processor time."""
    seconds = [one["seconds"] for one in runs]
    spread = f"{median(runs, 'seconds'):.2f} ({min(seconds):.2f}-{max(seconds):.2f})"
    cpu = f"{median(runs, 'cpu_s'):.2f}" if "cpu_s" in runs[0] else "-"
    return spread, cpu, f"{max(one['peak_mb'] for one in runs):,.0f}"


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], Path(sys.argv[2]))))
