"""A webhook: JSON is POSTed to a URL that may be a secret, so it reaches no log, no message and no store."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import unquote

from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError
from urllib3.util import make_headers, parse_url

from tidemill.errors import NotReadyError, RefusedError
from tidemill.loop.quiet import quiet

_TIMEOUT = Timeout(connect=5, read=10)
_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class Webhook:
    """Calls one URL, with TLS verified and no redirect followed.

    Args:
        url: where to POST.
        variable: or the name of the variable that holds the URL.
        environ: where that is looked up.
    """

    def __init__(self, url: str = "", variable: str = "", environ: Mapping[str, str] | None = None) -> None:
        self._url, self._variable, self._environ = url, variable, environ or {}
        self._pool = PoolManager(num_pools=1, timeout=_TIMEOUT, retries=False)

    def call(self, body: str, key: str) -> None:
        """POST a JSON text; `key` goes into the header `Idempotency-Key`, so that a receiver can know what it has had.

        Raises:
            NotReadyError: no answer, one that asks to come again (408, 429, 5xx), or no URL to call.
            RefusedError: any other answer that is not 2xx.
        """
        status = self._status(body, key)
        if 200 <= status < 300:
            return
        if status in _AGAIN or status >= 500:
            raise NotReadyError(f"HTTP {status}")
        raise RefusedError(f"HTTP {status}; redirects are not followed" if 300 <= status < 400 else f"HTTP {status}")

    def _status(self, body: str, key: str) -> int:
        url, headers = self._target()
        headers |= {"Content-Type": "application/json", "Idempotency-Key": key}
        with quiet():
            try:
                answer = self._pool.request("POST", url, body=body.encode(), headers=headers, redirect=False, preload_content=False)
            except Exception as error:  # whatever it is, its text may hold the URL
                raise NotReadyError(f"no answer: {type(error).__name__}") from None
            answer.close()  # what else it says is nobody's, however long it is
        return int(answer.status)

    def _target(self) -> tuple[str, dict[str, str]]:
        """The URL, and the header that its user and password become."""
        text = self._url or self._environ.get(self._variable, "")
        if not text:
            raise NotReadyError(f"{self._variable} is not set")
        try:
            url = parse_url(text)
        except HTTPError:
            url = parse_url("")
        if url.scheme not in ("http", "https") or not url.host:
            raise NotReadyError(f"{self._variable or 'the webhook'} holds no http or https URL")
        headers = make_headers(basic_auth=unquote(url.auth)) if url.auth else {}
        return url._replace(auth=None).url, dict(headers)
