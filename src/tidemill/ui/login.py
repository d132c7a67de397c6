"""Signing in and out of the page: an API key is shown once, and the browser gets a session in its place."""

from __future__ import annotations

import re
from typing import Protocol
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from tidemill.errors import BusyError, DeniedError, TidemillError
from tidemill.ui.files import read_files
from tidemill.ui.form_token import SESSION_COOKIE, VISITOR_COOKIE, form_token, new_visitor, set_cookie
from tidemill.ui.forms import go_to, one, read_form, refused
from tidemill.ui.page import HEADERS, HTML
from tidemill.ui.rendering import Renderer

_SESSION_S = 12 * 3_600
_OWN_ADDRESS = re.compile(r"/(?![/\\])[!-\[\]-~]{0,2000}")  # of this server: no host, no backslash, nothing that a browser leaves out
_WRONG = "No such key stands. It may be misspelled, revoked, or of another project."

_ENDED = "Your session had ended, so nothing was done. Sign in, and do it again."


class Sessions(Protocol):
    """What begins and ends sessions: the keyring of the server."""

    async def sign_in(self, text: str) -> str | None:
        """The token of a new session; None if the key opens nothing, a `DeniedError` if it may not see the page."""
        ...

    async def sign_out(self, token: str) -> None:
        """End a session."""
        ...


def login_router(sessions: Sessions) -> APIRouter:
    """The routes `GET` and `POST /ui/login`, and `POST /ui/logout`."""
    router, door = APIRouter(prefix="/ui", include_in_schema=False), _Door(sessions)
    router.add_api_route("/login", door.show, methods=["GET"])
    router.add_api_route("/login", door.sign_in, methods=["POST"])
    router.add_api_route("/logout", door.sign_out, methods=["POST"])
    return router


class _Door:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._renderer = Renderer(read_files())

    async def show(self, request: Request) -> Response:
        return self._page(request, _ENDED if "ended" in request.query_params else "")

    async def sign_in(self, request: Request) -> Response:
        try:
            key = one(await read_form(request), "key").strip()
        except TidemillError as error:
            return refused(error)
        try:
            token = await self._sessions.sign_in(key)
        except BusyError as error:
            return self._page(request, str(error), 429)
        except DeniedError as error:
            return self._page(request, str(error), 403)
        except TidemillError as error:
            return refused(error)
        if token is None:
            return self._page(request, _WRONG, 403)
        answer = go_to(_wanted(request))
        set_cookie(request, answer, SESSION_COOKIE, token, _SESSION_S)
        return answer

    async def sign_out(self, request: Request) -> Response:
        try:
            await read_form(request)
        except TidemillError as error:
            return refused(error)
        await self._sessions.sign_out(request.cookies.get(SESSION_COOKIE, ""))
        answer = go_to("/ui/login")
        answer.delete_cookie(SESSION_COOKIE, path="/")
        return answer

    def _page(self, request: Request, said: str = "", status: int = 200) -> Response:
        visitor = new_visitor(request)
        to = _wanted(request)
        text = self._renderer.login(said=said, token=form_token(request, visitor), to="" if to == "/" else f"?to={quote(to)}")
        answer = Response(text, status, {**HEADERS, "Cache-Control": "no-store"}, HTML)
        if visitor:
            set_cookie(request, answer, VISITOR_COOKIE, visitor)
        return answer


def _wanted(request: Request) -> str:
    """What of this server a person came for; the overview where they did not say, or said what is elsewhere."""
    to = request.query_params.get("to", "")
    return to if _OWN_ADDRESS.fullmatch(to) else "/"
