"""The system under chaos: a broker behind a proxy, `tidemill work` and `tidemill serve`, and two senders that never give up."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from kafka import KafkaProducer
from kafka.errors import KafkaError

from benchmarks.kafka import Broker, free_ports, running_broker, set_up
from benchmarks.kafka_setup import Listener, Setup
from benchmarks.peer import debian_program
from tests.chaos import project as chaos_project
from tests.chaos.proxy import Proxy
from tests.services import free_port, program
from tidemill.clock import wall_ms
from tidemill.project import Workspace

PROJECT = Path(chaos_project.__file__).resolve()
N_CARDS = 40
PATIENCE_S = 240.0
_PAUSE_S = 0.02
_PER_PUT = 5


class System:
    """What runs, and what was sent and acknowledged: by stream, the events by id."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.sent: dict[str, dict[str, str]] = {"taps": {}, "gates": {}}
        self.port = free_port()
        (behind,) = free_ports(1)
        self.proxy = Proxy(behind)
        kafka = folder / "kafka"
        kafka.mkdir()
        self._broker_home = set_up(kafka, Setup("320m", listeners=[Listener("PROXIED", "PLAINTEXT", behind, self.proxy.port)]))
        self._broker = ExitStack()
        self.broker: Broker
        self.start_broker()
        self._environ = os.environ | {
            "TIDEMILL_HOME": str(self.home),
            "TIDEMILL_SERVER__PORT": str(self.port),
            chaos_project.BOOTSTRAP: f"127.0.0.1:{self.proxy.port}",
        }
        self._log = (folder / "system.log").open("ab")
        self.worker, self.server = self.start("work"), self.start("serve")
        self.workspace = Workspace.open(chaos_project.project, self.home)

    def start(self, command: str, clock_s: int = 0) -> subprocess.Popen[bytes]:
        """`tidemill COMMAND`, which believes that it is so many seconds later."""
        line = [program("tidemill"), command, "--project", str(PROJECT)]
        faked = {"LD_PRELOAD": _faked_clock(), "FAKETIME": f"{clock_s:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"} if clock_s else {}
        return subprocess.Popen(line, env=self._environ | faked, stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL)

    def start_broker(self) -> None:
        """Start the broker on what it has kept."""
        self.broker = self._broker.enter_context(running_broker(self._broker_home))

    def kill_broker(self) -> None:
        """kill -9."""
        os.kill(self.broker.pid, signal.SIGKILL)
        self._broker.close()

    def stop_broker(self) -> None:
        """Stop the broker's process, unless it has ended already."""
        self._broker.close()

    def applied(self, stream: str) -> int:
        """How many of its events the books say are applied."""
        return self.workspace.books()[stream].applied

    def revive(self) -> None:
        """Start again what has ended."""
        if self.worker.poll() is not None:
            self.worker = self.start("work")
        if self.server.poll() is not None:
            self.server = self.start("serve")

    def close(self) -> None:
        """End everything."""
        self.proxy.close()
        for process in (self.worker, self.server):
            with_cont(process, signal.SIGKILL)
            process.wait()
        self._broker.close()
        self.workspace.close()
        self._log.close()


def _faked_clock() -> str:
    """The library that lets a process believe in another time; installed when it is missing."""
    debian_program("faketime", "faketime")
    (found,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    return str(found)


def with_cont(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal a process that may be stopped or gone."""
    for each in (number, signal.SIGCONT):
        if process.poll() is None:
            process.send_signal(each)


@contextmanager
def sending(system: System) -> Iterator[None]:
    """Both senders, until the block ends; what they have sent by then is acknowledged."""
    stopping = threading.Event()
    failed: list[BaseException] = []

    def guarded(send: Callable[[System, threading.Event], None]) -> None:
        try:
            send(system, stopping)
        except BaseException as error:  # a thread's error would be lost
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(send,)) for send in (_send_taps, _send_gates)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    if failed:
        raise failed[0]


def _events(prefix: str) -> Iterator[dict[str, str]]:
    """Some events at a time, by id: fares are eighths, so that sums are exact in any order."""
    numbers = itertools.count()
    while True:
        some = itertools.islice(numbers, _PER_PUT)
        events = [{"tap_id": f"{prefix}{n}", "at": wall_ms(), "card": f"c{n * 7 % N_CARDS}", "fare": n % 97 / 8} for n in some]
        yield {str(event["tap_id"]): json.dumps(event) for event in events}


def _send_taps(system: System, stopping: threading.Event) -> None:
    producer = KafkaProducer(bootstrap_servers=system.broker.bootstrap, request_timeout_ms=5_000)
    for events in _events("t"):
        waiting = [producer.send(chaos_project.TOPIC, text.encode()) for text in events.values()]
        for text, one in zip(events.values(), waiting, strict=True):
            while True:
                try:
                    one.get(PATIENCE_S)
                    break
                except KafkaError:
                    one = producer.send(chaos_project.TOPIC, text.encode())
        system.sent["taps"] |= events
        if stopping.wait(_PAUSE_S):
            break
    producer.close()


def _send_gates(system: System, stopping: threading.Event) -> None:
    for events in _events("g"):
        body = "\n".join(events.values())
        deadline_s = time.monotonic() + PATIENCE_S
        while not _posted(system.port, body):
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"the server takes no events for {PATIENCE_S:.0f} s")
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
