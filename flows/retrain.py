"""`retrain`: one decision from claim to ending.

```
claim ─► admit ─► snapshot ─► fit ─► register ─► gate ─► deploy
  │        │                                       │
  Merged   Cooldown, TooFewLabels, Frozen, ...     Rejected
```
"""

from __future__ import annotations

from prefect import flow, runtime
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.deploy import deploy
from flows.train import learn
from tasks.decisions import admit, claim, end, finish, open_decision
from tidemill.loop import Refused


@flow(name="retrain")
def retrain(model: str, decision_id: str = "", reason: str = "by hand") -> State:
    """Retrain a model because of a decision, or by hand; the gate decides what serves."""
    run_id = str(runtime.flow_run.id)
    decision = open_decision(model, decision_id, reason)
    if not claim(decision, run_id):
        return Completed(name="Merged", message=f"decision {decision.id} is in another run's hands")
    admitted = admit(model, decision)
    if isinstance(admitted, Refused):
        end(decision, run_id, "refused", f"{admitted.name}: {admitted.reason}")
        return Completed(name=admitted.name, message=admitted.reason)
    try:
        judgement = learn(model, {"trigger": decision.trigger, "decision": decision.id})
        if judgement.verdict.promote:
            deploy(model, judgement.version)
    except Exception as error:
        end(decision, run_id, "failed", f"{type(error).__name__}: {error}")
        raise
    finish(model, decision, run_id, judgement)
    return Completed(name="Promoted" if judgement.verdict.promote else "Rejected", message=judgement.verdict.reason)
