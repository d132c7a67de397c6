"""Opening the log that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.project.project import Project
from tidemill.settings import LogSettings
from tidemill.stores import Databases, SqlLog
from tidemill.stores.source_books import open_source_books

if TYPE_CHECKING:
    from tidemill.stores.kafka_log import KafkaLog


def open_log(project: Project, databases: Databases, settings: LogSettings, *, durable: bool) -> SqlLog | KafkaLog:
    """The log of a project.

    Args:
        project: whose streams.
        databases: of the home; they hold the log in SQL, and what is told of sources.
        settings: which log.
        durable: see `SqlLog`; one that need not be is of a replay.

    Raises:
        NotReadyError: Kafka does not answer, or a topic is of another kind.
    """
    if settings.kind == "sql":
        return SqlLog(databases, project.stream_names, durable=durable)
    from tidemill.stores.kafka_log import KafkaLog  # the client takes a quarter of a second to import

    return KafkaLog(project.streams, settings.kafka, project.name, open_source_books(databases), replay=not durable)
