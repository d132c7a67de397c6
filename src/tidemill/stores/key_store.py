"""API keys and the page's sessions, as rows; who may do what is read from here by every server."""

from __future__ import annotations

from functools import cached_property
from typing import cast

from sqlalchemy import ColumnElement, Engine, Row, delete, insert, select, update

from tidemill.errors import ConflictError, NotFoundError
from tidemill.stores.api_key import ApiKey, Scope
from tidemill.stores.cursors import reading
from tidemill.stores.databases import Databases
from tidemill.stores.insert_new import insert_new
from tidemill.stores.loop_tables import API_KEYS, LOOP_TABLES, SESSIONS

_K, _S = API_KEYS.c, SESSIONS.c


class KeyStore:
    """The keys of one project; what is revoked stays, for the record.

    Commits wait for the disk in either profile: a key that was revoked must not stand again after a power cut.

    >>> import tempfile; from pathlib import Path
    >>> keys = KeyStore(Databases(Path(tempfile.mkdtemp())), "shop")
    >>> keys.add(ApiKey("abc", "till", ("ingest",), "shop", "ann", 1), "hash")
    >>> keys.find("abc")
    (ApiKey(prefix='abc', name='till', scopes=('ingest',), project='shop', made_by='ann', made_wall_ms=1, until_wall_ms=None, revoked_by='',
    revoked_wall_ms=None), 'hash')
    >>> keys.revoke("till", "bob", 2).revoked_by
    'bob'
    """

    def __init__(self, databases: Databases, project: str) -> None:
        self._project = project
        self._databases = databases

    @cached_property  # most processes never ask for a key
    def _engine(self) -> Engine:
        return self._databases.open("loop", LOOP_TABLES, durable=True)

    def add(self, key: ApiKey, hashed: str) -> None:
        """Keep a new key.

        Raises:
            ConflictError: a key that stands has its name.
        """
        row = {
            "prefix": key.prefix,
            "name": key.name,
            "hash": hashed,
            "scopes": ",".join(key.scopes),
            "project": key.project,
            "made_by": key.made_by,
            "made_wall_ms": key.made_wall_ms,
            "until_wall_ms": key.until_wall_ms,
            "revoked_by": "",
        }
        with self._engine.begin() as connection:
            # one that has ended by itself gives its name back
            ended = update(API_KEYS).where(_K.project == key.project, _K.name == key.name, _K.until_wall_ms <= key.made_wall_ms)
            connection.execute(ended.where(_K.revoked_wall_ms.is_(None)).values(revoked_wall_ms=_K.until_wall_ms))
            if not insert_new(connection, API_KEYS, [row]):
                raise ConflictError(f"there is a key {key.name!r} already; take another name, or first `tidemill keys revoke {key.name!r}`")

    def find(self, prefix: str) -> tuple[ApiKey, str] | None:
        """The key of a prefix in this project and its hash, whether it stands or not; None if there is none."""
        with reading(self._engine).connect() as connection:
            row = connection.execute(select(API_KEYS).where(_K.prefix == prefix, self._mine())).one_or_none()
        return None if row is None else (_key(row), str(row.hash))

    def all(self) -> list[ApiKey]:
        """Every key of this project that ever was, the oldest first."""
        with reading(self._engine).connect() as connection:
            return [_key(row) for row in connection.execute(select(API_KEYS).where(self._mine()).order_by(_K.made_wall_ms, _K.prefix))]

    def revoke(self, named: str, by: str, wall_ms: int) -> ApiKey:
        """End a key by its name or prefix, and the sessions that began with it; answers it.

        Raises:
            NotFoundError: none of that name or prefix stands.
        """
        standing = _K.revoked_wall_ms.is_(None)
        with self._engine.begin() as connection:
            theirs = self._mine(), standing, (_K.name == named) | (_K.prefix == named)
            row = connection.execute(select(API_KEYS).where(*theirs)).first()
            if row is None:
                known = connection.execute(select(_K.name).where(self._mine(), standing)).scalars()
                raise NotFoundError("key", named, sorted(known))
            connection.execute(update(API_KEYS).where(_K.prefix == row.prefix).values(revoked_by=by, revoked_wall_ms=wall_ms))
            connection.execute(delete(SESSIONS).where(_S.prefix == row.prefix))
            return _key(connection.execute(select(API_KEYS).where(_K.prefix == row.prefix)).one())

    def begin_session(self, digest: str, prefix: str, wall_ms: int, until_wall_ms: int) -> None:
        """Remember that a browser has shown a key; of its token only the SHA-256 is kept. Sessions that are over are forgotten."""
        with self._engine.begin() as connection:
            connection.execute(delete(SESSIONS).where(_S.until_wall_ms <= wall_ms))
            connection.execute(insert(SESSIONS).values(digest=digest, prefix=prefix, until_wall_ms=until_wall_ms))

    def of_session(self, digest: str, wall_ms: int) -> ApiKey | None:
        """The key that a session began with; None if it is over."""
        mine = select(API_KEYS).join(SESSIONS, _S.prefix == _K.prefix)
        with reading(self._engine).connect() as connection:
            row = connection.execute(mine.where(_S.digest == digest, _S.until_wall_ms > wall_ms, self._mine())).one_or_none()
        return None if row is None else _key(row)

    def end_session(self, digest: str) -> None:
        """End a session; nothing happens if it is over."""
        with self._engine.begin() as connection:
            connection.execute(delete(SESSIONS).where(_S.digest == digest))

    def close(self) -> None:
        """Let go of the database."""
        if "_engine" in self.__dict__:
            self._engine.dispose()

    def _mine(self) -> ColumnElement[bool]:
        return _K.project == self._project


def _key(row: Row[tuple[object, ...]]) -> ApiKey:
    return ApiKey(
        prefix=row.prefix,
        name=row.name,
        scopes=cast("tuple[Scope, ...]", tuple(row.scopes.split(","))),
        project=row.project,
        made_by=row.made_by,
        made_wall_ms=row.made_wall_ms,
        until_wall_ms=row.until_wall_ms,
        revoked_by=row.revoked_by,
        revoked_wall_ms=row.revoked_wall_ms,
    )
