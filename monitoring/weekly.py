"""The scheduled check: last week's served vectors against the champion's reference, and what follows from it."""

from __future__ import annotations

import random

import pandas as pd

from monitoring.checks import CheckResult
from monitoring.domain import WINDOW_ROWS, DomainCheck, ordinary_auc, tell_apart
from monitoring.policy import Verdict, judge
from monitoring.report import Checked, Occasion, find, keep_report, served_before
from tidemill.clock import wall_ms
from tidemill.drift import ReferenceProfile
from tidemill.errors import NotReadyError
from tidemill.learning import Model, vectors_of
from tidemill.project import Workspace
from tidemill.registry import CHAMPION, Registry, Version, repeated
from tidemill.stores import Alert, Conditions, Decision, Served
from tidemill.stores.decision_records import decision_id


def check_model(workspace: Workspace, registry: Registry, model: Model, trigger: str = "schedule") -> Checked:
    """Check a model's last `monitor.check_every` of stream time, keep the report, save the verdict; it may request a retrain.

    Raises:
        NotReadyError: no champion yet.
        UnfitRowsError: too few predictions since it serves.
    """
    name = workspace.project.registered_name(model.name)
    champion = registry.alias(name, CHAMPION)
    if champion is None:
        raise NotReadyError(f"model {model.name!r} has no champion yet; train one with `tidemill train {model.name}`")
    version = registry.load(name, champion)
    now_ms = workspace.now_ms()
    served = served_before(workspace, model, now_ms)
    cursor, saved = workspace.monitors.load(f"check:{model.name}")
    before = saved if saved is not None and saved.get("version") == champion else {}
    result = find(model, version, served)
    verdict = judge(result, frozenset(str(column) for column in before.get("remember", ())))
    url = keep_report((workspace, registry), model, version, result, Occasion(trigger, now_ms))
    whole_ms = max(model.monitor.check_every_ms, model.monitor.cycle_ms)  # half a cycle is told from whole ones by its hours alone
    domain = _domain(model, version, workspace.predictions.sample_of(model.name, WINDOW_ROWS, (now_ms - whole_ms, now_ms)))
    alerts = [_alert(model, version, verdict, url, now_ms)] if verdict.alarm else []
    told_apart = domain is not None and domain.told_apart
    if domain is not None and told_apart and not (before.get("domain") or {}).get("told_apart"):
        alerts.append(_domain_alert(model, version, domain, url, now_ms))
    wanted = verdict.alarm and "evidently" in model.policy.on and trigger == "schedule"
    found = {"columns": list(verdict.columns)[:50], "share": verdict.share, "report": url}
    evidence = found | (repeated(workspace, model, str(version.number), "evidently") if wanted else {})
    workspace.monitors.save(
        f"check:{model.name}",
        cursor,
        max(cursor + 1, int(served.ids[-1])),
        {**_state(version, result, verdict, url, now_ms), "domain": None if domain is None else domain.state()},
        alerts=alerts,
        decisions=[_decision(model, version, verdict, now_ms, evidence)] if wanted else [],
        conditions=[
            Conditions(model.name, "check", frozenset({_condition(model)} if verdict.alarm else ()), now_ms, verdict.reason),
            Conditions(
                model.name, "domain", frozenset({f"domain:{model.name}"} if told_apart else ()), now_ms, "they can no longer be told apart"
            ),
        ],
    )
    return Checked(result, verdict.alarm, verdict.reason, url)


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
    return Alert(
        key=f"check:{model.name}:{version.number}:{now_ms}",
        model=model.name,
        severity="warning",
        title=title,
        body=verdict.reason,
        link=url,
        at_ms=now_ms,
        condition=_condition(model),
    )


def _condition(model: Model) -> str:
    return f"check:{model.name}"


def _domain(model: Model, version: Version, served: Served) -> DomainCheck | None:
    current = pd.DataFrame(vectors_of(model, served))
    profile = ReferenceProfile.from_json(version.reference)
    every = model.monitor.budget, model.monitor.check_every_ms
    threshold = ordinary_auc(profile, version.sample, version.sample["at_ms"].to_numpy(), every)
    return tell_apart(profile, version.sample, current, threshold)


def _domain_alert(model: Model, version: Version, domain: DomainCheck, url: str, now_ms: int) -> Alert:
    title = f"{model.name}: what is asked can be told apart from what version {version.number} was trained on"
    body = (
        f"a classifier tells them apart with an AUC of {domain.auc:.3f}, ordinary cycles stay below {domain.threshold:.3f}; "
        f"most of all by {', '.join(domain.columns)}; it warns only"
    )
    return Alert(
        key=f"domain:{model.name}:{version.number}:{now_ms}",
        model=model.name,
        severity="warning",
        title=title,
        body=body,
        link=url,
        at_ms=now_ms,
        condition=f"domain:{model.name}",
    )


def _decision(model: Model, version: Version, verdict: Verdict, now_ms: int, evidence: dict[str, object]) -> Decision:
    now = wall_ms()
    return Decision(
        id=decision_id(now, random.SystemRandom()),
        model=model.name,
        trigger="evidently",
        alarm_key=f"evidently:{version.number}:{now_ms}",
        reason=verdict.reason,
        requested_at_ms=now_ms,
        requested_wall_ms=now,
        evidence=evidence,
        from_version=str(version.number),
    )
