"""What the decision store keeps: a decision, how it ended, the event that starts it, a freeze."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tidemill.errors import InputError

Trigger = Literal["error", "evidently", "schedule", "labels", "upstream", "probation", "manual"]
Act = Literal["retrain", "update", "promote", "rollback"]
State = Literal["requested", "claimed", "finished"]
Outcome = Literal["promoted", "rejected", "refused", "merged", "failed", "rolled_back"]
Stage = Literal["guarded", "snapshot", "fitted", "judged", "ready", "registered", "deploying", "deployed"]

EVIDENCE_MAX_BYTES = 16_384
FINDINGS_MAX_BYTES = 65_536


def decision_id(now_ms: int, rng: random.Random) -> str:
    """A fresh id in the layout of UUID version 7: ids sort by `now_ms`, then at random.

    Source: RFC 9562, section 5.7.

    >>> early, late = decision_id(1_000, random.Random(1)), decision_id(2_000, random.Random(2))
    >>> early < late, uuid.UUID(early).version
    (True, 7)
    """
    number = (now_ms & (1 << 48) - 1) << 80 | rng.getrandbits(80)
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=number))


@dataclass(frozen=True)
class Decision:
    """One audited act of the loop, from the alarm to what came of it.

    `*_at_ms` is stream time, `*_wall_ms` wall time. (model, alarm_key) is unique: an alarm makes one decision, however often it
    is raised. `fits` counts the models trained for it, those that were rejected too. Metrics are smaller-is-better.

    `evidence` is what it was asked for, `findings` what was seen on the way (what the guard knew, the rows, the candidates beside the
    champion, links), `stages` when each stage was reached, wall time, and `decided_by` who or what said the last word: `gate`, `guard`,
    `probation`, or a person.

    Raises:
        InputError: the evidence is not JSON, or longer than 16,384 bytes; it is a summary, put reports into MLflow and link them.
    """

    id: str
    model: str
    trigger: Trigger
    alarm_key: str
    reason: str
    requested_at_ms: int
    requested_wall_ms: int
    evidence: Mapping[str, object] = field(default_factory=dict)
    state: State = "requested"
    outcome: Outcome | None = None
    outcome_reason: str = ""
    from_version: str | None = None
    to_version: str | None = None
    metric_name: str | None = None
    metric_champion: float | None = None
    metric_challenger: float | None = None
    claimed_wall_ms: int | None = None
    finished_at_ms: int | None = None
    finished_wall_ms: int | None = None
    flow_run_id: str | None = None
    fits: int = 0
    act: Act = "retrain"
    decided_by: str = ""
    findings: Mapping[str, Any] = field(default_factory=dict)
    stages: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse evidence that cannot be stored as it is."""
        refuse_unless_json(self.evidence, "evidence", EVIDENCE_MAX_BYTES)


def refuse_unless_json(value: Mapping[str, Any], where: str, most_bytes: int) -> None:
    """Refuse what cannot be stored as JSON.

    Raises:
        InputError: not JSON, or too long; names `where`.
    """
    try:
        size = len(json.dumps(value, allow_nan=False).encode())
    except (TypeError, ValueError) as error:
        raise InputError(f"not JSON: {error}; give strings, finite numbers, lists and dicts", where=where) from error
    if size > most_bytes:
        raise InputError(f"{size} bytes is more than {most_bytes}; keep a summary and link the report", where=where)


@dataclass(frozen=True)
class Ending:
    """How a decision ended: what `DecisionStore.finish` writes. `at_ms` is stream time, `wall_ms` wall time; `decided_by` as there."""

    outcome: Outcome
    reason: str
    at_ms: int
    wall_ms: int
    from_version: str | None = None
    to_version: str | None = None
    metric_name: str | None = None
    metric_champion: float | None = None
    metric_challenger: float | None = None
    fits: int = 0
    decided_by: str = ""


@dataclass(frozen=True)
class OutboxEvent:
    """The event that asks for a run of the act's flow. The payload is all strings: Prefect's templates make strings of everything.

    `payload["attempt"]` rises when a claim was taken or given back, so that an idempotency key made of it starts a new run.
    """

    decision_id: str
    model: str
    act: Act
    payload: Mapping[str, str]
    emits: int = 0


@dataclass(frozen=True)
class Freeze:
    """A person's word that a model must not be retrained until they say otherwise."""

    model: str
    by: str
    reason: str
    wall_ms: int
