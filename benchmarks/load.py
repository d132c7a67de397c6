"""A home with a past, and processes that put it under load: one appends payments, one applies them as `tidemill work` does."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path

from benchmarks.cards import Payments, draw_payments
from tidemill import Project
from tidemill.clock import wall_ms
from tidemill.errors import ConflictError
from tidemill.project import Workspace
from tidemill.settings import EngineSettings
from tidemill.streams import Entry

_TICK_S = 0.005
_START_S = 60.0
_WARM_UP_S = 3.0


def fill(project: Project, home: Path, history: Payments) -> None:
    """Apply payments, each known when it happened."""
    workspace = Workspace.open(project, home, durable_log=False)
    texts, times = list(history.payloads()), history.paid_at_ms.tolist()
    for begin in range(0, len(texts), 50_000):
        piece = slice(begin, begin + 50_000)
        workspace.log.append([Entry("payments", text, at_ms) for text, at_ms in zip(texts[piece], times[piece], strict=True)], now_ms=0)
    workspace.engine().drain(20_000)
    workspace.close()


def append_at(project: Project, home: Path, load: tuple[int, int], stopping: Event) -> None:
    """Append payments, happening now, every 5 ms those that are due, until told to stop; `load` is how many keys and payments a second.

    Open loop: when an append is late, the next one makes up for it.
    """
    workspace = Workspace.open(project, home, durable_log=False)
    n_keys, rate = load
    begin_s, first = time.monotonic(), 0
    number = time.time_ns() // 1_000_000 * 1_000_000  # ids of this run only, or they would all be duplicates
    while not stopping.is_set():
        due = int((time.monotonic() - begin_s) * rate)
        if due > first:
            now = wall_ms()
            payments = replace(draw_payments(due - first, n_keys, span_ms=1, seed=first, start_ms=now), first=number + first)
            workspace.log.append([Entry("payments", text) for text in payments.payloads()], now_ms=now)
            first = due
        time.sleep(_TICK_S)
    workspace.close()


def apply(project: Project, home: Path, stopping: Event) -> None:
    """Apply what comes, until told to stop; the lake is left out."""
    workspace = Workspace.open(project, home, durable_log=False)
    engine, settings = workspace.engine(), EngineSettings()
    while not stopping.is_set():
        try:
            taken = engine.drain(settings.batch_events)
        except ConflictError:
            taken = 0
        if not taken:
            time.sleep(settings.poll_ms / 1_000)
    workspace.close()


@contextmanager
def under_load(project: Project, home: Path, n_keys: int, rate: int) -> Iterator[Mapping[str, float]]:
    """A home that takes `rate` payments a second while the block runs; afterwards what it really took, in events a second."""
    context = get_context("spawn")
    stopping = context.Event()
    processes = [
        context.Process(target=append_at, args=(project, home, (n_keys, rate), stopping)),
        context.Process(target=apply, args=(project, home, stopping)),
    ]
    workspace = Workspace.open(project, home)
    for process in processes:
        process.start()
    try:
        _wait(workspace)
        before, begin_s, found = workspace.books()["payments"].applied, time.monotonic(), dict[str, float]()
        yield found
        found["applied_per_s"] = (workspace.books()["payments"].applied - before) / (time.monotonic() - begin_s)
    finally:
        stopping.set()
        for process in processes:
            process.join()
        workspace.close()


def _wait(workspace: Workspace) -> None:
    """Until both processes are at work, which takes long on a busy machine, and have warmed up.

    Raises:
        RuntimeError: nothing is applied within a minute.
    """
    before, deadline = workspace.books()["payments"].applied, time.monotonic() + _START_S
    while workspace.books()["payments"].applied == before:
        if time.monotonic() > deadline:
            raise RuntimeError(f"no payment was applied within {_START_S:.0f} s")
        time.sleep(0.05)
    time.sleep(_WARM_UP_S)
