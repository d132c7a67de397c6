"""The scheduled check of a live system: each model's, once every `monitor.check_every` of stream time."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tidemill.errors import NotReadyError
from tidemill.learning import Model
from tidemill.project import Workspace
from tidemill.stores.alerts import pause_ms

logger = logging.getLogger(__name__)

Start = Callable[[str, dict[str, str], str], object]


class Checking:
    """Has a `monitor` run started for each model whose time has come; Prefect's own schedules know wall time alone.

    Stream time since the first prediction is cut into spans of `check_every`, and each span that has passed gives one run: its key
    names the span, so that a restart starts none again. Spans that passed while nobody was here give one run together.

    Args:
        workspace: whose models.
        start: given a deployment, its parameters and an idempotency key; raises NotReadyError when it cannot start it.
    """

    def __init__(self, workspace: Workspace, start: Start) -> None:
        self._workspace = workspace
        self._start = start
        self._first_ms: dict[str, int] = {}
        self._checked: dict[str, int] = {}
        self._failures = 0
        self._not_before_wall_ms = 0

    def step(self, now_ms: int, wall_ms: int) -> int:
        """One round; answers how many checks it started.

        Args:
            now_ms: stream time.
            wall_ms: wall time.
        """
        if wall_ms < self._not_before_wall_ms:
            return 0
        return sum(self._check(model, now_ms, wall_ms) for model in self._workspace.project.models)

    def _check(self, model: Model, now_ms: int, wall_ms: int) -> bool:
        spans = self._spans(model, now_ms)
        if spans <= self._checked.setdefault(model.name, self._spans_at_last_check(model)):
            return False
        try:
            key = f"monitor:{self._workspace.home}:{model.name}:{spans}"
            self._start(f"monitor/{self._workspace.project.name}", {"model": model.name}, key)
        except NotReadyError as error:
            self._failures += 1
            self._not_before_wall_ms = wall_ms + pause_ms(self._failures)
            logger.warning("check not started model=%s attempt=%d error=%s", model.name, self._failures, error)
            return False
        self._failures = 0
        self._checked[model.name] = spans
        return True

    def _spans_at_last_check(self, model: Model) -> int:
        state = self._workspace.monitors.load(f"check:{model.name}")[1]
        return 0 if state is None else self._spans(model, int(state["at_ms"]))

    def _spans(self, model: Model, now_ms: int) -> int:
        """How many whole spans have passed since the first prediction."""
        if model.name not in self._first_ms:
            first = self._workspace.predictions.served(model.name, limit=1)
            if not len(first.ids):
                return 0
            self._first_ms[model.name] = int(first.at_ms[0])
        return (now_ms - self._first_ms[model.name]) // model.monitor.check_every_ms
