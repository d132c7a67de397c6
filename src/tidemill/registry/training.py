"""One training from snapshot to registered version, in the steps that the flows show."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from tidemill.clock import to_utc
from tidemill.drift import QualityReference, Sampling, Scored, profile_errors, profile_quality, profile_reference, window_ms
from tidemill.errors import ExportError
from tidemill.kernels import Floats
from tidemill.learning import (
    Fitted,
    Limits,
    Model,
    Objective,
    OnnxModel,
    Sample,
    Scorer,
    TrainingSet,
    TrainingSetBuilder,
    ValueCache,
    Window,
    important_columns,
    predict,
    refit,
    to_input,
)
from tidemill.learning.by_parts import go_on, learns_by_parts
from tidemill.learning.candidates import rows_of
from tidemill.learning.null_outcomes import count_null_outcomes
from tidemill.project import Workspace
from tidemill.registry.estimators import keep_estimator
from tidemill.registry.faults import NULL_OUTCOMES
from tidemill.registry.judging import Judged
from tidemill.registry.named import CHALLENGER
from tidemill.registry.registry import Registry
from tidemill.registry.release import DatasetRef, Pyfunc, Release
from tidemill.registry.updating import UPDATE
from tidemill.stores import wait_for_lake

if TYPE_CHECKING:
    from tidemill.learning.export import Exported

SAMPLE_ROWS = 5_000
AGREEMENT = 0.1  # of probabilities; of values the same share of their standard deviation
WORTH_A_FIT = 0.05  # the newest rows as a share of those that it was fitted on; from here on it is fitted again with them
IMPORTANT = "important_columns"
FITS = "fits"
_LONGEST_TAG = 5_000  # what MLflow keeps; for people, as the ONNX file holds all classes


@dataclass(frozen=True)
class Ready:
    """A model that may be registered.

    Args:
        fitted: what was fitted last.
        exported: its ONNX form.
        judged: how it came to be.
        fits: how many estimators were fitted to come to it.
        refit: what became of fitting it again, for the audit.
    """

    fitted: Fitted
    exported: Exported
    judged: Judged
    fits: int
    refit: Mapping[str, str]


@dataclass(frozen=True)
class Made:
    """A model that is to be a version: what can be asked, and what is kept of it."""

    scorer: Scorer
    content: bytes | Pyfunc


@dataclass(frozen=True)
class About:
    """What is told of a version beside its rows and answers: where it comes from."""

    params: Mapping[str, object]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


def snapshot(workspace: Workspace, model: Model, limits: Limits | None = None, timeout_s: float = 120.0) -> TrainingSet:
    """The training set as of now in stream time; waits until the lake holds every applied event.

    Raises:
        NotReadyError: the lake stays behind.
        UnfitRowsError: nothing is labelled yet, or an outcome is none of the model's task.
    """
    now_ms = workspace.now_ms()  # before the wait: the lake holds what was known by then, and what is known since may be missing
    wait_for_lake(workspace.state, timeout_s)
    cache, sample = ValueCache(workspace.home / "cache"), Sample(model.sample)
    return TrainingSetBuilder(model, workspace.lake, workspace.predictions, cache, sample, limits or Limits()).build(now_ms)


def make_ready(model: Model, judged: Judged, rows: TrainingSet) -> Ready:
    """What is registered: the winner fitted again on its window with the newest rows, or the best as it is where the gate lets none serve.

    Nobody has judged what was fitted again. So it serves only where its ONNX form says what it says and where it agrees with what was
    judged: on the newest rows their scores differ by at most `AGREEMENT` on average. Else the one that was judged serves, and it serves
    as it is, without a fit, where the newest rows would be less than `WORTH_A_FIT` of what it has learnt from.

    Raises:
        ExportError: the ONNX form of what was judged does not say what the estimator says; such a model never serves.
    """
    from tidemill.learning.export import export  # here: the converter takes seconds to import, and only who trains needs it

    fitted, frame, fits = judged.best.fitted, judged.best.fitted.gate.frame(), judged.fits
    told = {"served": "judged"}
    if judged.judgement.verdict.promote and (held := _newest_share(judged)) < WORTH_A_FIT:
        told["why"] = f"the newest rows would be {held:.1%} more than it has learnt from, from {WORTH_A_FIT:.0%} on it is fitted again"
    elif judged.judgement.verdict.promote:
        again = _fit_again(model, judged, rows)
        fits += 1
        apart = _apart(model.objective, predict(model, again.estimator, frame, len(rows.classes)), fitted.said)
        told = {"served": "refitted", "difference": f"{apart:.4f}"}
        try:
            if apart <= AGREEMENT:
                return Ready(again, export(model, again.estimator, frame, rows.classes), judged, fits, told)
            why = f"its scores differ by {apart:.4f} on average, {AGREEMENT} is allowed"
        except ExportError as error:
            why = str(error)
        told = {"served": "judged", "difference": f"{apart:.4f}", "why": why}
    return Ready(fitted, export(model, fitted.estimator, frame, rows.classes), judged, fits, told)


def _newest_share(judged: Judged) -> float:
    """The newest rows as a share of those that the best was fitted on; all of them, where it goes on by parts."""
    fitted = judged.best.fitted
    return 1.0 if judged.best.window == UPDATE else len(fitted.gate) / len(fitted.train)


def _apart(objective: Objective, said: Floats, judged: Floats) -> float:
    """How far the answers of two models lie apart on average: as probabilities, or of values in standard deviations."""
    spread = float(np.std(judged)) if objective.kind == "value" else 1.0
    return float(np.abs(said - judged).mean()) / (spread or 1.0)


def _fit_again(model: Model, judged: Judged, rows: TrainingSet) -> Fitted:
    """The winner with the newest rows: fitted on its window, or where it has learnt by parts gone on with those that judged it."""
    fitted, recent_ms = judged.best.fitted, model.policy.recent_ms
    if judged.best.window == UPDATE:
        known = rows_of(rows, "recent", None, recent_ms)  # what it is watched by: the few rows of an update would be no reference
        return replace(fitted, estimator=go_on(model, fitted.estimator, fitted.gate), train=known)
    return refit(model, fitted, rows_of(rows, cast(Window, judged.best.window), judged.since_ms, recent_ms))


def register(workspace: Workspace, registry: Registry, model: Model, ready: Ready, tags: dict[str, str]) -> int:
    """Log the run, register the version, point `challenger` at it; answers the version."""
    name = workspace.project.registered_name(model.name)
    version = registry.register(_release(workspace, model, ready, tags))
    if model.policy.update_labels is not None and learns_by_parts(ready.fitted.estimator):
        keep_estimator(workspace.home, name, version, ready.fitted.estimator)
    registry.set_alias(name, CHALLENGER, version)
    return version


def code_version() -> str:
    """The commit of the checkout this runs from, or the package's version."""
    here = Path(__file__).parent
    done = subprocess.run(["git", "-C", here, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or package_version("tidemill")


def _release(workspace: Workspace, model: Model, ready: Ready, tags: dict[str, str]) -> Release:
    """What is uploaded of what was trained here."""
    params = {"estimator": type(ready.fitted.estimator).__name__, **_hyperparameters(ready.fitted)}
    metrics = {"onnx_largest_difference": ready.exported.largest_difference, **_trials(ready.judged, model.objective.metric)}
    content = ready.exported.content
    more = {
        **tags,
        FITS: str(ready.fits),
        "window": ready.judged.best.window,
        "refitted": str(ready.refit["served"] == "refitted").lower(),
    }
    return release_of(workspace, model, ready.fitted, Made(OnnxModel(content, model.columns), content), About(params, metrics, more))


def release_of(workspace: Workspace, model: Model, fitted: Fitted, made: Made, about: About) -> Release:
    """What is uploaded. Profile and sample are of the rows it was fitted on; importances of the newest, which a refitted model has seen.

    What its answers are worth is told by the newest rows too, as answered by the challenger, which had not seen them.
    """
    train_rows = fitted.train
    scorer = made.scorer
    objective = model.objective
    scores = objective.score(scorer.score(train_rows.columns))
    sampling = Sampling(cycle_ms=model.monitor.cycle_ms, share=model.sample)
    # The score's reference is what a model said of rows it had not seen: of those it has learnt from it is more certain than it will be.
    unseen, served = (objective.score(said) for said in (fitted.said, scorer.score(fitted.gate.columns, fitted.gate.classes)))
    scored = Scored(fitted.gate.at_ms, served)
    profile = profile_reference(train_rows.columns, unseen, train_rows.at_ms, sampling, scored=scored)
    important = important_columns(scorer, fitted.gate, objective)
    quality = _quality(model, fitted, important)
    label_stream = model.label.stream.name
    labels, _ = workspace.lake.read(label_stream)
    nulls = count_null_outcomes(model.label, labels, int(train_rows.at_ms[0]), train_rows.now_ms)
    until = to_utc(int(train_rows.at_ms[-1])).date()
    return Release(
        name=workspace.project.registered_name(model.name),
        run_name=f"{model.name} to {until}",
        params={
            "rows_fitted": len(train_rows),
            "rows_judged": len(fitted.gate),
            "rows_served": train_rows.n_served,
            "from": to_utc(int(train_rows.at_ms[0])).isoformat(),
            "to": to_utc(int(train_rows.at_ms[-1])).isoformat(),
            "maturity_h": round(train_rows.maturity_ms / 3_600_000, 2),
            **about.params,
        },
        metrics={**fitted.quality.figures, **about.metrics},  # of the challenger on the newest rows, also where it was then refitted
        tags={
            **about.tags,
            "code_version": code_version(),
            "lake_versions": json.dumps(dict(train_rows.lake_versions)),
            "source_digest": model.source_digest,
            "stream_time_ms": str(train_rows.now_ms),
            NULL_OUTCOMES: json.dumps(asdict(nulls)),
            f"gate_{objective.metric}": str(objective.loss(fitted.quality)),
            "task": objective.task,
            **({"classes": json.dumps(scorer.classes)[:_LONGEST_TAG]} if scorer.classes else {}),
            IMPORTANT: json.dumps(important),
        },
        content=made.content,
        example=to_input(model, train_rows.frame().head(50)),
        reference=replace(profile, quality=quality).to_json(),
        sample=_sample(train_rows, scores),
        dataset=DatasetRef(
            f"{model.name} training rows", train_rows.digest, workspace.lake.path(label_stream), train_rows.lake_versions[label_stream]
        ),
    )


def _quality(model: Model, fitted: Fitted, important: Sequence[str]) -> QualityReference | None:
    """What the answers are worth; of a number, how far off they are by what the most important columns hold."""
    gate, length_ms = fitted.gate, window_ms(model.monitor.cycle_ms)
    if model.objective.kind == "value":
        return profile_errors(gate.outcome, fitted.said, {name: gate.columns[name] for name in important}, gate.at_ms, length_ms)
    return profile_quality(gate.outcome, fitted.said, gate.at_ms, length_ms, gate.classes)


def _trials(judged: Judged, metric: str) -> dict[str, float]:
    """The figures of every challenger, of which only the best is uploaded: `gain` is its own, `change.gain` that of a window."""
    figures: dict[str, float] = {}
    for told in judged.judgement.findings["candidates"]:
        held = {name: told[name] for name in ("challenger", "gain", "rows") if name in told}
        figures |= {f"{told['window']}.{metric if name == 'challenger' else name}": float(value) for name, value in held.items()}
        if told.get("best") and "gain" in told:
            figures |= {"gain": told["gain"], f"champion_{metric}": told["champion"]}
    return figures


def _sample(rows: TrainingSet, scores: np.ndarray) -> pd.DataFrame:
    chosen = np.sort(np.random.default_rng(0).choice(len(rows), min(SAMPLE_ROWS, len(rows)), replace=False))
    frame = rows.frame().iloc[chosen].reset_index(drop=True)
    return frame.assign(prediction=scores[chosen], outcome=rows.outcome[chosen], at_ms=rows.at_ms[chosen])


def _hyperparameters(fitted: Fitted) -> dict[str, str]:
    plain = {key: value for key, value in fitted.estimator.get_params().items() if isinstance(value, int | float | str | bool)}
    return {key: str(value) for key, value in sorted(plain.items())[:60]}
