"""Two senders that never give up: one writes to Kafka, one sends over HTTP."""

from __future__ import annotations

import itertools
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from tests.chaos import project as chaos_project
from tests.chaos.system import N_CARDS, PATIENCE_S, StuckError, System
from tidemill.clock import wall_ms

logger = logging.getLogger(__name__)

_PAUSE_S = 0.05
_PER_PUT = 5
_DELIVERY_MS = 8_000
_PRODUCER = {"acks": "all", "request_timeout_ms": 5_000, "delivery_timeout_ms": _DELIVERY_MS}


@contextmanager
def sending(system: System) -> Iterator[None]:
    """Both senders, until the block ends; what they have sent by then is acknowledged.

    Raises:
        StuckError: one of them has failed.
    """
    stopping = threading.Event()

    def guarded(send: Callable[[System, threading.Event], None]) -> None:
        try:
            send(system, stopping)
        except BaseException as error:  # a thread's error would be lost
            system.failed.append(error)

    threads = [threading.Thread(target=guarded, args=(send,)) for send in (_send_taps, _send_gates)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    system.check()


def _events(prefix: str) -> Iterator[dict[str, str]]:
    """Some events at a time, by id: fares are eighths, so that sums are exact in any order."""
    numbers = itertools.count()
    while True:
        some = itertools.islice(numbers, _PER_PUT)
        events = [{"tap_id": f"{prefix}{n}", "at": wall_ms(), "card": f"c{n * 7 % N_CARDS}", "fare": n % 97 / 8} for n in some]
        yield {str(event["tap_id"]): json.dumps(event) for event in events}


def _send_taps(system: System, stopping: threading.Event) -> None:
    producer: Any = None
    for events in _events("t"):
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                producer = producer or KafkaProducer(bootstrap_servers=system.broker.bootstrap, **_PRODUCER)
                for told in [producer.send(chaos_project.TOPIC, text.encode()) for text in events.values()]:
                    told.get(_DELIVERY_MS / 1_000)
                break
            except Exception as error:  # whatever a client raises
                logger.warning("taps were not taken error=%r", error)
                if time.monotonic() > deadline_s:
                    raise StuckError(f"Kafka takes no events for {PATIENCE_S:.0f} s: {error!r}") from error
                if producer is not None:  # one whose broker was killed may never send again
                    with suppress(KafkaError):
                        producer.close(timeout=0)
                producer = None
                time.sleep(0.1)
        system.sent["taps"] |= events
        if stopping.wait(_PAUSE_S):
            break
    producer.close()


def _send_gates(system: System, stopping: threading.Event) -> None:
    for events in _events("g"):
        body = "\n".join(events.values())
        deadline_s = time.monotonic() + PATIENCE_S
        while not _posted(system.front.port, body):
            if time.monotonic() > deadline_s:
                raise StuckError(f"the server takes no events for {PATIENCE_S:.0f} s")
            time.sleep(0.1)
        system.sent["gates"] |= events
        if stopping.wait(_PAUSE_S):
            return


def _posted(port: int, body: str) -> bool:
    link = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        link.request("POST", "/v1/streams/gates/events", body)
        return link.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        link.close()
