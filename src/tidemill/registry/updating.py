"""The incremental update: the champion's estimator goes on from its parameters on newly labelled rows, and meets the same gate."""

from __future__ import annotations

from functools import partial

import numpy as np

from tidemill.drift import ReferenceProfile
from tidemill.errors import UnfitRowsError
from tidemill.learning import Fitted, Model, TrainingSet, predict
from tidemill.learning.by_parts import go_on
from tidemill.learning.candidates import HELD_OUT, MIN_JUDGED
from tidemill.project import Workspace
from tidemill.registry.challenging import Challenger, Tried, refuse_spoilt_rows, try_unseen
from tidemill.registry.deciding import Ask, Asker, request
from tidemill.registry.estimators import read_estimator
from tidemill.registry.known_outcomes import count_known
from tidemill.registry.named import CHAMPION
from tidemill.registry.registry import Registry
from tidemill.registry.version import Version
from tidemill.stores import Decision

UPDATE = "update"  # where a retrain names its window


def due_update(workspace: Workspace, model: Model, served: Version | None) -> Ask | None:
    """The update that is due now: one for each `policy.update_labels` labels known since the champion was trained."""
    step = model.policy.update_labels
    if step is None or served is None:
        return None
    labels = count_known(workspace, model, int(served.tags["stream_time_ms"]))
    if labels < step:
        return None
    passed = labels // step
    reason = f"{labels} labels since version {served.number} was trained"
    evidence: dict[str, object] = {"labels": labels}
    return Ask("update", "labels", f"update:{served.number}:{passed}", reason, evidence, served.number)


def request_update(workspace: Workspace, model: Model, asker: Asker) -> Decision:
    """An update that a person asks for."""
    return request(workspace, model, Ask("update", "manual", f"update:{asker.run_id}", f"asked for by {asker.by}", {"asked_by": asker.by}))


def learn_more(workspace: Workspace, registry: Registry, model: Model, rows: TrainingSet) -> Challenger:
    """The champion, gone on with the rows it has not learnt from but for the newest 30 %, which judge it.

    Raises:
        NotReadyError: the champion's estimator is not in this home.
        UnfitRowsError: too few new rows, or rows that no model may learn from.
    """
    name = workspace.project.registered_name(model.name)
    champion = registry.alias(name, CHAMPION)
    if champion is None:
        raise UnfitRowsError("TooFewLabels", f"model {model.name!r} has no champion to go on from; train one first")
    served = registry.load(name, champion)
    refuse_spoilt_rows(model, rows, served)
    learnt_until_ms = ReferenceProfile.from_json(served.reference).end_ms
    fresh = rows.rows(rows.at_ms > learnt_until_ms)
    n_judged = max(MIN_JUDGED, int(len(fresh) * HELD_OUT))
    if len(fresh) < 2 * MIN_JUDGED:
        raise UnfitRowsError("TooFewLabels", f"model {model.name!r} has {len(fresh)} new rows, {2 * MIN_JUDGED} are needed")
    judges = np.arange(len(fresh)) >= len(fresh) - n_judged
    older, newest = fresh.rows(~judges), fresh.rows(judges)
    estimator = go_on(model, read_estimator(workspace.home, name, champion), older)
    said = predict(model, estimator, newest.frame(), len(rows.classes))
    fitted = Fitted(estimator, older, newest, said, model.objective.quality(newest.outcome, said))
    scorer = registry.open(served, model.columns)
    trial = try_unseen(model, fitted, partial(scorer.score, classes=rows.classes), learnt_until_ms)
    return Challenger((Tried(UPDATE, fitted, trial),), champion, scorer=scorer)
