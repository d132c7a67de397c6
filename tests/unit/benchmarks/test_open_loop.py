"""Load that does not wait for answers: everything that is due is sent, answered and heard, and what fails is counted."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.bench_soak import Answers
from benchmarks.open_loop import Load, send_at_rate
from benchmarks.serving_model import Registered

BODIES = [json.dumps({"n": number}).encode() for number in range(7)]


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was sent; 503 to the number 3."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """One request."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(503 if json.loads(body)["n"] == 3 else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the library's
        """Nothing."""


@contextmanager
def echo() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_everything_that_is_due_is_answered_and_heard() -> None:
    heard: dict[int, bytes] = {}
    with echo() as port:
        sent = send_at_rate(port, Load("/", BODIES, rate=200, seconds=0.35, heard=heard.__setitem__))
    assert len(sent.took_ms) == 70
    assert sent.failed[0] == 10 and sent.failed[1].startswith("HTTP/1.1 503")
    assert sorted(heard) == [number for number in range(70) if number % 7 != 3]
    assert all(body == BODIES[number % 7] for number, body in heard.items())
    assert min(sent.took_ms) > 0 and sent.percentile(0.5) <= sent.percentile(0.99)


def test_what_warms_up_is_sent_and_not_told() -> None:
    heard: dict[int, bytes] = {}
    with echo() as port:
        sent = send_at_rate(port, Load("/", BODIES[:3], rate=200, seconds=0.1, heard=heard.__setitem__, warm_s=0.2))
    assert (len(sent.took_ms), len(heard), sent.failed[0]) == (20, 60, 0)


def test_an_answer_is_held_against_the_version_that_it_names() -> None:
    said = {1: np.array([0.25, 0.5]), 2: np.array([0.75, 1.0])}
    answers = Answers(Registered("", Path(), pd.DataFrame(), said))
    for number, version, probability in ((0, 1, 0.25), (1, 2, 1.0), (1_000, 2, 0.75), (1, 2, 0.5)):
        answers.hear(number, json.dumps({"model_version": version, "probability": probability}).encode())
    assert (answers.by_version, answers.wrong) == ({1: 1, 2: 3}, 1)
    assert "'probability': 0.5} of row 1" in answers.first_wrong
