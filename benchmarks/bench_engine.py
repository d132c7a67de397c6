"""`make bench NAME=engine`: how many events a second the engine applies: read from the log, judged, summed up and committed.

Every event is card payment text in the SQL log; 3 views x 3 windows make 9 tile sets; ids are deduplicated; a commit is what
`tidemill work` commits, so there is no checkpoint left to pay. Beside it, run by run in turn, an upper bound that keeps everything in
memory (`benchmarks/memory_engine.py`). Then the engine is killed in the middle and the time until it goes on is taken.

Peers, with `--no-peers` left out:
- Feast's `push` to its SQLite and Redis online stores, which stores values that someone else has computed.
- End to end from Kafka (`benchmarks/kafka_feed.py`): a real broker, its topics read by ours, by Quix Streams and by Flink's local cluster.
  Quix runs as its docs set it, tuned, and with the windows written by hand, which is its fastest; the ratio that counts is to the fastest.
  `benchmarks/engine_peers.py` has a table of what each does and does not do. Hopping windows, which would be as fresh as ours, cost Quix
  and Flink more than twenty times as much as tumbling ones, and are left to the commands in `benchmarks/peers/README.md`.

For a quick look: ARGS="--events 20000 --runs 2 --keys 10000 --batch 1000 --kafka-events 50000 --quix-events 2000".
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.engine_alone import Load, recovery_s, speeds
from benchmarks.engine_peers import OURS, QUIX, Beside, Sizes, feast_push, from_kafka
from benchmarks.report import Report, show

_REFERENCE_BATCH = 1_000  # what Feast's push is given at a time
Rows = list[tuple[str, ...]]


def main() -> int:
    """Run the benchmark; answers the exit code."""
    options = _options()
    figures: dict[str, Any] = {}
    ratios: dict[str, float] = {}
    rows: Rows = []
    if not options.only_kafka:
        _alone(options, figures, ratios, rows)
    if not options.no_peers:
        beside = Beside()
        if not options.only_kafka:
            feast_push(options.keys[-1], options.feast_events, options.runs, beside)
        from_kafka(Sizes(options.keys[-1], options.kafka_events, options.quix_events, options.runs), beside)
        figures["peers_events_per_s"] = beside.runs
        ratios |= _peer_ratios(figures, beside.runs, options.keys[-1])
        rows += _peer_rows(beside.runs, {"short": options.quix_events, "long": options.kafka_events, "push": options.feast_events})
    versions = beside.versions if not options.no_peers else {}
    notes = [f"{name}: {value:.2f}" for name, value in ratios.items()]
    report = Report("engine", ("tidemill", "numpy", "msgspec"), figures, ratios, versions)
    show(report, ("what", "events/s", "least", "most", "runs"), rows, notes)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=400_000, help="events a run of the engine by itself")
    parser.add_argument("--runs", type=int, default=5, help="of each side, in turn")
    parser.add_argument("--keys", type=int, nargs="+", default=[10_000, 1_000_000], help="of each entity; peers get the last")
    parser.add_argument("--batch", type=int, nargs="+", default=[100, 1_000, 10_000], help="events a commit")
    parser.add_argument("--no-peers", action="store_true", help="neither Feast nor anything from Kafka")
    parser.add_argument("--only-kafka", action="store_true", help="only what reads from Kafka")
    parser.add_argument("--feast-events", type=int, default=20_000, help="payments pushed to Feast, a run")
    parser.add_argument("--kafka-events", type=int, default=400_000, help="payments of the long topic: ours, the fastest Quix, Flink")
    parser.add_argument("--quix-events", type=int, default=30_000, help="payments of the short topic: ours and every Quix")
    return parser.parse_args()


def _alone(options: argparse.Namespace, figures: dict[str, Any], ratios: dict[str, float], rows: Rows) -> None:
    for n_keys in options.keys:
        for batch in options.batch:
            ours, memory = speeds(Load(n_keys, options.events, batch, options.runs))
            name = f"{n_keys}_keys_batch_{batch}"
            figures[name] = {"engine_events_per_s": ours, "memory_events_per_s": memory}
            ratios[f"engine_over_memory_{name}"] = statistics.median(one / other for one, other in zip(ours, memory, strict=True))
            rows.append((f"engine, {n_keys:,} keys, batch {batch:,}", *_spread(ours)))
            rows.append((f"memory, {n_keys:,} keys, batch {batch:,}", *_spread(memory)))
    took_s = [recovery_s(options.keys[-1], options.events, seed) for seed in range(options.runs)]
    figures["recovery_s"] = took_s
    shown = (f"{value:.2f}" for value in (statistics.median(took_s), min(took_s), max(took_s)))
    rows.append(("seconds from kill -9 until the next event is applied", *shown, str(len(took_s))))


def _peer_ratios(figures: Mapping[str, Any], runs: Mapping[str, Mapping[str, Sequence[float]]], keys: int) -> dict[str, float]:
    """Ours over each peer, of medians; from Kafka on the same topic, and over Quix where ours is least ahead."""
    found: dict[str, float] = {}
    quix: list[float] = []
    alone = figures.get(f"{keys}_keys_batch_{_REFERENCE_BATCH}", {}).get("engine_events_per_s", ())
    for topic, sides in runs.items():
        ours = alone if topic == "push" else sides.get(OURS, ())
        others = {side: values for side, values in sides.items() if side != OURS and ours}
        for side, values in others.items():
            ratio = statistics.median(ours) / statistics.median(values)
            found[f"{'engine' if topic == 'push' else f'from_kafka_{topic}'}_over_{side.replace(', ', ' ').replace(' ', '_')}"] = ratio
            quix += [ratio] if side in QUIX else []
    return found | ({"from_kafka_over_quix_at_its_best": min(quix)} if quix else {})


def _peer_rows(runs: Mapping[str, Mapping[str, Sequence[float]]], events: Mapping[str, int]) -> Rows:
    kafka = {"short", "long"}
    return [
        (f"{'from Kafka: ' if topic in kafka else ''}{side}, {events[topic]:,} payments", *_spread(values))
        for topic, sides in runs.items()
        for side, values in sides.items()
    ]


def _spread(values: Sequence[float]) -> tuple[str, ...]:
    return (*(f"{value:,.0f}" for value in (statistics.median(values), min(values), max(values))), str(len(values)))


if __name__ == "__main__":
    sys.exit(main())
