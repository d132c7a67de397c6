"""The monitors: read what was served and what became of it, and say when the world has moved.

Each keeps its detectors' state with a cursor; state, alerts and decisions are saved in one transaction, so that a crash anywhere
repeats nothing and forgets nothing.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tidemill.clock import to_utc, wall_ms
from tidemill.drift import Alarm, ColumnWarning, OutcomeMonitor, OutcomeSettings, ReferenceProfile, WindowedDrift
from tidemill.learning import Model, vectors_of
from tidemill.project import Workspace
from tidemill.registry import CHAMPION, Registry
from tidemill.stores import Alert, Decision, Score
from tidemill.stores.decision_records import decision_id

_BATCH = 5_000


@dataclass(frozen=True)
class _Outcome:
    """One label met by the last thing a version said of its key, as `OutcomeMonitor` takes them."""

    version: int
    came_true: float
    predicted: float
    known_at_ms: int


class OutcomeWatch:
    """Watches labelled outcomes of one model, keyed by the version that predicted; an alarm may request a retrain."""

    def __init__(self, workspace: Workspace, registry: Registry, model: Model) -> None:
        self._workspace = workspace
        self._registry = registry
        self._model = model
        self._name = f"outcomes:{model.name}"
        self._settings = OutcomeSettings(baseline_ms=model.monitor.cycle_ms)
        self._rng = random.SystemRandom()

    def step(self) -> list[Alarm]:
        """Take the outcomes that became known since the last step; answers the alarms they raised."""
        raised: list[Alarm] = []
        while True:
            cursor, state = self._workspace.monitors.load(self._name)
            outcomes = self._workspace.state.outcomes(self._model.name, cursor, _BATCH)
            if not outcomes:
                return raised
            monitor = self._monitor(state)
            scores = self._scores([outcome.key for outcome in outcomes])
            met = [
                _Outcome(score.version, *watched, outcome.known_at_ms)
                for outcome in outcomes
                for score in _last_of_each_version(scores.get(outcome.key, []), outcome.known_at_ms, self._model.label.within_ms)
                if (watched := self._model.objective.watched(outcome.value, score.answer)) is not None
            ]
            alarms = [alarm for one in met if (alarm := monitor.update(str(one.version), one.came_true, one.predicted, one.known_at_ms))]
            champion = self._registry.alias(self._workspace.project.registered_name(self._model.name), CHAMPION) if alarms else None
            current = [alarm for alarm in alarms if alarm.model_version == str(champion)]
            self._workspace.monitors.save(
                self._name,
                cursor,
                outcomes[-1].number,
                monitor.state(),
                alerts=[self._alert(alarm) for alarm in current],
                decisions=[self._decision(alarm) for alarm in current if "error" in self._model.policy.on],
            )
            raised.extend(current)

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
        return Alert(
            key=f"{self._name}:{alarm.model_version}:{alarm.detector}:{alarm.at_ms}",
            model=self._model.name,
            severity="critical",
            title=f"{self._model.name} version {alarm.model_version} has become worse",
            body=alarm.detail,
            link="",
            at_ms=alarm.at_ms,
            explain=alarm.model_version,
        )

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
            evidence=asdict(alarm),
            from_version=alarm.model_version,
        )


class FeatureWatch:
    """Watches the vectors that one model's champions were served with; it warns and never retrains."""

    def __init__(self, workspace: Workspace, registry: Registry, model: Model) -> None:
        self._workspace = workspace
        self._registry = registry
        self._model = model
        self._name = f"windows:{model.name}"

    def step(self) -> list[ColumnWarning]:
        """Take the predictions made since the last step; answers the warnings they raised."""
        raised: list[ColumnWarning] = []
        while True:
            cursor, state = self._workspace.monitors.load(self._name)
            served = self._workspace.predictions.served(self._model.name, after_id=cursor, limit=_BATCH)
            if not len(served.ids):
                return raised
            version = int(served.versions[0])
            others = np.flatnonzero(served.versions != version)
            served = served.rows(np.arange(others[0] if len(others) else len(served.ids)))
            detector = self._detector(version, state)
            warnings = detector.update(vectors_of(self._model, served), served.at_ms)
            self._workspace.monitors.save(
                self._name,
                cursor,
                int(served.ids[-1]),
                {"version": version, "detector": detector.state(), "thresholds": detector.thresholds},
                alerts=[self._alert(warning, version) for warning in warnings],
            )
            raised.extend(warnings)

    def _detector(self, version: int, state: dict[str, Any] | None) -> WindowedDrift:
        profile = ReferenceProfile.from_json(
            self._registry.load(self._workspace.project.registered_name(self._model.name), version).reference
        )
        if state is not None and state["version"] == version:
            return WindowedDrift.from_state(profile, state["detector"])
        return WindowedDrift(profile)

    def _alert(self, warning: ColumnWarning, version: int) -> Alert:
        since = to_utc(warning.since_ms).isoformat(timespec="minutes")
        return Alert(
            key=f"{self._name}:{version}:{warning.column}:{warning.at_ms}",
            model=self._model.name,
            severity="warning",
            title=f"{self._model.name}: {warning.column} has moved",
            body=f"{warning.statistic:.3g} against a threshold of {warning.threshold:.3g}, since {since}; it warns only",
            link="",
            at_ms=warning.at_ms,
        )


def _last_of_each_version(scores: list[Score], known_at_ms: int, within_ms: int) -> list[Score]:
    """The last score of each version that was given before the outcome and not too long before it."""
    last = {score.version: score for score in scores if score.at_ms < known_at_ms <= score.at_ms + within_ms}
    return list(last.values())
