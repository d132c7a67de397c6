"""The gate on real models: which challenger serves, if any, and what is written down of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tidemill.errors import ExportError
from tidemill.learning import Model, OnnxModel, Scorer
from tidemill.loop import Trial, TrialSettings, Verdict, judge, judge_trial
from tidemill.registry.challenging import Challenger, Tried, measure_latency
from tidemill.registry.merit import by_merit, trial_settings

_SLICES_TOLD = 8


@dataclass(frozen=True)
class Judgement:
    """How the best challenger fared: the gate's verdict and both metrics; `findings` tells of all of them, as JSON."""

    champion: int | None
    verdict: Verdict
    metric_champion: float | None
    metric_challenger: float | None
    findings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Judged:
    """The challenger that serves, or the best of those that do not.

    Args:
        judgement: how it fared.
        best: the challenger.
        since_ms: when the world is taken to have changed.
        fits: how many were fitted.
    """

    judgement: Judgement
    best: Tried
    since_ms: int | None
    fits: int


def gate(model: Model, challenger: Challenger) -> Judged:
    """The best challenger that passes: better than the champion on the newest mature rows that neither has learnt from, worse nowhere.

    They are judged in the order of `by_merit`, and the first that passes serves. Only one that has passed so far is exported to be timed
    beside the champion; one that does not convert is out.
    """
    settings = trial_settings(model)
    ordered = by_merit(model.objective, challenger.tried)
    verdicts: dict[int, Verdict] = {}
    best = 0
    for place, tried in enumerate(ordered):
        ordered[place], verdicts[place] = _judge(model, challenger, tried, settings)
        if verdicts[place].promote:
            best = place
            break
    told = [_told(tried, verdicts.get(place), place == best) for place, tried in enumerate(ordered)]
    told += [{"window": window, "left_out": reason} for window, reason in challenger.left_out.items()]
    trial, metric = ordered[best].trial, model.objective.loss(ordered[best].fitted.quality)
    judgement = Judgement(
        champion=challenger.champion,
        verdict=verdicts[best],
        metric_champion=None if trial is None else trial.comparison.champion,
        metric_challenger=metric if trial is None and challenger.champion is None else trial.comparison.challenger if trial else None,
        findings={"candidates": told, "since_ms": challenger.since_ms},
    )
    return Judged(judgement, ordered[best], challenger.since_ms, len(ordered))


def _judge(model: Model, challenger: Challenger, tried: Tried, settings: TrialSettings) -> tuple[Tried, Verdict]:
    champion, n_rows = challenger.champion, len(tried.fitted.gate)
    if tried.trial is None:
        if champion is not None:
            reason = f"version {champion} has learnt from all {n_rows} rows to judge on; wait for newer ones, or promote by hand"
            return tried, Verdict(False, reason)
        metric = model.objective.loss(tried.fitted.quality)
        return tried, judge(None, float("nan") if metric is None else metric, n_rows, settings.gate)
    verdict = judge_trial(tried.trial, settings)
    if not verdict.promote or challenger.scorer is None:
        return tried, verdict
    try:
        timed = _timed(model, tried, tried.trial, challenger.scorer)
    except ExportError as error:
        return tried, Verdict(False, f"{verdict.reason}, but {error}", verdict.gain)
    return replace(tried, trial=timed), judge_trial(timed, settings)


def _timed(model: Model, tried: Tried, trial: Trial, champion: Scorer) -> Trial:
    from tidemill.learning.export import export  # here: the converter takes seconds to import, and only who judges needs it

    exported = export(model, tried.fitted.estimator, tried.fitted.gate.frame(), tried.fitted.gate.classes)
    before, after = measure_latency((champion, OnnxModel(exported.content, model.columns)), tried.fitted.gate.columns, model)
    return replace(trial, latency_ms=(before, after))


def _told(tried: Tried, verdict: Verdict | None, best: bool) -> dict[str, Any]:
    """What is written down of one challenger, as JSON."""
    train, judged = tried.fitted.train, tried.fitted.gate
    told: dict[str, Any] = {
        "window": tried.window,
        "rows": len(train),
        "from_ms": int(train.at_ms[0]),
        "to_ms": int(train.at_ms[-1]),
        "judged_rows": len(judged),
        "judged_from_ms": int(judged.at_ms[0]),
        "judged_to_ms": int(judged.at_ms[-1]),
        "best": best,
        "verdict": "not judged: one before it passed" if verdict is None else verdict.reason,
        "promoted": bool(verdict and verdict.promote),
    }
    if tried.trial is not None:
        told |= _compared(tried.trial)
    return told


def _compared(trial: Trial) -> dict[str, Any]:
    one, slices, calibration = trial.comparison, sorted(trial.slices, key=lambda each: each.comparison.gain), trial.calibration
    return {
        "champion": one.champion,
        "challenger": one.challenger,
        "gain": one.gain,
        "interval": one.interval(),
        "compared_rows": one.n_rows,
        "calibration": None if calibration is None else (calibration.champion, calibration.challenger),
        "calibration_interval": None if calibration is None else calibration.interval(),
        "latency_ms": trial.latency_ms,
        "n_slices": len(slices),
        "worst_slices": [
            {
                "column": each.column,
                "value": each.value,
                "gain": each.comparison.gain,
                "interval": each.comparison.interval(),
                "rows": each.comparison.n_rows,
            }
            for each in slices[:_SLICES_TOLD]
        ],
    }
