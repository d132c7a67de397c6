"""The loop as the product runs it, played over a labelled stream without the servers between its parts.

```
labels of an hour ─► monitor ─► alarm ┐
follow-up, age of the champion ───────┴► guard ─► challengers ─► gate ─► winner made ready ─► serves ─► probation
```
Every part is the library's: `OutcomeMonitor` with the settings that follow from the budget, `dated_again`, `admit`, `challenge`, `gate`,
`make_ready`, `numbers_left`, `judge_probation`. What is left out: latency, as all are of one kind, and faults of the data: there are none.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.loop_policies import Played, first_model, judged
from benchmarks.loop_streams import STEP_MS
from benchmarks.policies import Champion, Watch
from benchmarks.prequential import Prequential, Scores
from tidemill.cli.reference import Year
from tidemill.drift import Alarm, OutcomeMonitor, dated_again, outcome_settings
from tidemill.errors import ExportError, UnfitRowsError
from tidemill.kernels import Floats
from tidemill.learning import OnnxModel, TrainingSet
from tidemill.loop import Admitted, GuardFacts, GuardPolicy, admit, compare
from tidemill.registry import Plan, Serving, challenge, gate, judge_probation, make_ready, numbers_left, windows_of
from tidemill.stores.decisions import Trigger


@dataclass(frozen=True)
class Serves:
    """A version that serves or has served, since when, and what it was learnt from and when."""

    version: int
    champion: Champion
    since_ms: int


@dataclass
class _Open:
    """An alarm that is followed up: since when the world has changed, whether labels said so, fits, labels had, what it has promoted."""

    version: int
    since_ms: int
    of_labels: bool
    used: int = 0
    had: int = 0
    promoted: bool = False


@dataclass
class _Probation:
    """A promotion that may be taken back: the version before, and the labels at the last look."""

    before: Serves
    looked: int = 0


@dataclass(frozen=True)
class _Asked:
    """Why a decision is asked for, since when the world is taken to have changed, and whether labels say so or questions."""

    trigger: Trigger
    since_ms: int | None = None
    labels: int = 0
    of_labels: bool = False


@dataclass
class _Books:
    """What happened, counted and told."""

    counts: Counter[str] = field(default_factory=Counter)
    story: list[str] = field(default_factory=list)


class Loop:
    """One model in the care of the loop, on its way through a stream."""

    def __init__(self, year: Year) -> None:
        self._year, self._model = year, year.model
        self._live = Prequential(year)
        self._monitor = OutcomeMonitor(outcome_settings(self._model.monitor.budget, self._model.monitor.cycle_ms))
        self._policy = self._model.policy
        self._fits = 1
        self._finished_ms: list[int] = []  # decisions that trained
        self._cooled_from_ms: int | None = None
        self._open: _Open | None = None
        self._on_probation: _Probation | None = None
        self._watch: Watch | None = None
        self._aged = 0
        self._books = _Books()
        scorer, rows = first_model(year)
        self._serves = self._take_over(scorer, rows, year.start_ms - 1)

    def play(self) -> Played:
        """Hour by hour to the end."""
        check_ms = self._model.monitor.check_every_ms
        for now_ms in range(self._year.start_ms + STEP_MS, self._live.last_ms + STEP_MS, STEP_MS):
            self._hear(now_ms)
            if "evidently" in self._policy.on and (now_ms - self._year.start_ms) % check_ms < STEP_MS and self._has_drifted(now_ms):
                self._decide(_Asked("evidently", now_ms - check_ms), now_ms)
            self._follow_up(now_ms)
            self._grow_old(now_ms)
            self._look(now_ms)
        live = self._live
        return judged(live.rows.outcome, live.probability, self._fits, dict(self._books.counts), self._books.story)

    def _hear(self, now_ms: int) -> None:
        """Each version's outcomes of the last hour; alarms of the one that serves ask for a retrain."""
        told = self._live.told(now_ms - STEP_MS, now_ms)
        for version in np.unique(self._live.version[told]).tolist():
            mine = told[self._live.version[told] == version]
            values = (self._live.rows.outcome[mine], self._live.probability[mine], self._live.known_at_ms[mine])
            for raised in self._monitor.update_many(str(version), *values):
                if version == self._serves.version:
                    alarm = self._dated(raised, now_ms)
                    self._tell(now_ms, f"alarm of {alarm.detector}, changed since row {self._row(alarm.since_ms)}")
                    self._books.counts["alarms"] += 1
                    self._decide(_Asked("error", alarm.since_ms, alarm.n_labels, of_labels=True), now_ms)

    def _dated(self, alarm: Alarm, now_ms: int) -> Alarm:
        live = self._live
        mine = (live.version == self._serves.version) & (live.known_at_ms <= now_ms)
        return dated_again(alarm, "binary", live.rows.outcome[mine], live.probability[mine], live.known_at_ms[mine])

    def _has_drifted(self, now_ms: int) -> bool:
        rows = self._live.rows
        begin, end = np.searchsorted(rows.at_ms, (now_ms - self._model.monitor.check_every_ms, now_ms))
        if end - begin < 500:
            return False
        self._watch = self._watch or Watch(self._serves.champion, self._model.objective)
        return self._watch.alarm({name: column[begin:end] for name, column in rows.columns.items()})

    def _follow_up(self, now_ms: int) -> None:
        one = self._open
        if one is None or one.version != self._serves.version:
            return
        labels = self._known(one.since_ms, now_ms)
        left = numbers_left(self._policy, one.used, one.had, after_promotion=one.promoted)
        passed = [number for number in left if number <= labels]
        if passed:
            one.had = max(passed)
            self._decide(_Asked("labels", one.since_ms, one.had, one.of_labels), now_ms)

    def _grow_old(self, now_ms: int) -> None:
        passed = (now_ms - self._serves.champion.trained_ms) // self._policy.max_age_ms
        if "schedule" in self._policy.on and passed > self._aged:
            self._aged = passed
            self._decide(_Asked("schedule"), now_ms)

    def _decide(self, asked: _Asked, now_ms: int) -> None:
        facts = GuardFacts(
            now_ms=now_ms,
            labels=self._known(self._serves.champion.trained_ms, now_ms),
            last_retrain_ms=self._cooled_from_ms,
            retrains_ms=tuple(self._finished_ms),
        )
        policy = self._policy
        said = admit(asked.trigger, facts, GuardPolicy(policy.cooldown_ms, policy.min_labels, policy.max_retrains, policy.period_ms))
        alarm = asked.trigger in ("error", "evidently")
        opened = self._open if alarm else None
        waits = opened is not None and opened.version == self._serves.version and not opened.used
        known_better = opened is not None and asked.of_labels and not opened.of_labels
        if opened is None or not waits or known_better or not numbers_left(policy, 0, opened.had):
            opened = _Open(self._serves.version, asked.since_ms or now_ms, asked.of_labels)
        if alarm:
            asked = replace(asked, since_ms=opened.since_ms, of_labels=opened.of_labels)
        if not isinstance(said, Admitted):
            self._books.counts["refused"] += 1
            self._tell(now_ms, f"{asked.trigger} refused: {said.name}")
            if alarm and said.name == "TooFewLabels":
                self._open = opened
            return
        if alarm:
            self._open = opened
        self._train(asked, now_ms)

    def _train(self, asked: _Asked, now_ms: int) -> None:
        model, rows = self._model, self._year.mature(now_ms)
        one = self._open if asked.trigger in ("error", "evidently", "labels") else None
        serves = self._serves
        serving = Serving(serves.version, serves.champion.scorer.score, int(serves.champion.train.at_ms[-1]))
        most = max(1, self._policy.max_fits - (one.used if one else 0) - 1)
        windows = windows_of(self._policy, asked.trigger, after_promotion=bool(one and one.promoted))
        try:
            found = gate(model, challenge(model, rows, Plan(self._asked_since(asked, now_ms), most, windows), serving))
        except UnfitRowsError as error:
            self._books.counts["refused"] += 1
            self._tell(now_ms, f"{asked.trigger} refused: {error}")
            return
        reason, ready = found.judgement.verdict.reason, None
        if found.judgement.verdict.promote:
            try:
                ready = make_ready(model, found, rows)
            except ExportError as error:
                reason = f"{reason}, but {error}"
        promoted = ready is not None
        fits = ready.fits if ready else found.fits
        self._fits += fits
        self._finished_ms.append(now_ms)
        if promoted or asked.trigger != "schedule":
            self._cooled_from_ms = now_ms
        if one is not None:
            one.used += fits
            one.had = max(one.had, asked.labels if asked.trigger == "labels" else self._known(one.since_ms, now_ms))
        self._books.counts["promoted" if promoted else "rejected"] += 1
        self._tell(now_ms, f"{asked.trigger} {'promoted' if promoted else 'rejected'} {found.best.window} ({fits} fits): {reason}")
        if ready is not None:
            self._on_probation = _Probation(serves)
            self._serves = self._take_over(OnnxModel(ready.exported.content, model.columns), ready.fitted.train, now_ms)
            self._open = one
            if self._open is not None:
                self._open.version, self._open.promoted = self._serves.version, True

    def _asked_since(self, asked: _Asked, now_ms: int) -> int | None:
        """As `tidemill.registry.asked_since`: labels tell of a change by their usual lag later than questions do."""
        if asked.since_ms is None or not asked.of_labels:
            return asked.since_ms
        newest = self._live.told(0, now_ms)[-1_000:]
        return asked.since_ms - int(np.median(self._live.known_at_ms[newest] - self._live.rows.at_ms[newest]))

    def _look(self, now_ms: int) -> None:
        """Is the new champion worse than the one before it? At so many labels, at each doubling, and at the end."""
        trial, policy = self._on_probation, self._policy
        if trial is None or policy.probation_ms is None:
            return
        labels = self._known(self._serves.since_ms, now_ms)
        enough = labels >= policy.probation_labels
        over = now_ms >= self._serves.since_ms + policy.probation_ms * (1 if enough else 5)
        if not over and labels < max(policy.probation_labels, 2 * trial.looked):
            return
        trial.looked = labels
        live = self._live
        mine = (live.version == self._serves.version) & (live.known_at_ms <= now_ms)
        n_labels = int(mine.sum())
        if n_labels and (n_labels >= policy.probation_labels or over):
            rows, said = live.rows.rows(mine), live.probability[mine]
            theirs = trial.before.champion.scorer.score(dict(rows.columns))
            losses = self._model.objective.losses
            loss = compare(losses(rows.outcome, theirs), losses(rows.outcome, said), rows.at_ms)
            errors = compare(_wrong(rows.outcome, theirs), _wrong(rows.outcome, said), rows.at_ms)
            found = judge_probation(self._model, n_labels, loss, errors, None)
            if found.against:
                self._roll_back(trial.before, now_ms, found.against)
                return
        if over:
            self._on_probation = None

    def _roll_back(self, before: Serves, now_ms: int, against: str) -> None:
        self._books.counts["rolled back"] += 1
        self._tell(now_ms, f"rolled back: {against}")
        self._cooled_from_ms, self._on_probation, self._watch = now_ms, None, None
        self._live.serve(before.champion.scorer, now_ms, before.version)
        self._serves = Serves(before.version, before.champion, now_ms)

    def _take_over(self, scorer: Scores, train: TrainingSet, now_ms: int) -> Serves:
        newest = train.split(self._policy.gate_ms)[1]
        self._watch, self._aged = None, 0
        version = self._live.serve(scorer, now_ms)
        return Serves(version, Champion(scorer, train, newest, now_ms), now_ms)

    def _known(self, after_ms: int, now_ms: int) -> int:
        """How many labels became known in a time, those before the first question included."""
        known = self._year.known_at_ms
        return int(((known > after_ms) & (known <= now_ms)).sum())

    def _row(self, at_ms: int) -> int:
        return int(np.searchsorted(self._live.rows.at_ms, at_ms))

    def _tell(self, now_ms: int, what: str) -> None:
        self._books.story.append(f"row {self._row(now_ms)}: {what}")


def _wrong(outcome: Floats, said: Floats) -> Floats:
    return np.asarray((said >= 0.5) != outcome, dtype=np.float64)
