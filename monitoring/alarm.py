"""The check on an alarm: which inputs have moved since the version learnt, as a report that the alert links to."""

from __future__ import annotations

from monitoring.policy import ALARM_SHARE, describe
from monitoring.report import Checked, Occasion, find, keep_report, served_before
from tidemill.errors import InputError
from tidemill.learning import Model
from tidemill.project import Workspace
from tidemill.registry import Registry


def explain_alarm(workspace: Workspace, registry: Registry, model: Model, alert_key: str) -> Checked:
    """Check what the version of an alert served before it, and link the alert to the report.

    It explains and requests nothing, as the alarm has done that, and leaves the weekly check's state as it is. One check is enough to
    call the inputs drifted: the errors bear witness beside it.

    Raises:
        NotFoundError: no such alert.
        InputError: the alert is of another model, or not about a version.
        UnfitRowsError: the version served fewer than 500 predictions in that time.
    """
    alert = workspace.alerts.get(alert_key)
    if alert.model != model.name or not alert.explain:
        raise InputError(f"{alert_key!r} is no alert about a version of {model.name!r}; those of the error monitor are", where="alert")
    version = registry.load(workspace.project.registered_name(model.name), int(alert.explain))
    result = find(model, version, served_before(workspace, model, alert.at_ms, version.number))
    url = keep_report((workspace, registry), model, version, result, Occasion("alarm", alert.at_ms))
    workspace.alerts.explained(alert.key, url)
    return Checked(result, result.share >= ALARM_SHARE, describe(result), url)
