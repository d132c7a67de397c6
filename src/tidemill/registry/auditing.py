"""Parity as an audit: recompute, and raise an alert when served and recomputed differ."""

from __future__ import annotations

from tidemill.learning import Model, Parity, check_parity
from tidemill.project import Workspace
from tidemill.stores import Alert, wait_for_lake


def audit_parity(workspace: Workspace, model: Model, rows: int, seed: int = 0) -> Parity:
    """Check `rows` served vectors against the lake; a mismatch raises an alert that names the features.

    Raises:
        NotReadyError: the lake stays behind.
    """
    wait_for_lake(workspace.state)
    parity = check_parity(model, workspace.lake, workspace.predictions, rows, seed)
    if parity.mismatches:
        now_ms = workspace.now_ms()
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
            )
        )
    return parity
