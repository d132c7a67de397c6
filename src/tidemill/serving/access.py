"""Who may call a route: each asks for a scope, and whoever calls it for a key that has it.

```
 request ─► Guards: Host, Origin, size ─► Access: key or cookie? scope? rate? ─► router ─► the route
                                            └─ 401, 403, 429                      └─ an act of `operate` is written down
```
It stands before the router, so nothing of a body is read for somebody who may not send it.
"""

from __future__ import annotations

import logging
import re
import time
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import cookie_parser

from tidemill.clock import wall_ms
from tidemill.errors import BusyError, UnavailableError
from tidemill.serving.answering import AsgiScope, Headers, Receive, Send, answer
from tidemill.serving.console_scopes import CONSOLE_ROUTES, CONSOLES
from tidemill.serving.keyring import Keyring
from tidemill.serving.rate import Rate
from tidemill.serving.refusing import HOW_TO_CALL
from tidemill.serving.scopes import ROUTE, ROUTES, route_of
from tidemill.stores import ANYONE, Act, ActStore, Caller, Scope

logger = logging.getLogger(__name__)

CALLER = "tidemill.caller"  # where a route finds who called, in the request's scope
SAID = "tidemill.said"  # where a route of `operate` may leave (about, detail, by) for the audit
STANDS = "tidemill.stands"  # where a route that answers for long finds out whether who called still may
SESSION_COOKIE = "tidemill_session"
_SAFE = frozenset({"GET", "HEAD"})
_LOOKED_AT = ("/docs/", *CONSOLES)  # by a browser, which says that it takes HTML
_FORMS = "/ui/"  # what a browser may send by its cookie alone; each of them asks for the form's token too
_MOST_KEPT = 1_000  # letters of what an act was about
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SELDOM_S, _MOST_TRIED = 60.0, 4_096
_NOBODY = Caller("", frozenset())

Refusal = tuple[int, str, str, Headers]


class Access:
    """ASGI middleware.

    Args:
        app: what comes behind.
        keyring: of the project; None where the server is open to this machine.
        acts: where acts of `operate` are written down.
        rate: how often one caller may ask.
    """

    def __init__(self, app: Any, keyring: Keyring | None, acts: ActStore, rate: Rate) -> None:
        self._app = app
        self._keyring = keyring
        self._acts = acts
        self._rate = rate
        self._tried_s: dict[tuple[str, str], float] = {}  # by key and route, when an attempt was last written down

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Let a request through with its caller, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if ROUTE not in scope:
            scope[ROUTE] = route_of(scope["method"], scope["path"])
        route = scope[ROUTE]
        is_public = route is not None and ROUTES[route] is None
        try:
            caller = ANYONE if self._keyring is None else await _shown(self._keyring, scope)
        except (BusyError, UnavailableError) as error:
            status, wait_s = (429, error.retry_after_s) if isinstance(error, BusyError) else (503, 2)
            await answer(send, status, "header Authorization", str(error), [(b"retry-after", str(wait_s).encode())])
            return
        if not is_public and (refusal := self._refusal(caller, ROUTES[route] if route else None, scope)) is not None:
            await self._refuse(caller, refusal, scope, send)
            return
        scope[CALLER] = caller or _NOBODY
        scope[STANDS] = self._stands  # asked with the scope: one that held itself would wait for the garbage collector
        if route is not None and ROUTES[route] == "operate":
            send = self._audited(scope, route, send)
        await self._app(scope, receive, send)

    async def _refuse(self, caller: Caller | None, refusal: Refusal, scope: AsgiScope, send: Send) -> None:
        """Answer what is not let through; that a known key has tried what it may not is written down."""
        who, route = caller.prefix if caller else "-", scope[ROUTE]
        logger.info("refused status=%d key=%s method=%s path=%.200r", refusal[0], who, scope["method"], scope["path"])
        if caller is not None and refusal[0] == 403 and route is not None and self._is_an_attempt(caller, route):
            scope[CALLER], scope[SAID] = caller, (scope["path"], "", "")
            with suppress(UnavailableError):  # the log has it
                await run_in_threadpool(self._acts.record, _act(scope, route, refusal[0]))
        await answer(send, *refusal)

    def _is_an_attempt(self, caller: Caller, route: str) -> bool:
        """Whether it is written down: of a key and a route once a minute, as nothing else bounds how often somebody tries."""
        if ROUTES[route] != "operate" or route in CONSOLE_ROUTES:
            return False
        now_s, which = time.monotonic(), (caller.prefix, route)
        if now_s - self._tried_s.get(which, -_SELDOM_S) < _SELDOM_S:
            return False
        if len(self._tried_s) >= _MOST_TRIED:
            self._tried_s.clear()
        self._tried_s[which] = now_s
        return True

    def _refusal(self, caller: Caller | None, wanted: Scope | None, scope: AsgiScope) -> Refusal | None:
        if caller is None:
            if _is_looked_at(scope):
                return 303, "header Authorization", "sign in", [(b"location", _door_to(scope).encode())]
            return 401, "header Authorization", f"no key that stands; {HOW_TO_CALL}", [(b"www-authenticate", b'Bearer realm="tidemill"')]
        if not self._rate.takes(caller.prefix):
            what = f"{caller.name or 'this machine'} asks more often than TIDEMILL_SERVER__RATE_PER_KEY allows"
            return 429, "key", what, [(b"retry-after", b"1")]
        if wanted is not None and wanted not in caller.scopes:
            return 403, "key", f"{caller.name!r} may {', '.join(sorted(caller.scopes))}; this asks for {wanted}", ()
        if caller.signed_in and scope["method"] not in _SAFE and not scope["path"].startswith(_FORMS):
            if not scope["path"].startswith(CONSOLES):
                return 403, "header Authorization", f"the page's cookie opens its own forms alone; {HOW_TO_CALL}", ()
            if not _is_of_own_page(dict(scope["headers"])):
                return 403, "header Origin", f"a browser's session changes something from a page of this server alone; {HOW_TO_CALL}", ()
        return None

    async def _stands(self, scope: AsgiScope) -> bool:
        """Whether the caller of a request would be let in once more; whoever is in stays in while the database is away."""
        if self._keyring is None:
            return True
        try:
            caller: Caller = scope[CALLER]
            return await _shown(self._keyring, scope) == caller
        except (BusyError, UnavailableError):
            return True

    def _audited(self, scope: AsgiScope, route: str, send: Send) -> Send:
        async def audited(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":  # written down before it is answered
                await run_in_threadpool(self._acts.record, _act(scope, route, message["status"]))
            await send(message)

        return audited


def _act(scope: AsgiScope, route: str, status: int) -> Act:
    caller: Caller = scope[CALLER]
    about, detail, by = scope.get(SAID, (" ".join(map(str, scope.get("path_params", {}).values())), "", ""))
    via = f"key {caller.prefix}" if caller.prefix else "open server"
    who, way = caller.name or by or "anyone", f"page, {via}" if caller.signed_in else via
    return Act(who, way, route, _kept(about), _kept(detail), wall_ms(), status)


def _kept(text: str) -> str:
    """What PostgreSQL can hold, and a terminal show, of a text that came from outside."""
    return _CONTROL.sub(" ", text)[:_MOST_KEPT]


def _is_looked_at(scope: AsgiScope) -> bool:
    """Whether a person looks at it in a browser, or sent a form of the page, who is better led to the door than told of a header."""
    takes_html = b"text/html" in dict(scope["headers"]).get(b"accept", b"")
    if scope["method"] not in _SAFE:
        return scope["path"].startswith(_FORMS) and takes_html
    return scope["path"] == "/" or (f"{scope['path']}/".startswith(_LOOKED_AT) and takes_html)


def _door_to(scope: AsgiScope) -> str:
    """Where a person signs in who then goes on to what was asked; or, after a form that was not taken, is told so.

    >>> _door_to({"method": "GET", "path": "/", "query_string": b""}), _door_to({"method": "POST", "path": "/ui/alerts/ack"})
    ('/ui/login', '/ui/login?ended=yes')
    >>> _door_to({"method": "GET", "path": "/mlflow/runs", "query_string": b"a=1&b"})
    '/ui/login?to=/mlflow/runs%3Fa%3D1%26b'
    """
    if scope["method"] not in _SAFE:
        return "/ui/login?ended=yes"
    query = scope["query_string"].decode("latin-1")
    asked = quote(scope["path"]) + (f"?{query}" if query else "")
    return "/ui/login" if asked == "/" else f"/ui/login?to={quote(asked)}"


def _is_of_own_page(headers: dict[bytes, bytes]) -> bool:
    """Whether a browser says that a page of this server sends it; `Guards` has held its Origin against the Host."""
    return b"origin" in headers and headers.get(b"sec-fetch-site", b"same-origin") == b"same-origin"


async def _shown(keyring: Keyring, scope: AsgiScope) -> Caller | None:
    """Who shows a key, or the cookie of a session."""
    headers = dict(scope["headers"])
    said = headers.get(b"authorization", b"").decode("latin-1")
    if said:
        kind, _, text = said.partition(" ")
        return await keyring.of_key(text.strip()) if kind.lower() == "bearer" else None
    token = cookie_of(headers.get(b"cookie", b"").decode("latin-1"), SESSION_COOKIE)
    return await keyring.of_session(token) if token else None


def cookie_of(header: str, name: str) -> str:
    """The value of a cookie; "" where there is none. What else this machine's pages have set, on any port, may be in any form.

    >>> cookie_of('theme=dark mode; a={"b": 1}; tidemill_session=xyz', "tidemill_session"), cookie_of("", "a")
    ('xyz', '')
    """
    return cookie_parser(header).get(name, "")
