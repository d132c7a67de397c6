"""One check with its pages in MLflow and in the Evidently workspace: what was served in a span of time against one version's reference."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pandas as pd

from monitoring.checks import CheckResult, run_check
from tidemill.clock import to_utc
from tidemill.drift import ReferenceProfile
from tidemill.drift.calibration import SAMPLE_ROWS
from tidemill.errors import UnfitRowsError
from tidemill.learning import Model, to_input, vectors_of
from tidemill.learning.outcomes import read_settled
from tidemill.project import Workspace
from tidemill.registry import IMPORTANT, REPORT, Registry, Version
from tidemill.stores import Judged, Served

MIN_ROWS = 500


@dataclass(frozen=True)
class Checked:
    """One check: what Evidently found, whether the inputs have drifted, what that means to a person, and where they read it."""

    result: CheckResult
    drifted: bool
    reason: str
    url: str


@dataclass(frozen=True)
class Occasion:
    """Why a check is made, and up to which stream time it looks."""

    trigger: str
    at_ms: int


def served_before(workspace: Workspace, model: Model, at_ms: int, version: int | None = None) -> Served:
    """What was served within `monitor.check_every` before a time, by one version or by all; 5,000 of it where it is more.

    Raises:
        UnfitRowsError: fewer than 500 predictions.
    """
    served = workspace.predictions.sample_of(model.name, SAMPLE_ROWS, (at_ms - model.monitor.check_every_ms, at_ms), version)
    if len(served.ids) < MIN_ROWS:
        lack = f"model {model.name!r} has {len(served.ids)} predictions to check, {MIN_ROWS} are needed"
        raise UnfitRowsError("TooFewPredictions", lack)
    return served


def find(model: Model, version: Version, served: Served) -> CheckResult:
    """Evidently's findings: the served vectors against the version's reference, on the columns that matter most to it."""
    current = to_input(model, pd.DataFrame(vectors_of(model, served)))
    return run_check(version.sample, current, ReferenceProfile.from_json(version.reference), json.loads(version.tags[IMPORTANT]))


def keep_report(where: tuple[Workspace, Registry], model: Model, version: Version, result: CheckResult, of: Occasion) -> str:
    """Keep the pages of a check in MLflow and in the Evidently workspace, of the newest 20 each; answers where a person reads them.

    Beside drift there is a summary of the rows, and how well the version has answered those of that time whose outcome is known.
    """
    from monitoring.evidently_home import (
        keep_in_workspace,
    )  # here: Evidently takes seconds to import, and who serves the flows does not report
    from monitoring.pages import Page, quality_page, summary_page

    workspace, registry = where
    span = of.at_ms - model.monitor.check_every_ms - model.label.within_ms, of.at_ms
    answered = read_settled(workspace.quality, model, span, workspace.now_ms()).of_role("champion")
    drift = None if result.snapshot is None else Page("drift", result.html, result.snapshot)
    pages = [drift, summary_page(result.sides), quality_page(model, _of_version(answered, version.number))]
    made = [page for page in pages if page is not None]
    title = f"{of.trigger} {to_utc(of.at_ms).date()}"
    keep_in_workspace(workspace.home, version.name, title, made)
    files = {REPORT: result.html} | {f"{page.name}.html": page.html for page in made if page.name != "drift"}
    tags = {"trigger": of.trigger, "version": str(version.number)}
    return registry.report_url(registry.log_report(version.name, title, files, {"share": result.share}, tags))


def _of_version(rows: Judged, version: int) -> Judged:
    mine = rows.version == version
    return Judged(rows.role[mine], rows.version[mine], rows.at_ms[mine], rows.said[mine], rows.outcome[mine], rows.classes)
