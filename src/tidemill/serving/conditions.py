"""What alerts of the monitors are about for as long as it goes on, and when it is taken to be over.

| kind | condition | over when |
|---|---|---|
| `windows` | `windows:MODEL:VERSION:COLUMN` | a window of the column is quiet, or another version serves |
| `outcomes` | `outcomes:MODEL:VERSION` | another version serves, or 500 labels after the last alarm its sum is back at 0 |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tidemill.drift import OutcomeMonitor
from tidemill.stores import Conditions

NO_HARM_KNOWN = "nothing is known yet; a column that has moved need not hurt, labels will tell"

# By version, the detector of its last alarm, and how many labels it had then.
Alarmed = Mapping[str, tuple[str, int]]


def column_condition(model: str, version: int, column: str) -> str:
    """A column that looks different from what a version was trained on.

    >>> column_condition("late_arrival", 3, "wind")
    'windows:late_arrival:3:wind'
    """
    return f"windows:{model}:{version}:{column}"


def columns_standing(model: str, version: int, moved: Iterable[str], at_ms: int) -> Conditions:
    """The columns that look different now; those of other versions are over too.

    Args:
        model: whose columns.
        version: the version that serves.
        moved: its columns that are still high.
        at_ms: stream time of the newest row that was looked at.
    """
    standing = frozenset(column_condition(model, version, column) for column in moved)
    return Conditions(model, "windows", standing, at_ms, "no longer high, or another version serves")


def outcome_condition(model: str, version: str) -> str:
    """A version whose outcomes have become worse.

    >>> outcome_condition("late_arrival", "3")
    'outcomes:late_arrival:3'
    """
    return f"outcomes:{model}:{version}"


def still_worse(alarmed: Alarmed, monitor: OutcomeMonitor, champion: str) -> Alarmed:
    """Of the versions that alarmed, the one that serves, unless its sum is back at 0.

    An alarm itself sets the sum to 0, so it says something only after as many labels as make a baseline.
    """
    return {version: last for version, last in alarmed.items() if version == champion and not _is_calm(monitor, version, last)}


def outcomes_standing(model: str, before: Alarmed, after: Alarmed, champion: str, at_ms: int) -> Conditions:
    """The conditions of outcomes after a step.

    Args:
        model: whose outcomes.
        before: the versions that had alarmed.
        after: those of them that still are worse.
        champion: the version that serves.
        at_ms: stream time of the newest label.
    """
    why = "its outcomes are as in its baseline again" if champion in before and champion not in after else f"version {champion} serves"
    return Conditions(model, "outcomes", frozenset(outcome_condition(model, version) for version in after), at_ms, why)


def _is_calm(monitor: OutcomeMonitor, version: str, last: tuple[str, int]) -> bool:
    detector, n_labels = last
    sums = {str(name): value for name, value in monitor.statistics(version).items()}
    sums["sudden"] = max(sums.get("error", 0.0), sums.get("size", 0.0))  # it keeps no sum of its own
    return monitor.n_labels(version) - n_labels >= monitor.settings.baseline_labels and sums.get(detector, 0.0) == 0.0
