"""`retrain`: one decision from claim to ending.

```
claim ─► admit ─► snapshot ─► fit ─► gate ─► fit the winner again ─► register ─► deploy
  │        │                          │
  Merged   Cooldown, TooFewLabels,    Rejected (registered, and never serves)
           Frozen, BadData, ...
```
A server that is away puts the decision back, and it is tried again after a pause; a run that was killed is followed by another, which goes
on with what was registered.
"""

from __future__ import annotations

from functools import partial

from prefect import flow, runtime
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.carrying import carry
from flows.train import learn
from tasks import deployment
from tasks.decisions import admit, begun, end, finish, keep_learnt, mark, open_retrain, plan
from tidemill.loop import Refused
from tidemill.registry import Asker, Learnt
from tidemill.stores import Decision


@flow(name="retrain")
def retrain(model: str, decision_id: str = "", reason: str = "by hand", by: str = "hand", key: str = "") -> State:
    """Retrain a model because of a decision, or by hand; the gate decides what serves.

    A flow upstream names a `key` of its own, e.g. that of a load: asked for again under it, nothing is done twice.
    """
    run_id = str(runtime.flow_run.id)
    decision = open_retrain(model, decision_id, reason, Asker(by, run_id, key))
    return carry_through(model, decision, run_id)


def carry_through(model: str, decision: Decision, run_id: str) -> State:
    """A decision that learns, from claim to ending; call it within a flow."""
    return carry(decision, run_id, partial(_decide, model, decision, run_id))


def _decide(model: str, decision: Decision, run_id: str) -> State:
    learnt = begun(model, decision) or _learn(model, decision, run_id)
    if isinstance(learnt, Refused):
        end(decision, run_id, learnt.outcome, f"{learnt.name}: {learnt.reason}")
        return Completed(name="Merged" if learnt.outcome == "merged" else learnt.name, message=learnt.reason)
    verdict = learnt.judgement.verdict
    if verdict.promote and (refused := deployment.deploy_learnt(model, decision, run_id, learnt)) is not None:
        return Completed(name=refused.name, message=refused.reason)
    finish(model, decision, run_id, learnt)
    return Completed(name="Promoted" if verdict.promote else "Rejected", message=verdict.reason)


def _learn(model: str, decision: Decision, run_id: str) -> Learnt | Refused:
    admitted = admit(model, decision, run_id)
    if isinstance(admitted, Refused):
        return admitted
    tags = {"trigger": decision.trigger, "decision": decision.id}
    learnt = learn(model, tags, plan(model, decision), partial(mark, decision, run_id))
    if isinstance(learnt, Learnt):
        keep_learnt(model, decision, run_id, learnt)
    return learnt
