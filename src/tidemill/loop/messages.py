"""What is published, as messages; docs/publishing.md says what each field means."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from tidemill.stores import Said
from tidemill.stores.publications import Kept
from tidemill.targets import Message

_ALERT = (
    "model",
    "cause",
    "severity",
    "title",
    "body",
    "harm",
    "link",
    "at_ms",
    "since_ms",
    "condition",
    "ended_at_ms",
    "ended_why",
)


def prediction_message(project: str, said: Said) -> Message:
    """Of what a champion said. Its id holds when it was made, as a home put back from a backup gives the same numbers again."""
    fields = {
        "prediction_id": str(said.id),
        "model": said.model,
        "model_version": said.version,
        "key": said.key,
        "at_ms": said.at_ms,
        "made_wall_ms": said.made_wall_ms,
        **said.answer.fields(),
        "request": orjson.Fragment(said.request),
        "position": said.position,
    }
    return _message(f"{said.made_wall_ms}-{said.id}", "prediction", project, said.key, fields)


def alert_message(project: str, kept: Kept) -> Message:
    """Of an alert as it was raised, or of its end."""
    alert = orjson.loads(kept.body)
    return _message(kept.id, "alert", project, kept.model, {name: alert[name] for name in _ALERT})


def decision_message(project: str, kept: Kept) -> Message:
    """Of a decision after a change of its state."""
    decision = orjson.loads(kept.body)
    fields = {"decision_id": decision.pop("id"), "change": decision.pop("change"), "state": decision.pop("state"), **decision}
    return _message(kept.id, "decision", project, kept.model, fields)


def _message(message_id: str, kind: str, project: str, key: str, fields: Mapping[str, object]) -> Message:
    value = orjson.dumps({"id": message_id, "kind": kind, "project": project, **fields})
    return Message(message_id, kind, project, key, value)
