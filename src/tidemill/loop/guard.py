"""May a retrain start now? Pure rules with named refusals; `read_facts` gathers what they judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from tidemill.clock import DAY_MS, duration_text, to_utc
from tidemill.errors import Unfit, UnfitRowsError
from tidemill.stores.decisions import Decision, DecisionStore, Outcome, Trigger

T = TypeVar("T")
RefusalName = Literal["Frozen", "Running", "Cooldown", "BudgetUsed", "Superseded"] | Unfit


@dataclass(frozen=True)
class GuardPolicy:
    """What a model's retrains must keep to, in stream time; `max_retrains` in any `period_ms`, None for no limit."""

    cooldown_ms: int = 7 * DAY_MS
    min_labels: int = 2_000
    max_retrains: int | None = None
    period_ms: int = 30 * DAY_MS


@dataclass(frozen=True)
class GuardFacts:
    """What the guard knows at stream time `now_ms`.

    Args:
        now_ms: stream time.
        labels: mature labels there are to train on.
        last_retrain_ms: when the last decision finished that was promoted, rejected or rolled back; the cooldown counts from each of these.
        retrains_ms: when decisions that trained a model finished; order does not matter.
        running: id of the decision that is being worked on.
        frozen: who froze the model and why.
        bad_data: why the data may not be trained on; empty when it may.
    """

    now_ms: int
    labels: int
    last_retrain_ms: int | None = None
    retrains_ms: tuple[int, ...] = ()
    running: str = ""
    frozen: str = ""
    bad_data: str = ""


@dataclass(frozen=True)
class Admitted:
    """The retrain may start."""


@dataclass(frozen=True)
class Refused:
    """A retrain may not start, or serve, or a check be made.

    `passes_at_ms` is the stream time from which this rule lets it, None when time alone does not.
    """

    name: RefusalName
    reason: str
    passes_at_ms: int | None = None

    @property
    def outcome(self) -> Outcome:
        """How the decision ends: what meets a running one is merged into it, anything else is refused."""
        return "merged" if self.name == "Running" else "refused"


def unless_unfit(step: Callable[[], T]) -> T | Refused:
    """What a step of a training or a check makes, or the refusal where it has no rows for it: nothing is broken, so that is no error.

    >>> unless_unfit(lambda: 1)
    1
    """
    try:
        return step()
    except UnfitRowsError as error:
        return Refused(error.name, str(error))


def admit(trigger: Trigger, facts: GuardFacts, policy: GuardPolicy) -> Admitted | Refused:
    """Whether a retrain may start, and if not, by the first rule that forbids it.

    Asked for by hand it skips cooldown, budget and minimum labels, but not a freeze, a running retrain or bad data. A follow-up
    (trigger `labels`) skips cooldown and minimum labels, as its number of labels is the reason why it is asked for.

    >>> facts = GuardFacts(now_ms=5 * DAY_MS, labels=9_000, last_retrain_ms=2 * DAY_MS)
    >>> admit("error", facts, GuardPolicy(cooldown_ms=7 * DAY_MS)).reason
    'the last retrain finished 1970-01-03 00:00 UTC and the cooldown is 7d; passes at 1970-01-10 00:00 UTC, or by hand'
    >>> admit("manual", facts, GuardPolicy(cooldown_ms=7 * DAY_MS))
    Admitted()
    """
    for rule in _RULES.get(trigger, _ALL):
        refusal = rule(facts, policy)
        if refusal is not None:
            return refusal
    return Admitted()


def read_facts(store: DecisionStore, decision: Decision, now_ms: int, labels: int, policy: GuardPolicy) -> GuardFacts:
    """The facts about a claimed decision that the store knows; the caller adds `bad_data` with `dataclasses.replace`."""
    running = store.running(decision.model, besides=decision.id)
    freeze = store.frozen(decision.model)
    return GuardFacts(
        now_ms=now_ms,
        labels=labels,
        last_retrain_ms=store.last_retrained(decision.model),
        retrains_ms=tuple(store.retrained_since(decision.model, now_ms - policy.period_ms)),
        running="" if running is None else running.id,
        frozen="" if freeze is None else f"by {freeze.by} at {_moment(freeze.wall_ms)}: {freeze.reason}",
    )


def _frozen(facts: GuardFacts, _policy: GuardPolicy) -> Refused | None:
    return Refused("Frozen", f"the model is frozen {facts.frozen}; passes once it is unfrozen") if facts.frozen else None


def _running(facts: GuardFacts, _policy: GuardPolicy) -> Refused | None:
    return Refused("Running", f"decision {facts.running} is being worked on; passes once it has finished") if facts.running else None


def _bad_data(facts: GuardFacts, _policy: GuardPolicy) -> Refused | None:
    return Refused("BadData", f"{facts.bad_data}; passes once the data is repaired") if facts.bad_data else None


def _cooldown(facts: GuardFacts, policy: GuardPolicy) -> Refused | None:
    if facts.last_retrain_ms is None or facts.now_ms >= facts.last_retrain_ms + policy.cooldown_ms:
        return None
    passes = facts.last_retrain_ms + policy.cooldown_ms
    wait = duration_text(policy.cooldown_ms)
    finished = _moment(facts.last_retrain_ms)
    reason = f"the last retrain finished {finished} and the cooldown is {wait}; passes at {_moment(passes)}, or by hand"
    return Refused("Cooldown", reason, passes)


def _budget(facts: GuardFacts, policy: GuardPolicy) -> Refused | None:
    counted = sorted(at for at in facts.retrains_ms if at > facts.now_ms - policy.period_ms)
    limit, period = policy.max_retrains, duration_text(policy.period_ms)
    if limit is None or len(counted) < limit:
        return None
    if limit <= 0:
        return Refused("BudgetUsed", "the budget allows no retrain at all; passes by hand, or with a higher max_retrains")
    passes = counted[-limit] + policy.period_ms
    reason = f"{len(counted)} retrains in {period} and the budget is {limit}; passes at {_moment(passes)}, or by hand"
    return Refused("BudgetUsed", reason, passes)


def _too_few_labels(facts: GuardFacts, policy: GuardPolicy) -> Refused | None:
    missing = policy.min_labels - facts.labels
    if missing <= 0:
        return None
    reason = f"{facts.labels} mature labels and at least {policy.min_labels} are needed; passes with {missing} more, or by hand"
    return Refused("TooFewLabels", reason)


_Rule = Callable[[GuardFacts, GuardPolicy], Refused | None]
_ALWAYS: tuple[_Rule, ...] = (_frozen, _running, _bad_data)
_ALL: tuple[_Rule, ...] = (*_ALWAYS, _cooldown, _budget, _too_few_labels)
_RULES: dict[Trigger, tuple[_Rule, ...]] = {"manual": _ALWAYS, "labels": (*_ALWAYS, _budget)}


def _moment(ms: int) -> str:
    return to_utc(ms).strftime("%Y-%m-%d %H:%M UTC")
