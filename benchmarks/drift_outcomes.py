"""What our detectors say of the labelled outcomes of a stream in `make bench NAME=drift`."""

from __future__ import annotations

from benchmarks.drift_runs import BUDGET, Alarms
from benchmarks.drift_streams import CYCLE_MS, ROW_MS, Rows
from tidemill.drift.outcome_budget import outcome_settings
from tidemill.drift.outcomes import OutcomeMonitor


def outcome_alarms(live: Rows) -> Alarms:
    """The rows of the alarms: all together, and each detector alone."""
    monitor = OutcomeMonitor(outcome_settings(BUDGET, CYCLE_MS))
    alarms = monitor.update_many("1", live.outcomes, live.scores, live.at_ms)
    rows = [(alarm.detector, int(alarm.at_ms - live.at_ms[0]) // ROW_MS) for alarm in alarms]
    found = {"tidemill outcomes": [row for _, row in rows]}
    for detector in ("error", "sudden", "residual", "certainty"):
        found[f"tidemill {detector}"] = [row for one, row in rows if one == detector]
    return found
