"""A workspace: the project with its log and stores opened in one home folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tidemill.errors import ConflictError
from tidemill.project.project import Project
from tidemill.stores import (
    AlertStore,
    DecisionStore,
    Lake,
    LakeWriter,
    MonitorStateStore,
    PredictionStore,
    QualityReader,
    SqlLog,
    SqlState,
    open_loop,
)
from tidemill.streams import Books, Engine


@dataclass(frozen=True)
class Workspace:
    """Everything a process of one project reads and writes; open it once at the process's edge."""

    project: Project
    home: Path
    log: SqlLog
    state: SqlState
    lake: Lake
    predictions: PredictionStore
    quality: QualityReader
    decisions: DecisionStore
    alerts: AlertStore
    monitors: MonitorStateStore
    release_loop: Callable[[], None] = field(repr=False)

    @classmethod
    def open(cls, project: Project, home: Path, *, durable_log: bool = True) -> Workspace:
        """The workspace of a project in `home`; folders and tables are made when missing. For `durable_log` see `SqlLog`."""
        home = home.resolve()
        loop = open_loop(home)
        predictions, state = home / "serving.db", home / "state.db"
        return cls(
            project=project,
            home=home,
            log=SqlLog(home / "log.db", project.stream_names, durable=durable_log),
            state=SqlState(state, project.views, project.labels, project.retention_ms),
            lake=Lake(home / "lake", project.streams),
            predictions=PredictionStore(predictions),
            quality=QualityReader(predictions, state),
            decisions=DecisionStore(loop),
            alerts=AlertStore(loop),
            monitors=MonitorStateStore(loop),
            release_loop=loop.dispose,
        )

    def engine(self) -> Engine:
        """An engine that applies the log to the state.

        Raises:
            ConflictError: the state has taken more than the log holds, so it belongs to another log; rebuild it from this one.
        """
        if not self.log.end().at_least(self.state.position()):
            raise ConflictError(
                f"{self.home / 'state.db'} stands at {self.state.position().token}, beyond the end of log.db; "
                "put the log back that it was made from, or remove state.db and the lake to build them anew"
            )
        return Engine(self.log, self.state, self.project.streams, self.project.retention_ms)

    def lake_writer(self, every_s: float, every_events: int) -> LakeWriter:
        """A writer that moves applied events to the lake."""
        return LakeWriter(self.state, self.lake, every_s, every_events)

    def books(self) -> dict[str, Books]:
        """The books of every stream, at one position."""
        return self.state.books(self.log)

    def now_ms(self) -> int:
        """Stream time: the `known_at` of the last event the tiles have taken; 0 before the first."""
        return self.state.position_and_time()[1]

    def close(self) -> None:
        """Let go of every file."""
        for store in (self.log, self.state, self.predictions, self.quality):
            store.close()
        self.release_loop()
