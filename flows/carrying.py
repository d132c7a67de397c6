"""What `deploy` and `rollback` share: a decision that names its version is claimed, carried out, and ends once."""

from __future__ import annotations

from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks import deployment
from tasks.decisions import claim, end, put_back
from tidemill.errors import NotReadyError
from tidemill.stores import Decision


def carry_out(model: str, decision: Decision, run_id: str) -> State:
    """Carry a decision out; call it within a flow."""
    if not claim(decision, run_id):
        return Completed(name="Merged", message=f"decision {decision.id} is in another run's hands, or has ended")
    try:
        done = deployment.carry_out(model, decision, run_id)
    except NotReadyError as error:  # a server that is away or behind, the lake behind: what was registered is kept, and it goes on later
        if put_back(decision, run_id):
            return Completed(name="PutBack", message=f"tried again soon: {error}")
        end(decision, run_id, "failed", f"{type(error).__name__}: {error}")
        raise
    except Exception as error:
        end(decision, run_id, "failed", f"{type(error).__name__}: {error}")
        raise
    if not done:
        return Completed(name="Superseded", message="another version has become the champion since it was asked for")
    return Completed(name="RolledBack" if decision.act == "rollback" else "Deployed", message=f"version {decision.to_version} serves")
