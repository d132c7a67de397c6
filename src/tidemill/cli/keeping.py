"""Keeping a live system going: what `work` does, and the demo once its recording has ended."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from tidemill.cli import runs
from tidemill.cli.checking import Checking
from tidemill.cli.ending import end_at_signals
from tidemill.cli.relay import PATIENCE_S, Relay
from tidemill.clock import wall_ms
from tidemill.errors import ConflictError, NotReadyError, UnavailableError
from tidemill.heap import settle_heap
from tidemill.project import Workspace
from tidemill.serving import Worker, copiers, publishers
from tidemill.settings import EngineSettings
from tidemill.stores.file_lock import try_lock
from tidemill.stores.wal_upkeep import WalUpkeep
from tidemill.streams import Log

logger = logging.getLogger(__name__)

_WATCH_EVERY_S = 2.0
_LAKE_EVERY_S = 0.25
_MATCH_EVERY_S = 0.1
_REACT_EVERY_S = 1.0
_LEAVE_AFTER_S = 10.0
_REST_S = 1.0
_WRITTEN = ("log", "sources", "state")  # the databases that this writes to at every step


def keep_going(worker: Worker, relay: Relay | None, settings: EngineSettings) -> None:
    """Copy from sources, apply, watch, check, publish, and carry decisions and alerts out, until SIGTERM or Ctrl-C; then flush the lake.

    Where several engines share the log, each applies its part, and one of a home does the rest; without a relay this one never does.

    Events wait for nothing else: the lake, the monitors, which ask MLflow, and what is carried to Prefect and to people have a thread
    each, and each source is read by one. One looks for what reactions wait for, and one for each carries it out, so that a server or
    a receiver that hangs holds up nobody else.
    """
    for name in worker.workspace.state.sets.partial():
        kind = worker.workspace.project.source(name).kind
        logger.warning("%s knows only events since it was declared or changed; fill it with `tidemill backfill %s`", kind, name)
    if relay is not None:
        worker.get_ready()
        relay.get_ready()
    settle_heap()
    stopping = threading.Event()
    end_at_signals(stopping)
    with ExitStack() as held:
        held.enter_context(WalUpkeep(worker.workspace.databases, _WRITTEN).going())
        keeper = _Keeper(worker, relay, settings, stopping)
        while not stopping.is_set():
            try:
                keeper.begin(held)
                mark = worker.workspace.log.mark()
                busy = _apply(worker)
            except UnavailableError as error:  # each step is all or nothing, and is done again
                logger.warning("a server is away, and is tried again error=%s", error)
                stopping.wait(_WATCH_EVERY_S)
                continue
            if not busy:
                _rest(worker.workspace.log, mark, settings.poll_ms / 1_000, stopping)
    if keeper.begun:
        worker.flush_lake()


class _Keeper:
    """What one process of a home does beside applying events.

    Where several engines share the log, the first does it, and the next when that one ends; one without a relay never does.
    """

    def __init__(self, worker: Worker, relay: Relay | None, settings: EngineSettings, stopping: threading.Event) -> None:
        self._worker, self._relay, self._settings, self._stopping = worker, relay, settings, stopping
        self._tried_s = 0.0
        self.begun = False

    def begin(self, held: ExitStack) -> None:
        """Begin, unless another process of this home does it; ends with the stack."""
        if self.begun or self._relay is None or time.monotonic() - self._tried_s < _WATCH_EVERY_S:
            return
        self._tried_s, worker = time.monotonic(), self._worker
        with ExitStack() as tried:
            if worker.shares and not tried.enter_context(try_lock(worker.workspace.home / "keeper.lock", alone=True)):
                return
            tried.enter_context(_beside(worker, self._relay, self._settings, self._stopping))
            held.push(tried.pop_all())
        self.begun = True


@contextmanager
def _beside(worker: Worker, relay: Relay, settings: EngineSettings, stopping: threading.Event) -> Iterator[None]:
    """The threads of the lake, monitors, relay, and of each source, reaction and publication; they end with the block."""
    checking = Checking(worker.workspace, partial(runs.start, patience_s=PATIENCE_S))
    watches = [
        _thread("monitors", partial(_repeat, partial(_watch, worker), _WATCH_EVERY_S, stopping)),
        _thread("relay", partial(_repeat, partial(_carry, worker.workspace, checking, relay), _WATCH_EVERY_S, stopping)),
    ]
    works: list[Callable[[], None]] = [partial(_repeat, worker.tend_lake, _LAKE_EVERY_S, stopping)]
    if relay.reactions:
        works += [partial(_repeat, worker.watch_reactions, _MATCH_EVERY_S, stopping)]
        works += [partial(_repeat, partial(relay.react, name), _REACT_EVERY_S, stopping) for name in relay.reactions]
    works += [partial(copier.run, stopping) for copier in copiers(worker.workspace, settings.max_behind)]
    works += [partial(publisher.run, stopping) for publisher in publishers(worker.workspace, f"{socket.gethostname()}:{os.getpid()}")]
    threads = [_thread(f"work {number}", work) for number, work in enumerate(works)]
    for thread in (*watches, *threads):
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
        for thread in watches:
            thread.join(_LEAVE_AFTER_S)
            if thread.is_alive():  # a server does not answer; a step is all or nothing, and is done again by who comes next
                logger.warning("left in the middle of a step of the %s", thread.name)


def _thread(name: str, work: Callable[[], None]) -> threading.Thread:
    return threading.Thread(target=work, name=name, daemon=True)


def _watch(worker: Worker) -> None:
    worker.watch_outcomes()
    worker.watch_features()
    worker.watch_age()
    worker.watch_follow_ups()
    worker.watch_probation()
    worker.watch_dead_letters()


def _carry(workspace: Workspace, checking: Checking, relay: Relay) -> None:
    checking.step(workspace.now_ms(), wall_ms())
    relay.step()


def _apply(worker: Worker) -> int:
    try:
        return worker.apply()
    except ConflictError as error:
        logger.warning("another engine is at work error=%s", error)
        return 0
    except NotReadyError as error:  # a broker that is down for a while
        logger.warning("the log waits error=%s", error)
        time.sleep(_REACT_EVERY_S)
        return 0


def _rest(log: Log, mark: int | None, pause_s: float, stopping: threading.Event) -> None:
    """Wait until something was appended since the mark, for a second at most, looking once a pause; a pause where the log has no marks."""
    until_s = time.monotonic() + _REST_S
    while not stopping.wait(pause_s) and mark is not None and log.mark() == mark and time.monotonic() < until_s:
        pass


def _repeat(step: Callable[[], object], every_s: float, stopping: threading.Event) -> None:
    """Do a step now and again and again; one that fails, on a full disk say, is done again, as each keeps what it has not done."""
    while not stopping.is_set():
        try:
            step()
        except ConflictError as error:
            logger.warning("another process is at work error=%s", error)
        except UnavailableError as error:
            logger.warning("a server is away, and is tried again error=%s", error)
            stopping.wait(_WATCH_EVERY_S)
        except Exception:
            logger.exception("failed, and is tried again step=%s", getattr(step, "__qualname__", step))
            stopping.wait(_WATCH_EVERY_S)
        stopping.wait(every_s)
