"""`make bench NAME=ingest`: events a second from each source until they are applied, and how long one takes until a reader sees it.

Throughput: so many payments lie ready (of HTTP: are sent by two connections in requests of 500), and the real processes take them:
`tidemill work`, for HTTP also `tidemill serve`. The time counts from the first event applied to the last. Beside it the client's own
ceiling: the same client reading them all, or sending them to a server that only takes the body, with nothing of ours behind it.

Freshness: a steady load (--rate) by a process of its own, and probes at random times, open loop: each counts from when it was due. Sources
that are polled are polled every 0.1 s, Kinesis five times a second, as AWS allows. Parquet and Delta get a file or a version every half
second, and one for each of 4 probes a second; the shard of Kinesis gets a tenth of everything.

For a quick look: ARGS="--source kafka --events 50000 --seconds 3 --runs 2".
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np

from benchmarks import ingest_project
from benchmarks.cards import draw_payments, project
from benchmarks.http_reads import serving
from benchmarks.http_sink import sink
from benchmarks.ingest_ends import BATCH, CopiedEnd, End, Folder, Http, Topic
from benchmarks.ingest_lakes import DeltaRows, Parquet, in_kinesis
from benchmarks.ingest_tables import in_postgres, in_sqlite
from benchmarks.kafka import kafka_broker
from benchmarks.probes import percentiles, probe
from benchmarks.report import Report, show
from tidemill.clock import wall_ms
from tidemill.kernels.ahead import compile_kernels
from tidemill.project import Workspace

_KEYS = 100_000
_CONNECTIONS = 2
_PATIENCE_S = 600.0
_TICK_S = 0.02
_WARM_UP_S = 3.0


@dataclass
class Found:
    """What was seen of one source, run by run."""

    events_per_s: list[float]
    ceiling_per_s: list[float]
    p50_ms: list[float]
    p99_ms: list[float]


def main() -> int:
    """Run the benchmark; answers the exit code."""
    options = _options()
    compile_kernels()  # the reader is one that is up, as a server is
    found: dict[str, Found] = {}
    for name in options.source or ("http", *_COPIED):
        found[name] = Found([], [], [], [])
        for _ in range(options.runs):
            with tempfile.TemporaryDirectory() as folder:
                if name == "http":
                    _http(Path(folder), options, found[name])
                else:
                    with _COPIED[name](Path(folder)) as end:
                        _copied(Path(folder) / "home", end, options, found[name])
            print(name, {what: round(values[-1]) for what, values in vars(found[name]).items()}, file=sys.stderr)
    rows = [
        (f"{name}, {what}", *(f"{figure(values):,.0f}" for values in vars(one).values()))
        for name, one in found.items()
        for what, figure in (("median", np.median), ("least", np.min), ("most", np.max))
    ]
    ratios = {f"{name}_of_its_ceiling": float(np.median(one.events_per_s) / np.median(one.ceiling_per_s)) for name, one in found.items()}
    figures = {"rate": options.rate, "events": options.events, **{name: vars(one) for name, one in found.items()}}
    packages = ("tidemill", "uvicorn", "fastapi", "kafka-python", "sqlalchemy", "psycopg", "pyarrow", "deltalake", "boto3", "moto")
    report = Report("ingest", packages, figures, ratios)
    header = ("source", "events/s", "client alone", "p50 ms", "p99 ms")
    show(report, header, rows, [f"{name}: {value:.2f}" for name, value in ratios.items()])
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=300_000, help="events of a run of throughput")
    parser.add_argument("--rate", type=int, default=10_000, help="events a second beside the probes")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the probes of a run")
    parser.add_argument("--runs", type=int, default=5, help="of each source, each on a new home")
    parser.add_argument("--source", action="append", choices=("http", *_COPIED), help="only this one; several times for several")
    return parser.parse_args()


def _http(home: Path, options: argparse.Namespace, found: Found) -> None:
    with sink() as port:
        found.ceiling_per_s.append(_sent_per_s(port, options.events, lambda: True))
    with serving(home) as port, working(home, Http(port)):
        _probe(home, Http(port), options, found)
        workspace = Workspace.open(project, home)
        expected = _applied(workspace) + options.events
        found.events_per_s.append(_sent_per_s(port, options.events, lambda: _applied(workspace) >= expected))
        workspace.close()


@contextmanager
def _topic(folder: Path) -> Iterator[Topic]:
    with kafka_broker(folder) as broker:
        yield Topic(broker.bootstrap, "payments")


_COPIED: dict[str, Callable[[Path], AbstractContextManager[CopiedEnd]]] = {
    "kafka": _topic,
    "kinesis": in_kinesis,
    "table-sqlite": lambda folder: in_sqlite(folder, "payments"),
    "table-postgres": lambda folder: in_postgres(folder, "payments"),
    "outbox-sqlite": lambda folder: in_sqlite(folder, "outbox"),
    "outbox-postgres": lambda folder: in_postgres(folder, "outbox"),
    "files": lambda folder: nullcontext(Folder(folder / "in")),
    "parquet": lambda folder: nullcontext(Parquet(folder / "in")),
    "delta": lambda folder: nullcontext(DeltaRows(folder / "in")),
}


def _copied(home: Path, end: CopiedEnd, options: argparse.Namespace, found: Found) -> None:
    n_events = int(options.events * end.pace.share)
    texts = _texts(n_events)
    for begin in range(0, n_events, 20_000):
        end.put(texts[begin : begin + 20_000])
    begin_s = time.perf_counter()
    assert end.read_alone() == n_events
    found.ceiling_per_s.append(n_events / (time.perf_counter() - begin_s))
    end.close()
    with working(home, end):
        found.events_per_s.append(_applied_per_s(home, n_events))
        _probe(home, end, options, found)


@contextmanager
def working(home: Path, end: End) -> Iterator[None]:
    """`tidemill work` on a home, copying from an end."""
    command = [str(Path(sys.executable).parent / "tidemill"), "work", "--project", str(Path(ingest_project.__file__).resolve())]
    environ = os.environ | {"TIDEMILL_HOME": str(home)} | ingest_project.environ_of(end)
    with tempfile.TemporaryFile() as said:
        worker = subprocess.Popen(command, stdout=said, stderr=said, env=environ)
        try:
            yield
            if worker.poll() is not None:
                said.seek(0)
                raise RuntimeError(f"tidemill work has ended: {said.read().decode(errors='replace')[-1_000:]}")
        finally:
            worker.terminate()
            worker.wait()


def _applied_per_s(home: Path, n_events: int) -> float:
    """From the first event applied to the last."""
    workspace, deadline_s = Workspace.open(project, home), time.monotonic() + _PATIENCE_S
    first, first_s = 0, 0.0
    while (applied := _applied(workspace)) < n_events:
        if applied and not first:
            first, first_s = applied, time.perf_counter()
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"{applied} of {n_events} events applied within {_PATIENCE_S:.0f} s")
        time.sleep(_TICK_S)
    workspace.close()
    if not first:
        raise RuntimeError(f"all {n_events} events were applied between two looks, so they have no rate; say more --events")
    return (n_events - first) / (time.perf_counter() - first_s)


def _sent_per_s(port: int, n_events: int, is_done: Callable[[], bool]) -> float:
    """From the first request until all are answered and the engine has taken what they brought."""
    texts = _texts(n_events)
    batches = [texts[begin : begin + BATCH] for begin in range(0, len(texts), BATCH)]

    def send(mine: Sequence[Sequence[str]]) -> None:
        end = Http(port)
        for batch in mine:
            end.put(batch)
        end.close()

    threads = [threading.Thread(target=send, args=(batches[place::_CONNECTIONS],)) for place in range(_CONNECTIONS)]
    begin_s = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while not is_done():
        time.sleep(_TICK_S)
    return n_events / (time.perf_counter() - begin_s)


def _probe(home: Path, end: End, options: argparse.Namespace, found: Found) -> None:
    """Probes beside a steady load."""
    context = get_context("spawn")
    stopping = context.Event()
    load = context.Process(target=_put_steadily, args=(end, options.rate * end.pace.share, stopping))
    load.start()
    try:
        workspace, before = Workspace.open(project, home), 0
        before = _applied(workspace)
        while _applied(workspace) == before:
            time.sleep(_TICK_S)
        workspace.close()
        time.sleep(_WARM_UP_S)
        seed, rate = len(found.p50_ms), end.pace.probes_per_s
        waits_ms = percentiles(probe(home, lambda text: end.put([text]), options.seconds, seed, rate))
    finally:
        stopping.set()
        load.join()
    found.p50_ms.append(waits_ms[0])
    found.p99_ms.append(waits_ms[2])
    end.close()


def _put_steadily(end: End, rate: float, stopping: Event) -> None:
    """Put now and then what is due; open loop: a put that is late makes the next one larger."""
    begin_s, first = time.monotonic(), 0
    number = time.time_ns() // 1_000_000 * 1_000_000
    while not stopping.is_set():
        due = int((time.monotonic() - begin_s) * rate)
        if due > first:
            payments = draw_payments(due - first, _KEYS, span_ms=1, seed=first, start_ms=wall_ms())
            end.put(list(replace(payments, first=number + first).payloads()))
            first = due
        time.sleep(end.pace.put_every_s)
    end.close()


def _texts(n_events: int) -> list[str]:
    now = wall_ms()
    return list(replace(draw_payments(n_events, _KEYS, span_ms=60_000, start_ms=now - 60_000), first=time.time_ns()).payloads())


def _applied(workspace: Workspace) -> int:
    return workspace.books()["payments"].applied


if __name__ == "__main__":
    sys.exit(main())
