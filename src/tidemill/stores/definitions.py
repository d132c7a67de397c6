"""What each version of a view or table means: written down when it is first seen, and never changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from tidemill.features import FeatureSource
from tidemill.stores.cursors import Cursor, reading_cursor, writing_cursor

_ALL = "select view, version, digest, text, first_seen_ms from definition order by view, version"
_OF_VIEW = "select view, version, digest, text, first_seen_ms from definition where view = ? order by version"
_ADD = "insert into definition (view, version, digest, text, first_seen_ms) values (?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Definition:
    """One version of a view or table: the digest and canonical text of its definition (see `View.definition`), and the stream time, in ms,
    at which it was first seen; 0 for before the first event.
    """

    view: str
    version: int
    digest: str
    text: str
    first_seen_ms: int


class Definitions:
    """The definitions that a home remembers, in `state.db`: of every project file that was ever opened in it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of(self, view: str) -> list[Definition]:
        """Every version of a view, the lowest first; empty for a name never seen."""
        with reading_cursor(self._engine) as cursor:
            return [Definition(*row) for row in cursor.execute(_OF_VIEW, (view,))]

    def against(self, views: Iterable[FeatureSource]) -> list[Definition]:
        """The definitions that stand under the name and version of one of these views and are not its own."""
        with reading_cursor(self._engine) as cursor:
            return _compare(cursor, views)[0]

    def remember(self, views: Sequence[FeatureSource], now_ms: int) -> list[Definition]:
        """Write down the views that are new, unless another definition stands against one of them: then nothing is written.

        Args:
            views: of one project.
            now_ms: stream time.

        Returns:
            Those that stand against them, as `against`; empty when all is well.
        """
        with reading_cursor(self._engine) as cursor:
            against, new = _compare(cursor, views)
        if against or not new:
            return against
        with writing_cursor(self._engine) as cursor:  # looked at again: another project file may have come first
            against, new = _compare(cursor, views)
            if not against:
                cursor.executemany(_ADD, [(view.name, view.version, view.digest, view.definition, now_ms) for view in new])
        return against


def _compare(cursor: Cursor, views: Iterable[FeatureSource]) -> tuple[list[Definition], list[FeatureSource]]:
    """What stands against these views, and those of them that are new."""
    standing = {(row[0], row[1]): Definition(*row) for row in cursor.execute(_ALL)}
    against, new = [], []
    for view in views:
        remembered = standing.get((view.name, view.version))
        if remembered is None:
            new.append(view)
        elif remembered.digest != view.digest:
            against.append(remembered)
    return against, new
