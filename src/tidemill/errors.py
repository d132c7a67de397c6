"""What can go wrong, one class per decision a caller can take.

```
TidemillError
├── ProjectError      the project file is wrong: file, name, fix
├── SettingsError     the environment or a setting is wrong
├── InputError        a request is malformed: what, where, what to do
├── EventError        one event cannot be applied; it goes to the dead letters with `reason`
│   └── LateEventError
├── DeniedError       whoever asks may not: what is missing, a right or a proof
├── NotFoundError     no such stream, view, model or version
├── NotReadyError     it exists but cannot answer yet: no champion, a service down, the lake behind
│   ├── UnavailableError  a server it needs does not answer: the same may be asked again, soon
│   ├── NoAnswerError     a version says of what was asked what is no answer
│   └── UnfitRowsError    rows that nothing may be learnt from or said of: `name` says in a word why
├── RefusedError      whoever was asked does not want it, and would say the same again
├── BusyError         too much waits already; come again after `retry_after_s`
├── ConflictError     someone else moved first: a position, a claim, a running retrain
│   └── JudgedTooEarlyError
└── ExportError       the exported model does not say what the trained one says
```
"""

from __future__ import annotations

from typing import Literal, get_args

Unfit = Literal["TooFewLabels", "BadData", "TooFewPredictions"]
UNFIT: tuple[Unfit, ...] = get_args(Unfit)
LATE = "late"  # the reason of an event past its stream's retention


class TidemillError(Exception):
    """The root of every error this package raises on purpose."""


class ProjectError(TidemillError):
    """A mistake in a project file.

    Args:
        message: what is wrong.
        where: the file, or the stream, view, model or feature it is about.
        fix: what to write instead.
    """

    def __init__(self, message: str, *, where: str, fix: str) -> None:
        self.where = where
        self.fix = fix
        super().__init__(f"{where}: {message}; {fix}")


class SettingsError(TidemillError):
    """A setting is missing, unknown or unsafe."""


class InputError(TidemillError):
    """A request that cannot be understood as it stands; `where` is the path of the bad part."""

    def __init__(self, message: str, *, where: str = "body") -> None:
        self.where = where
        super().__init__(f"{where}: {message}")


class DeniedError(TidemillError):
    """Whoever asks may not have this done; `where` says which part does not prove that they may."""

    def __init__(self, message: str, *, where: str) -> None:
        self.where = where
        super().__init__(f"{where}: {message}")


class EventError(TidemillError):
    """One event that cannot be applied.

    Args:
        reason: a short code, stable over releases: `not_json`, `schema`, `future`, `late`, ...
        detail: the same for a person, with the value and its place.
    """

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(detail)


class LateEventError(EventError):
    """An event older than its stream's retention when it became known."""

    def __init__(self, *, stream: str, event_id: str, late_by_ms: int, retention_ms: int) -> None:
        self.stream = stream
        self.event_id = event_id
        self.late_by_ms = late_by_ms
        self.retention_ms = retention_ms
        super().__init__(
            LATE,
            f"event {event_id!r} of stream {stream!r} is {late_by_ms / 3_600_000:.1f} h old, past the stream's retention of "
            f"{retention_ms / 3_600_000:.1f} h; raise allowed_lateness, or see the dead letters",
        )


class NotFoundError(TidemillError):
    """There is no such thing; `known` names what there is."""

    def __init__(self, kind: str, name: str, known: list[str] | tuple[str, ...] = ()) -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(known)
        choices = f"; there is: {', '.join(sorted(known))}" if known else ""
        super().__init__(f"no {kind} {name!r}{choices}")


class NotReadyError(TidemillError):
    """It exists but cannot answer yet; the message says what to do or wait for."""


class UnavailableError(NotReadyError):
    """A server that it needs does not answer just now; nothing is wrong with what was asked."""


class NoAnswerError(NotReadyError):
    """A version says of a question what is no number; another question, or another version, may do better."""


class UnfitRowsError(NotReadyError):
    """Rows that may not be learnt from, too few or spoilt, or too few to check; a flow that meets them is refused by `name`."""

    def __init__(self, name: Unfit, message: str) -> None:
        self.name: Unfit = name
        super().__init__(message)


class RefusedError(TidemillError):
    """Whoever was asked understood and does not want it: the same request would be refused again."""


class BusyError(TidemillError):
    """Too much waits already; the same may be asked again after `retry_after_s` seconds."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class ConflictError(TidemillError):
    """Someone else moved first; read again, then decide again."""


class JudgedTooEarlyError(ConflictError):
    """Another engine has applied an id since events were judged; judge the same events again."""


class ExportError(TidemillError):
    """The exported model's outputs differ from the trained model's."""
