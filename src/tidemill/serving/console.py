"""What of a request goes on to a console, MLflow or Prefect, and what of its answer comes back: addresses and headers, as plain values.

```
 browser ── /prefect/api/flows/filter, cookie of ours ──►  Guards, Access  ──►  http://127.0.0.1:4200/api/flows/filter, no cookie
```
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urljoin, urlsplit

from tidemill.errors import DeniedError, InputError
from tidemill.serving.console_scopes import MLFLOW, PREFECT
from tidemill.settings import Settings

HeaderList = list[tuple[bytes, bytes]]

_HOPS = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding upgrade".split()
)
# Of a request: who calls is our affair, where from was checked, and what a proxy before us has said of that is not theirs to believe.
_KEPT_HERE = _HOPS | frozenset(b"host authorization cookie origin referer forwarded via x-real-ip expect".split())
# Of an answer: whose cookies and policies hold is our affair too; the server says its own name and time.
_KEPT_THERE = _HOPS | frozenset(
    b"alt-svc clear-site-data content-security-policy content-security-policy-report-only cross-origin-embedder-policy "
    b"cross-origin-opener-policy cross-origin-resource-policy date link location nel permissions-policy referrer-policy refresh report-to "
    b"reporting-endpoints server service-worker-allowed set-cookie strict-transport-security www-authenticate x-content-type-options "
    b"x-frame-options".split()
)
_UNSAFE = re.compile(r"//|[\\\x00-\x1f\x7f]|%(?:2e|2f|5c)|(?:^|/)\.{1,2}(?:/|$)", re.IGNORECASE)
_PATH_LETTERS = "/:@!$&'()*+,;=~"
_HOST = re.compile(r"[a-z0-9.-]+(?::[0-9]{1,5})?|\[[0-9a-f:.]+\](?::[0-9]{1,5})?", re.IGNORECASE)


@dataclass(frozen=True)
class Console:
    """A program with a page of its own that is reached through this server.

    Args:
        name: for people.
        prefix: what its addresses begin with here.
        places: (beginning of an address here, where that lies), the first that fits.
        setting: the variable that says where it lies.
        cookies: names of cookies that its own scripts set for it to read.
        closed: beginnings of addresses that nobody reaches through here.
    """

    name: str
    prefix: str
    places: tuple[tuple[str, str], ...]
    setting: str
    cookies: frozenset[str] = frozenset()
    closed: tuple[str, ...] = ()

    @property
    def base(self) -> str:
        """Where it lies."""
        return self.places[0][1]

    def target(self, path: str, query: bytes = b"") -> str:
        """The address there of an address here. It is made of what was read from the request, so it means what was allowed.

        Args:
            path: as the server has decoded it, beginning with `prefix`.
            query: as it was sent.

        Raises:
            InputError: the path leads out of itself, or may be read in two ways.
            DeniedError: nobody reaches it through here.

        >>> prefect = consoles(Settings())[1]
        >>> prefect.target("/prefect/api/flows/filter"), prefect.target("/prefect/v2/runs", b"a=%2F")
        ('http://127.0.0.1:4200/api/flows/filter', 'http://127.0.0.1:4200/prefect/v2/runs?a=%2F')
        """
        if _UNSAFE.search(path):
            raise InputError(f"{path[:200]!r} has `.`, `..`, `//`, a backslash or what decodes to one; write it plainly", where="path")
        if any(path.startswith(beginning) for beginning in self.closed):
            raise DeniedError(f"{self.name} takes whoever asks here for somebody at its own machine; ask it there", where="path")
        here, there = next(place for place in self.places if f"{path}/".startswith(f"{place[0]}/"))
        address = f"{there}{quote(path[len(here) :], safe=_PATH_LETTERS)}"
        return f"{address}?{query.decode('latin-1')}" if query else address

    def leads_to(self, location: str, asked: str) -> str | None:
        """The address here of where an answer leads; None if that is not within the console.

        Args:
            location: of the answer, whole or relative.
            asked: the address there that was asked.

        >>> mlflow = consoles(Settings())[0]
        >>> mlflow.leads_to("/runs/?a=1", "http://127.0.0.1:5000/x"), mlflow.leads_to("https://elsewhere/", "http://127.0.0.1:5000/x")
        ('/mlflow/runs/?a=1', None)
        """
        try:
            to = urlsplit(urljoin(asked, location))
        except ValueError:
            return None
        for here, there in self.places:
            at = urlsplit(there)  # it may say https, as it is told how a browser came
            if to.netloc == at.netloc and f"{to.path}/".startswith(f"{at.path}/") and not _UNSAFE.search(to.path):
                rest = to._replace(scheme="", netloc="", path=f"{here}{to.path[len(at.path) :]}").geturl()
                return rest if rest.startswith(f"{self.prefix}/") else None
        return None


def consoles(settings: Settings) -> tuple[Console, ...]:
    """MLflow and Prefect, but for one that people reach by an address of its own."""
    mlflow, api = settings.mlflow_uri.rstrip("/"), settings.prefect_api_url.rstrip("/")
    places = ((f"{PREFECT}/api", api), (PREFECT, f"{api.removesuffix('/api').removesuffix(PREFECT)}{PREFECT}"))
    closed = tuple(f"{MLFLOW}/{kind}/3.0/mlflow/assistant" for kind in ("ajax-api", "api"))  # it runs commands for whoever is local
    known = (
        (settings.mlflow.page, Console("MLflow", MLFLOW, ((MLFLOW, mlflow),), "TIDEMILL_MLFLOW__URI", closed=closed)),
        (
            settings.prefect.page,
            Console("Prefect", PREFECT, places, "TIDEMILL_PREFECT__API_URL", cookies=frozenset({"prefect_ui_version"})),
        ),
    )
    return tuple(console for page, console in known if not page)


def forwarded(headers: Iterable[tuple[bytes, bytes]], console: Console, came: tuple[str, str, str]) -> HeaderList:
    """The headers that go on: neither key nor session of ours, nor what belongs to one connection alone.

    Args:
        headers: of the request, names in small letters.
        console: where to.
        came: from which address, by which scheme, to which host.
    """
    held = list(headers)
    named = {name.strip().lower() for key, value in held if key == b"connection" for name in value.split(b",")}
    kept = [one for one in held if one[0] not in _KEPT_HERE and one[0] not in named and not one[0].startswith(b"x-forwarded-")]
    said = b"; ".join(value for key, value in held if key == b"cookie").decode("latin-1")
    cookies = [f"{name}={value}" for name, value in _cookies(said).items() if name in console.cookies]
    if cookies:
        kept.append((b"cookie", "; ".join(cookies).encode("latin-1")))
    names = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host")
    return [*kept, *((name, value.encode("latin-1")) for name, value in zip(names, came, strict=True) if value)]


def returned(headers: Iterable[tuple[bytes, bytes]]) -> HeaderList:
    """The headers of an answer that come back; where it leads is for `Console.leads_to`."""
    held = [(name.lower(), value) for name, value in headers]
    kept = [(name, value) for name, value in held if name not in _KEPT_THERE and not name.startswith(b"access-control-")]
    if not any(name == b"cache-control" for name, _ in kept):
        kept.append((b"cache-control", b"private, no-cache"))  # it was for one caller
    return kept


def page_headers(console: Console, host: str) -> HeaderList:
    """What a browser may do with a page of a console: what that page needs, and nothing outside of the console.

    Its scripts stand on this server's address, and so could act as whoever is signed in. The policy lets them ask addresses of the console
    alone, and send forms to no others. Without an opener policy a window that they open on our page, which has one, is cut off from them.

    Args:
        console: whose page.
        host: what the request called this server.
    """
    here = f"{host}{console.prefix}/" if _HOST.fullmatch(host) else "'none'"
    policy = (
        f"default-src 'none'; script-src {here} blob: 'unsafe-inline' 'unsafe-eval'; style-src {here} 'unsafe-inline'; "
        f"img-src 'self' data: blob:; font-src {here} data:; connect-src {here} data: blob:; media-src {here} data: blob:; "
        f"worker-src {here} blob:; frame-src {here} data: blob:; manifest-src {here}; form-action {here}; base-uri 'self'; "
        "frame-ancestors 'self'"
    )
    return [
        (b"content-security-policy", policy.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    ]


def _cookies(header: str) -> dict[str, str]:
    try:
        return {name: held.coded_value for name, held in SimpleCookie(header).items()}
    except CookieError:
        return {}
