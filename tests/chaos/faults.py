"""What is done to the system: each fault begins, lasts, and ends; afterwards the system must go on by itself."""

from __future__ import annotations

import random
import resource
import signal
import time
from collections.abc import Callable

from tests.chaos.system import System

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
    system.kill_broker()
    time.sleep(rng.uniform(0, 2))
    system.start_broker()


def restart_broker(system: System, rng: random.Random) -> None:
    """Kafka stops in order and starts again."""
    system.stop_broker()
    time.sleep(rng.uniform(0, 1))
    system.start_broker()


def freeze_worker(system: System, rng: random.Random) -> None:
    """The worker stands still while another takes over, then wakes up and finds that the world has moved on.

    Where it stands still in the middle of a commit it holds a lock, and the other waits until it wakes.
    """
    frozen = system.worker
    frozen.send_signal(signal.SIGSTOP)
    system.worker = system.start("work")
    time.sleep(rng.uniform(4, 10))
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
    leaves.wait()


def cut_connections(system: System, rng: random.Random) -> None:
    """Every connection to Kafka is cut, several times."""
    for _ in range(rng.randint(1, 5)):
        system.proxy.cut()
        time.sleep(rng.uniform(0, 0.3))


def half_open(system: System, rng: random.Random) -> None:
    """Bytes to and from Kafka vanish for seconds; then the connection is gone."""
    system.proxy.manner = "swallow"
    time.sleep(rng.uniform(1, 4))
    system.proxy.manner = "pass"
    system.proxy.cut()


def slow_connections(system: System, rng: random.Random) -> None:
    """Kafka answers late."""
    system.proxy.manner = "slow"
    time.sleep(rng.uniform(1, 3))
    system.proxy.manner = "pass"


def full_disk(system: System, rng: random.Random) -> None:
    """Worker and server cannot write beyond the first pages of any file, as with a quota; then there is room again."""
    both = (system.worker, system.server)
    for process in both:
        if process.poll() is None:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (_LIMIT_BYTES, resource.RLIM_INFINITY))
    time.sleep(rng.uniform(0.5, 2))
    for process in both:
        if process.poll() is None:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def step_clock(system: System, rng: random.Random) -> None:
    """The API server starts again with a clock that has jumped, forth or back: what it appends is known then."""
    system.server.terminate()
    system.server.wait()
    system.server = system.start("serve", clock_s=rng.choice([-_STEP_S, _STEP_S]))


FAULTS: dict[str, Fault] = {
    "kill -9 worker": kill_worker,
    "kill -9 server": kill_server,
    "kill -9 both": kill_both,
    "kill -9 broker": kill_broker,
    "broker restarts": restart_broker,
    "worker frozen, another takes over": freeze_worker,
    "a second worker joins and leaves": second_worker,
    "connections cut": cut_connections,
    "connections half open": half_open,
    "connections slow": slow_connections,
    "disk full": full_disk,
    "clock steps": step_clock,
}
