"""After an alarm: further tries once there are more labels of the new world, until the alarm's numbers or its fits are used up.

```
alarm ──► too few labels ──► +1000 labels ──► promoted on few rows ──► +2000: on more ──► +4000
            ▲                     └─────────► rejected ──────────────► +2000 ──► ...
            └── alarms again: the same change, which asks for nothing while the rows are surely too few
```
Each try is a decision of its own, of the trigger `labels`, and names the alarm's decision that it follows. A champion that came of an
alarm has learnt the new world from few rows, so it is followed up too, on the rows since the change alone, at least twice as many each
time: its trial has shown what older ones are worth. An alarm that comes while an earlier one of the same version waits for the rows to fit
anything repeats it: it names that one, and its change is that one's.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from tidemill.clock import to_utc
from tidemill.learning import Model, RetrainPolicy, Window
from tidemill.learning.candidates import MIN_JUDGED
from tidemill.learning.fitting import MIN_ROWS
from tidemill.project import Workspace
from tidemill.registry.challenging import Plan
from tidemill.registry.deciding import Ask
from tidemill.registry.known_outcomes import count_known, count_up_to, newest_known
from tidemill.stores import Decision
from tidemill.stores.decisions import Trigger

_LAGS = 1_000  # labels whose lag is looked at
_LEAST_FITS = 2  # a challenger, and its last fit


def since_of(model: Model, decision: Decision) -> int | None:
    """When the world is taken to have changed, of an alarm and of what follows it; None where nothing says so.

    An alarm of the errors knows it. A check of the inputs only knows that they were fine the time before.
    """
    since_ms = decision.evidence.get("since_ms")
    if isinstance(since_ms, int):
        return since_ms
    return decision.requested_at_ms - model.monitor.check_every_ms if decision.trigger == "evidently" else None


def fits_left(workspace: Workspace, model: Model, decision: Decision) -> int:
    """How many fits of `policy.max_fits` are left for a decision, those of the alarm that it follows and of its like taken off."""
    follows = decision.evidence.get("follows")
    if not isinstance(follows, str):
        return model.policy.max_fits
    chain = [workspace.decisions.get(follows), *workspace.decisions.follow_ups(model.name, follows)]
    return model.policy.max_fits - sum(one.fits for one in chain)


def plan_of(workspace: Workspace, model: Model, decision: Decision) -> Plan:
    """What a decision fits; of the fits that are left one is kept for the winner's last."""
    if decision.act == "update":
        return Plan(update=True)
    most = max(1, fits_left(workspace, model, decision) - 1)
    windows = windows_of(model.policy, decision.trigger, after_promotion=bool(decision.evidence.get("promoted")))
    return Plan(asked_since(workspace, model, decision), most, windows)


def windows_of(policy: RetrainPolicy, trigger: str, *, after_promotion: bool) -> tuple[Window, ...]:
    """What a retrain fits challengers on; nothing for whatever the policy names.

    A champion that came of an alarm is followed up on the rows since the change alone. One that is only old is held against what all rows
    teach: nothing says that the world has changed, so the last `recent` of them would know less of the same.

    >>> windows_of(RetrainPolicy(), "schedule", after_promotion=False), windows_of(RetrainPolicy(), "error", after_promotion=False)
    (('all',), ())
    """
    if after_promotion:
        return ("change",)
    return ("all",) if trigger == "schedule" and "all" in policy.windows else ()


def asked_since(workspace: Workspace, model: Model, decision: Decision) -> int | None:
    """Since when what was asked belongs to the changed world, of an alarm and of what follows it; None where nothing says so.

    The errors tell when the labels changed. Those were asked for a label's usual lag before, and where labels come late the rows of that
    time are what a challenger learns the new world from first. The lag is the median of the newest labels.
    """
    since_ms, follows = since_of(model, decision), decision.evidence.get("follows")
    trigger = workspace.decisions.get(follows).trigger if isinstance(follows, str) else decision.trigger
    if since_ms is None or trigger != "error":
        return since_ms
    told = newest_known(workspace, model, _LAGS)
    asked_ms = {score.key: score.at_ms for score in workspace.predictions.scores(model.name, [outcome.key for outcome in told])}
    lags_ms = [outcome.known_at_ms - asked_ms[outcome.key] for outcome in told if outcome.key in asked_ms]
    return since_ms - max(0, int(median(lags_ms))) if lags_ms else since_ms


def due_follow_up(workspace: Workspace, model: Model) -> Ask | None:
    """The follow-up that is due now, if any, for the version that came of the alarm, or else that the alarm was about.

    It says nothing to whoever serves another one: ask the registry. None is due while one is open, or when too few fits are left. Of
    several numbers of labels that were passed at once, the largest counts.
    """
    alarm = workspace.decisions.last_alarm(model.name)
    if alarm is None:
        return None
    chain = [alarm, *workspace.decisions.follow_ups(model.name, alarm.id)]
    if any(one.state != "finished" for one in chain):
        return None
    winner = next((one for one in reversed(chain) if one.outcome == "promoted"), None)
    serves = alarm.from_version if winner is None else winner.to_version
    since_ms = _since(model, alarm)
    had = _labels_had(workspace, model, chain)
    left = numbers_left(model.policy, sum(one.fits for one in chain), had, after_promotion=winner is not None)
    if not left or not serves:
        return None
    labels = count_up_to(workspace, model, since_ms, left[-1])
    passed = [number for number in left if number <= labels]
    if not passed:
        return None
    since = f"{to_utc(since_ms):%Y-%m-%d %H:%M} UTC"
    came = f"which was {alarm.outcome}" if winner is None else f"version {serves} has learnt from fewer"
    reason = f"{max(passed)} labels since the change of {since}; follows decision {alarm.id}, {came}"
    evidence: dict[str, object] = {"follows": alarm.id, "since_ms": since_ms, "labels": labels, "wanted": max(passed)}
    if winner is not None:
        evidence["promoted"] = winner.id
    return Ask("retrain", "labels", f"labels:{alarm.id}:{max(passed)}", reason, evidence, int(serves))


def repeated(workspace: Workspace, model: Model, version: str, trigger: Trigger) -> dict[str, object]:
    """What an alarm of a version adds to its evidence where an earlier one waits for rows: which it follows, and since when; else nothing.

    A change is seen by several detectors, and by some again and again. Were each alarm a change of its own, the rows since the last one
    would never be enough. But an alarm of the errors is of its own where a check of the inputs waits, as it knows better since when.
    """
    alarm = workspace.decisions.last_alarm(model.name)
    if alarm is None or alarm.from_version != version or (trigger, alarm.trigger) == ("error", "evidently"):
        return {}
    chain = [alarm, *workspace.decisions.follow_ups(model.name, alarm.id)]
    if any(one.fits for one in chain) or not numbers_left(model.policy, 0, _labels_had(workspace, model, chain)):
        return {}
    return {"follows": alarm.id, "since_ms": _since(model, alarm)}


def is_in_vain(workspace: Workspace, model: Model, decision: Decision) -> bool:
    """Whether a decision repeats an alarm, and there are surely too few rows since its change: a run could do nothing but refuse it.

    Not each label that became known since is a row, and some rows judge, so more may be needed still.
    """
    if "follows" not in decision.evidence or "change" not in model.policy.windows:
        return False
    since_ms, least = asked_since(workspace, model, decision), MIN_ROWS + MIN_JUDGED
    return since_ms is not None and count_up_to(workspace, model, since_ms, least) < least


def numbers_left(policy: RetrainPolicy, used: int, had: int, *, after_promotion: bool = False) -> list[int]:
    """The numbers of labels since a change that are still to come, rising; none when too few fits are left.

    A champion that came of the alarm is followed up on at least twice as many as it had. So that one of a late alarm is too, the last
    number then is twice that of the champion, where the champion had fewer than the last.

    Args:
        policy: of the model.
        used: fits of the alarm and of what followed it.
        had: labels since the change that the last of them had.
        after_promotion: whether a champion came of it.

    >>> numbers_left(RetrainPolicy(), 6, 700), numbers_left(RetrainPolicy(), 15, 700)
    ([1000, 2000, 4000], [])
    >>> [numbers_left(RetrainPolicy(), 3, had, after_promotion=True) for had in (700, 2_200, 4_400)]
    [[2000, 4000], [4400], []]
    """
    numbers, least = policy.follow_ups, had + 1
    if after_promotion and numbers and had < numbers[-1]:
        least = 2 * had
        numbers = (*numbers[:-1], max(numbers[-1], least))
    return [] if used + _LEAST_FITS > policy.max_fits else [number for number in numbers if number >= least]


def _since(model: Model, alarm: Decision) -> int:
    return since_of(model, alarm) or alarm.requested_at_ms


def _labels_had(workspace: Workspace, model: Model, chain: Sequence[Decision]) -> int:
    """How many labels since the change the last of an alarm and of what follows it could learn from; 0 where none could."""

    def had(one: Decision) -> int:
        if one.trigger == "labels":
            return int(one.alarm_key.rpartition(":")[2])
        if not one.fits:
            return 0
        told = one.evidence.get("n_labels")
        if one is chain[0] and isinstance(told, int):
            return told
        since_ms = _since(model, chain[0])
        return count_known(workspace, model, since_ms) - count_known(workspace, model, one.requested_at_ms)

    return max(had(one) for one in chain)
