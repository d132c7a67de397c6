"""Followers: who reads applied events again after the engine, beside the lake; what they need is kept until all of them have passed."""

from __future__ import annotations

from sqlalchemy import Engine

from tidemill.stores.cursors import Cursor, reading_cursor, writing_cursor
from tidemill.streams import Position
from tidemill.streams.position import lowest


class Followers:
    """Names with how far each has come. A follower may have come further than it stands here, never less far.

    Args:
        engine: of the state's database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def start(self, name: str, position: Position) -> None:
        """Make a follower of a name, at a position; one that is there stays where it is."""
        with writing_cursor(self._engine) as cursor:
            cursor.execute("insert into follower (name, token) values (?, ?) on conflict do nothing", (name, position.token))

    def passed(self, name: str, position: Position) -> None:
        """Note how far a follower has come."""
        with writing_cursor(self._engine) as cursor:
            cursor.execute("update follower set token = ? where name = ?", (position.token, name))

    def leave(self, name: str) -> None:
        """Nothing need be kept for it any more."""
        with reading_cursor(self._engine) as cursor:
            follows = cursor.execute("select 1 from follower where name = ?", (name,)).fetchone() is not None
        if follows:
            with writing_cursor(self._engine) as cursor:
                cursor.execute("delete from follower where name = ?", (name,))


def forget_duplicates(cursor: Cursor, lake: Position) -> None:
    """Drop what is known of duplicates that the lake and every follower have passed."""
    tokens = cursor.execute("select token from follower").fetchall()
    passed = lowest([lake, *(Position.from_token(token) for (token,) in tokens)])
    spans = [(stream, *span) for stream in passed.offsets for span in passed.spans(stream)]
    cursor.executemany("delete from duplicate where stream = ? and log_offset between ? and ?", spans)
