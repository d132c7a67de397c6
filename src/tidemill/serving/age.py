"""The trigger `schedule`: a champion that has grown old in stream time asks for a retrain."""

from __future__ import annotations

import random

from tidemill.clock import duration_text, wall_ms
from tidemill.learning import Model
from tidemill.project import Workspace
from tidemill.registry import CHAMPION, Registry
from tidemill.stores import Decision
from tidemill.stores.decision_records import decision_id


class AgeWatch:
    """Asks for one retrain each time the champion's age passes a multiple of `policy.max_age`."""

    def __init__(self, workspace: Workspace, registry: Registry, model: Model) -> None:
        self._workspace = workspace
        self._registry = registry
        self._model = model
        self._rng = random.SystemRandom()

    def step(self) -> list[Decision]:
        """The decision it requested now; none when the policy does not ask for it, or it has been requested."""
        if "schedule" not in self._model.policy.on:
            return []
        name = self._workspace.project.registered_name(self._model.name)
        champion = self._registry.alias(name, CHAMPION)
        if champion is None:
            return []
        now_ms, now_wall_ms = self._workspace.now_ms(), wall_ms()
        age_ms = now_ms - int(self._registry.load(name, champion).tags["stream_time_ms"])
        passed = age_ms // self._model.policy.max_age_ms
        if passed < 1:
            return []
        decision = Decision(
            id=decision_id(now_wall_ms, self._rng),
            model=self._model.name,
            trigger="schedule",
            alarm_key=f"schedule:{champion}:{passed}",
            reason=f"version {champion} was trained more than {passed} x {duration_text(self._model.policy.max_age_ms)} ago",
            requested_at_ms=now_ms,
            requested_wall_ms=now_wall_ms,
            from_version=str(champion),
        )
        return [decision] if self._workspace.decisions.request(decision) else []
