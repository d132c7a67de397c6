"""An API key: what a program shows to say who it is, and what of it is kept.

```
tm_k3v9x2mw1q_Zr8...                      shown once, to whoever made it
   ^prefix    ^secret, 256 bits           kept: the prefix, to find the row by, and an argon2 hash of the whole
```
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal, get_args

from tidemill.errors import InputError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

Scope = Literal["ingest", "operate", "predict", "read"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

_PREFIX_LETTERS, _PREFIX_LENGTH, _SECRET_BYTES = "abcdefghijkmnpqrstuvwxyz23456789", 10, 32
_KEY = re.compile(rf"tm_([{_PREFIX_LETTERS}]{{{_PREFIX_LENGTH}}})_[A-Za-z0-9_-]{{43}}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.@-]{0,63}")
# OWASP's least for argon2id. A secret of 256 random bits cannot be guessed whatever a guess costs, so the cost is for the day on which
# somebody makes shorter ones; more memory would only help who sends wrong keys on purpose.
_TIME_COST, _MEMORY_KIB, _LANES = 2, 19_456, 1


@dataclass(frozen=True)
class ApiKey:
    """One key as it is kept, without what proves it.

    Args:
        prefix: the public part, by which it is found.
        name: what people call it, e.g. the program or person that holds it; of the keys that stand no other has it.
        scopes: what it may do.
        project: where it may do so.
        made_by: who made it.
        made_wall_ms: when.
        until_wall_ms: when it ends by itself; None for never.
        revoked_by: who ended it, "" while it stands.
        revoked_wall_ms: when.
    """

    prefix: str
    name: str
    scopes: tuple[Scope, ...]
    project: str
    made_by: str
    made_wall_ms: int
    until_wall_ms: int | None = None
    revoked_by: str = ""
    revoked_wall_ms: int | None = None

    def stands(self, wall_ms: int) -> bool:
        """Whether it opens anything at a wall time."""
        return self.revoked_wall_ms is None and (self.until_wall_ms is None or wall_ms < self.until_wall_ms)


@dataclass(frozen=True)
class Caller:
    """Who a request comes from.

    Args:
        name: the key's name; "" where the server is open to all of this machine and nobody was asked.
        scopes: what they may do.
        prefix: the key's.
        signed_in: whether they came by the page's cookie, and not by the key itself.
    """

    name: str
    scopes: frozenset[Scope]
    prefix: str = ""
    signed_in: bool = field(default=False, compare=False)


ANYONE = Caller("", frozenset(SCOPES))


def new_text() -> str:
    """A key that nobody can guess, to be shown once.

    >>> prefix_of(new_text()) is not None
    True
    """
    prefix = "".join(secrets.choice(_PREFIX_LETTERS) for _ in range(_PREFIX_LENGTH))
    return f"tm_{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}"


def prefix_of(text: str) -> str | None:
    """The public part of a key; None if the text has not the form of one.

    >>> prefix_of("tm_abcdefghij_" + "A" * 43), prefix_of("secret")
    ('abcdefghij', None)
    """
    found = _KEY.fullmatch(text)
    return found[1] if found else None


def hash_of(text: str) -> str:
    """What is kept of a key: an argon2id hash with its salt and costs. It takes some tens of ms."""
    return _hasher().hash(text)


def is_of(text: str, hashed: str) -> bool:
    """Whether a hash is that of a key. It takes some tens of ms.

    >>> key = new_text()
    >>> is_of(key, hash_of(key)), is_of(new_text(), hash_of(key))
    (True, False)
    """
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hasher().verify(hashed, text)
    except (VerificationError, InvalidHashError):
        return False


def check_name(name: str) -> str:
    """The name of a key, if it may be one.

    Raises:
        InputError: empty, too long, or with other letters.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{name[:80]!r} is no name for a key; use up to 64 letters, digits, spaces and _ . @ -", where="name")
    return name


def check_scopes(wanted: list[str]) -> tuple[Scope, ...]:
    """The scopes of a key, sorted.

    Raises:
        InputError: none, or one that does not exist.

    >>> check_scopes(["read", "ingest"])
    ('ingest', 'read')
    """
    unknown = sorted(set(wanted) - set(SCOPES))
    if unknown or not wanted:
        said = f"no scope {unknown[0]!r}" if unknown else "no scope given"
        raise InputError(f"{said}; there is: {', '.join(SCOPES)}", where="--scope")
    return tuple(scope for scope in SCOPES if scope in wanted)


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # not above: every command would load it

    return PasswordHasher(time_cost=_TIME_COST, memory_cost=_MEMORY_KIB, parallelism=_LANES)
