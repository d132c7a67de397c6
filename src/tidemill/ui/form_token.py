"""The token of a form: proof that the page it was sent from is ours. It follows from a cookie that no other site can read.

A browser sends its cookies with a form of any site, so the cookie proves nothing by itself; another site cannot write down what follows
from it. Where there is no session there is a visitor's cookie, which opens nothing.
"""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe

from fastapi import Request, Response

from tidemill.errors import DeniedError

FIELD = "token"
SESSION_COOKIE, VISITOR_COOKIE = "tidemill_session", "tidemill_visitor"
_BYTES = 32


def form_token(request: Request, visitor: str = "") -> str:
    """What the forms of a page for this browser carry.

    Args:
        request: for the page.
        visitor: the cookie it is about to get, see `new_visitor`.
    """
    secret = request.cookies.get(SESSION_COOKIE) or request.cookies.get(VISITOR_COOKIE) or visitor
    return sha256(b"form:" + secret.encode()).hexdigest()


def new_visitor(request: Request) -> str:
    """A new visitor's cookie for a browser that has none; "" for one that has."""
    known = request.cookies.get(SESSION_COOKIE) or request.cookies.get(VISITOR_COOKIE)
    return "" if known else token_urlsafe(_BYTES)


def set_cookie(request: Request, answer: Response, name: str, value: str, max_age_s: int | None = None) -> None:
    """Give a browser a cookie that no script reads; a link in a mail comes with it, what another site sends does not."""
    answer.set_cookie(name, value, max_age=max_age_s, path="/", httponly=True, samesite="lax", secure=request.url.scheme == "https")


def check_form(request: Request, given: str) -> None:
    """Refuse a form that is not one of ours.

    Raises:
        DeniedError: the browser has no cookie, or the token is another's.
    """
    has_cookie = request.cookies.get(SESSION_COOKIE) or request.cookies.get(VISITOR_COOKIE)
    if not has_cookie or not compare_digest(form_token(request).encode(), given.encode()):
        raise DeniedError("the form is not from this page as it is now; reload the page and try again", where=FIELD)
