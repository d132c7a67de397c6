"""The relay: carries decisions and wanted checks to Prefect and alerts to people, again and again until they have arrived."""

from __future__ import annotations

import logging

from prefect.events import emit_event

from tidemill.cli import runs
from tidemill.clock import MINUTE_MS, wall_ms
from tidemill.errors import NotReadyError
from tidemill.loop import deliver, relay
from tidemill.project import Workspace
from tidemill.settings import Settings
from tidemill.stores.decisions import OutboxEvent

logger = logging.getLogger(__name__)

EVENT = "tidemill.decision"
SILENT_MS = 30 * MINUTE_MS
_RETRY_MS = 20_000


class Relay:
    """Emits what nobody claimed, takes back claims that fell silent, delivers alerts and has those checked that ask for it."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self._workspace = workspace
        self._settings = settings

    def step(self) -> int:
        """One round; answers how many decisions it emitted."""
        now = wall_ms()
        self._workspace.decisions.release_stale(now - SILENT_MS, now_ms=self._workspace.now_ms(), wall_ms=now)
        relayed = relay(self._workspace.decisions, self._emit, now, _RETRY_MS)
        deliver(self._workspace.alerts, self._settings.alerts.urls, now)
        self._explain(now)
        return relayed.emitted

    def _explain(self, now: int) -> None:
        """Start a check for each alert that asks for one; the key makes a second start the same run."""
        project = self._workspace.project.name
        try:
            for alert in self._workspace.alerts.unexplained():
                parameters = {"model": alert.model, "trigger": "alarm", "alert": alert.key}
                runs.start(f"monitor/{project}", parameters, f"explain:{self._workspace.home}:{alert.key}")
                self._workspace.alerts.mark_explaining(alert.key, now)
        except NotReadyError as error:
            logger.warning("check of an alert not started error=%s", error)

    def _emit(self, event: OutboxEvent) -> None:
        resource = {"prefect.resource.id": f"tidemill.{self._workspace.project.name}.{event.model}"}
        emit_event(event=EVENT, resource=resource, payload=dict(event.payload))
