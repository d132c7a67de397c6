"""The outcomes that the loop counts: those that label events told, or where silence means something, what became of each question.

```
absent="drop"   ──► each label event, when it becomes known
absent=0        ──► each question, once `within` is over: the last outcome that it was told in that time, or 0
```
Where silence means something one kind of outcome is told by events and the other never is: of payments only the stolen ones are reported.
Whoever counted events would see a world of thefts, and counted at once a theft would be known a week before what is honest. So there an
outcome is known when nothing more can be told, which is also when training takes it (`tidemill.learning.outcomes.settled`).
"""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.learning import Model
from tidemill.project import Workspace
from tidemill.stores import Asked, Outcome


def silence_counts(model: Model) -> bool:
    """Whether no outcome by then is an outcome."""
    return model.label.absent != "drop"


def count_known(workspace: Workspace, model: Model, after_ms: int) -> int:
    """How many outcomes became known after a time."""
    if not silence_counts(model):
        return workspace.state.count_outcomes(model.name, after_ms)
    within_ms = model.label.within_ms
    return workspace.predictions.count_asked(model.name, after_ms - within_ms + 1, workspace.now_ms() - within_ms)


def count_up_to(workspace: Workspace, model: Model, after_ms: int, most: int) -> int:
    """The same where more than so many make no difference, which a look every few seconds asks."""
    if silence_counts(model):
        return min(most, count_known(workspace, model, after_ms))
    return sum(outcome.known_at_ms > after_ms for outcome in workspace.state.newest_outcomes(model.name, most))


def newest_known(workspace: Workspace, model: Model, limit: int) -> list[Outcome]:
    """The last so many, the oldest first."""
    if not silence_counts(model):
        return workspace.state.newest_outcomes(model.name, limit)
    return _settled(workspace, model, workspace.predictions.newest_asked(model.name, workspace.now_ms() - model.label.within_ms, limit))


def known_after(workspace: Workspace, model: Model, after: int, limit: int) -> list[Outcome]:
    """At most so many past a number, in the order in which they became known: that of an outcome, or of a prediction."""
    if not silence_counts(model):
        return workspace.state.outcomes(model.name, after, limit)
    over_ms = workspace.now_ms() - model.label.within_ms
    return _settled(workspace, model, workspace.predictions.asked(model.name, after, over_ms, limit))


def _settled(workspace: Workspace, model: Model, asked: Sequence[Asked]) -> list[Outcome]:
    """What became of each question, by the number of its prediction."""
    within_ms = model.label.within_ms
    told: dict[str, list[Outcome]] = {}
    for outcome in workspace.state.outcomes_of(model.name, [one.key for one in asked]):
        told.setdefault(outcome.key, []).append(outcome)
    found = []
    for one in asked:
        counted = [each.value for each in told.get(one.key, ()) if one.at_ms < each.known_at_ms <= one.at_ms + within_ms]
        found.append(Outcome(one.prediction_id, one.key, one.at_ms + within_ms, counted[-1] if counted else model.label.absent))
    return found
