"""Who is at the page: what `Access` of the server has found out about a request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import Request

from tidemill.stores import ANYONE, Caller

_KEY = "tidemill.caller"
_SAID = "tidemill.said"
_STANDS = "tidemill.stands"


def caller_of(request: Request) -> Caller:
    """Who sent a request; anyone where nothing asks for keys."""
    caller: Caller = request.scope.get(_KEY, ANYONE)
    return caller


async def still_stands(request: Request) -> bool:
    """Whether who sent a request may still be answered; True where nothing asks for keys. What is answered for long asks now and then."""
    stands: Callable[[MutableMapping[str, Any]], Awaitable[bool]] | None = request.scope.get(_STANDS)
    return stands is None or await stands(request.scope)


def say(request: Request, about: str, detail: str, by: str) -> None:
    """Leave for the audit what an act was about, and who an unknown caller says they are."""
    request.scope[_SAID] = (about, detail, by)
