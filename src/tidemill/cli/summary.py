"""What came of a demo: the figures, as JSON and for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tidemill.cli.replay import Replay
from tidemill.errors import ConflictError
from tidemill.learning import Model, check_parity
from tidemill.learning.outcomes import read_settled
from tidemill.project import Workspace
from tidemill.registry import FITS, FROZEN, Registry
from tidemill.stores import Decision
from tidemill.streams import Counts, Recording

PARITY_ROWS = 6_000


@dataclass(frozen=True)
class Summary:
    """The demo's last line, in this order."""

    events: int
    applied: int
    duplicates: int
    late: int
    rejected: int
    pending: int
    predictions: int
    labels: int
    auc_frozen: float | None
    auc_live: float | None
    log_loss_frozen: float | None
    log_loss_live: float | None
    log_loss_weekly: float | None
    quality_frozen: dict[str, float]
    quality_live: dict[str, float]
    fits: int
    retrains: list[dict[str, Any]]
    parity: dict[str, float]
    freshness_ms_p99: float
    wall_s: float

    @property
    def text(self) -> str:
        """The same for a person."""
        lines = [
            f"{self.events:,} events received: {self.applied:,} applied, {self.duplicates:,} duplicates, {self.late:,} late, "
            f"{self.rejected:,} rejected, {self.pending:,} pending; the books balance and are what the recording says",
            f"{self.predictions:,} predictions, {self.labels:,} labelled; "
            + "; ".join(
                f"{name.replace('_', ' ')} {_text(live)} live, {_text(self.quality_frozen.get(name))} frozen"
                for name, live in self.quality_live.items()
            ),
            f"{self.fits} fits, {sum(retrain['outcome'] == 'promoted' for retrain in self.retrains)} promoted; parity {self.parity}; "
            f"freshness p99 {self.freshness_ms_p99:.1f} ms; {self.wall_s:.0f} s in all",
        ]
        return "\n".join(lines)


def summarise(workspace: Workspace, registry: Registry, replay: Replay, recording: Recording, wall_s: float) -> Summary:
    """The figures of a finished replay.

    Raises:
        ConflictError: a stream's books are not what the recording says they must be.
    """
    books = check_books(workspace, recording)
    (model,) = workspace.project.models[:1]
    judged = read_settled(workspace.quality, model, (0, 1 << 62), workspace.now_ms())
    live, frozen = judged.of_role("champion"), judged.of_role("frozen")
    decisions = list(reversed(workspace.decisions.recent(model.name, 1_000)))
    parity = check_parity(model, workspace.lake, workspace.predictions.sample(model.name, PARITY_ROWS, seed=0))
    freshness = replay.progress.freshness_ms
    qualities = [model.objective.quality(rows.outcome, rows.said) for rows in (frozen, live)]
    return Summary(
        events=books.received,
        applied=books.applied,
        duplicates=books.duplicate,
        late=books.late,
        rejected=books.rejected,
        pending=sum(book.pending for book in workspace.books().values()),
        predictions=workspace.predictions.count(model.name),
        labels=len(live.outcome),
        auc_frozen=qualities[0].auc,
        auc_live=qualities[1].auc,
        log_loss_frozen=qualities[0].log_loss,
        log_loss_live=qualities[1].log_loss,
        log_loss_weekly=None,
        quality_frozen=qualities[0].figures,
        quality_live=qualities[1].figures,
        fits=_first_fits(workspace, registry, model) + sum(decision.fits for decision in decisions),
        retrains=_retrains(decisions),
        parity={"checked": parity.checked, "mismatches": len(parity.mismatches), "lag_skew": parity.lag_skew},
        freshness_ms_p99=round(float(np.percentile(freshness, 99)), 2) if freshness else 0.0,
        wall_s=round(wall_s, 1),
    )


def _first_fits(workspace: Workspace, registry: Registry, model: Model) -> int:
    """How many estimators were fitted for the first model; no decision stands for it."""
    name = workspace.project.registered_name(model.name)
    first = registry.alias(name, FROZEN)
    return 0 if first is None else int(registry.load(name, first).tags[FITS])


def check_books(workspace: Workspace, recording: Recording) -> Counts:
    """The books of all streams together.

    Raises:
        ConflictError: a stream's books are not what the recording says they must be.
    """
    total = Counts()
    books = workspace.books()
    for stream, expected in recording.expected().items():
        book = books[stream]
        found = Counts(book.received, book.applied, book.duplicate, book.late, book.rejected)
        if found != expected or not book.balanced:
            raise ConflictError(f"the books of stream {stream!r} say {found}, the recording says {expected}")
        total += found
    return total


def _retrains(decisions: Sequence[Decision]) -> list[dict[str, Any]]:
    return [
        {
            "trigger": decision.trigger,
            "from_version": decision.from_version,
            "to_version": decision.to_version,
            "outcome": decision.outcome,
            "metric_champion": decision.metric_champion,
            "metric_challenger": decision.metric_challenger,
            "alarm_to_serving_s": _reaction_s(decision),
        }
        for decision in decisions
    ]


def _reaction_s(decision: Decision) -> float | None:
    if decision.outcome != "promoted" or decision.finished_wall_ms is None:
        return None
    return round((decision.finished_wall_ms - decision.requested_wall_ms) / 1_000, 1)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
