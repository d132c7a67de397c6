"""An Apache Kafka broker on loopback for as long as a block runs: one node in KRaft mode, its jars resolved by `deployments/kafka/pom.xml`.

It runs as its distribution would start it (1 GB of heap, G1), with one replica of everything, and keeps its data in the folder it is given;
`kafka_setup.py` says what else it may be.
By hand: `python -m benchmarks.kafka FOLDER` prints where it listens, and runs until it is interrupted or terminated.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.kafka_setup import Setup, server_properties
from benchmarks.peer import debian_program

POM = Path(__file__).parents[1] / "deployments" / "kafka" / "pom.xml"
VERSION = "4.3.1"
_PROPERTIES, _LOG = "server.properties", "server.log"
_START_S = 180.0
_STOP_S = 30.0
_JVM = ("-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35", "-Djava.awt.headless=true")
_LOG4J = """\
appender.file.type = File
appender.file.name = file
appender.file.fileName = {log}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = INFO
rootLogger.appenderRef.file.ref = file
"""


class KafkaError(RuntimeError):
    """The broker could not be set up, did not answer in time, or ended; the message ends with its log's last lines."""


@dataclass(frozen=True)
class Broker:
    """A running broker.

    Args:
        bootstrap: where clients connect, `127.0.0.1:PORT`.
        pid: of the Java process.
        log: the file it logs into.
    """

    bootstrap: str
    pid: int
    log: Path


@dataclass(frozen=True)
class BrokerHome:
    """A folder that a broker was set up in; it may be started there again and again, with its data and at its addresses.

    Args:
        folder: of data and logs.
        port: where it listens.
        java: the command, but for the class that it runs.
    """

    folder: Path
    port: int
    java: tuple[str, ...]


@contextlib.contextmanager
def kafka_broker(folder: Path, setup: Setup | None = None) -> Iterator[Broker]:
    """Set up a broker in an empty folder, and run it until the end of the block.

    Raises:
        KafkaError: the jars cannot be resolved, or the broker does not answer in time.
        PeerError: Java or Maven is missing and cannot be installed.
    """
    with running_broker(set_up(folder, setup or Setup())) as broker:
        yield broker


def set_up(folder: Path, setup: Setup) -> BrokerHome:
    """Format storage in an empty folder; data and logs stay in it.

    Raises:
        KafkaError: the jars cannot be resolved, or the storage cannot be formatted.
        PeerError: Java or Maven is missing and cannot be installed.
    """
    port, controller = free_ports(2)
    properties, logging = folder / _PROPERTIES, folder / "log4j2.properties"
    properties.write_text(server_properties(folder / "data", port=port, controller=controller, setup=setup), encoding="utf-8")
    logging.write_text(_LOG4J.format(log=folder / _LOG), encoding="utf-8")
    java = [debian_program("java", "openjdk-17-jre-headless"), f"-Xms{setup.heap}", f"-Xmx{setup.heap}", *_JVM]
    java += [f"-Dlog4j2.configurationFile={logging}", "-cp", f"{broker_jars()}/*"]
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # with an equals sign: one in 64 of these ids begins with a dash
    form = [*java, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(properties)]
    form += [word for user in setup.scram for word in ("--add-scram", user)]
    with (folder / "console.log").open("wb") as console:
        if subprocess.run(form, stdout=console, stderr=console).returncode != 0:
            raise KafkaError(f"the storage could not be formatted: {_tail(folder / 'console.log')}")
    return BrokerHome(folder, port, tuple(java))


@contextlib.contextmanager
def running_broker(home: BrokerHome, beside: Mapping[str, str] | None = None) -> Iterator[Broker]:
    """Start a broker, wait until it answers, and stop it at the end of the block; `beside` is added to its environment.

    Raises:
        KafkaError: it does not answer in time.
    """
    with (home.folder / "console.log").open("ab") as console:
        line = [*home.java, "kafka.Kafka", str(home.folder / _PROPERTIES)]
        process = subprocess.Popen(line, stdout=console, stderr=console, env=os.environ | (beside or {}))
    try:
        _wait(process, home.port, home.folder / _LOG)
        yield Broker(f"127.0.0.1:{home.port}", process.pid, home.folder / _LOG)
    finally:
        _stop(process)


def broker_jars() -> Path:
    """The folder of the broker's jars, in the user's cache; Maven resolves them when the pom has changed or they are missing.

    Raises:
        KafkaError: Maven cannot resolve them.
    """
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidemill"
    found = caches / f"kafka-{VERSION}-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if found.is_dir():
        return found
    maven = debian_program("mvn", "maven")
    caches.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=caches) as scratch:
        command = [maven, "-B", "-q", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={scratch}/jars"]
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if ran.returncode != 0:
            raise KafkaError(f"Maven could not resolve {POM}: {(ran.stdout + ran.stderr)[-1500:]}")
        # a rename, so that a folder of that name is always complete; another process may have been first
        if not found.is_dir():
            shutil.move(f"{scratch}/jars", found)
    return found


def answers(port: int) -> bool:
    """Whether a broker on loopback answers an ApiVersions request without an error.

    >>> answers(1)
    False
    """
    request = struct.pack(">hhih", 18, 0, 1, -1)  # ApiVersions, version 0, correlation 1, no client id
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as link:
            link.sendall(struct.pack(">i", len(request)) + request)
            answer = link.recv(10, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(answer) == 10 and struct.unpack(">iih", answer)[1:] == (1, 0)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while not answers(port):
        if process.poll() is not None:
            raise KafkaError(f"the broker ended with code {process.returncode}: {_tail(log)}")
        if time.monotonic() > deadline:
            raise KafkaError(f"the broker did not answer within {_START_S:.0f} s: {_tail(log)}")
        time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_ports(n: int) -> list[int]:
    """Ports that were free together a moment ago."""
    sockets = [socket.socket() for _ in range(n)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _tail(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")[-1500:] if path.is_file() else "no log"


def main(folder: Path) -> None:
    """Run a broker until Ctrl-C or SIGTERM; a shell that started it in the background has had it ignore the first."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(KeyboardInterrupt), kafka_broker(folder) as broker:
        print(broker.bootstrap, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
