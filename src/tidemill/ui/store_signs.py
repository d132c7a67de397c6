"""Signs that something the page shows may have changed, read so cheaply that they can be looked at all the time."""

from __future__ import annotations

from tidemill.clock import MINUTE_MS
from tidemill.project import Workspace
from tidemill.registry.named import held_aliases

_N = 50  # of the newest decisions and alerts, which are what changes
_SILENT_MS = MINUTE_MS


def read_signs(workspace: Workspace, now_wall_ms: int) -> object:
    """Something that equals what was read before as long as nothing was written that the page shows.

    Args:
        workspace: whose books, predictions, decisions, alerts, silences, freezes, monitors and aliases count.
        now_wall_ms: the wall clock, by which silences end and servers fall silent.
    """
    names = [model.name for model in workspace.project.models]
    return (
        workspace.books(),
        workspace.predictions.last_id(),
        workspace.decisions.recent(limit=_N),
        workspace.alerts.recent(limit=_N),
        workspace.alert_silences.standing(now_wall_ms),
        workspace.monitors.cursors(),
        tuple(workspace.state.sets.partial()),
        [workspace.decisions.frozen(name) for name in names],
        [workspace.predictions.servers(name, now_wall_ms - _SILENT_MS) for name in names],
        [held_aliases(workspace.home, workspace.project.registered_name(name)) for name in names],
    )
