"""The scheduled check: last week's served vectors against the champion's reference, and what follows from it."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

import pandas as pd

from monitoring.checks import CheckResult, run_check
from monitoring.policy import Verdict, judge
from tidemill.clock import to_utc, wall_ms
from tidemill.drift import ReferenceProfile
from tidemill.errors import NotReadyError
from tidemill.learning import Model, to_input, vectors_of
from tidemill.project import Workspace
from tidemill.registry import CHAMPION, IMPORTANT, Registry, Version
from tidemill.stores import Alert, Decision, Served
from tidemill.stores.decision_records import decision_id

MIN_ROWS = 500


@dataclass(frozen=True)
class Checked:
    """One check: what Evidently found, what the policy makes of it, where a person reads it."""

    result: CheckResult
    verdict: Verdict
    url: str


def check_model(workspace: Workspace, registry: Registry, model: Model, trigger: str = "schedule") -> Checked:
    """Check a model's last `monitor.check_every` of stream time, keep the report, save the verdict; it may request a retrain.

    Raises:
        NotReadyError: no champion yet, or too few predictions since it serves.
    """
    name = workspace.project.registered_name(model.name)
    champion = registry.alias(name, CHAMPION)
    if champion is None:
        raise NotReadyError(f"model {model.name!r} has no champion yet; train one with `tidemill train {model.name}`")
    version = registry.load(name, champion)
    now_ms = workspace.now_ms()
    served = workspace.predictions.served(model.name, from_ms=now_ms - model.monitor.check_every_ms)
    if len(served.ids) < MIN_ROWS:
        raise NotReadyError(f"model {model.name!r} has {len(served.ids)} predictions to check, {MIN_ROWS} are needed")
    cursor, saved = workspace.monitors.load(f"check:{model.name}")
    before = saved if saved is not None and saved.get("version") == champion else {}
    result = run_check(
        version.sample, _frame(model, served), ReferenceProfile.from_json(version.reference), json.loads(version.tags[IMPORTANT])
    )
    verdict = judge(result, frozenset(str(column) for column in before.get("remember", ())))
    run_id = registry.log_report(
        name, f"{trigger} {to_utc(now_ms).date()}", result.html, {"share": result.share}, {"trigger": trigger, "version": str(champion)}
    )
    url = registry.report_url(run_id)
    wanted = verdict.alarm and "evidently" in model.policy.on and trigger == "schedule"
    workspace.monitors.save(
        f"check:{model.name}",
        cursor,
        max(cursor + 1, int(served.ids[-1])),
        _state(version, result, verdict, url, now_ms),
        alerts=[_alert(model, version, verdict, url, now_ms)] if verdict.alarm else [],
        decisions=[_decision(model, version, verdict, url, now_ms)] if wanted else [],
    )
    return Checked(result, verdict, url)


def _frame(model: Model, served: Served) -> pd.DataFrame:
    return to_input(model, pd.DataFrame(vectors_of(model, served)))


def _state(version: Version, result: CheckResult, verdict: Verdict, url: str, now_ms: int) -> dict[str, object]:
    return {
        "version": version.number,
        "at_ms": now_ms,
        "failed": list(result.failed_columns),
        "failed_twice": list(verdict.columns),
        "remember": sorted(verdict.remember),
        "unjudged": result.unjudged,
        "share": result.share,
        "alarm": verdict.alarm,
        "reason": verdict.reason,
        "url": url,
        "values": result.values,
        "thresholds": result.thresholds,
    }


def _alert(model: Model, version: Version, verdict: Verdict, url: str, now_ms: int) -> Alert:
    title = f"{model.name}: what is asked has moved away from what version {version.number} was trained on"
    return Alert(f"check:{model.name}:{version.number}:{now_ms}", model.name, "warning", title, verdict.reason, url, now_ms)


def _decision(model: Model, version: Version, verdict: Verdict, url: str, now_ms: int) -> Decision:
    now = wall_ms()
    return Decision(
        id=decision_id(now, random.SystemRandom()),
        model=model.name,
        trigger="evidently",
        alarm_key=f"evidently:{version.number}:{now_ms}",
        reason=verdict.reason,
        requested_at_ms=now_ms,
        requested_wall_ms=now,
        evidence={"columns": list(verdict.columns)[:50], "share": verdict.share, "report": url},
        from_version=str(version.number),
    )
