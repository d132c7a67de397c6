"""Keeping a live system going: what `work` does, and the demo once its recording has ended."""

from __future__ import annotations

import logging
import signal
import threading
import time
from functools import partial

from tidemill.cli import runs
from tidemill.cli.checking import Checking
from tidemill.cli.relay import PATIENCE_S, Relay
from tidemill.clock import wall_ms
from tidemill.errors import ConflictError
from tidemill.serving import Worker

logger = logging.getLogger(__name__)

_WATCH_EVERY_S = 2.0


def keep_going(worker: Worker, relay: Relay, poll_ms: int) -> None:
    """Apply, tend the lake, watch, check, and carry decisions and alerts out, until SIGTERM or Ctrl-C; then flush the lake."""
    checking = Checking(worker.workspace, partial(runs.start, patience_s=PATIENCE_S))
    for view in worker.workspace.state.tiles.partial():
        logger.warning("view knows only events since it was declared or changed; fill it with `tidemill backfill %s`", view)
    stopping = threading.Event()
    for how in (signal.SIGTERM, signal.SIGINT):
        signal.signal(how, lambda *_: stopping.set())
    watched_s = 0.0
    while not stopping.is_set():
        try:
            busy = worker.apply() + worker.tend_lake()
        except ConflictError as error:
            logger.warning("another engine is at work error=%s", error)
            busy = 0
        if time.monotonic() - watched_s > _WATCH_EVERY_S:
            worker.watch_outcomes()
            worker.watch_features()
            worker.watch_age()
            checking.step(worker.workspace.now_ms(), wall_ms())
            relay.step()
            watched_s = time.monotonic()
        if not busy:
            stopping.wait(poll_ms / 1_000)
    worker.flush_lake()
