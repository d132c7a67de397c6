"""A receiver of webhooks on loopback, which answers as it is told and remembers what it was sent."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    text: str

    @property
    def key(self) -> str:
        """What tells a repetition."""
        return self.headers["idempotency-key"]

    @property
    def body(self) -> dict[str, object]:
        """The JSON that was sent."""
        return dict(orjson.loads(self.text))


@dataclass
class Receiver:
    """What came, and how it is answered: with the statuses of `answers` in turn, then with `status`."""

    url: str = ""
    status: int = 200
    answers: list[int] = field(default_factory=list)
    location: str = ""
    before_answer: Callable[[], object] = lambda: None
    received: list[Received] = field(default_factory=list)

    def answer(self, request: Received) -> int:
        """Remember it; the status to answer with."""
        self.received.append(request)
        self.before_answer()
        return self.answers.pop(0) if self.answers else self.status


@contextmanager
def receiving(certificate: Path | None = None) -> Iterator[Receiver]:
    """A receiver, up until the block ends; its URL has no path yet. With a file of a key and its certificate it speaks TLS."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(receiver.answer(Received(self.path, headers, text)))
            if receiver.location:
                self.send_header("Location", receiver.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name the base class gives
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.url = f"{'http' if certificate is None else 'https'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
