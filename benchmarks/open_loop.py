"""Load that does not wait for answers: requests at times drawn beforehand, as independent callers send them (a Poisson process).

A time is counted from the moment a request was due, not from when it could be sent, so a server that falls behind is seen to
("coordinated omission" is what hides it). Connections stay open and are as many as there are requests under way.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

_PATIENCE_S = 60.0
_END = b"\r\n\r\n"
_WELL = b"HTTP/1.1 200"


@dataclass(frozen=True)
class Load:
    """What is sent, and how often.

    Args:
        path: POSTed to.
        bodies: JSON, sent in turn.
        rate: requests a second, on average.
        seconds: how long.
        heard: told of each answer: the number of the request, and the body.
        warm_s: seconds before that whose times are not told: connections are opened then, and caches filled.
    """

    path: str
    bodies: Sequence[bytes]
    rate: float
    seconds: float
    heard: Callable[[int, bytes], None] | None = None
    warm_s: float = 0.0

    def requests(self, port: int) -> list[bytes]:
        """Whole requests of HTTP/1.1."""
        head = f"POST {self.path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\ncontent-length: "
        return [f"{head}{len(body)}".encode() + _END + body for body in self.bodies]


@dataclass(frozen=True)
class Sent:
    """What came of it.

    Args:
        rate: requests a second that were due.
        took_ms: (n,) time of each request, in the order in which they were due.
        late_ms: the 99th percentile of how long after it was due a request was sent: what the client itself adds.
        client_share: how much of one core the client took, 0 to 1.
        failed: answers other than 200, the first one's words behind the number.
    """

    rate: float
    took_ms: Sequence[float]
    late_ms: float
    client_share: float
    failed: tuple[int, str]

    def percentile(self, share: float) -> float:
        """Milliseconds, e.g. of 0.99."""
        return float(np.quantile(self.took_ms, share))


def send_at_rate(port: int, load: Load) -> Sent:
    """Send to a server on loopback at a rate that does not depend on the answers.

    Raises:
        RuntimeError: an answer did not come within a minute after the last request.
    """
    rng = np.random.default_rng(int(load.rate))
    n_warm = int(load.rate * load.warm_s)
    due_s = np.cumsum(rng.exponential(1 / load.rate, n_warm + max(1, int(load.rate * load.seconds)))).tolist()
    begin_s, before_s = time.perf_counter(), _cpu_s()
    sender = _Sender(port, load, len(due_s))
    with _collector_off():
        asyncio.run(sender.run(due_s))
    share = (_cpu_s() - before_s) / (time.perf_counter() - begin_s)
    late_ms = float(np.quantile(sender.late_ms[n_warm:], 0.99))
    return Sent(load.rate, sender.took_ms[n_warm:], late_ms, share, (sender.failed, sender.first_failed))


@contextmanager
def _collector_off() -> Iterator[None]:
    """No garbage collection: a look through all that this process has loaded takes 0.4 s, in which it would neither send nor listen."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@dataclass
class _Sender:
    port: int
    load: Load
    left: int
    took_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    idle: list[_Connection] = field(default_factory=list)
    failed: int = 0
    first_failed: str = ""

    async def run(self, due_s: Sequence[float]) -> None:
        """Send each request when it is due, then wait for the last answers."""
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        self.took_ms = [0.0] * len(due_s)
        requests = self.load.requests(self.port)
        begin_s = self._loop.time() + 0.05
        for number, due in enumerate(due_s):
            at_s = begin_s + due
            if (wait_s := at_s - self._loop.time()) > 0:
                await asyncio.sleep(wait_s)
            link = self.idle.pop() if self.idle else await self._connect()
            self.late_ms.append((self._loop.time() - at_s) * 1e3)
            link.ask(number, at_s, requests[number % len(requests)])
        try:
            await asyncio.wait_for(self._done.wait(), _PATIENCE_S)
        except TimeoutError:
            raise RuntimeError(f"{self.load.path}: {self.left} requests were not answered within {_PATIENCE_S:.0f} s") from None
        for link in self.idle:
            link.close()

    def told(self, link: _Connection, number: int, due_s: float, answer: bytes) -> None:
        """A connection has an answer, and is free again."""
        self.idle.append(link)
        self.took_ms[number] = (self._loop.time() - due_s) * 1e3
        if not answer.startswith(_WELL):
            self.fail(answer[:300].decode(errors="replace"))
        elif self.load.heard is not None:
            self.load.heard(number, answer.partition(_END)[2])
        self._one_less()

    def lost(self, link: _Connection, is_asked: bool) -> None:
        """A connection is gone; if it was asked something, that has failed."""
        if link in self.idle:
            self.idle.remove(link)
        if is_asked:
            self.fail("the connection broke")
            self._one_less()

    def fail(self, what: str) -> None:
        """Count a failure."""
        self.failed += 1
        self.first_failed = self.first_failed or what

    def _one_less(self) -> None:
        self.left -= 1
        if not self.left:
            self._done.set()

    async def _connect(self) -> _Connection:
        _, made = await self._loop.create_connection(lambda: _Connection(self), "127.0.0.1", self.port)
        return made


class _Connection(asyncio.Protocol):
    """One connection that stays open, one request at a time."""

    def __init__(self, sender: _Sender) -> None:
        self._sender = sender
        self._held = b""
        self._asked: tuple[int, float] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, number: int, due_s: float, request: bytes) -> None:
        """Send a request."""
        assert self._transport is not None
        self._asked = (number, due_s)
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """A part of the answer has come."""
        self._held += data
        head, end, body = self._held.partition(_END)
        if not end or len(body) < _length(head) or self._asked is None:
            return
        answer, asked = self._held, self._asked
        self._held, self._asked = b"", None
        self._sender.told(self, *asked, answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed, by whoever."""
        self._sender.lost(self, self._asked is not None)

    def close(self) -> None:
        """Close it."""
        assert self._transport is not None
        self._transport.close()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError(f"an answer without a length: {head[:200]!r}")


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
