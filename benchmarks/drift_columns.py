"""What our detectors say of the columns and the score of a stream in `make bench NAME=drift`."""

from __future__ import annotations

from benchmarks.drift_runs import BUDGET, Alarms
from benchmarks.drift_streams import ROW_MS, Rows
from tidemill.drift.features import FeatureDrift
from tidemill.drift.reference import SCORE, ReferenceProfile
from tidemill.drift.windows import ColumnWarning


class _Noted(FeatureDrift):
    """Also remembers what each part would have said alone."""

    def __init__(self, profile: ReferenceProfile) -> None:
        super().__init__(profile, BUDGET)
        self.parts: list[ColumnWarning] = []

    def _judge(self, column: str, source: str, warning: ColumnWarning | None) -> list[ColumnWarning]:
        if warning is not None:
            self.parts.append(warning)
        return super()._judge(column, source, warning)


def column_alarms(profile: ReferenceProfile, live: Rows) -> Alarms:
    """The rows of the warnings: all together, and each detector alone."""
    drift = _Noted(profile)
    said = {"features": drift.update(live.columns, live.at_ms, live.scores)}
    said |= {part: [warning for warning in drift.parts if warning.detector == part] for part in ("windows", "bets", "checks")}
    said["score"] = [warning for warning in drift.parts if warning.column == SCORE]
    rows = {name: [int(warning.at_ms - live.at_ms[0]) // ROW_MS for warning in warnings] for name, warnings in said.items()}
    return {f"tidemill {name}": sorted(found) for name, found in rows.items()}
