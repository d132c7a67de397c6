"""Decisions as the page lists them: the stages with their times, the links, and of the newest the whole story."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidemill.clock import SECOND_MS
from tidemill.loop.story import Rival, Step, asked_for, knew, made_ready, rivals, steps
from tidemill.pages import Pages
from tidemill.stores import Decision
from tidemill.ui.links import stored_link

N_STORIES = 10  # told on the page; `tidemill audit` tells all


@dataclass(frozen=True)
class DecisionStory:
    """What a decision was asked for and what was found; see `tidemill.loop.story`."""

    evidence: tuple[tuple[str, str], ...]
    knew: tuple[tuple[str, str], ...]
    rivals: tuple[Rival, ...]
    made_ready: str


@dataclass(frozen=True)
class DecisionRow:
    """One decision.

    Args:
        decision: itself.
        alarm_to_serving_s: wall time, if it ended with a new champion.
        steps: the stages it has reached.
        flow_run_url: its run in Prefect; None where there is none, as of the links below.
        mlflow_url: the run of what it has fitted.
        report_url: Evidently's report on what it was asked for.
        story: the whole of it, if it is among the newest.
    """

    decision: Decision
    alarm_to_serving_s: float | None
    steps: tuple[Step, ...]
    flow_run_url: str | None
    mlflow_url: str | None
    report_url: str | None
    story: DecisionStory | None

    @property
    def took_s(self) -> float:
        """All stages together, wall time."""
        return sum(step.took_s for step in self.steps)


def decision_rows(decisions: Sequence[Decision], pages: Pages) -> tuple[DecisionRow, ...]:
    """A row for each decision, the newest first."""
    return tuple(_row(decision, pages, told=place < N_STORIES) for place, decision in enumerate(decisions))


def _row(decision: Decision, pages: Pages, *, told: bool) -> DecisionRow:
    served_s = None
    if decision.outcome == "promoted" and decision.finished_wall_ms is not None:
        served_s = (decision.finished_wall_ms - decision.requested_wall_ms) / SECOND_MS
    return DecisionRow(
        decision=decision,
        alarm_to_serving_s=served_s,
        steps=steps(decision),
        flow_run_url=pages.flow_run(decision.flow_run_id),
        mlflow_url=stored_link(pages, decision.findings.get("mlflow_run")),
        report_url=stored_link(pages, decision.evidence.get("report")),
        story=DecisionStory(asked_for(decision), knew(decision), rivals(decision), made_ready(decision)) if told else None,
    )
