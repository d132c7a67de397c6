"""Whom `bench_engine` compares with: Feast's `push`, and Quix Streams and Flink on the Kafka topics that tidemill reads too.

| | windows | a payment sent twice | after a crash | who can read a value |
|---|---|---|---|---|
| tidemill | 9, each at any moment full and fresh to a bucket | counts once | nothing lost or twice | any process |
| Quix, tumbling or by hand | 9, each empty again when it begins | twice | at least once | who follows its topics |
| Flink, tumbling | 9, each told when it has closed | twice; with dedup once | its sink at least once | who follows its topics |
| Feast's push | none: stores what is computed elsewhere | unnoticed | unnoticed | any process |

What each is set to, and why, stands at the top of its script; `benchmarks/peers/README.md` lists them. Ours and Quix take turns on one
topic of one broker, each run in new processes with an empty store: Quix from the first payment processed to the last aggregate
acknowledged, ours from the first consumed to the last applied. Flink's time begins when it is handed the job, in a process that an earlier
run has warmed up.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.beside import or_without, peer_versions, run_beside
from benchmarks.cards import draw_payments
from benchmarks.kafka import VERSION, kafka_broker
from benchmarks.kafka_feed import Topic, client_version, feed
from benchmarks.peer import Limits, run_peer, write_payments
from tidemill.clock import wall_ms

EVENTS_A_SECOND = 1_000  # of stream time, as for the engine by itself
_LIMITS = Limits(seconds=1_800)
OURS = "tidemill"
FASTEST_QUIX = "quix, by hand, tuned"
QUIX: Mapping[str, Mapping[str, Any]] = {
    "quix, tumbling windows, as its docs set it": {},
    "quix, tumbling windows, tuned, 3 processes": {"tuned": True, "processes": 3},
    FASTEST_QUIX: {"window": "by_hand", "tuned": True},
}
FLINK: Mapping[str, Mapping[str, Any]] = {
    "flink, tumbling windows": {},
    "flink, tumbling windows, deduplicated": {"dedup": True},
}


@dataclass(frozen=True)
class Sizes:
    """How much goes through Kafka.

    Args:
        keys: of each entity.
        events: of the long topic, which ours, the fastest Quix and Flink read.
        quix_events: of the short topic, which ours and every Quix read; with Quix's own windows it takes minutes for the other.
        runs: of each side.
    """

    keys: int
    events: int
    quix_events: int
    runs: int


@dataclass
class Beside:
    """Events a second of each run of each side, by what it read, and the peers' versions."""

    runs: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def note(self, topic: str, side: str, events_per_s: float) -> None:
        """Add a run."""
        self.runs.setdefault(topic, {}).setdefault(side, []).append(events_per_s)


def from_kafka(sizes: Sizes, found: Beside) -> None:
    """Read two topics with every side; a side that cannot run here is left out."""
    with or_without("end to end from Kafka"), _topics(sizes) as (broker, files):
        found.versions["kafka"] = VERSION
        short, long = (str(path) for path in files)
        for _ in range(sizes.runs):
            _feed(found, broker, "short")
            for side, settings in QUIX.items():
                _windows(found, ("quix", side), "short", {"bootstrap": broker, "payments": short, **settings, "runs": 1})
        for _ in range(sizes.runs):
            _feed(found, broker, "long")
            settings = {"bootstrap": broker, "payments": long, **QUIX[FASTEST_QUIX], "runs": 1}
            _windows(found, ("quix", FASTEST_QUIX), "long", settings)
        for side, settings in FLINK.items():
            # its runs share a Java process, which the first of them warms up
            _windows(found, ("flink", side), "long", {"bootstrap": broker, "payments": long, **settings, "runs": sizes.runs})


@contextmanager
def _topics(sizes: Sizes) -> Iterator[tuple[str, tuple[Path, Path]]]:
    """A broker with the topics `short` and `long`, and their payments as files.

    Raises:
        KafkaError: the broker does not start.
        PeerError: the topics cannot be filled.
    """
    with tempfile.TemporaryDirectory() as folder:
        data, files = Path(folder) / "broker", (Path(folder) / "short.ndjson", Path(folder) / "long.ndjson")
        data.mkdir()
        with kafka_broker(data) as broker:
            for file, events in zip(files, (sizes.quix_events, sizes.events), strict=True):
                span_ms = events * 1_000 // EVENTS_A_SECOND
                # they have just happened: ours knows an event when it takes it, and refuses one that is a day old
                write_payments(draw_payments(events, sizes.keys, span_ms=span_ms, start_ms=wall_ms() - span_ms), file)
                run_peer("quix", "fill.py", {"bootstrap": broker.bootstrap, "payments": str(file), "topic": file.stem})
            yield broker.bootstrap, files


def _feed(found: Beside, broker: str, topic: str) -> None:
    with or_without("tidemill from Kafka (its consumer)"):
        fed = feed(Topic(broker, topic))
        found.versions["kafka-python"] = client_version()
        found.note(topic, OURS, fed.events / fed.seconds)


def _windows(found: Beside, side: tuple[str, str], topic: str, arguments: Mapping[str, Any]) -> None:
    answered = run_beside(side[0], "windows.py", {**arguments, "topic": topic}, _LIMITS)
    if answered is not None:
        found.versions |= peer_versions(side[0], answered)
        for run in answered["runs"]:
            found.note(topic, side[1], run["events_per_s"])


def feast_push(keys: int, events: int, runs: int, found: Beside) -> None:
    """Feast's `push` of finished rows to its SQLite and Redis stores, batches of 1,000 payments."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "payments.parquet"
        write_payments(draw_payments(events, keys), file)
        for store in ("sqlite", "redis"):
            answered = run_beside("feast", "push.py", {"payments": str(file), "store": store, "runs": runs})
            if answered is not None:
                found.versions |= peer_versions("feast", answered)
                for run in answered["runs"]:
                    found.note("push", f"feast push, {store}", run["events_per_s"])
