"""Starting flow runs on the Prefect server and waiting for how they end.

Prefect is imported by who needs it, as it takes seconds and a project without models or reactions never does.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any
from uuid import UUID

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from tidemill.errors import NotReadyError

_DONE = frozenset({"Promoted", "Registered", "Rejected", "Deployed", "RolledBack", "Merged"})
_LOOK_S = 0.2
_WHO_MAKES_THEM = "the process `flows` of `tidemill up` makes it, see what it says"


@dataclass(frozen=True)
class Ended:
    """How a flow run ended: the name of its state, and what it says."""

    name: str
    message: str
    completed: bool

    @property
    def done(self) -> bool:
        """Whether a flow of a model did what it was asked for, or leaves it to another run that does; not where it was refused or put back.

        What the gate rejects was learnt and judged, as asked.

        >>> Ended("Rejected", "no better", completed=True).done, Ended("Frozen", "by ann", completed=True).done
        (True, False)
        """
        return self.completed and self.name in _DONE


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
    from prefect.exceptions import ObjectNotFound

    try:
        with _hurried(patience_s):
            run = run_deployment(deployment, parameters=parameters, timeout=0, idempotency_key=key, as_subflow=False)
    except ObjectNotFound as error:
        raise NotReadyError(f"Prefect did not start {deployment!r}: it has no such deployment; {_WHO_MAKES_THEM}") from error
    except Exception as error:  # whatever else its client raises: connection, validation
        raise NotReadyError(f"Prefect did not start {deployment!r}: {error}; is `tidemill up` running?") from error
    return UUID(str(run.id))  # type: ignore[union-attr]  # not a coroutine outside an event loop


def is_awaited(name: str, parameters: Mapping[str, str], *, patience_s: float, begins_within_s: float = 300.0) -> bool:
    """Whether a run of a deployment of that name is there with these parameters and has not begun: it waits for a free place, or it starts.

    One whose process was to start longer ago than `begins_within_s` counts no more: it was killed before it could say that it has begun.

    Raises:
        Exception: whatever Prefect's client raises where it cannot be asked within `patience_s`.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType
    from prefect.client.schemas.sorting import FlowRunSort

    now = datetime.now(UTC)
    waiting = filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=[StateType.SCHEDULED, StateType.PENDING]))
    with _hurried(patience_s), get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            deployment_filter=filters.DeploymentFilter(name=filters.DeploymentFilterName(any_=[name])),
            flow_run_filter=filters.FlowRunFilter(state=waiting, expected_start_time=filters.FlowRunFilterExpectedStartTime(before_=now)),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        )
    since = now - timedelta(seconds=begins_within_s)
    states = [run.state for run in found if run.state is not None and parameters.items() <= run.parameters.items()]
    return any(state.is_scheduled() or state.timestamp > since for state in states)


def wait_until_served(deployment: str, timeout_s: float = 600.0) -> None:
    """Wait until Prefect has a deployment: it is well some seconds before the flows' process has made them.

    Raises:
        NotReadyError: it cannot be reached, or does not have it in time.
    """
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    looks = Retrying(
        retry=retry_if_exception_type(ObjectNotFound), wait=wait_fixed(_LOOK_S), stop=stop_after_delay(timeout_s), reraise=True
    )
    with get_client(sync_client=True) as client:
        try:
            looks(client.read_deployment_by_name, deployment)
        except ObjectNotFound as error:
            raise NotReadyError(f"Prefect has no deployment {deployment!r} after {timeout_s:g} s; {_WHO_MAKES_THEM}") from error
        except Exception as error:  # whatever else its client raises
            raise NotReadyError(f"Prefect cannot be asked for {deployment!r}: {error}; is `tidemill up` running?") from error


def ended(run_id: UUID) -> Ended | None:
    """How a run ended; None while it has not."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run_id).state
    if state is None or not state.is_final():
        return None
    return Ended(state.name or state.type.value, state.message or "", state.is_completed())


def _hurried(patience_s: float | None) -> AbstractContextManager[object]:
    """Prefect's settings while each request is made once and waited for so long; as they are with None."""
    from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    return temporary_settings({} if patience_s is None else {PREFECT_API_REQUEST_TIMEOUT: patience_s, PREFECT_CLIENT_MAX_RETRIES: 0})
