"""Publishing: a thread for each kind sends what has come to be, in order, and begins anew after whatever goes wrong.

```
predictions after the cursor, or the outbox ──► target ──acknowledged──► the cursor moves, the outbox is emptied
                ▲                                  │ failed, or killed anywhere
                └──────── again from there ◄───────┘                 so: at least once, first copies in order
```
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tenacity import RetryCallState

from tidemill.clock import DAY_MS, SECOND_MS, wall_ms
from tidemill.errors import ConflictError, RefusedError
from tidemill.loop.messages import alert_message, decision_message, prediction_message
from tidemill.project import Workspace
from tidemill.serving.retrying import repeat
from tidemill.stores import Alert
from tidemill.stores.publications import Passed
from tidemill.targets import Kind, Message, Sender

logger = logging.getLogger(__name__)

_BATCH = 500
_LOOK_EVERY_S = 0.2
_FAILURES_TO_ALERT = 5  # about a minute
HOLD_MS = 30 * SECOND_MS  # longer than sending a batch takes


@dataclass(frozen=True)
class _Batch:
    """Messages to send, and what is done once they have arrived."""

    messages: list[Message]
    passed: Callable[[Passed], None]


class Publisher:
    """Publishes one kind.

    Args:
        workspace: where it lies.
        kind: one that the project publishes.
        holder: names this process.
        hold_ms: how long another process waits for this one when it has stopped without a word.
    """

    def __init__(self, workspace: Workspace, kind: Kind, holder: str, hold_ms: int = HOLD_MS) -> None:
        self._workspace = workspace
        self._store = workspace.publications
        self._project = workspace.project.name
        self._kind = kind
        self._target = workspace.project.publish[kind]
        self._condition = f"publishing:{kind}:failing"
        self._holder, self._hold_ms = holder, hold_ms
        self._held_until_ms = 0
        self._sender: Sender | None = None
        self._alone = 0  # after a failure, so many messages are sent one by one
        self._told = True  # whether an error may be noted

    def step(self) -> int:
        """Send what waits, at most some hundreds; answers how many, 0 when there is nothing or another process does it.

        Raises:
            ConflictError: another process has gone on, or publishes it no more.
            Exception: whatever a client raises; the next step begins anew.
        """
        if not self._hold():
            self._close()
            return 0
        try:
            return self._send()
        except BaseException:
            self._close()  # what was sent and not acknowledged is sent again
            raise

    def run(self, stopping: threading.Event) -> None:
        """Publish until told to stop; a failure is noted, and tried again after a pause that grows with each in a row."""
        repeat(self.step, stopping, self._note_failure, idle_s=_LOOK_EVERY_S)
        self.close()

    def close(self) -> None:
        """Let go of the target, and let another process go on at once."""
        self._close()
        if self._held_until_ms:
            self._held_until_ms = 0
            self._store.let_go(self._kind, self._holder)

    def _hold(self) -> bool:
        now_ms = wall_ms()
        if not now_ms + self._hold_ms * 2 // 3 <= self._held_until_ms <= now_ms + self._hold_ms:
            held = self._store.hold(self._kind, self._holder, now_ms, self._hold_ms)
            self._held_until_ms = now_ms + self._hold_ms if held else 0
        return self._held_until_ms > 0

    def _send(self) -> int:
        if self._sender is None:
            self._sender = self._target.open()
        batch = self._next(1 if self._alone else _BATCH)
        if batch.messages:
            self._alone = max(0, self._alone - 1)
            try:
                self._sender.send(batch.messages)
            except Exception as error:
                if isinstance(error, RefusedError) and len(batch.messages) == 1:
                    return self._pass_over(batch, error)
                self._alone = len(batch.messages)  # if it is for one of them, this is how to find it
                raise
            batch.passed(Passed(len(batch.messages), 0, wall_ms()))
        if self._told:
            self._store.tell(self._kind, "")
            self._workspace.alerts.end(self._condition, self._workspace.now_ms(), "they are published again")
            self._told = False
        return len(batch.messages)

    def _next(self, limit: int) -> _Batch:
        if self._kind == "predictions":
            cursor = self._store.cursor(self._kind)
            said = self._workspace.predictions.said(cursor, limit)
            after = said[-1].id if said else cursor
            return _Batch([prediction_message(self._project, one) for one in said], partial(self._store.advance, self._kind, cursor, after))
        kept = self._store.kept(self._kind, limit)
        message = alert_message if self._kind == "alerts" else decision_message
        numbers = [one.number for one in kept]
        return _Batch([message(self._project, one) for one in kept], partial(self._store.drop, self._kind, numbers))

    def _pass_over(self, batch: _Batch, error: RefusedError) -> int:
        """A message that will never be taken holds up no other."""
        self._close()
        (message,) = batch.messages
        logger.warning("not published, as it was refused kind=%s id=%s error=%s", self._kind, message.id, error)
        self._alert("refused", f"one of the {self._kind} was not published", f"{message.id}: {error}")
        batch.passed(Passed(0, 1, wall_ms()))
        return 1

    def _close(self) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            try:
                sender.close()
            except Exception as error:
                logger.warning("target did not close kind=%s error=%r", self._kind, error)

    def _note_failure(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, ConflictError):
            logger.warning("another process publishes kind=%s error=%s", self._kind, error)
            return
        logger.warning("not published kind=%s attempt=%d error=%r", self._kind, state.attempt_number, error)
        self._told = True
        said = f"{type(error).__name__}: {error}"
        try:
            self._store.tell(self._kind, said)
            if state.attempt_number >= _FAILURES_TO_ALERT:
                self._alert("failing", f"{self._kind} are not published", said)
        except Exception as untold:  # a full disk, say; publishing is tried again all the same
            logger.warning("failure to publish not noted kind=%s error=%r", self._kind, untold)

    def _alert(self, what: str, title: str, body: str) -> None:
        """Raise an alert, one a day."""
        alert = Alert(
            key=f"publishing:{self._kind}:{what}:{wall_ms() // DAY_MS}",
            model=self._kind,
            severity="warning",
            title=title,
            body=f"{body[:500]}; see `tidemill publications`",
            link="",
            at_ms=self._workspace.now_ms(),
            condition=self._condition if what == "failing" else "",
        )
        self._workspace.alerts.raise_alert(alert)


def publishers(workspace: Workspace, holder: str) -> list[Publisher]:
    """One for each kind that the project publishes, as of now; what it publishes no more is forgotten.

    Args:
        workspace: whose project.
        holder: names this process.
    """
    store, last_id = workspace.publications, workspace.predictions.last_id()
    store.begin({kind: last_id if kind == "predictions" else 0 for kind in workspace.project.publish})
    if "predictions" in workspace.project.publish and (cursor := store.cursor("predictions")) > last_id:
        logger.warning("predictions are published anew: those that were are gone cursor=%d last=%d", cursor, last_id)
        store.advance("predictions", cursor, last_id, Passed(0, 0, wall_ms()))
    return [Publisher(workspace, kind, holder) for kind in workspace.project.publish]
