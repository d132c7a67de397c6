"""The engine by itself, beside an upper bound in memory, and how long it needs to go on after a kill: parts of `bench_engine`."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.cards import Payments, draw_payments, project
from benchmarks.memory_engine import MemoryEngine
from tidemill.heap import settle_heap
from tidemill.project import Workspace
from tidemill.streams import Entry

EVENTS_A_SECOND = 1_000  # of stream time: how fast buckets and generations follow each other
_KILL_AFTER_S = 2.0


@dataclass(frozen=True)
class Load:
    """What one side takes.

    Args:
        keys: of each entity.
        events: a run.
        batch: events a commit.
        runs: that count; one more warms up.
    """

    keys: int
    events: int
    batch: int
    runs: int


def speeds(load: Load) -> tuple[list[float], list[float]]:
    """Events a second of each run, the engine's and the memory's in turn, each in a process of its own.

    A first run warms both up and is not counted.
    """
    context = get_context("spawn")
    sides = []
    for work in (_engine_runs, _memory_runs):
        here, there = context.Pipe()
        process = context.Process(target=work, args=(there, load))
        process.start()
        sides.append((here, process))
    told: list[list[float]] = [[], []]
    for _ in range(load.runs + 1):
        for (here, _process), speeds_of in zip(sides, told, strict=True):
            here.send("go")
            speeds_of.append(here.recv())
    for _here, process in sides:
        process.join()
        assert process.exitcode == 0
    return told[0][1:], told[1][1:]


def _engine_runs(told: Connection, load: Load) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.open(project, Path(folder))
        payments = _payments(load)
        texts, times = payments.payloads(), iter(payments.paid_at_ms.tolist())
        engine = workspace.engine()
        settle_heap()
        for _ in range(load.runs + 1):
            told.recv()
            _append(workspace, list(islice(texts, load.events)), times)
            begin_s = time.perf_counter()
            taken = engine.drain(load.batch)
            told.send(taken / (time.perf_counter() - begin_s))
        books = workspace.books()["payments"]
        assert books.applied == len(payments) and books.balanced
        workspace.close()


def _memory_runs(told: Connection, load: Load) -> None:
    texts, memory, batch = _payments(load).payloads(), MemoryEngine(), load.batch
    settle_heap()
    for _ in range(load.runs + 1):
        told.recv()
        some = list(islice(texts, load.events))
        begin_s = time.perf_counter()
        fresh = sum(memory.apply(some[begin : begin + batch], 2**42) for begin in range(0, len(some), batch))
        told.send(fresh / (time.perf_counter() - begin_s))


def _payments(load: Load) -> Payments:
    n_rows = load.events * (load.runs + 1)
    return draw_payments(n_rows, load.keys, span_ms=n_rows * 1_000 // EVENTS_A_SECOND)


def recovery_s(n_keys: int, n_events: int, seed: int) -> float:
    """Seconds from opening a home whose engine was killed until the next batch is applied; nothing may be lost or twice."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        workspace = Workspace.open(project, home)
        payments = draw_payments(n_events * 3, n_keys, span_ms=n_events * 3_000 // EVENTS_A_SECOND, seed=seed)
        _append(workspace, list(payments.payloads()), iter(payments.paid_at_ms.tolist()))
        workspace.close()
        process = get_context("spawn").Process(target=_drain, args=(home,))
        process.start()
        time.sleep(_KILL_AFTER_S + 0.1 * seed)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        begin_s = time.perf_counter()
        workspace = Workspace.open(project, home)
        engine = workspace.engine()
        engine.step(1_000)
        took_s = time.perf_counter() - begin_s
        engine.drain(10_000)
        books = workspace.books()["payments"]
        assert books.applied == len(payments) and books.balanced, books
        workspace.close()
    return took_s


def _drain(home: Path) -> None:
    Workspace.open(project, home).engine().drain(1_000)


def _append(workspace: Workspace, texts: Sequence[str], times: Iterator[int]) -> None:
    for begin in range(0, len(texts), 50_000):
        piece = texts[begin : begin + 50_000]
        workspace.log.append([Entry("payments", text, at_ms) for text, at_ms in zip(piece, times, strict=False)], now_ms=0)
