"""What is done to the system: each fault begins, lasts, and ends; afterwards the system must go on by itself.

`connections.py` has those of the way to a server.
"""

from __future__ import annotations

import random
import resource
import signal
import time
from collections.abc import Callable

from tests.chaos.connections import cut, half_open, slow
from tests.chaos.system import PATIENCE_S, SESSION_S, Profile, System

Fault = Callable[[System, random.Random], None]
_LIMIT_BYTES = 4_096
_STEP_S = 100  # of a clock: less than events may lie ahead


def kill_worker(system: System, rng: random.Random) -> None:
    """kill -9 of engine, lake writer and the copy of Kafka."""
    time.sleep(rng.uniform(0, 0.5))
    system.worker.kill()
    system.worker.wait()


def kill_server(system: System, rng: random.Random) -> None:
    """kill -9 of the API server."""
    time.sleep(rng.uniform(0, 0.5))
    system.server.kill()
    system.server.wait()


def kill_both(system: System, rng: random.Random) -> None:
    """kill -9 of both, one soon after the other."""
    kill_worker(system, rng)
    kill_server(system, rng)


def kill_broker(system: System, rng: random.Random) -> None:
    """kill -9 of Kafka, which stays away for a while and comes back with what it had."""
    system.broker.kill()
    time.sleep(rng.uniform(0, 2))
    system.broker.start()


def restart_broker(system: System, rng: random.Random) -> None:
    """Kafka stops in order and starts again."""
    system.broker.stop()
    time.sleep(rng.uniform(0, 1))
    system.broker.start()


def kill_database(system: System, rng: random.Random) -> None:
    """kill -9 of PostgreSQL, which stays away for a while and may have lost the state's last half second."""
    system.database.kill()
    time.sleep(rng.uniform(0, 2))
    system.database.start()


def restart_database(system: System, rng: random.Random) -> None:
    """PostgreSQL ends everybody's connection, stops in order and starts again."""
    system.database.shut_down()
    time.sleep(rng.uniform(0, 1))
    system.database.start()


def kill_all(system: System, rng: random.Random) -> None:
    """kill -9 of everything, as when the machine goes."""
    kill_both(system, rng)
    system.broker.kill()
    system.database.kill()
    system.database.start()
    system.broker.start()


def freeze_worker(system: System, rng: random.Random) -> None:
    """The worker stands still while another takes over, then wakes up and finds that the world has moved on.

    Where it stands still in the middle of a commit it holds a lock, and the other waits until it wakes. On servers it stands still for
    longer than the group of engines waits for it, so its partitions move.
    """
    frozen = system.worker
    frozen.send_signal(signal.SIGSTOP)
    system.worker = system.start("work")
    time.sleep(rng.uniform(4, 10) + (SESSION_S if system.profile == "server" else 0))
    frozen.send_signal(signal.SIGCONT)
    time.sleep(rng.uniform(0.2, 2))
    killed, system.worker = (frozen, system.worker) if rng.random() < 0.5 else (system.worker, frozen)
    killed.kill()
    killed.wait()


def second_worker(system: System, rng: random.Random) -> None:
    """Another worker joins, both are at it, and one of the two leaves in order."""
    other = system.start("work")
    time.sleep(rng.uniform(3, 6))
    leaves, system.worker = (system.worker, other) if rng.random() < 0.5 else (other, system.worker)
    leaves.terminate()
    leaves.wait(PATIENCE_S)


def full_disk(system: System, rng: random.Random) -> None:
    """Worker and server cannot write beyond the first pages of any file, as with a quota; then there is room again."""
    both = (system.worker, system.server)
    for limit_bytes, for_s in ((_LIMIT_BYTES, rng.uniform(0.5, 2)), (resource.RLIM_INFINITY, 0)):
        for process in both:
            if process.poll() is None:
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit_bytes, resource.RLIM_INFINITY))
        time.sleep(for_s)


def full_database_disk(system: System, rng: random.Random) -> None:
    """PostgreSQL cannot write, its write-ahead log neither, so it goes down; then there is room again, and it is started."""
    system.database.limit_files(str(_LIMIT_BYTES))
    time.sleep(rng.uniform(0.5, 2))
    system.database.limit_files("unlimited")
    if not system.database.pids():
        system.database.start()


def step_clock(system: System, rng: random.Random) -> None:
    """The API server starts again with a clock that has jumped, forth or back: what it appends to a log in files is known then."""
    system.server.terminate()
    system.server.wait(PATIENCE_S)
    system.server = system.start("serve", clock_s=rng.choice([-_STEP_S, _STEP_S]))


def step_broker_clock(system: System, rng: random.Random) -> None:
    """Kafka starts again with a clock that has jumped, forth or back: what is sent to it is known then."""
    system.broker.stop()
    system.broker.start(clock_s=rng.choice([-_STEP_S, _STEP_S]))


_EMBEDDED: dict[str, Fault] = {
    "kill -9 worker": kill_worker,
    "kill -9 server": kill_server,
    "kill -9 both": kill_both,
    "kill -9 broker": kill_broker,
    "broker restarts": restart_broker,
    "worker frozen, another takes over": freeze_worker,
    "a second worker joins and leaves": second_worker,
    "connections to broker cut": lambda system, rng: cut(system.broker.proxy, rng),
    "connections to broker half open": lambda system, rng: half_open(system.broker.proxy, rng),
    "connections to broker slow": lambda system, rng: slow(system.broker.proxy, rng),
    "disk full": full_disk,
    "clock steps": step_clock,
}
_ON_SERVERS: dict[str, Fault] = {
    "kill -9 database": kill_database,
    "database restarts": restart_database,
    "kill -9 everything": kill_all,
    "connections to database cut": lambda system, rng: cut(system.database.proxy, rng),
    "connections to database half open": lambda system, rng: half_open(system.database.proxy, rng),
    "connections to database slow": lambda system, rng: slow(system.database.proxy, rng),
    "disk of database full": full_database_disk,
    "clock of broker steps": step_broker_clock,
}
FAULTS: dict[Profile, dict[str, Fault]] = {"embedded": _EMBEDDED, "server": _EMBEDDED | _ON_SERVERS}
