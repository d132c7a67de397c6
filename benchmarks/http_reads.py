"""Reads over HTTP: `tidemill serve` in a process of its own on loopback, asked over one connection that stays open, one read at a time."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import reads_project
from benchmarks.servers import Command, running

MANY = 100  # keys of one POST
_WARM_UP = 50
Percentiles = list[float]  # the median and the 99th, microseconds


@contextmanager
def serving(home: Path) -> Iterator[int]:
    """A server of `home` for as long as the block runs; answers its port.

    Raises:
        RuntimeError: it does not answer within three minutes; with what it said last.
    """
    line = [str(Path(sys.executable).parent / "tidemill"), "serve", "--project", str(Path(reads_project.__file__).resolve())]

    def environ(port: int) -> Mapping[str, str]:
        return os.environ | {"TIDEMILL_HOME": str(home), "TIDEMILL_SERVER__PORT": str(port), "TIDEMILL_SERVER__OPEN": "true"}

    with running(Command("tidemill serve", lambda _port: line, environ=environ)) as server:
        yield server.port


def measure(port: int, cards: Sequence[str], reads: int) -> dict[str, Percentiles]:
    """`http_one_key`: GET of one card's features by one view, card after card; `http_100_keys`: POST of 100 cards of one view."""
    link = HTTPConnection("127.0.0.1", port)
    starts = range(0, reads * 10, 10)  # each POST shares most of its keys with the one before, as popular cards do

    def one(number: int) -> None:
        card = cards[number % len(cards)]
        found = _ask(link, "GET", f"/v1/features/by_card/{card}", None)
        assert found["key"] == card and len(found["values"]) == 9, found

    def many(number: int) -> None:
        begin = starts[number] % (len(cards) - MANY)
        asked = cards[begin : begin + MANY]
        found = _ask(link, "POST", "/v1/features/by_card", json.dumps({"keys": asked}))
        assert [answer["key"] for answer in found] == asked

    told = {"http_one_key": _time(one, reads), "http_100_keys": _time(many, reads // 10)}
    link.close()
    return told


def _time(read: Callable[[int], None], reads: int) -> Percentiles:
    for number in range(min(_WARM_UP, reads)):
        read(number)
    took_us = np.empty(reads)
    for number in range(reads):
        begin_s = time.perf_counter()
        read(number)
        took_us[number] = (time.perf_counter() - begin_s) * 1e6
    return [float(value) for value in np.percentile(took_us, [50, 99])]


def _ask(link: HTTPConnection, method: str, path: str, body: str | None) -> Any:
    link.request(method, path, body, {"content-type": "application/json"} if body else {})
    answer = link.getresponse()
    told = answer.read()
    assert answer.status == 200, told
    return json.loads(told)
