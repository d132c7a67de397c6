"""Who is at the page: what `Access` of the server has found out about a request."""

from __future__ import annotations

from fastapi import Request

from tidemill.stores import ANYONE, Caller

_KEY = "tidemill.caller"
_SAID = "tidemill.said"


def caller_of(request: Request) -> Caller:
    """Who sent a request; anyone where nothing asks for keys."""
    caller: Caller = request.scope.get(_KEY, ANYONE)
    return caller


def say(request: Request, about: str, detail: str, by: str) -> None:
    """Leave for the audit what an act was about, and who an unknown caller says they are."""
    request.scope[_SAID] = (about, detail, by)
