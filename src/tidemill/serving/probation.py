"""Watches a new champion until its probation is over, and asks for a rollback when it turns out worse than the one before it."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.clock import wall_ms
from tidemill.learning import Model
from tidemill.project import Workspace
from tidemill.registry import CHAMPION, Ask, Probation, Registry, examine, make_decision
from tidemill.registry.known_outcomes import count_known
from tidemill.stores import Alert, Decision

_COUNTS = 100  # times within a probation that labels are counted, which takes a look at all of them
_LONGEST = 5  # probations: a champion with hardly a label is not watched for ever


@dataclass(frozen=True)
class _Look:
    """Where the watch stands: the promotion, labels known since then at the last look, and what that look found."""

    promotion: str
    labels: int = 0
    ended: bool = False


class ProbationWatch:
    """Looks at `policy.probation_labels` labels of a new champion, at each doubling of them, and when its time is over.

    Looks are few and far apart, as each is a chance to be wrong. What a person made the champion is left alone, as is the first model.
    """

    def __init__(self, workspace: Workspace, registry: Registry, model: Model) -> None:
        self._workspace = workspace
        self._registry = registry
        self._model = model
        self._name = f"probation:{model.name}"
        self._counted_ms = 0  # stream time

    def step(self) -> list[Decision]:
        """The rollback it asked for now, if any."""
        promotion = self._workspace.decisions.last_finished(self._model.name, ("promoted", "rolled_back"))
        if self._model.policy.probation_ms is None or promotion is None or not _on_probation(promotion):
            return []
        cursor, state = self._workspace.monitors.load(self._name)
        look = _Look(promotion.id)
        if state is not None and state["promotion"] == promotion.id:
            look = _Look(promotion.id, state["labels"], state["ended"])
        since_ms, now_ms = promotion.finished_at_ms or 0, self._workspace.now_ms()
        if look.ended or now_ms < self._counted_ms + self._model.policy.probation_ms // _COUNTS:
            return []
        self._counted_ms, labels = now_ms, count_known(self._workspace, self._model, since_ms)
        if not self._is_due(since_ms, labels, look):
            return []
        before, now = int(promotion.from_version or 0), int(promotion.to_version or 0)
        if self._registry.alias(self._workspace.project.registered_name(self._model.name), CHAMPION) != now:
            return []
        found = examine(self._workspace, self._registry, self._model, (before, now), since_ms)
        over = self._is_over(since_ms, found.n_labels)
        judged = found.n_labels >= self._model.policy.probation_labels or over
        against = found.against if judged else ""
        told = {"promotion": promotion.id, "version": now, "labels": labels, "ended": bool(against) or over, "found": found.findings}
        decision = self._rollback(promotion, found) if against else None
        saved = self._workspace.monitors.save(
            self._name,
            cursor,
            cursor + 1,
            told,
            alerts=[self._alert(decision)] if decision else [],
            decisions=[decision] if decision else [],
        )
        return [decision] if decision and saved.decisions else []

    def _is_due(self, since_ms: int, labels: int, look: _Look) -> bool:
        wanted = max(self._model.policy.probation_labels, 2 * look.labels)
        return labels >= wanted or self._is_over(since_ms, labels)

    def _is_over(self, since_ms: int, labels: int) -> bool:
        """Its time is over with labels enough, or many times over with too few."""
        probation_ms = self._model.policy.probation_ms or 0
        times = 1 if labels >= self._model.policy.probation_labels else _LONGEST
        return self._workspace.now_ms() >= since_ms + times * probation_ms

    def _rollback(self, promotion: Decision, found: Probation) -> Decision:
        before, now = int(promotion.from_version or 0), int(promotion.to_version or 0)
        reason = f"version {now} is rolled back to version {before} within its probation: {found.against}"
        evidence = {"promotion": promotion.id, **found.findings}
        ask = Ask("rollback", "probation", f"probation:{promotion.id}", reason, evidence, now, before)
        return make_decision(self._model, ask, self._workspace.now_ms(), wall_ms())

    def _alert(self, decision: Decision) -> Alert:
        title = f"{self._model.name}: version {decision.from_version} is rolled back to version {decision.to_version}"
        key = f"{self._name}:{decision.evidence['promotion']}"
        return Alert(key, self._model.name, "critical", title, decision.reason, "", decision.requested_at_ms)


def _on_probation(promotion: Decision) -> bool:
    return promotion.outcome == "promoted" and promotion.act in ("retrain", "update") and promotion.from_version is not None
