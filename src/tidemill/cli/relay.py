"""The relay: carries decisions, reactions and wanted checks to Prefect and alerts to people, again and again until they have arrived."""

from __future__ import annotations

import os
from functools import partial
from uuid import UUID

from tidemill.cli import runs
from tidemill.cli.explaining import Explaining
from tidemill.cli.reacting import Reacting
from tidemill.clock import wall_ms
from tidemill.loop import deliver, relay
from tidemill.pages import Pages
from tidemill.project import Workspace
from tidemill.settings import Settings
from tidemill.stores import Moment
from tidemill.stores.decisions import Act, OutboxEvent

_RETRY_MS = 20_000
PATIENCE_S = 10.0  # alerts wait meanwhile, and asking again starts no second run


def event_of(act: Act) -> str:
    """The name of the event that starts the flow of an act.

    >>> event_of("retrain")
    'tidemill.retrain'
    """
    return f"tidemill.{act}"


class Relay:
    """Emits what nobody claimed, takes back claims that fell silent, delivers alerts and has those checked that ask for it."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self._workspace = workspace
        self._settings = settings
        start = partial(runs.start, patience_s=PATIENCE_S)
        self._explaining = Explaining(workspace, start)
        self._reacting = Reacting(workspace, start, os.environ)

    def get_ready(self) -> None:
        """Import Prefect if anything may be carried to it, so that no event waits for it later."""
        project = self._workspace.project
        if project.models or any(reaction.run for reaction in project.reactions):
            runs.get_ready()

    def step(self) -> int:
        """One round; answers how many decisions it emitted."""
        now, stream_ms = wall_ms(), self._workspace.now_ms()
        silent_since = now - int(self._settings.loop.lease_s * 1_000)
        self._workspace.decisions.release_stale(silent_since, now_ms=stream_ms, wall_ms=now)
        self._workspace.decisions.merge_waiting(stream_ms, now)
        relayed = relay(self._workspace.decisions, self._emit, now, _RETRY_MS, self._is_awaited)
        deliver(self._workspace.alert_messages, self._settings.alerts, Moment(stream_ms, now), Pages.abroad(self._settings))
        self._explaining.step(stream_ms, now)
        return relayed.emitted

    @property
    def checks(self) -> list[UUID]:
        """The runs of the last checks that alerts have asked for."""
        return list(self._explaining.started)

    @property
    def reactions(self) -> list[str]:
        """The names for `react`."""
        return self._reacting.names

    def react(self, name: str) -> int:
        """One round of one reaction, which may wait for its receiver; answers how many runs it started, or calls it made."""
        return self._reacting.step(name, wall_ms()).sent

    def _is_awaited(self, event: OutboxEvent) -> bool:
        return runs.is_awaited(self._workspace.project.name, {"decision_id": event.decision_id}, patience_s=PATIENCE_S)

    def _emit(self, event: OutboxEvent) -> None:
        from prefect.events import emit_event

        resource = {"prefect.resource.id": f"tidemill.{self._workspace.project.name}.{event.model}"}
        emit_event(event=event_of(event.act), resource=resource, payload=dict(event.payload))
