"""The monitor of outcomes: reads what became of what was served, and says when a version has become worse.

It keeps its detectors' state with a cursor; state, alerts and decisions are saved in one transaction, so that a crash anywhere
repeats nothing and forgets nothing.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from typing import Any

from tidemill.clock import wall_ms
from tidemill.drift import Alarm, OutcomeMonitor, dated_again, outcome_settings
from tidemill.drift.baseline import SUDDEN_LABELS
from tidemill.learning import Model
from tidemill.project import Workspace
from tidemill.registry import CHAMPION, Registry, is_in_vain, repeated
from tidemill.registry.known_outcomes import known_after, newest_known, silence_counts
from tidemill.serving.conditions import (
    Alarmed,
    outcome_condition,
    outcomes_standing,
    still_worse,
)
from tidemill.stores import Alert, Decision, Outcome, Score
from tidemill.stores.decision_records import decision_id

_BATCH = 5_000
_SETTLED = "settled_prediction"  # in the state: the last prediction whose outcome was taken, where silence counts
_WATCHED_BY = {"size": "error's size", "sudden": f"error within {SUDDEN_LABELS} labels"}  # else as the detector is called


@dataclass(frozen=True)
class _Outcome:
    """One label met by the last thing a version said of its key, as `OutcomeMonitor` takes them."""

    version: int
    watched: tuple[float, float]  # what came true, and what was predicted of it
    known_at_ms: int


class OutcomeWatch:
    """Watches the known outcomes of one model, keyed by the version that predicted; an alarm may request a retrain.

    Where events tell the outcomes, the cursor is the number of the last one. Where silence counts too, the state holds how far it has come.
    """

    def __init__(self, workspace: Workspace, registry: Registry, model: Model) -> None:
        self._workspace = workspace
        self._registry = registry
        self._model = model
        self._name = f"outcomes:{model.name}"
        self._settings = outcome_settings(model.monitor.budget, model.monitor.cycle_ms)
        self._silence = silence_counts(model)
        self._rng = random.SystemRandom()

    def step(self) -> list[Alarm]:
        """Take the outcomes that became known since the last step; answers the alarms they raised."""
        raised: list[Alarm] = []
        while True:
            cursor, state = self._workspace.monitors.load(self._name)
            after, state = self._stands(cursor, state)
            outcomes = known_after(self._workspace, self._model, after, _BATCH)
            if not outcomes:
                return raised
            monitor = self._monitor(state)
            raised_now = (monitor.update(str(one.version), *one.watched, one.known_at_ms) for one in self._watched(outcomes))
            alarms = [alarm for alarm in raised_now if alarm is not None]
            before: Alarmed = {} if state is None else state.get("alarmed", {})
            wanted = alarms or before
            champion = str(self._registry.alias(self._workspace.project.registered_name(self._model.name), CHAMPION)) if wanted else ""
            current = self._dated([alarm for alarm in alarms if alarm.model_version == champion])
            new = {alarm.model_version: (alarm.detector, monitor.n_labels(alarm.model_version)) for alarm in current}
            worse = still_worse({**before, **new}, monitor, champion)
            self._workspace.monitors.save(
                self._name,
                cursor,
                cursor + 1 if self._silence else outcomes[-1].number,
                monitor.state() | {"alarmed": worse} | ({_SETTLED: outcomes[-1].number} if self._silence else {}),
                alerts=[self._alert(alarm) for alarm in current],
                conditions=[outcomes_standing(self._model.name, before, worse, champion, outcomes[-1].known_at_ms)] if wanted else [],
                decisions=self._decisions(current) if "error" in self._model.policy.on else [],
            )
            raised.extend(current)

    def _stands(self, cursor: int, state: dict[str, Any] | None) -> tuple[int, dict[str, Any] | None]:
        """The number behind which to go on, and the state; none of before where the label has begun or ceased to count silence."""
        settled = None if state is None else state.get(_SETTLED)
        if self._silence:
            return (settled, state) if settled is not None else (0, None)
        return cursor, state if settled is None else None

    def _watched(self, outcomes: list[Outcome]) -> list[_Outcome]:
        """Of each outcome what was answered, as the monitor takes it; nothing of those that nobody was asked about."""
        scores = self._scores([outcome.key for outcome in outcomes])
        return [
            _Outcome(score.version, watched, outcome.known_at_ms)
            for outcome in outcomes
            for score in self._met(scores.get(outcome.key, []), outcome)
            if (watched := self._model.objective.watched(outcome.value, score.answer)) is not None
        ]

    def _dated(self, alarms: list[Alarm]) -> list[Alarm]:
        """Each with its change dated by the newest outcomes of its version, where they say that it began after the detector's last zero."""
        newest = self._watched(newest_known(self._workspace, self._model, _BATCH)) if alarms else []
        dated = []
        for alarm in alarms:
            mine = [one for one in newest if str(one.version) == alarm.model_version]
            came_true, predicted = [one.watched[0] for one in mine], [one.watched[1] for one in mine]
            dated.append(dated_again(alarm, self._model.objective.task, came_true, predicted, [one.known_at_ms for one in mine]))
        return dated

    def _met(self, scores: list[Score], outcome: Outcome) -> list[Score]:
        """What an outcome came of: the prediction it is of, or where events tell it the last one of each version that it counts for."""
        if self._silence:
            return [score for score in scores if score.prediction_id == outcome.number]
        return _last_of_each_version(scores, outcome.known_at_ms, self._model.label.within_ms)

    def _monitor(self, state: dict[str, Any] | None) -> OutcomeMonitor:
        """As it was saved; a new one where the model's task was another then."""
        task = self._model.objective.task
        if state is None or state.get("task", "binary") != task:
            return OutcomeMonitor(self._settings, task)
        return OutcomeMonitor.from_state(state, self._settings)

    def _scores(self, keys: list[str]) -> dict[str, list[Score]]:
        found: dict[str, list[Score]] = {}
        for score in self._workspace.predictions.scores(self._model.name, keys):
            if score.role == "champion":
                found.setdefault(score.key, []).append(score)
        return found

    def _alert(self, alarm: Alarm) -> Alert:
        watched = _WATCHED_BY.get(alarm.detector, alarm.detector)
        return Alert(
            key=f"{self._name}:{alarm.model_version}:{alarm.detector}:{alarm.at_ms}",
            model=self._model.name,
            severity="critical",
            title=f"{self._model.name} version {alarm.model_version} has become worse",
            body=f"the CUSUM of its {watched} is {alarm.statistic:.1f}, past {alarm.threshold:g}, after {alarm.n_labels} labels",
            link="",
            at_ms=alarm.at_ms,
            explain=alarm.model_version,
            since_ms=alarm.since_ms,
            harm=alarm.detail,
            condition=outcome_condition(self._model.name, alarm.model_version),
        )

    def _decisions(self, alarms: list[Alarm]) -> list[Decision]:
        """What they ask for; one that repeats an earlier one asks for nothing that could only be refused."""
        asked = map(self._decision, alarms)
        return [decision for decision in asked if not is_in_vain(self._workspace, self._model, decision)]

    def _decision(self, alarm: Alarm) -> Decision:
        now = wall_ms()
        return Decision(
            id=decision_id(now, self._rng),
            model=self._model.name,
            trigger="error",
            alarm_key=f"error:{alarm.model_version}:{alarm.detector}:{alarm.at_ms}",
            reason=alarm.detail,
            requested_at_ms=alarm.at_ms,
            requested_wall_ms=now,
            evidence=asdict(alarm) | repeated(self._workspace, self._model, alarm.model_version, "error"),
            from_version=alarm.model_version,
        )


def _last_of_each_version(scores: list[Score], known_at_ms: int, within_ms: int) -> list[Score]:
    """The last score of each version that was given before the outcome and not too long before it."""
    last = {score.version: score for score in scores if score.at_ms < known_at_ms <= score.at_ms + within_ms}
    return list(last.values())
