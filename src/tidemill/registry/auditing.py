"""Parity as an audit: recompute, and raise an alert when served and recomputed differ."""

from __future__ import annotations

from tidemill.learning import Model, Parity, check_parity
from tidemill.project import Workspace
from tidemill.stores import Alert, wait_for_lake


def audit_parity(workspace: Workspace, model: Model, rows: int, seed: int = 0) -> Parity:
    """Check `rows` vectors of those served within `monitor.check_every` against the lake; a mismatch raises an alert, agreement ends it.

    The alert names the features. What was served before has had its check.

    Raises:
        NotReadyError: the lake stays behind.
    """
    now_ms = workspace.now_ms()
    served = workspace.predictions.sample(model.name, rows, seed, now_ms - model.monitor.check_every_ms)
    wait_for_lake(workspace.state)
    parity = check_parity(model, workspace.lake, served)
    if parity.mismatches:
        columns = sorted({mismatch.column for mismatch in parity.mismatches})
        workspace.alerts.raise_alert(
            Alert(
                key=f"parity:{model.name}:{now_ms}",
                model=model.name,
                severity="critical",
                title=f"{model.name}: served features are not what history says",
                body=f"{len(parity.mismatches)} values of {parity.checked} vectors differ, in {', '.join(columns[:20])}",
                link="",
                at_ms=now_ms,
                condition=f"parity:{model.name}",
            )
        )
    elif parity.checked:
        workspace.alerts.end(f"parity:{model.name}", now_ms, f"{parity.checked} vectors agree with history")
    return parity
