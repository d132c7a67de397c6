"""What is done to the system: each fault begins, lasts, and ends; afterwards the system must go on by itself.

`kills.py` has those of processes, `connections.py` those of the way to a server; here are full disks and clocks.
"""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Callable
from functools import partial

from tests.chaos import kills
from tests.chaos.clocks import Clock
from tests.chaos.connections import DISTURBANCES
from tests.chaos.proxy import Proxy
from tests.chaos.system import PATIENCE_S, Profile, System

Fault = Callable[[System, random.Random], None]
_LIMIT_BYTES = 4_096
_PAGE_BYTES = 8_192  # of PostgreSQL: a disk that is full takes a page or none, never the half of one that was there before
_STEPS_S = (-100, 0, 100)  # of a clock: together less than events may lie ahead


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
    system.database.limit_files(str(_PAGE_BYTES))
    time.sleep(rng.uniform(0.5, 2))
    system.database.limit_files("unlimited")


def step_clock(system: System, rng: random.Random) -> None:
    """Worker and API server start again on a clock that then jumps while they are at it.

    What they append to a log in files is known by that clock.
    """
    clock = Clock(system.folder / "clock")
    for process in (system.server, system.worker):
        process.terminate()
        process.wait(PATIENCE_S)
    system.server, system.worker = system.start("serve", clock), system.start("work", clock)
    _step(system, clock, rng)


def step_broker_clock(system: System, rng: random.Random) -> None:
    """Kafka starts again on a clock that then jumps while it takes events: what is sent to it is known then."""
    clock = Clock(system.folder / "clock of broker")
    system.broker.stop()
    system.broker.start(clock)
    _step(system, clock, rng)


def _step(system: System, clock: Clock, rng: random.Random) -> None:
    """Forth and back, some events by each; it stays at the last."""
    for ahead_s in rng.sample(_STEPS_S, len(_STEPS_S)):
        clock.set(ahead_s)
        time.sleep(2)  # until everybody has looked
        system.goes_on()


def _disturbed(name: str, way: Callable[[System], Proxy]) -> dict[str, Fault]:
    """The faults of the way to a server."""

    def disturb(how: Callable[[Proxy, random.Random], None], system: System, rng: random.Random) -> None:
        how(way(system), rng)

    return {f"connections to {name} {what}": partial(disturb, how) for what, how in DISTURBANCES.items()}


_EMBEDDED: dict[str, Fault] = {
    "kill -9 worker": kills.kill_worker,
    "kill -9 worker at a named point": kills.kill_worker_at,
    "kill -9 server": kills.kill_server,
    "kill -9 server at a named point": kills.kill_server_at,
    "kill -9 both": kills.kill_both,
    "kill -9 broker": kills.kill_broker,
    "broker restarts": kills.restart_broker,
    "worker frozen, another takes over": kills.freeze_worker,
    "a second worker joins and leaves": kills.second_worker,
    **_disturbed("broker", lambda system: system.broker.proxy),
    **_disturbed("server", lambda system: system.front),
    "disk full": full_disk,
    "clock steps": step_clock,
}
_ON_SERVERS: dict[str, Fault] = {
    "kill -9 database": kills.kill_database,
    "database restarts": kills.restart_database,
    "kill -9 everything": kills.kill_all,
    **_disturbed("database", lambda system: system.database.proxy),
    "disk of database full": full_database_disk,
    "clock of broker steps": step_broker_clock,
}
FAULTS: dict[Profile, dict[str, Fault]] = {"embedded": _EMBEDDED, "server": _EMBEDDED | _ON_SERVERS}
