"""Opening the state of a home where its databases are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidemill.features import FeatureSource, Label
from tidemill.stores.databases import Databases
from tidemill.stores.mapped_state import MappedState
from tidemill.stores.row_state import RowState
from tidemill.stores.row_tables import ROW_TABLES
from tidemill.stores.state import SqlState


def open_state(
    databases: Databases, sources: Sequence[FeatureSource], labels: Mapping[str, Label], retention_ms: Mapping[str, int]
) -> SqlState:
    """The engine's state: with tiles in files beside a file of SQLite, or as rows of PostgreSQL.

    Args:
        databases: of the home.
        sources: the views whose tiles to keep, and the tables whose rows.
        labels: by model, what its outcomes are.
        retention_ms: by stream, how long ids count.
    """
    if databases.url is not None:
        return RowState(databases.open("state", ROW_TABLES), sources, labels, retention_ms)
    return MappedState(databases.path("state"), sources, labels, retention_ms)
