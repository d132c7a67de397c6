"""The worker: what runs beside the API server to keep everything going: engine, lake, monitors, reactions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from tidemill.drift import Alarm, ColumnWarning
from tidemill.errors import ConflictError, NotReadyError
from tidemill.project import Workspace
from tidemill.registry import Registry
from tidemill.serving.age import AgeWatch
from tidemill.serving.dead_letters import DeadLetterWatch
from tidemill.serving.feature_watch import FeatureWatch
from tidemill.serving.follow_ups import FollowUpWatch, UpdateWatch
from tidemill.serving.monitors import OutcomeWatch
from tidemill.serving.probation import ProbationWatch
from tidemill.serving.reactions import ReactionWatch
from tidemill.settings import EngineSettings
from tidemill.stores import Alert, Decision
from tidemill.streams import LogReader

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Worker:
    """Engine, lake writer and monitors of one project, stepped by whoever owns the clock.

    Args:
        workspace: of the project.
        registry: of its models.
        settings: of the engine.
        share: what the engine reads of the log where several share it; None for all of it.
    """

    def __init__(self, workspace: Workspace, registry: Registry, settings: EngineSettings, share: LogReader | None = None) -> None:
        self.workspace = workspace
        self.shares = share is not None
        self._registry = registry
        self._limit = settings.batch_events
        self._engine = workspace.engine(share)
        self._lake = workspace.lake_writer()
        self._lake_due = (settings.lake_every_s, settings.lake_every_events)
        self._outcomes = [OutcomeWatch(workspace, registry, model) for model in workspace.project.models]
        models = workspace.project.models
        self._ages = [AgeWatch(workspace, registry, model) for model in models]
        self._follow_ups: list[FollowUpWatch | UpdateWatch] = [FollowUpWatch(workspace, registry, model) for model in models]
        self._follow_ups += [UpdateWatch(workspace, registry, model) for model in models]
        self._probations = [ProbationWatch(workspace, registry, model) for model in models]
        self._dead_letters = DeadLetterWatch(workspace)
        self._reactions = ReactionWatch(workspace)
        self._features = [FeatureWatch(workspace, registry, model) for model in workspace.project.models]

    def get_ready(self) -> None:
        """Import what only the watches need, so that no event waits for it later; without a model none of them looks at MLflow."""
        if self.workspace.project.models:
            self._registry.get_ready()

    def apply(self) -> int:
        """Apply everything the log holds; answers how many events."""
        return self._engine.drain(self._limit)

    def tend_lake(self) -> int:
        """Append to the lake when it is due; answers how many events."""
        return self._lake.step(*self._lake_due)

    def flush_lake(self) -> int:
        """Append to the lake now; answers how many events."""
        return self._lake.flush()

    def watch_outcomes(self) -> list[Alarm]:
        """Let the error monitors take what has become known; answers their alarms."""
        return [alarm for watch in self._outcomes for alarm in _ready(watch.step)]

    def watch_age(self) -> list[Decision]:
        """Let champions that have grown old ask for a retrain, where the policy says so; answers the decisions."""
        return [decision for watch in self._ages for decision in _ready(watch.step)]

    def watch_follow_ups(self) -> list[Decision]:
        """Let alarms that brought no new champion be tried again, and champions that learn by parts go on; answers the decisions."""
        return [decision for watch in self._follow_ups for decision in _ready(watch.step)]

    def watch_probation(self) -> list[Decision]:
        """Look whether new champions hold what they promised; answers the rollbacks asked for."""
        return [decision for watch in self._probations for decision in _ready(watch.step)]

    def watch_dead_letters(self) -> list[Alert]:
        """Look whether more events than usual are not applied; answers the alerts."""
        return _ready(self._dead_letters.step)

    def watch_reactions(self) -> int:
        """Hold what was applied against the conditions of the reactions; answers how many matches are new."""
        return self._reactions.step()

    def watch_features(self) -> list[ColumnWarning]:
        """Let the feature monitors take what was served; answers their warnings."""
        return [warning for watch in self._features for warning in _ready(watch.step)]


def _ready(step: Callable[[], list[T]]) -> list[T]:
    """A step, or nothing while the registry is down or another process does it: the cursor stays, so the next takes what this could not."""
    try:
        return step()
    except (NotReadyError, ConflictError) as error:
        logger.warning("monitor waits error=%s", error)
        return []
