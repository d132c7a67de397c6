"""How many payments a second Quix Streams turns into windowed aggregates: from a Kafka topic until the last aggregate is acknowledged.

Three views (by card, device and merchant) of three windows each (10 minutes, 1 hour, 24 hours), count, sum and max of the amount in one
state. The topic is keyed by card; device and merchant need `group_by`: with several partitions every payment goes through two more topics,
with one (the default of `fill.py`) Quix spares itself that. With several, a run that catches up reads them apart from each other, so device
and merchant see payments out of order by more than the grace, and Quix drops those as late: `late` counts the windows they miss.

`window` is one of
- `tumbling`: one window of each length at a time, from its start on. As many updates a payment as ours has tiles (nine), but less than ours
  answers: just after midnight its 24 hours are empty.
- `by_hand`: the same windows without Quix's: a function that keeps a key's three of a view in one value of its state, so three reads, three
  writes and three records a payment instead of nine. Windows older than the newest are forgotten at once, late payments with them. The most
  favourable to Quix, and what someone might write who has measured first.
- `hopping`: a window of each length every bucket of ours (15 s, 1 min, 1 h), so the newest full one is as fresh as ours. Each payment
  changes 40 + 60 + 24 windows a view, since Quix keeps windows, not tiles that windows share.
- `sliding`: the exact last 10 minutes, 1 hour and 24 hours up to each payment. Each payment changes all windows it falls into, as many as
  its key had payments in that time.
`emit` is `current` (every change is produced: the only way for others to see a fresh value, since its state cannot be asked from outside)
or `final` (only windows that have closed are produced: fewer records, values as late as the window is long, and the last never).

Settings. Of Quix's docs: at-least-once, idempotent producer, changelog topics on, a commit every 5 s, default RocksDB options, one process
(it runs one thread a process; more processes share partitions). Nearly all of its time is Python's, some 60 us for each window of each
payment; nothing is waited for. `tuned` is what helped, with 20,000 payments of 10,000 keys in tumbling windows, two runs each on a machine
that others used too, beside the docs' 1,780 and 1,790 payments a second; all three together came to 2,830:
- no changelog topics, 1,670 and 2,090: state is then as durable as the local disk, as ours is.
- a commit every 30 s, 1,950 and 2,300: more of a busy key's changes fall into one write.
- lz4 and a linger of 50 ms for what it produces, 1,920 and 2,550.
Collecting garbage more rarely, as our engine does, did not help (1,280 and 1,490). `processes` 3 is one a view, each reading the whole
topic: what keeps two cores busy with one partition, 3,970. `by_hand` comes to 10,000, and gains nothing from more processes.
The grace is our stream's lateness of 1 hour. It knows no event ids: a payment sent twice counts twice, and with at-least-once so do some
after a crash. After the last change the values still have to reach a store that serves.

Arguments: bootstrap, payments (NDJSON, as `fill.py` has sent it), topic, window, emit, tuned, processes (1 or 3), runs.
Figures: events_per_s, seconds (from the first payment taken to the last aggregate acknowledged), start_s (before that: Quix
makes its topics one a second), updates (aggregates produced), late.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
import uuid
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from typing import Any

from answer import answer, arguments, versions
from check import check
from quixstreams import Application
from topics import topic_partitions, topic_records
from views import ENTITIES, KINDS, build, topic_of

_TOGETHER_S = 120.0  # the longest that one process waits for the others to have made their topics
TUNED = {
    "use_changelog_topics": False,
    "commit_interval": 30.0,
    "producer_extra_config": {"enable.idempotence": True, "linger.ms": 50, "compression.type": "lz4"},
}


def main() -> None:
    """Each run in processes, consumer groups and state folders of its own."""
    defaults = {"bootstrap": None, "payments": None, "topic": "payments", "window": "tumbling", "emit": "current"}
    found = arguments({**defaults, "tuned": False, "processes": 1, "runs": 3})
    if found["window"] not in KINDS or found["emit"] not in ("current", "final") or found["processes"] not in (1, 3):
        raise SystemExit(
            f"window is {found['window']!r}, emit {found['emit']!r}, processes {found['processes']!r}; "
            f"choose of {', '.join(KINDS)}, of current and final, and 1 or 3"
        )
    n_payments = topic_records(found["bootstrap"], found["topic"])
    runs = [run(found, n_payments) for _ in range(found["runs"])]
    answer(versions("quixstreams", "confluent-kafka", "rocksdict", "orjson"), found, runs, payments=n_payments)


def run(found: dict[str, Any], n_payments: int) -> dict[str, float]:
    """Read the whole topic once, then check what was produced.

    Raises:
        SystemExit: a process failed, or has not taken every payment.
    """
    name = f"run-{uuid.uuid4().hex[:8]}"
    parts = [ENTITIES] if found["processes"] == 1 else [(entity,) for entity in ENTITIES]
    context = multiprocessing.get_context("spawn")
    together, told = context.Barrier(len(parts)), context.SimpleQueue()
    begin = time.perf_counter()
    workers = [context.Process(target=work, args=(found, name, part, together, told)) for part in parts]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit(f"processes ended with {[worker.exitcode for worker in workers]}")
    firsts, ends, late = zip(*(told.get() for _ in workers), strict=True)
    updates = check(found, {entity: topic_of(name, entity) for entity in ENTITIES}, exact=sum(late) == 0)
    seconds = max(ends) - min(firsts)  # this clock is the machine's
    return {
        "events_per_s": n_payments / seconds,
        "seconds": seconds,
        "start_s": min(firsts) - begin,
        "updates": updates,
        "late": sum(late),
    }


def work(found: dict[str, Any], name: str, entities: Sequence[str], together: Barrier, told: Any) -> None:
    """The views of some entities, over the whole topic; tells when it took the first payment, when it ended, and what was late."""
    repartitioned = len(topic_partitions(found["bootstrap"], found["topic"])) > 1
    n_rekeyed = len(set(entities) - {"card"}) if repartitioned else 0
    progress = Progress(topic_records(found["bootstrap"], found["topic"]) * (1 + n_rekeyed))
    with tempfile.TemporaryDirectory() as state:
        app = Application(
            found["bootstrap"],
            consumer_group=f"{name}-{'-'.join(entities)}",
            auto_offset_reset="earliest",
            state_dir=state,
            loglevel="WARNING",
            on_message_processed=progress.seen,
            **(TUNED if found["tuned"] else {}),
        )
        progress.app = app
        build(app, found, name, entities, progress.too_late)
        together.wait(_TOGETHER_S)
        app.run()
        end = time.perf_counter()
    if progress.left:
        raise SystemExit(f"the application stopped with {progress.left} records to go")
    told.put((progress.first, end, progress.late))


class Progress:
    """Counts records down, those through the topics of `group_by` too, and stops the application after the last one."""

    def __init__(self, n_records: int) -> None:
        self.app: Application | None = None
        self.left = n_records
        self.first = 0.0
        self.late = 0

    def seen(self, topic: str, partition: int, offset: int) -> None:
        """A record has been processed."""
        self.first = self.first or time.perf_counter()
        self.left -= 1
        if self.left == 0 and self.app is not None:
            self.app.stop()

    def too_late(self, *_: Any) -> bool:
        """A window that is closed has dropped a payment; False keeps it out of the log."""
        self.late += 1
        return False


if __name__ == "__main__":
    main()
