"""Probes: single events put at random times, each watched for until a reader sees it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.cards import project
from tidemill.clock import wall_ms
from tidemill.project import Workspace
from tidemill.stores import Lookup

_GIVE_UP_S = 10.0


def percentiles(values: list[float]) -> list[float]:
    """The median, the 95th, the 99th and the greatest."""
    return [float(value) for value in np.percentile(values, [50, 95, 99, 100])]


def probe(home: Path, put: Callable[[str], None], seconds: float, seed: int, rate: float = 100.0) -> list[float]:
    """Put probes at times drawn beforehand, `rate` a second on average; answers how long each took from its due time until visible, ms.

    Open loop: a probe that is put late because the one before it was slow counts from when it was due.
    """
    workspace = Workspace.open(project, home, durable_log=False)
    due_s = np.cumsum(np.random.default_rng(seed).exponential(1 / rate, int(seconds * rate))).tolist()
    waiting: dict[str, float] = {}
    begin_s = time.monotonic()

    def send() -> None:
        for number, at_s in enumerate(due_s):
            time.sleep(max(0.0, begin_s + at_s - time.monotonic()))
            key = f"probe-{seed}-{number}"
            waiting[key] = begin_s + at_s
            put(json.dumps({"payment_id": key, "paid_at": wall_ms(), "card": key, "device": "d", "merchant": "m", "amount": 1.0}))

    sender = threading.Thread(target=send)
    sender.start()
    waits_ms: list[float] = []
    while sender.is_alive() or waiting:
        keys = list(waiting)
        if keys:
            counts = workspace.state.tiles.read([Lookup("by_card", keys)], wall_ms()).values["by_card__n_10m"]
            now_s = time.monotonic()
            for key, count in zip(keys, counts, strict=True):
                if count > 0 or now_s - waiting[key] > _GIVE_UP_S:
                    waits_ms.append((now_s - waiting.pop(key)) * 1_000)
        time.sleep(0.001)
    sender.join()
    workspace.close()
    return waits_ms
