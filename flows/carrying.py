"""What every flow of a decision shares: it is claimed, acted on, and ends once."""

from __future__ import annotations

from collections.abc import Callable

from httpx import TransportError
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks import deployment
from tasks.decisions import claim, end, holding, put_back
from tidemill.errors import NotReadyError
from tidemill.stores import Decision


def carry(decision: Decision, run_id: str, act: Callable[[], State]) -> State:
    """Claim a decision and act on it; call it within a flow.

    A server that is away, or a lake that is behind, gives the claim back: what was registered is kept, and it goes on later. Any other
    error ends it as failed.
    """
    if not claim(decision, run_id):
        return _not_ours(decision)
    with holding(decision, run_id):
        return _act(decision, run_id, act)


def _not_ours(decision: Decision) -> State:
    """How a run ends whose decision another one has, or has ended: asked again under a key, a refusal is not taken for done."""
    if decision.outcome is None:
        return Completed(name="Merged", message=f"decision {decision.id} is in another run's hands, or has ended")
    name = "Refused" if decision.outcome in ("refused", "failed") else "Merged"
    return Completed(name=name, message=f"decision {decision.id} has ended as {decision.outcome}: {decision.outcome_reason}")


def _act(decision: Decision, run_id: str, act: Callable[[], State]) -> State:
    try:
        return act()
    except (NotReadyError, TransportError) as error:  # the latter of Prefect's client, where Prefect is away
        if put_back(decision, run_id):
            return Completed(name="PutBack", message=f"tried again soon: {error}")
        end(decision, run_id, "failed", f"{type(error).__name__}: {error}")
        raise
    except Exception as error:
        end(decision, run_id, "failed", f"{type(error).__name__}: {error}")
        raise


def carry_out(model: str, decision: Decision, run_id: str) -> State:
    """Carry out a decision that names its version: `deploy` and `rollback`."""

    def act() -> State:
        if not deployment.carry_out(model, decision, run_id):
            return Completed(name="Superseded", message="another version has become the champion since it was asked for")
        return Completed(name="RolledBack" if decision.act == "rollback" else "Deployed", message=f"version {decision.to_version} serves")

    return carry(decision, run_id, act)
