"""Who shows a key? Proved once by argon2, then remembered for as long as the key stands, which is looked up again every other second."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_urlsafe

from starlette.concurrency import run_in_threadpool

from tidemill.clock import NowMs, wall_ms
from tidemill.errors import BusyError, DeniedError
from tidemill.stores import ApiKey, Caller, KeyStore
from tidemill.stores.api_key import is_of, prefix_of

SESSION_MS = 12 * 3_600_000
_LIFE_S = 2.0  # of what was read of a key: so soon every process has noticed that it was revoked
_MOST_HELD, _MOST_WAITING = 4_096, 64
_TOKEN_BYTES = 32


@dataclass(frozen=True)
class _Known:
    caller: Caller
    key: ApiKey
    hashed: str  # what it was proved against; "" for a session
    read_s: float


class Keyring:
    """The callers of one server process.

    A key is looked for by its public prefix, so a text that is no key costs one read at most. Only one argon2 hash is computed at a time:
    whoever sends wrong keys on purpose takes a part of one core, and callers already known do not wait for it. Of keys and tokens only
    SHA-256 digests are held.

    Args:
        keys: of the project.
        now_wall_ms: the wall clock.
        clock_s: what the age of a read is measured by.
    """

    def __init__(self, keys: KeyStore, now_wall_ms: NowMs = wall_ms, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._now_ms = now_wall_ms
        self._clock_s = clock_s
        self._held: OrderedDict[bytes, _Known] = OrderedDict()
        self._proving = asyncio.Lock()
        self._waiting = 0

    async def of_key(self, text: str) -> Caller | None:
        """Who shows this key; None if it is none that stands.

        Raises:
            BusyError: too many keys wait to be proved.
            UnavailableError: the database does not answer; nobody is let in unseen.
        """
        prefix = prefix_of(text)
        if prefix is None:
            return None
        digest = sha256(text.encode()).digest()
        known = self._held.get(digest)
        if known is not None and self._is_fresh(known):
            return known.caller if known.key.stands(self._now_ms()) else None
        found = await run_in_threadpool(self._keys.find, prefix)
        if found is None or not found[0].stands(self._now_ms()):
            self._held.pop(digest, None)
            return None
        key, hashed = found
        if (known is None or known.hashed != hashed) and not await self._proved(digest, text, hashed):
            return None
        return self._remember(digest, key, hashed)

    async def of_session(self, token: str) -> Caller | None:
        """Whose browser shows this token; None if the session is over or its key does not stand.

        Raises:
            UnavailableError: the database does not answer.
        """
        digest = sha256(token.encode()).digest()
        known = self._held.get(digest)
        if known is None or not self._is_fresh(known):
            key = await run_in_threadpool(self._keys.of_session, digest.hex(), self._now_ms())
            if key is None or not key.stands(self._now_ms()):
                self._held.pop(digest, None)
                return None
            return self._remember(digest, key, "")
        return known.caller if known.key.stands(self._now_ms()) else None

    async def sign_in(self, text: str) -> str | None:
        """Begin a session with a key; answers its token, or None if the key opens nothing.

        Raises:
            BusyError: too many keys wait to be proved.
            DeniedError: it may not see the page, and its browser would be shut out of each for as long as the session lasts.
        """
        caller = await self.of_key(text)
        if caller is None:
            return None
        if "read" not in caller.scopes:
            raise DeniedError(f"{caller.name!r} may {', '.join(sorted(caller.scopes))}; the page asks for read", where="key")
        token, now_ms = token_urlsafe(_TOKEN_BYTES), self._now_ms()
        digest = sha256(token.encode()).hexdigest()
        await run_in_threadpool(self._keys.begin_session, digest, caller.prefix, now_ms, now_ms + SESSION_MS)
        return token

    async def sign_out(self, token: str) -> None:
        """End a session."""
        digest = sha256(token.encode()).digest()
        self._held.pop(digest, None)
        await run_in_threadpool(self._keys.end_session, digest.hex())

    async def _proved(self, digest: bytes, text: str, hashed: str) -> bool:
        if self._waiting >= _MOST_WAITING:
            raise BusyError("too many keys wait to be checked", retry_after_s=1)
        self._waiting += 1
        try:
            async with self._proving:
                known = self._held.get(digest)  # another request with this key may have been before
                return (known is not None and known.hashed == hashed) or await run_in_threadpool(is_of, text, hashed)
        finally:
            self._waiting -= 1

    def _is_fresh(self, known: _Known) -> bool:
        return self._clock_s() - known.read_s < _LIFE_S

    def _remember(self, digest: bytes, key: ApiKey, hashed: str) -> Caller:
        caller = Caller(key.name, frozenset(key.scopes), key.prefix, signed_in=not hashed)
        self._held[digest] = _Known(caller, key, hashed, self._clock_s())
        self._held.move_to_end(digest)
        if len(self._held) > _MOST_HELD:
            self._held.popitem(last=False)
        return caller
