"""What a broker of `kafka.py` is like: its settings, and who may come in where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Listener:
    """Another address of the broker, on loopback, of one security protocol; `advertised` is the port that clients are told, if another."""

    name: str
    protocol: str
    port: int
    advertised: int | None = None


@dataclass(frozen=True)
class Setup:
    """What a broker is like.

    Args:
        heap: of the JVM.
        partitions: of a topic that is made without saying how many.
        listeners: beside the plain one.
        settings: more of the broker's own.
        scram: users of SCRAM, as its storage tool takes them: `SCRAM-SHA-512=[name=NAME,password=PASSWORD]`.
    """

    heap: str = "1g"
    partitions: int = 1
    listeners: Sequence[Listener] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    scram: Sequence[str] = ()


def server_properties(data: Path, *, port: int, controller: int, setup: Setup | None = None) -> str:
    """The broker's settings: one node that is broker and controller, on loopback only."""
    setup = setup or Setup()
    listeners = [Listener("PLAINTEXT", "PLAINTEXT", port), *setup.listeners]
    served = ",".join(f"{one.name}://127.0.0.1:{one.port}" for one in listeners)
    told = ",".join(f"{one.name}://127.0.0.1:{one.advertised or one.port}" for one in listeners)
    protocols = ",".join(f"{one.name}:{one.protocol}" for one in listeners)
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"{served},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": told,
        "listener.security.protocol.map": f"{protocols},CONTROLLER:PLAINTEXT",
        "log.dirs": data,
        "num.partitions": setup.partitions,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # payments carry the times they were made at, long past: by default the broker would delete them within minutes
        "log.retention.ms": -1,
        # a group of one member would wait three seconds for others
        "group.initial.rebalance.delay.ms": 0,
    }
    return "\n".join(f"{name}={value}" for name, value in {**settings, **setup.settings}.items())
