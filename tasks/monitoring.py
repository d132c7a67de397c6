"""Tasks that look at what was served."""

from __future__ import annotations

from dataclasses import replace

from prefect import task
from prefect.cache_policies import NO_CACHE

from monitoring.alarm import explain_alarm
from monitoring.report import Checked
from monitoring.weekly import check_model
from tasks.context import Context, opened
from tidemill import registry
from tidemill.learning import Parity
from tidemill.loop import Refused, unless_unfit
from tidemill.pages import Pages


@task(retries=1, retry_delay_seconds=2, cache_policy=NO_CACHE, persist_result=False)
def check(model: str, trigger: str) -> Checked | Refused:
    """Evidently's check; see `monitoring.weekly.check_model`."""
    context = opened()
    return unless_unfit(lambda: _shown(context, check_model(context.workspace, context.registry, context.model(model), trigger)))


@task(retries=1, retry_delay_seconds=2, cache_policy=NO_CACHE, persist_result=False)
def explain(model: str, alert: str) -> Checked | Refused:
    """Evidently's check for an alert; see `monitoring.alarm.explain_alarm`."""
    context = opened()
    return unless_unfit(lambda: _shown(context, explain_alarm(context.workspace, context.registry, context.model(model), alert)))


@task(retries=1, retry_delay_seconds=2, cache_policy=NO_CACHE, persist_result=False)
def parity(model: str, rows: int) -> Parity:
    """Recompute served vectors; see `tidemill.registry.audit_parity`."""
    context = opened()
    return registry.audit_parity(context.workspace, context.model(model), rows)


def _shown(context: Context, checked: Checked) -> Checked:
    """With the report's address as a person follows it."""
    return replace(checked, url=Pages.abroad(context.settings).shown(checked.url))
