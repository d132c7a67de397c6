"""Writes the alarms of an invented stream of outcomes: `python -m tests.golden.make_alarms` makes `outcome_alarms.json`.

`tests/unit/drift/test_outcomes.py` asks every later monitor for the same, up to the last bits, which follow from the processor; made anew
only where what alarms is meant to change, last when the luck of a day came to be bounded by the baseline's own days. Sudden errors and
certainty are left out: they change nothing of the others.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tidemill.clock import DAY_MS
from tidemill.drift import OutcomeMonitor

FILE = Path(__file__).parent / "outcome_alarms.json"
PER_DAY, DAYS = 200, 40
LATER = ("sudden", "certainty")


def alarms() -> dict[str, Any]:
    """Two versions whose days share their luck; the second's labels flip on day 20, and the first becomes biased on day 25."""
    rng = np.random.default_rng(11)
    monitor, raised = OutcomeMonitor(), []
    for day in range(DAYS):
        for version in ("1", "2"):
            odds = rng.normal(-1.2, 1.0, PER_DAY)
            p = 1 / (1 + np.exp(-odds))
            shift = rng.normal(0, 0.4) + (1.5 if version == "1" and day >= 25 else 0.0)
            y = (rng.random(PER_DAY) < 1 / (1 + np.exp(-(odds + shift)))).astype(np.int64)
            at_ms = day * DAY_MS + np.sort(rng.integers(0, DAY_MS, PER_DAY))
            raised += monitor.update_many(version, 1 - y if version == "2" and day >= 20 else y, p, at_ms)
    known = ("n_labels", "n_blocks", "error_rate", "error_limit", "error_dispersion", "center", "center_doubt", "residual_variance")
    baselines = {version: asdict(held) for version in monitor.versions if (held := monitor.baseline(version))}
    return {
        "alarms": [asdict(alarm) for alarm in raised if alarm.detector not in LATER],
        "baselines": {version: {name: held[name] for name in (*known, "block_variance")} for version, held in baselines.items()},
        "statistics": {
            version: {name: value for name, value in monitor.statistics(version).items() if name not in LATER}
            for version in monitor.versions
        },
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(alarms(), indent=1) + "\n", encoding="utf-8")
