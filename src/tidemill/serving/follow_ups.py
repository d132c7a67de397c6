"""The trigger `labels`: with more of them an alarm that brought no champion is tried again, and a model that learns by parts goes on."""

from __future__ import annotations

from tidemill.clock import wall_ms
from tidemill.learning import Model
from tidemill.project import Workspace
from tidemill.registry import CHAMPION, Registry, due_follow_up, due_update, make_decision
from tidemill.stores import Decision


class FollowUpWatch:
    """Asks for the follow-ups of the last alarm; see `tidemill.registry.due_follow_up`."""

    def __init__(self, workspace: Workspace, registry: Registry, model: Model) -> None:
        self._workspace = workspace
        self._registry = registry
        self._model = model

    def step(self) -> list[Decision]:
        """The decision it requested now, if one was due."""
        ask = due_follow_up(self._workspace, self._model) if self._model.policy.follow_ups else None
        if ask is None or self._registry.alias(self._workspace.project.registered_name(self._model.name), CHAMPION) != ask.from_version:
            return []
        decision = make_decision(self._model, ask, self._workspace.now_ms(), wall_ms())
        return [decision] if self._workspace.decisions.request(decision) else []


class UpdateWatch:
    """Asks for the updates of a model that learns by parts; see `tidemill.registry.due_update`."""

    def __init__(self, workspace: Workspace, registry: Registry, model: Model) -> None:
        self._workspace = workspace
        self._registry = registry
        self._model = model

    def step(self) -> list[Decision]:
        """The decision it requested now, if one was due."""
        if self._model.policy.update_labels is None:
            return []
        name = self._workspace.project.registered_name(self._model.name)
        champion = self._registry.alias(name, CHAMPION)
        ask = due_update(self._workspace, self._model, None if champion is None else self._registry.load(name, champion))
        if ask is None:
            return []
        decision = make_decision(self._model, ask, self._workspace.now_ms(), wall_ms())
        return [decision] if self._workspace.decisions.request(decision) else []
