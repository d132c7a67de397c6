"""`monitor`: Evidently's check of a model, each week and on an alarm, and parity on a sample."""

from __future__ import annotations

from prefect import flow
from prefect.artifacts import create_link_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks import monitoring
from tidemill.loop import Refused


@flow(name="monitor")
def monitor(model: str, trigger: str = "schedule", parity_rows: int = 200, alert: str = "") -> State:
    """Check what was served against what was learnt from; a scheduled check may request a retrain, one for an `alert` explains it."""
    checked = monitoring.explain(model, alert) if alert else monitoring.check(model, trigger)
    if isinstance(checked, Refused):  # too few predictions: a fair answer on the first day, or where little is asked
        return Completed(name=checked.name, message=checked.reason)
    create_link_artifact(checked.url, "Evidently report", key=f"check-{model.replace('_', '-')}", description=checked.reason)
    parity = monitoring.parity(model, parity_rows)
    name = "Drifted" if checked.drifted else "Checked"
    return Completed(name=name, message=f"{checked.reason}; parity {len(parity.mismatches)} mismatches in {parity.checked}")
