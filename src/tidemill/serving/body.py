"""The body of a request as it comes: not larger than it may be, and not slower than anybody is who means to send it.

Whoever sends a byte now and then would hold a connection for ever, and whoever sends megabytes over a poor line takes minutes for them. So
what bounds a body is how much of it has come: half a minute, and a second more for each thousand bytes. Only the time counts that the
server has waited for it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tidemill.serving.answering import AsgiScope, Receive

WHOLE = "tidemill.whole"  # where a connection leaves that all of the body has come with its head
_FIRST_S, _SLOWEST = 30.0, 1_000  # bytes a second, less than a telephone's modem


class TooLargeError(Exception):
    """The body grew past the limit while it was read."""


class TooSlowError(Exception):
    """The body did not come."""


class Body:
    """What one request's `receive` brings, within bounds.

    Args:
        scope: of the request.
        receive: of the server.
        most_bytes: the largest body.
    """

    def __init__(self, scope: AsgiScope, receive: Receive, most_bytes: int) -> None:
        self._receive = receive
        self._most = most_bytes
        self._taken = 0
        self._waited_s = 0.0
        self._is_whole = scope.get(WHOLE, False)
        self.failure: TooLargeError | TooSlowError | None = None  # what came of it, whatever a route makes of that

    async def receive(self) -> dict[str, Any]:
        """The next of it; after its end that of the connection, for which nobody has to hurry.

        Raises:
            TooLargeError: it is larger than it may be.
            TooSlowError: it does not come.
        """
        message = await (self._receive() if self._is_whole else self._soon())
        self._taken += len(message.get("body", b""))
        if self._taken > self._most:
            self.failure = TooLargeError()
            raise self.failure
        return message

    async def _soon(self) -> dict[str, Any]:
        begin_s = time.monotonic()
        try:
            async with asyncio.timeout(_FIRST_S + self._taken / _SLOWEST - self._waited_s) as patience:
                message = await self._receive()
        except TimeoutError as error:
            if not patience.expired():
                raise
            self.failure = TooSlowError()
            raise self.failure from error
        self._waited_s += time.monotonic() - begin_s
        self._is_whole = not message.get("more_body", False)
        return message
