"""The person in the demo: some days after the first promotion asks for one more retrain, to see whether there is more to learn by now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from tidemill.project import Workspace

_REASON = "to see whether there is more to learn by now"


class ByHand:
    """Asks once, as `tidemill retrain MODEL --reason ...` does.

    Args:
        workspace: of the project.
        start: starts a deployment with parameters; answers its run.
        after_ms: stream time from the first promotion on; 0 for never.
    """

    def __init__(self, workspace: Workspace, start: Callable[[str, dict[str, Any]], UUID], after_ms: int) -> None:
        self._workspace = workspace
        self._start = start
        self._after_ms = after_ms

    def step(self, at_ms: int) -> UUID | None:
        """Ask if the time has come; answers the flow run."""
        promoted = None if not self._after_ms else next((model for model in self._models if self._promoted_before(model, at_ms)), None)
        if promoted is None:
            return None
        self._after_ms = 0
        return self._start(f"retrain/{self._workspace.project.name}", {"model": promoted, "reason": _REASON, "by": "a person in the demo"})

    @property
    def _models(self) -> list[str]:
        return [model.name for model in self._workspace.project.models]

    def _promoted_before(self, model: str, at_ms: int) -> bool:
        """Whether an automatic retrain was promoted so long ago; the first fit is none."""
        found = self._workspace.decisions.last_finished(model, ("promoted",))
        return found is not None and found.trigger != "manual" and found.requested_at_ms + self._after_ms <= at_ms
