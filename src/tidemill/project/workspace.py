"""A workspace: the project with its log and stores opened in one home folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.errors import ConflictError, ProjectError
from tidemill.kernels.ahead import compile_kernels
from tidemill.project.definitions import check_definitions
from tidemill.project.open_log import open_log
from tidemill.project.project import Project
from tidemill.settings import LogSettings
from tidemill.stores import (
    ActStore,
    AlertMessages,
    AlertSilences,
    AlertStore,
    AppliedReader,
    Databases,
    DecisionStore,
    KeyStore,
    Lake,
    LakeWriter,
    MonitorStateStore,
    PredictionStore,
    PublicationStore,
    QualityReader,
    ReactionStore,
    SqlLog,
    SqlState,
    backfill_view,
    open_loop,
    open_state,
    rebuild,
)
from tidemill.stores.file_lock import try_lock
from tidemill.stores.held_versions import held_reference
from tidemill.stores.newest_vectors import NewestVectors
from tidemill.streams import Books, Engine, LogReader

if TYPE_CHECKING:
    from tidemill.stores.kafka_log import KafkaLog
    from tidemill.stores.kafka_share import KafkaShare

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Workspace:
    """Everything a process of one project reads and writes; open it once at the process's edge."""

    project: Project
    databases: Databases
    log: SqlLog | KafkaLog
    state: SqlState
    lake: Lake
    predictions: PredictionStore
    vectors: NewestVectors
    quality: QualityReader
    decisions: DecisionStore
    alerts: AlertStore
    alert_messages: AlertMessages
    alert_silences: AlertSilences
    monitors: MonitorStateStore
    reactions: ReactionStore
    publications: PublicationStore
    keys: KeyStore
    acts: ActStore
    release_loop: Callable[[], None] = field(repr=False)
    _at_work: ExitStack = field(default_factory=ExitStack, repr=False)

    @property
    def home(self) -> Path:
        """The folder of the lake, of what is cached, and of the databases where they are files."""
        return self.databases.home

    @classmethod
    def open(  # noqa: PLR0913 - what a process's edge knows of where things lie
        cls,
        project: Project,
        home: Path,
        *,
        database: str | None = None,
        log: LogSettings | None = None,
        durable_log: bool = True,
        remember: bool = True,
    ) -> Workspace:
        """The workspace of a project in `home`; folders and tables are made when missing.

        Args:
            project: what to open.
            home: where its state lies, or with a `database` its lake and what is cached.
            database: the URL of a PostgreSQL that holds log, state, predictions and decisions; see `Settings.database_url`.
            durable_log: see `SqlLog`.
            remember: whether the home learns the definitions that it has not seen. Who only looks leaves it out, so that a definition
                under work may still change.
            log: which log; by default the home's own.

        Raises:
            ProjectError: the home remembers another definition under the name and version of a view or table, or its lake cannot follow a
                change of a stream's fields.
        """
        home = home.resolve()
        home.mkdir(mode=0o700, parents=True, exist_ok=True)  # events, predictions and hashes of keys are nobody else's
        databases = Databases(home, database)
        loop = open_loop(databases)
        workspace = cls(
            project=project,
            databases=databases,
            log=open_log(project, databases, log or LogSettings(), durable=durable_log),
            state=open_state(databases, project.sources, project.labels, project.retention_ms),
            lake=Lake(home / "lake", project.streams),
            predictions=PredictionStore(databases),
            vectors=NewestVectors(databases),
            quality=QualityReader(databases),
            decisions=DecisionStore(loop),
            alerts=AlertStore(loop),
            alert_messages=AlertMessages(loop),
            alert_silences=AlertSilences(loop),
            monitors=MonitorStateStore(loop),
            reactions=ReactionStore(loop),
            publications=PublicationStore(loop),
            keys=KeyStore(databases, project.name),
            acts=ActStore(loop),
            release_loop=loop.dispose,
        )
        try:
            check_definitions(workspace.state, project.sources, remember=remember)
            workspace.lake.check()
        except ProjectError:
            workspace.close()
            raise
        return workspace

    def engine(self, share: LogReader | None = None) -> Engine:
        """An engine that applies the log to the state; the home counts as at work until this workspace is closed.

        Args:
            share: what it reads of the log. None for all of it.

        Raises:
            ConflictError: the state has taken more than the log holds, so it belongs to another log; rebuild it from this one. Or
                something is being forgotten just now.
            ProjectError: another project file has come first with another definition of a view or table.
        """
        compile_kernels()  # before the first event waits for it
        self._at_work.enter_context(self.working())
        check_definitions(self.state, self.project.sources, remember=True)
        position = self.state.position()  # before the end of the log, as other engines may go on meanwhile
        if not self.log.end().at_least(position):
            raise self._of_another_log(f"stands at {position.token}, beyond the end of the log")
        if (stream := self.state.log_identity.differs(self.log.identity(), position)) is not None:
            raise self._of_another_log(f"was made from another log of {stream!r} than the one of that name now, which was made anew")
        if self.state.is_lost():
            logger.warning("tables of tiles and ids are gone, building them anew from lake and log home=%s", self.home)
            logger.info("tables built anew events=%s", self.build_anew())
        project = self.project
        return Engine(share or self.log, self.state, project.streams, project.retention_ms, project.keys)

    def _of_another_log(self, what: str) -> ConflictError:
        state = self.databases.called("state")
        return ConflictError(
            f"{state} {what}; put the log back that it was made from, or remove the state and the lake, "
            f"{state}, {self.home / 'state.tables'} and {self.home / 'lake'}, to build them anew"
        )

    def share(self) -> KafkaShare | None:
        """A part in the group of engines that share the log, until this workspace is closed; None where one engine reads all of it.

        They share a log in Kafka, and a state in PostgreSQL that all of them write to.
        """
        share = None if self.databases.url is None or isinstance(self.log, SqlLog) else self.log.share()
        if share is not None:
            self._at_work.callback(share.close)
        return share

    def build_anew(self) -> int:
        """Build every tile, row and id anew from lake and log; answers how many events it took. No engine may be at work beside."""
        return rebuild(self.state, self.lake, self.applied(), self.project.streams, self.project.retention_ms)

    @contextmanager
    def working(self, *, alone: bool = False) -> Iterator[None]:
        """Engines and backfills work beside each other; what must have the home to itself works `alone`.

        Raises:
            ConflictError: somebody is at work that this must not meet.
        """
        with try_lock(self.home / "engine.lock", alone=alone) as held:
            if not held:
                who = (
                    "an engine or a backfill is at work; end it (`tidemill up` or `tidemill work`)"
                    if alone
                    else "`tidemill forget` is at work"
                )
                raise ConflictError(f"{self.home}: {who}, then try again")
            yield

    def lake_writer(self) -> LakeWriter:
        """A writer that moves applied events to the lake."""
        return LakeWriter(self.applied(), self.state, self.lake)

    def backfill(self, view: str, progress: Callable[[int], None] | None = None) -> int:
        """Fill what a view or table lacks; answers how many events it read. See `tidemill.stores.backfill_view`.

        Raises:
            NotFoundError: no such view or table.
            ProjectError: another project file has come first with another definition of a view or table.
        """
        wanted = self.project.source(view)
        check_definitions(self.state, self.project.sources, remember=True)
        with self.working():
            self.lake_writer().flush()
            return backfill_view(self.state, self.lake, wanted, progress)

    def is_behind(self, most: int) -> bool:
        """Whether more than so many events wait in the log for the engine."""
        return self.log.behind(self.state.position()) > most

    def books(self) -> dict[str, Books]:
        """The books of every stream, at one position."""
        return self.state.books(self.log)

    def now_ms(self) -> int:
        """Stream time: the `known_at` of the last event the tiles have taken; 0 before the first."""
        return self.state.position_and_time()[1]

    def held_reference(self, model: str, version: int) -> str | None:
        """JSON of what a version's training looked like; None where no process of this home has loaded that version yet."""
        return held_reference(self.home, self.project.registered_name(model), version)

    def applied(self) -> AppliedReader:
        """A reader of applied events, from the log."""
        return AppliedReader(self.log, self.state, self.project.streams)

    def close(self) -> None:
        """Let go of every file."""
        for store in (self.log, self.state, self.predictions, self.vectors, self.quality, self.keys):
            store.close()
        self.release_loop()
        self._at_work.close()
