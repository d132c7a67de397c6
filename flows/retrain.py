"""`retrain`: one decision from claim to ending.

```
claim ─► admit ─► snapshot ─► fit ─► gate ─► fit on all rows ─► register ─► deploy
  │        │                          │
  Merged   Cooldown, TooFewLabels,    Rejected (registered, and never serves)
           Frozen, ...
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
        learnt = learn(model, {"trigger": decision.trigger, "decision": decision.id})
        verdict = learnt.judgement.verdict
        if verdict.promote:
            deploy(model, learnt.version)
    except Exception as error:
        end(decision, run_id, "failed", f"{type(error).__name__}: {error}")
        raise
    finish(model, decision, run_id, learnt)
    return Completed(name="Promoted" if verdict.promote else "Rejected", message=verdict.reason)
