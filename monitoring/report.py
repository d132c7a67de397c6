"""One check with its report in MLflow: what was served in a span of time against the reference of one version."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd

from monitoring.checks import CheckResult, run_check
from tidemill.clock import to_utc
from tidemill.drift import ReferenceProfile
from tidemill.errors import NotReadyError
from tidemill.learning import Model, to_input, vectors_of
from tidemill.project import Workspace
from tidemill.registry import IMPORTANT, Registry, Version
from tidemill.stores import Served

MIN_ROWS = 500


@dataclass(frozen=True)
class Checked:
    """One check: what Evidently found, whether the inputs have drifted, what that means to a person, and where they read it."""

    result: CheckResult
    drifted: bool
    reason: str
    url: str


def served_before(workspace: Workspace, model: Model, at_ms: int, version: int | None = None) -> Served:
    """What was served within `monitor.check_every` before a time, by one version or by all.

    Raises:
        NotReadyError: fewer than 500 predictions.
    """
    served = workspace.predictions.served(model.name, from_ms=at_ms - model.monitor.check_every_ms, before_ms=at_ms)
    if version is not None:
        served = served.rows(np.flatnonzero(served.versions == version))
    if len(served.ids) < MIN_ROWS:
        raise NotReadyError(f"model {model.name!r} has {len(served.ids)} predictions to check, {MIN_ROWS} are needed")
    return served


def examine(model: Model, version: Version, served: Served) -> CheckResult:
    """Evidently's findings: the served vectors against the version's reference, on the columns that matter most to it."""
    current = to_input(model, pd.DataFrame(vectors_of(model, served)))
    return run_check(version.sample, current, ReferenceProfile.from_json(version.reference), json.loads(version.tags[IMPORTANT]))


def keep_report(registry: Registry, version: Version, result: CheckResult, trigger: str, at_ms: int) -> str:
    """Keep the report in MLflow, the newest 20; answers where a person reads it."""
    tags = {"trigger": trigger, "version": str(version.number)}
    run_id = registry.log_report(version.name, f"{trigger} {to_utc(at_ms).date()}", result.html, {"share": result.share}, tags)
    return registry.report_url(run_id)
