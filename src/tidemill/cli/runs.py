"""Starting flow runs on the Prefect server and waiting for how they end.

Prefect is imported by who needs it, as it takes seconds and a project without models or reactions never does.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any
from uuid import UUID

from tidemill.errors import NotReadyError


@dataclass(frozen=True)
class Ended:
    """How a flow run ended: the name of its state, and what it says."""

    name: str
    message: str
    completed: bool


def get_ready() -> None:
    """Import Prefect now, as somebody would wait for it later; the server need not be up."""
    import_module("prefect.deployments")


def start(deployment: str, parameters: dict[str, Any], key: str | None = None, *, patience_s: float | None = None) -> UUID:
    """Start a deployment; a `key` used before gives the same run again.

    A Prefect that accepts and does not answer is waited for, minutes in all; with `patience_s` each request once, so long.

    Raises:
        NotReadyError: Prefect cannot be reached, or has no such deployment.
    """
    from prefect.deployments import run_deployment
    from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    hurried = {} if patience_s is None else {PREFECT_API_REQUEST_TIMEOUT: patience_s, PREFECT_CLIENT_MAX_RETRIES: 0}
    try:
        with temporary_settings(hurried):
            run = run_deployment(deployment, parameters=parameters, timeout=0, idempotency_key=key, as_subflow=False)
    except Exception as error:  # whatever its client raises: connection, not found, validation
        raise NotReadyError(f"Prefect did not start {deployment!r}: {error}; is `tidemill up` running?") from error
    return UUID(str(run.id))  # type: ignore[union-attr]  # not a coroutine outside an event loop


def ended(run_id: UUID) -> Ended | None:
    """How a run ended; None while it has not."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run_id).state
    if state is None or not state.is_final():
        return None
    return Ended(state.name or state.type.value, state.message or "", state.is_completed())
