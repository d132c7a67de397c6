"""Retraining policies played on a finished year: the library's monitors, guard and gate, without the servers between them.

Each hour of stream time the outcomes that became known meet the monitor; each week the served vectors meet the reference. An alarm
becomes a retrain when the guard admits it, and the challenger serves when the gate says so, as in the flow `retrain`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from benchmarks.prequential import Prequential, Scorer, Scores
from monitoring.policy import judge as judge_check
from tidemill.cli.reference import Year
from tidemill.clock import HOUR_MS
from tidemill.drift import OutcomeMonitor, ReferenceProfile, outcome_settings, profile_reference
from tidemill.drift.calibration import SAMPLE_ROWS
from tidemill.drift.reference import ColumnProfile
from tidemill.drift.statistics import jensen_shannon, wasserstein_normed
from tidemill.events import Column
from tidemill.learning import Objective, OnnxModel, Quality, TrainingSet, fit, fit_all, important_columns, quality
from tidemill.loop import Admitted, GuardFacts, GuardPolicy, admit
from tidemill.registry import Challenger, Tried, gate, try_unseen

Cause = Literal["error", "evidently"]
_LEAST_ROWS = 500


@dataclass(frozen=True)
class Policy:
    """When to retrain, and whether a gate stands before serving."""

    name: str
    on: tuple[Cause, ...] = ()
    gate: bool = True


@dataclass(frozen=True)
class Played:
    """What came of a policy: every fit counts, rejected ones too, and both of a model that is judged and then fitted on all rows."""

    name: str
    fits: int
    promoted: int
    rejected: int
    refused: int
    quality: Quality


@dataclass(frozen=True)
class Champion:
    """A model that serves, with what it was fitted on and the newest rows it may be explained by."""

    scorer: Scores
    train: TrainingSet
    newest: TrainingSet
    trained_ms: int


@dataclass(frozen=True)
class _Check:
    """What `monitoring.policy.judge` needs."""

    failed_columns: tuple[str, ...]
    values: dict[str, float]
    thresholds: dict[str, float]
    unjudged: dict[str, str]


class Watch:
    """The weekly check of one champion: Evidently's distances and the calibrated thresholds, without Evidently's pages."""

    def __init__(self, champion: Champion, objective: Objective) -> None:
        train = champion.train
        profile = profile_reference(dict(train.columns), champion.scorer.score(dict(train.columns)), train.at_ms)
        names = important_columns(cast(OnnxModel, champion.scorer), champion.newest, objective)  # it asks for `score` alone
        chosen = np.sort(np.random.default_rng(0).choice(len(train), min(SAMPLE_ROWS, len(train)), replace=False))
        self._reference = {name: train.columns[name][chosen] for name in names}
        self._profile: ReferenceProfile = profile
        self._remember: frozenset[str] = frozenset()

    def alarm(self, current: dict[str, Column]) -> bool:
        """Whether the columns of the newest week give an alarm."""
        verdict = judge_check(check(self._profile, self._reference, current), self._remember)
        self._remember = verdict.remember
        return verdict.alarm


def check(profile: ReferenceProfile, reference: dict[str, Column], current: dict[str, Column]) -> _Check:
    """What `monitoring.checks.run_check` finds, in a hundredth of the time: the same samples, distances and thresholds."""
    rng = np.random.default_rng(0)
    picks = [np.sort(rng.permutation(len(next(iter(side.values()))))[:SAMPLE_ROWS]) for side in (reference, current)]
    values: dict[str, float] = {}
    thresholds: dict[str, float] = {}
    unjudged: dict[str, str] = {}
    for name in reference:
        column = profile.column(name)
        distance = _distance(column, reference[name][picks[0]], current[name][picks[1]])
        if column.check is None or distance is None:
            unjudged[name] = "no calibration, or no value"
        else:
            values[name], thresholds[name] = distance, column.check.threshold
    failed = tuple(sorted(name for name, value in values.items() if value >= thresholds[name]))
    return _Check(failed, values, thresholds, unjudged)


def _distance(column: ColumnProfile, reference: Column, current: Column) -> float | None:
    if column.kind == "numeric":
        ours, theirs = (side[np.isfinite(side)] for side in (reference, current))
        return wasserstein_normed(ours, theirs) if len(ours) and len(theirs) else None
    counted = [Counter(text for text in side if text is not None) for side in (reference, current)]
    return jensen_shannon(*counted) if all(counted) else None


def play(year: Year, policy: Policy) -> Played:
    """Play a policy over a year."""
    return _Play(year, policy).run()


class _Play:
    """One policy on its way through the year; versions count from 1."""

    def __init__(self, year: Year, policy: Policy) -> None:
        self._year = year
        self._policy = policy
        self._model = year.model
        self._live = Prequential(year)
        self._rows = self._live.rows
        self._monitor = OutcomeMonitor(outcome_settings(self._model.monitor.budget, self._model.monitor.cycle_ms))
        self._last_retrain_ms: int | None = None
        self._fits = 1  # of the first model: the loop judges it on rows it has not seen, then fits it on all
        self._promoted = self._rejected = self._refused = 0
        self._watch: Watch | None = None
        self._serve(self._fit(year.mature(year.start_ms), year.start_ms), year.start_ms - 1)

    def run(self) -> Played:
        """Hour by hour to the end."""
        last_ms = self._live.last_ms
        due_ms = self._year.start_ms + self._model.monitor.check_every_ms
        for now_ms in range(self._year.start_ms + HOUR_MS, last_ms + 2 * HOUR_MS, HOUR_MS) if self._policy.on else ():
            for cause in self._alarms(now_ms):
                self._decide(cause, now_ms)
            if now_ms >= due_ms:
                due_ms += self._model.monitor.check_every_ms
                if "evidently" in self._policy.on and self._drifted(now_ms):
                    self._decide("evidently", now_ms)
        found = quality(self._rows.outcome, self._live.probability)
        return Played(self._policy.name, self._fits, self._promoted, self._rejected, self._refused, found)

    def _alarms(self, now_ms: int) -> list[Cause]:
        """The alarms of the champion in the last hour's outcomes; those of older versions are told but request nothing."""
        if "error" not in self._policy.on:
            return []
        live, raised = self._live, list[Cause]()
        told = live.told(now_ms - HOUR_MS, now_ms)
        for version in np.unique(live.version[told]):
            mine = told[live.version[told] == version]
            alarms = self._monitor.update_many(str(version), self._rows.outcome[mine], live.probability[mine], live.known_at_ms[mine])
            if version == live.version[-1]:
                raised.extend("error" for _ in alarms)
        return raised

    def _drifted(self, now_ms: int) -> bool:
        begin, end = np.searchsorted(self._rows.at_ms, (now_ms - self._model.monitor.check_every_ms, now_ms))
        if end - begin < _LEAST_ROWS:
            return False
        if self._watch is None:
            self._watch = Watch(self._champion, self._model.objective)
        return self._watch.alarm({name: column[begin:end] for name, column in self._rows.columns.items()})

    def _decide(self, cause: Cause, now_ms: int) -> None:
        known = self._year.known_at_ms
        facts = GuardFacts(
            now_ms=now_ms,
            labels=int(((known > self._champion.trained_ms) & (known <= now_ms)).sum()),
            last_retrain_ms=self._last_retrain_ms,
        )
        limits = GuardPolicy(cooldown_ms=self._model.policy.cooldown_ms, min_labels=self._model.policy.min_labels)
        if not isinstance(admit(cause, facts, limits), Admitted):
            self._refused += 1
            return
        rows = self._year.mature(now_ms)
        self._last_retrain_ms = now_ms
        if self._policy.gate and not self._passes(rows):
            self._rejected += 1
            return
        self._promoted += 1
        self._serve(self._fit(rows, now_ms), now_ms)

    def _passes(self, rows: TrainingSet) -> bool:
        """Whether a challenger fitted on the older rows beats the champion on the newest."""
        self._fits += 1
        fitted = fit(self._model, rows)
        trial = try_unseen(self._model, fitted, self._champion.scorer.score, int(self._champion.train.at_ms[-1]))
        return gate(self._model, Challenger((Tried("all", fitted, trial),), int(self._live.version[-1]))).judgement.verdict.promote

    def _fit(self, rows: TrainingSet, now_ms: int) -> Champion:
        """What serves: it has learnt from every mature row."""
        self._fits += 1
        newest = rows.split(self._model.policy.gate_ms)[1]
        return Champion(Scorer(self._model, fit_all(self._model, rows)), rows, newest, now_ms)

    def _serve(self, champion: Champion, after_ms: int) -> None:
        """From now on this one answers."""
        self._champion = champion
        self._watch = None
        self._live.serve(champion.scorer, after_ms)
