"""Where the server is and with which key: as handed in, else from the environment."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tidemill.client.calls import Call
from tidemill.client.failures import UnreachedError, failure
from tidemill.errors import RefusedError, SettingsError, TidemillError, UnavailableError

if TYPE_CHECKING:
    import ssl

    import httpx

URL, KEY, CA_FILE = "TIDEMILL_CLIENT__URL", "TIDEMILL_CLIENT__KEY", "TIDEMILL_CLIENT__CA_FILE"
_DEFAULT_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Reach:
    """How a server is reached.

    Args:
        url: of the server; `TIDEMILL_CLIENT__URL`, or this machine's.
        key: an API key; `TIDEMILL_CLIENT__KEY`, or the file that `TIDEMILL_CLIENT__KEY_FILE` names; none where the server asks for none.
        ca_file: who may have signed the server's certificate; `TIDEMILL_CLIENT__CA_FILE`, else whom the system trusts.
        timeout_s: of connecting, and of each pause of an answer.
        attempts: how often a call that may be repeated is sent at most.
    """

    url: str
    key: str = field(repr=False)
    ca_file: str | None
    timeout_s: float
    attempts: int

    @classmethod
    def of(cls, url: str | None, key: str | None, timeout_s: float, attempts: int, environ: Mapping[str, str] = os.environ) -> Reach:
        """What is handed in, and the rest from the environment.

        Raises:
            SettingsError: the key's file cannot be read, or no URL, patience or number of attempts.
        """
        found = url or environ.get(URL) or _DEFAULT_URL
        _refuse_unless_url(found)
        key = _key(environ) if key is None else key
        if not key.isascii() or not key.isprintable():  # said without it: an error comes into logs
            raise SettingsError("the key holds what no key of `tidemill keys create` does; take the whole line that it printed, alone")
        if attempts < 1:
            raise SettingsError(f"attempts={attempts}; a call is sent once at least")
        if not timeout_s > 0:
            raise SettingsError(f"timeout_s={timeout_s}; say more than 0 seconds")
        return cls(found.rstrip("/"), key, environ.get(CA_FILE) or None, timeout_s, attempts)

    def options(self) -> dict[str, Any]:
        """Arguments of an httpx client.

        Raises:
            SettingsError: the file of certificates holds none.
        """
        headers = {"authorization": f"Bearer {self.key}"} if self.key else {}
        return {
            "base_url": self.url,
            "timeout": self.timeout_s,
            "headers": headers,
            "verify": _trusted(self.ca_file) if self.ca_file else True,
        }


def request_of(call: Call[Any], timeout_s: float) -> dict[str, Any]:
    """A call as arguments of an httpx request, by a client of this patience."""
    import httpx

    sent: dict[str, Any] = {"content": call.body, "headers": {"content-type": call.content_type}} if call.body else {}
    long_s = max(timeout_s, call.waits_s)  # a server that has the sender wait does not read, so writing takes as long
    patience = httpx.Timeout(timeout_s, read=long_s, write=long_s)
    return {"method": call.method, "url": call.path, "params": dict(call.query), "timeout": patience, **sent}


def answer_of(call: Call[Any], response: httpx.Response, url: str) -> Any:
    """What a response says.

    Raises:
        TidemillError: it is a refusal; see `failure`.
    """
    try:
        raw = response.json()
    except ValueError:
        raw = None
    if response.is_success and raw is not None:
        try:
            return call.read(raw)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise RefusedError(f"{url} answered {call.path} with JSON that is no answer of tidemill; is it the right server?") from error
    raise failure(response.status_code, raw, response.headers, url)


def lost(error: httpx.TransportError, url: str) -> TidemillError:
    """The error of a request that got no answer."""
    import httpx

    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return UnreachedError(f"no server answers at {url} ({str(error) or type(error).__name__}); `tidemill serve` starts one")
    return UnavailableError(f"{url} took the request and broke off ({type(error).__name__}): it may be done or not; see the server's log")


def fresh_random() -> random.Random:
    """Of the waits."""
    return random.SystemRandom()


def _refuse_unless_url(url: str) -> None:
    """Raise SettingsError for what names no server."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or brackets that are no address
        is_one = False
    if not is_one:
        raise SettingsError(f"{url!r} is no URL; say http://HOST:PORT or https://HOST")


def _trusted(ca_file: str) -> ssl.SSLContext:
    """Whoever signed with one of the certificates of a file."""
    import ssl

    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # an SSLError is one
        raise SettingsError(f"{CA_FILE}: {ca_file} is no file of PEM certificates ({error.strerror or error})") from error


def _key(environ: Mapping[str, str]) -> str:
    file = environ.get(f"{KEY}_FILE")
    if not file:
        return environ.get(KEY, "")
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{KEY}_FILE: {file} cannot be read ({type(error).__name__})") from error
