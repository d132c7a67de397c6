"""One training from snapshot to registered version, in the steps that the flows show."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version as package_version
from pathlib import Path

import numpy as np
import pandas as pd

from tidemill.clock import to_utc
from tidemill.drift import ReferenceProfile, profile_reference
from tidemill.events import Column
from tidemill.kernels import Floats
from tidemill.learning import (
    Fitted,
    Limits,
    Model,
    Objective,
    OnnxModel,
    Sample,
    TrainingSet,
    TrainingSetBuilder,
    ValueCache,
    fit,
    important_columns,
    refit,
    to_input,
)
from tidemill.learning.export import Exported, export
from tidemill.loop import Comparison, compare
from tidemill.project import Workspace
from tidemill.registry.registry import CHALLENGER, CHAMPION, DatasetRef, Registry, Release
from tidemill.stores import wait_for_lake

SAMPLE_ROWS = 5_000
IMPORTANT = "important_columns"
FITS = "fits"
_LONGEST_TAG = 5_000  # what MLflow keeps; for people, as the ONNX file holds all classes


@dataclass(frozen=True)
class Challenger:
    """A model fitted on the older rows, and how it compares with the champion on the newest.

    Args:
        fitted: the model.
        champion: the version that serves; None when none does.
        comparison: of the two; None without a champion, and where it has already learnt from the newest rows.
    """

    fitted: Fitted
    champion: int | None
    comparison: Comparison | None


@dataclass(frozen=True)
class Ready:
    """A model that may be registered: exported, with the comparison that decides on it."""

    fitted: Fitted
    exported: Exported
    comparison: Comparison | None


def snapshot(workspace: Workspace, model: Model, limits: Limits | None = None, timeout_s: float = 120.0) -> TrainingSet:
    """The training set as of now in stream time; waits until the lake holds every applied event.

    Raises:
        NotReadyError: the lake stays behind, or nothing is labelled yet.
    """
    now_ms = workspace.now_ms()  # before the wait: the lake holds what was known by then, and what is known since may be missing
    wait_for_lake(workspace.state, timeout_s)
    cache, sample = ValueCache(workspace.home / "cache"), Sample(model.sample)
    return TrainingSetBuilder(model, workspace.lake, workspace.predictions, cache, sample, limits or Limits()).build(now_ms)


def train(workspace: Workspace, registry: Registry, model: Model, rows: TrainingSet) -> Challenger:
    """Fit on the older rows and compare with the champion on the newest mature ones.

    Raises:
        NotReadyError: too few rows to fit and to judge.
    """
    fitted = fit(model, rows)
    name = workspace.project.registered_name(model.name)
    champion = registry.alias(name, CHAMPION)
    if champion is None:
        return Challenger(fitted, None, None)
    served = registry.load(name, champion)
    scorer = OnnxModel(served.onnx, model.columns)
    if scorer.task != model.objective.task:
        return Challenger(fitted, None, None)  # it answers another question, so there is nothing to compare with
    learnt_until_ms = ReferenceProfile.from_json(served.reference).end_ms
    said_by_champion = partial(scorer.score, classes=rows.classes)
    return Challenger(fitted, champion, compare_unseen(fitted, said_by_champion, learnt_until_ms, model.objective))


def compare_unseen(
    challenger: Fitted, champion: Callable[[Mapping[str, Column]], Floats], learnt_until_ms: int, objective: Objective
) -> Comparison | None:
    """Compare on the newest rows that neither has learnt from; None when there are none.

    A champion that has passed the gate has learnt from all rows of its time. Asked again within the gate's length, which only a
    person or a short cooldown does, it would be judged on some of them, and look better than it is.

    Args:
        challenger: fitted on the older rows.
        champion: says of (n,) columns what `OnnxModel.score` does, in the classes of the rows.
        learnt_until_ms: time of the last row the champion has learnt from.
        objective: of both.
    """
    unseen = challenger.gate.at_ms > learnt_until_ms
    if not unseen.any():
        return None
    rows = challenger.gate.rows(unseen)
    of_champion, of_challenger = champion(rows.columns), challenger.said[unseen]
    return compare(objective.losses(rows.outcome, of_champion), objective.losses(rows.outcome, of_challenger), rows.at_ms)


def make_ready(model: Model, challenger: Challenger, rows: TrainingSet, *, promoted: bool) -> Ready:
    """What is registered: fitted again on all rows where the gate lets it serve, the challenger as it is where it does not.

    Raises:
        ExportError: the ONNX form does not say what the estimator says; such a model never serves.
    """
    fitted = refit(model, challenger.fitted, rows) if promoted else challenger.fitted
    return Ready(fitted, export(model, fitted.estimator, fitted.gate.frame(), rows.classes), challenger.comparison)


def register(workspace: Workspace, registry: Registry, model: Model, ready: Ready, tags: dict[str, str]) -> int:
    """Log the run, register the version, point `challenger` at it; answers the version."""
    name = workspace.project.registered_name(model.name)
    version = registry.register(_release(workspace, model, ready, tags))
    registry.set_alias(name, CHALLENGER, version)
    return version


def code_version() -> str:
    """The commit of the checkout this runs from, or the package's version."""
    here = Path(__file__).parent
    done = subprocess.run(["git", "-C", here, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or package_version("tidemill")


def _release(workspace: Workspace, model: Model, ready: Ready, tags: dict[str, str]) -> Release:
    """What is uploaded. Profile and sample are of the rows it was fitted on; importances of the newest, which a refitted model has seen."""
    fitted, train_rows = ready.fitted, ready.fitted.train
    scorer = OnnxModel(ready.exported.content, model.columns)
    objective = model.objective
    scores = objective.score(scorer.score(train_rows.columns))
    profile = profile_reference(train_rows.columns, scores, train_rows.at_ms)
    label_stream = model.label.stream.name
    until = to_utc(int(train_rows.at_ms[-1])).date()
    params = {
        "estimator": type(fitted.estimator).__name__,
        "rows_fitted": len(train_rows),
        "rows_judged": len(fitted.gate),
        "rows_served": train_rows.n_served,
        "from": to_utc(int(train_rows.at_ms[0])).isoformat(),
        "to": to_utc(int(train_rows.at_ms[-1])).isoformat(),
        "maturity_h": round(train_rows.maturity_ms / 3_600_000, 2),
        **_hyperparameters(fitted),
    }
    metrics = {  # the figures: of the challenger on the newest rows, which it had not seen, also where it was then refitted
        **fitted.quality.figures,
        "onnx_largest_difference": ready.exported.largest_difference,
    }
    if ready.comparison is not None:
        metrics[f"champion_{objective.metric}"] = ready.comparison.champion
        metrics["gain"] = ready.comparison.gain
    return Release(
        name=workspace.project.registered_name(model.name),
        run_name=f"{model.name} to {until}",
        params=params,
        metrics=metrics,
        tags={
            **tags,
            "code_version": code_version(),
            "lake_versions": json.dumps(dict(train_rows.lake_versions)),
            "source_digest": model.source_digest,
            "stream_time_ms": str(train_rows.now_ms),
            FITS: str(fitted.fits),
            "refitted": str(fitted.fits > 1).lower(),
            f"gate_{objective.metric}": str(objective.loss(fitted.quality)),
            "task": objective.task,
            **({"classes": json.dumps(scorer.classes)[:_LONGEST_TAG]} if scorer.classes else {}),
            IMPORTANT: json.dumps(important_columns(scorer, fitted.gate, objective)),
        },
        onnx=ready.exported.content,
        example=to_input(model, train_rows.frame().head(50)),
        reference=profile.to_json(),
        sample=_sample(train_rows, scores),
        dataset=DatasetRef(
            f"{model.name} training rows", train_rows.digest, workspace.lake.path(label_stream), train_rows.lake_versions[label_stream]
        ),
    )


def _sample(rows: TrainingSet, scores: np.ndarray) -> pd.DataFrame:
    chosen = np.sort(np.random.default_rng(0).choice(len(rows), min(SAMPLE_ROWS, len(rows)), replace=False))
    frame = rows.frame().iloc[chosen].reset_index(drop=True)
    return frame.assign(prediction=scores[chosen], outcome=rows.outcome[chosen], at_ms=rows.at_ms[chosen])


def _hyperparameters(fitted: Fitted) -> dict[str, str]:
    plain = {key: value for key, value in fitted.estimator.get_params().items() if isinstance(value, int | float | str | bool)}
    return {key: str(value) for key, value in sorted(plain.items())[:60]}
