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

from tidemill.clock import DAY_MS
from tidemill.loop import several
from tidemill.pages import Pages
from tidemill.project import Workspace
from tidemill.stores import Alert, AlertRecord
from tidemill.stores.alert_records import DeliveryState
from tidemill.ui.links import stored_link

N_ROWS = 20
_N_READ = 400  # a model with a hundred features may warn of most of them in a day

_BEST_FIRST: tuple[DeliveryState, ...] = ("delivered", "unsent", "acknowledged", "silenced", "held", "waiting", "failing")


@dataclass(frozen=True)
class AlertRow:
    """One alert and how it stands."""

    record: AlertRecord
    link: str | None

    @property
    def alert(self) -> Alert:
        """The alert itself."""
        return self.record.alert

    @property
    def state(self) -> DeliveryState:
        """How its delivery stands."""
        return self.record.delivery

    @property
    def attempts(self) -> int:
        """Failed tries."""
        return self.record.attempts

    @property
    def last_error(self) -> str:
        """Of the last try."""
        return self.record.last_error

    @property
    def can_be_acknowledged(self) -> bool:
        """Whether a person may still say that they know: it is not over, and nobody has."""
        return not self.record.acked_by and self.record.ended_at_ms is None


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

    @property
    def called(self) -> str:
        """What several of its kind are called."""
        return several(self.newest.alert.kind)

    @property
    def unacknowledged(self) -> tuple[str, ...]:
        """The keys of those that can be acknowledged."""
        return tuple(row.alert.key for row in self.rows if row.can_be_acknowledged)


def read_alerts(workspace: Workspace, pages: Pages) -> tuple[AlertGroup, ...]:
    """The newest rows, then all the older ones that still have not reached anyone."""
    recent = workspace.alerts.recent(limit=_N_READ)
    shown = {record.alert.key for record in recent}
    older = [record for record in workspace.alerts.undelivered(limit=_N_READ) if record.alert.key not in shown]
    groups = group_alerts(alert_row(record, pages) for record in (*recent, *older))
    return (*groups[:N_ROWS], *(group for group in groups[N_ROWS:] if group.worst.state in ("held", "waiting", "failing")))


def group_alerts(rows: Iterable[AlertRow]) -> tuple[AlertGroup, ...]:
    """Rows that belong together, each group at the place of its first.

    >>> def row(key: str, at_ms: int) -> AlertRow:
    ...     alert = Alert(key, "late", "warning", "t", "b", "", at_ms)
    ...     return AlertRow(AlertRecord(alert, None, "", "", None, None, None, None, None), None)
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


def alert_row(record: AlertRecord, pages: Pages) -> AlertRow:
    """The alert with a link that a browser may follow."""
    return AlertRow(record, stored_link(pages, record.alert.link))
