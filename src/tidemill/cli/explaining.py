"""The checks that alerts ask for: each started once, and tried again with growing pauses while Prefect cannot be reached."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from uuid import UUID

from tidemill.clock import MINUTE_MS
from tidemill.errors import NotReadyError
from tidemill.project import Workspace
from tidemill.stores.alerts import pause_ms

logger = logging.getLogger(__name__)

_LONGEST_WAIT_MS = 10 * MINUTE_MS
_REMEMBERED = 20
Start = Callable[[str, dict[str, str], str], UUID]


class Explaining:
    """Has a `monitor` run started for each alert that asks for one.

    While a decision of the model is open it waits, ten minutes at most: the retrain that the alarm asks for has the machine first.

    The alert's row is the outbox: it asks until a run was started, and what becomes of that run changes nothing, so a check that
    fails (too few predictions) is not repeated. Killed between the start and the mark it asks again, with the same key.

    An alert older than the longest `monitor.check_every`, in stream time, is left alone. The scheduled check has looked at what was
    served then, and after weeks without Prefect a crowd of old reports would push the newer ones out of the 20 that are kept. Stream
    time, because in a replay it stands still while the alarm's decision waits for Prefect; wall time would say nothing of the rows.

    Args:
        workspace: whose alerts.
        start: given a deployment, its parameters and an idempotency key, answers the run; raises NotReadyError when it cannot start it.
    """

    def __init__(self, workspace: Workspace, start: Start) -> None:
        self.started: deque[UUID] = deque(maxlen=_REMEMBERED)  # the last runs
        self._workspace = workspace
        self._start = start
        self._longest_ms = max((model.monitor.check_every_ms for model in workspace.project.models), default=0)
        self._failures = 0
        self._not_before_wall_ms = 0

    def _retraining(self, model: str, wall_ms: int) -> bool:
        decisions = self._workspace.decisions.recent(model, limit=20)
        return any(one.state != "finished" and wall_ms < one.requested_wall_ms + _LONGEST_WAIT_MS for one in decisions)

    def step(self, now_ms: int, wall_ms: int) -> int:
        """One round; answers how many checks it started.

        Args:
            now_ms: stream time.
            wall_ms: wall time.
        """
        if wall_ms < self._not_before_wall_ms:
            return 0
        wanted = [
            alert for alert in self._workspace.alerts.unexplained(now_ms - self._longest_ms) if not self._retraining(alert.model, wall_ms)
        ]
        for started, alert in enumerate(wanted):
            parameters = {"model": alert.model, "trigger": "alarm", "alert": alert.key}
            try:
                run = self._start(f"monitor/{self._workspace.project.name}", parameters, f"explain:{self._workspace.home}:{alert.key}")
            except NotReadyError as error:
                self._failures += 1
                self._not_before_wall_ms = wall_ms + pause_ms(self._failures)
                logger.warning("check not started alert=%s attempt=%d error=%s", alert.key, self._failures, error)
                return started
            self._failures = 0
            self.started.append(run)
            self._workspace.alerts.mark_explaining(alert.key, wall_ms)
            logger.info("check started alert=%s", alert.key)
        return len(wanted)
