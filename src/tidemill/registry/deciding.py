"""A decision from claim to ending, with what the guard must know."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from tidemill.clock import wall_ms
from tidemill.errors import ConflictError
from tidemill.learning import Model
from tidemill.loop import Admitted, GateSettings, GuardPolicy, Refused, Verdict, admit, judge, read_facts
from tidemill.project import Workspace
from tidemill.registry.registry import CHAMPION, Registry
from tidemill.registry.training import Challenger
from tidemill.stores import Decision
from tidemill.stores.decision_records import Ending, decision_id


@dataclass(frozen=True)
class Judgement:
    """How a challenger fared: the gate's verdict and both metrics."""

    champion: int | None
    verdict: Verdict
    metric_champion: float | None
    metric_challenger: float | None


@dataclass(frozen=True)
class Learnt:
    """What a training came to: the version it registered, how many estimators were fitted, and what the gate said."""

    version: int
    fits: int
    judgement: Judgement


def request_by_hand(workspace: Workspace, model: Model, reason: str) -> Decision:
    """A decision that a person asks for, with its outbox row."""
    now = wall_ms()
    fresh = decision_id(now, random.SystemRandom())
    decision = Decision(
        id=fresh,
        model=model.name,
        trigger="manual",
        alarm_key=f"manual:{fresh}",
        reason=reason,
        requested_at_ms=workspace.now_ms(),
        requested_wall_ms=now,
    )
    workspace.decisions.request(decision)
    return decision


def guard(workspace: Workspace, registry: Registry, model: Model, decision: Decision) -> Admitted | Refused:
    """Whether a claimed decision may go on. Data of which the books do not balance, or half is rejected, may not be trained on."""
    name = workspace.project.registered_name(model.name)
    champion = registry.alias(name, CHAMPION)
    trained_ms = 0 if champion is None else int(registry.load(name, champion).tags["stream_time_ms"])
    labels = workspace.state.count_outcomes(model.name, trained_ms)
    policy = GuardPolicy(cooldown_ms=model.policy.cooldown_ms, min_labels=model.policy.min_labels)
    facts = read_facts(workspace.decisions, decision, workspace.now_ms(), labels, policy)
    return admit(decision.trigger, replace(facts, bad_data=_bad_data(workspace, model)), policy)


def gate(model: Model, challenger: Challenger) -> Judgement:
    """Whether a challenger serves: it must beat the champion on the newest mature rows, of those that neither has learnt from."""
    settings = GateSettings(metric_name=model.objective.metric, min_gain=model.policy.min_gain)
    compared, champion, fitted = challenger.comparison, challenger.champion, challenger.fitted
    if compared is not None:
        verdict = judge(compared.champion, compared.challenger, compared.n_rows, settings)
        return Judgement(champion, verdict, compared.champion, compared.challenger)
    if champion is not None:
        reason = f"version {champion} has learnt from all {len(fitted.gate)} rows to judge on; wait for newer ones, or promote by hand"
        return Judgement(champion, Verdict(False, reason), None, None)
    metric = model.objective.loss(fitted.quality)
    return Judgement(None, judge(None, float("nan") if metric is None else metric, len(fitted.gate), settings), None, metric)


def finish(workspace: Workspace, model: Model, decision: Decision, run_id: str, learnt: Learnt) -> None:
    """Write what came of a decision.

    Raises:
        ConflictError: the claim was taken back meanwhile, after too long a silence.
    """
    judgement = learnt.judgement
    ending = Ending(
        outcome="promoted" if judgement.verdict.promote else "rejected",
        reason=judgement.verdict.reason,
        at_ms=workspace.now_ms(),
        wall_ms=wall_ms(),
        from_version=None if judgement.champion is None else str(judgement.champion),
        to_version=str(learnt.version),
        metric_name=model.objective.metric,
        metric_champion=judgement.metric_champion,
        metric_challenger=judgement.metric_challenger,
        fits=learnt.fits,
    )
    if not workspace.decisions.finish(decision.id, ending, run_id):
        raise ConflictError(f"decision {decision.id} is no longer held by run {run_id}; it was taken back, another run goes on with it")


def end(workspace: Workspace, decision: Decision, run_id: str, outcome: str, reason: str) -> None:
    """End a decision that trained nothing: refused, merged or failed."""
    ending = Ending(outcome=outcome, reason=reason, at_ms=workspace.now_ms(), wall_ms=wall_ms())  # type: ignore[arg-type]  # one of its literals
    workspace.decisions.finish(decision.id, ending, run_id)


def _bad_data(workspace: Workspace, model: Model) -> str:
    books = workspace.books()
    for stream in {model.label.stream.name, model.requests.stream.name, *(source.stream.name for source in model.sources)}:
        if not books[stream].balanced:
            return f"the books of stream {stream!r} do not balance"
        if books[stream].rejected > books[stream].applied:
            return f"stream {stream!r} has more rejected events ({books[stream].rejected}) than applied ones ({books[stream].applied})"
    return ""
