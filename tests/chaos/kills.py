"""kill -9, restarts and standing still: what becomes of processes."""

from __future__ import annotations

import random
import signal
import time

from tests.chaos.system import PATIENCE_S, SESSION_S, Profile, System

_LOOK_S = 0.2
_GROUP = "tidemill"  # of the engines, as the log's settings have it
_APPEND = ["before SqlLog.append", "after SqlLog.append"]
_LAKE = ["before Lake.append", "after Lake.append", "before SqlState.in_lake"]
_FILES = ["before TableFiles.prepare", "after TableFiles.prepare", "before TableFiles.apply", "after TableFiles.apply"]
_ROWS = ["before RowTiles.merge", "after RowTiles.merge", "after RowIds.write", "after RowState.commit"]
_WORKER_ACTS: dict[Profile, list[str]] = {"embedded": [*_FILES, "after MappedState.commit", *_LAKE, *_APPEND], "server": [*_ROWS, *_LAKE]}
_SERVER_ACTS: dict[Profile, list[str]] = {
    "embedded": _APPEND,
    "server": ["before KafkaLog.append", "before KafkaWriter.write", "after KafkaLog.append"],
}


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


def kill_worker_at(system: System, rng: random.Random) -> None:
    """The worker is killed in the middle of a commit, of an append to the lake, or of what it copies from Kafka."""
    kill_worker(system, rng)
    system.worker = system.start_dying("work", rng.choice(_WORKER_ACTS[system.profile]), rng.randint(1, 4))
    system.worker.wait(PATIENCE_S)


def kill_server_at(system: System, rng: random.Random) -> None:
    """The API server is killed in the middle of an append, or when events are durable and nobody has been told."""
    kill_server(system, rng)
    system.server = system.start_dying("serve", rng.choice(_SERVER_ACTS[system.profile]), rng.randint(1, 20))
    system.server.wait(PATIENCE_S)


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

    On servers it stands still until the other applies what comes: the group of engines has given it the partitions, and where the first
    stood still in the middle of a commit, PostgreSQL has ended that. In files it keeps its lock, and the other waits until it wakes.
    """
    frozen = system.worker
    frozen.send_signal(signal.SIGSTOP)
    system.worker = system.start("work")
    time.sleep(rng.uniform(4, 10))
    if system.profile == "server":
        time.sleep(SESSION_S)
        system.goes_on()
    frozen.send_signal(signal.SIGCONT)
    time.sleep(rng.uniform(0.2, 2))
    killed, system.worker = (frozen, system.worker) if rng.random() < 0.5 else (system.worker, frozen)
    killed.kill()
    killed.wait()


def second_worker(system: System, rng: random.Random) -> None:
    """Another worker joins, both are at it, and one of the two leaves in order; on servers they share the partitions."""
    other = system.start("work")
    if system.profile == "server":
        _until_shared(system)
    time.sleep(rng.uniform(3, 6))
    leaves, system.worker = (system.worker, other) if rng.random() < 0.5 else (other, system.worker)
    leaves.terminate()
    leaves.wait(PATIENCE_S)


def _until_shared(system: System) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while system.broker.n_sharing(_GROUP) < 2 and time.monotonic() < deadline_s:
        time.sleep(_LOOK_S)
