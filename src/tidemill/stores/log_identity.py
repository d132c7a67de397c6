"""Which log a state was made from: a topic that was deleted and made anew has the same name, and offsets that mean other events."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Engine

from tidemill.stores.cursors import reading_cursor, writing_cursor
from tidemill.streams import Position

_TAKE = "insert into log_identity (stream, identity) values (?, ?) on conflict (stream) do update set identity = excluded.identity"


class LogIdentity:
    """What each stream's log was known by when its first events were taken.

    Args:
        engine: of the state's database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def differs(self, now: Mapping[str, str], position: Position) -> str | None:
        """A stream whose log is another than the one that the state has taken events of; None when all are the same, which is kept.

        Args:
            now: by stream, what its log is known by; see `Log.identity`.
            position: of the state. A stream of which nothing was taken may have another log.
        """
        with reading_cursor(self._engine) as cursor:
            held = dict(cursor.execute("select stream, identity from log_identity").fetchall())
        others = {stream: identity for stream, identity in now.items() if held.get(stream) != identity}
        for stream in sorted(others.keys() & held.keys()):
            if any(position.offsets.get(stream, {}).values()):
                return stream
        if others:
            with writing_cursor(self._engine) as cursor:
                cursor.executemany(_TAKE, sorted(others.items()))
        return None
