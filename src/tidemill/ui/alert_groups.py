"""Alerts as the page lists them: the feature warnings of one model and day share a row, so that nothing graver is crowded out.

```
alerts, newest first:   check   windows windows windows   outcomes   windows
rows on the page:       check   3 feature warnings         outcomes   windows
                                (all of one day)                      (another day)
```
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tidemill.clock import DAY_MS
from tidemill.project import Workspace
from tidemill.stores import Alert, AlertRecord
from tidemill.ui.links import safe_link

N_ROWS = 20
_N_READ = 400  # a model with a hundred features may warn of most of them in a day
_EVER = 2**62  # later than any alert waits for its next attempt

Delivery = Literal["delivered", "waiting", "failing"]
_BEST_FIRST: tuple[Delivery, ...] = ("delivered", "waiting", "failing")


@dataclass(frozen=True)
class AlertRow:
    """One alert and how its delivery stands."""

    alert: Alert
    state: Delivery
    attempts: int
    last_error: str
    link: str | None


@dataclass(frozen=True)
class AlertGroup:
    """What one row of the page holds: an alert, or several feature warnings of one model and day, newest first."""

    rows: tuple[AlertRow, ...]

    @property
    def newest(self) -> AlertRow:
        """The row that dates the group."""
        return self.rows[0]

    @property
    def worst(self) -> AlertRow:
        """The row whose delivery stands worst: a group is delivered only once every one of its alerts is."""
        return max(self.rows, key=lambda row: _BEST_FIRST.index(row.state))


def read_alerts(workspace: Workspace) -> tuple[AlertGroup, ...]:
    """The newest rows, then all the older ones that still have not reached anyone."""
    recent = workspace.alerts.recent(limit=_N_READ)
    shown = {record.alert.key for record in recent}
    older = [record for record in workspace.alerts.pending(_EVER, limit=_N_READ) if record.alert.key not in shown]
    groups = group_alerts(alert_row(record) for record in (*recent, *older))
    return (*groups[:N_ROWS], *(group for group in groups[N_ROWS:] if group.worst.state != "delivered"))


def group_alerts(rows: Iterable[AlertRow]) -> tuple[AlertGroup, ...]:
    """Rows that belong together, each group at the place of its first.

    >>> def row(key: str, at_ms: int) -> AlertRow:
    ...     return AlertRow(Alert(key, "late", "warning", "t", "b", "", at_ms), "delivered", 1, "", None)
    >>> groups = group_alerts([row("windows:late:1:wind:9", 9), row("check:late:1:8", 8), row("windows:late:1:sea:7", 7)])
    >>> [[row.alert.at_ms for row in group.rows] for group in groups]
    [[9, 7], [8]]
    """
    groups: dict[object, list[AlertRow]] = {}
    for row in rows:
        groups.setdefault(_togetherness(row.alert), []).append(row)
    return tuple(AlertGroup(tuple(group)) for group in groups.values())


def _togetherness(alert: Alert) -> object:
    """Equal for alerts that share a row. Only feature warnings do: they come by the dozen, and warn only."""
    if alert.severity == "warning" and alert.key.startswith("windows:"):
        return alert.model, alert.at_ms // DAY_MS
    return alert.key


def alert_row(record: AlertRecord) -> AlertRow:
    """The alert with its delivery in one word."""
    state: Delivery = "waiting"
    if record.delivered_wall_ms is not None:
        state = "delivered"
    elif record.attempts:
        state = "failing"
    return AlertRow(record.alert, state, record.attempts, record.last_error, safe_link(record.alert.link))
