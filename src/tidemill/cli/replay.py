"""The replay: a recording told again on one clock, through the real log, engine, server and loop.

At each time t of a request it appends what was known by t, waits until that is applied, and asks; it appends nothing later before
the answer. It starts scheduled checks at stream time, and while a decision is worked on it waits, so reaction is in wall time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from uuid import UUID

import orjson

from tidemill.cli import runs
from tidemill.cli.by_hand import ByHand
from tidemill.cli.relay import Relay
from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.errors import NotReadyError
from tidemill.project import Workspace
from tidemill.serving import Worker
from tidemill.streams import Asked, Entry, Recorded, Recording

_BULK = 20_000
_DECISION_TIMEOUT_S = 900.0


@dataclass
class Progress:
    """How far a replay has come; what the progress line shows."""

    phase: str = "starting"
    stream_ms: int = 0
    events: int = 0
    predictions: int = 0
    alarms: int = 0
    warnings: int = 0
    checks: int = 0
    events_per_s: float = 0.0
    freshness_ms: list[float] = field(default_factory=list)


class Replay:
    """Replays a recording from where the log stands.

    Args:
        worker: applies, tends the lake, watches.
        relay: carries decisions and alerts out.
        recording: what happened.
        server: the connection to the API server; opened anew after a wait, in which the server may have let it go.
        tell: called now and then with the progress.
    """

    def __init__(
        self, worker: Worker, relay: Relay, recording: Recording, server: HTTPConnection, tell: Callable[[Progress], None]
    ) -> None:
        self.progress = Progress()
        self._worker = worker
        self._workspace: Workspace = worker.workspace
        self._relay = relay
        self._recording = recording
        self._events = _Peekable(recording.events())
        self._server = server
        self._tell = tell
        self._checks: dict[str, tuple[int, UUID | None]] = {}
        self._next_hour_ms = 0

    def load(self, until_ms: int) -> None:
        """Bring in everything known by a time, in large batches; nothing is asked."""
        self.progress.phase = "loading history"
        entries: list[Entry] = []
        for event in self._events.up_to(until_ms):
            entries.append(_entry(event))
            if len(entries) == _BULK:
                self._bulk(entries)
        self._bulk(entries)
        self._worker.flush_lake()

    def run(self, from_ms: int, by_hand: ByHand) -> None:
        """Ask everything asked from a time on, as it was asked then, and what a person asks by hand; ends when the recording has."""
        self.progress.phase = "live"
        self._checks = {model.name: (from_ms + model.monitor.check_every_ms, None) for model in self._workspace.project.models}
        self._next_hour_ms, next_day_ms = from_ms + HOUR_MS, from_ms + DAY_MS
        for at_ms, asked in _by_time(self._recording.requests(), from_ms):
            self._catch_up(at_ms)
            hourly = at_ms >= self._next_hour_ms
            for model, requests in asked.items():
                with self._asking(model, requests, at_ms):
                    self._keep_house(at_ms)
            if hourly:
                self._settle()
            if at_ms >= next_day_ms:
                next_day_ms = at_ms + DAY_MS
                self.progress.warnings += len(self._worker.watch_features())
                self._worker.watch_dead_letters()
                self._check_when_due(at_ms)
                if run := by_hand.step(at_ms):
                    self._await(run)
                    self._settle()
        self.progress.phase = "last outcomes"
        self._catch_up(self._recording.last_ms)
        self._keep_house(self._recording.last_ms)
        self.progress.warnings += len(self._worker.watch_features())
        for model in list(self._checks):
            self._await_check(model)
        self._settle()
        self._relay.step()  # for the checks of alarms, which waited for their retrain
        for run in self._relay.checks:
            self._await(run)
        self._worker.flush_lake()

    def _catch_up(self, at_ms: int) -> None:
        entries = [_entry(event) for event in self._events.up_to(at_ms)]
        if entries:
            begin_s = time.perf_counter()
            self._workspace.log.append(entries, at_ms)
            self._worker.apply()
            self.progress.freshness_ms.append((time.perf_counter() - begin_s) * 1_000)
            self._worker.watch_reactions()  # now, so that they read features as they stood then
            self.progress.events += len(entries)
        self.progress.stream_ms = at_ms

    def _bulk(self, entries: list[Entry]) -> None:
        if entries:
            self._workspace.log.append(entries, 0)
            self._worker.apply()
            self._worker.tend_lake()
            self.progress.events += len(entries)
            self.progress.stream_ms = entries[-1].known_at_ms or 0
            entries.clear()
            self._tell(self.progress)

    @contextmanager
    def _asking(self, model: str, requests: list[dict[str, object]], at_ms: int) -> Iterator[None]:
        """Ask at the start of the block and read the answer at its end: what is done in between takes no time of its own."""
        headers = {"content-type": "application/json"}
        with _reachable():
            self._server.request("POST", f"/v1/models/{model}/predict?at={at_ms}", body=orjson.dumps(requests), headers=headers)
        yield
        with _reachable():
            answer = self._server.getresponse()
            said = answer.read()
        if answer.status != 200:
            raise NotReadyError(f"the server answered {answer.status} to a prediction at {at_ms}: {said[:300].decode(errors='replace')}")
        self.progress.predictions += len(requests)

    def _keep_house(self, at_ms: int) -> None:
        """What is due beside the questions: the lake, and once an hour of stream time the monitors and what they led to."""
        self._worker.tend_lake()
        if at_ms >= self._next_hour_ms:
            self._next_hour_ms = at_ms + HOUR_MS
            self.progress.alarms += len(self._worker.watch_outcomes())
            self._worker.watch_age()
            self._worker.watch_follow_ups()
            self._worker.watch_probation()
            self._relay.step()
            for reaction in self._relay.reactions:
                self._relay.react(reaction)
            self._tell(self.progress)

    def _settle(self) -> None:
        """Wait until no decision is open; the clock of the stream stands still meanwhile."""
        phase, deadline_s = self.progress.phase, time.monotonic() + _DECISION_TIMEOUT_S
        while waiting := [decision for decision in self._workspace.decisions.recent(limit=20) if decision.state != "finished"]:
            self.progress.phase = f"retraining {waiting[0].model} ({waiting[0].trigger})"
            self._tell(self.progress)
            self._worker.tend_lake()
            self._relay.step()
            if time.monotonic() > deadline_s:
                raise NotReadyError(f"decision {waiting[0].id} is open after {_DECISION_TIMEOUT_S:.0f} s; see the flow runs in Prefect")
            time.sleep(0.2)
            self._server.close()  # it may be let go meanwhile; the next request connects anew
        self.progress.phase = phase

    def _check_when_due(self, at_ms: int) -> None:
        """Start a model's scheduled check when its time has come; the one before must have ended."""
        for model in self._workspace.project.models:
            due_ms, run = self._checks[model.name]
            if run is not None and runs.ended(run) is not None:
                run = None
            if at_ms >= due_ms:
                self._await_check(model.name)
                key = f"monitor:{self._workspace.home}:{model.name}:{due_ms}"
                run = runs.start(f"monitor/{self._workspace.project.name}", {"model": model.name}, key)
                due_ms += model.monitor.check_every_ms
                self.progress.checks += 1
            self._checks[model.name] = (due_ms, run)

    def _await_check(self, model: str) -> None:
        due_ms, run = self._checks[model]
        if run is not None:
            self._await(run)
        self._checks[model] = (due_ms, None)

    def _await(self, run: UUID) -> None:
        deadline_s = time.monotonic() + _DECISION_TIMEOUT_S
        while runs.ended(run) is None:
            self._worker.tend_lake()
            if time.monotonic() > deadline_s:
                raise NotReadyError(f"flow run {run} has not ended after {_DECISION_TIMEOUT_S:.0f} s; see the flow runs in Prefect")
            time.sleep(0.3)
            self._server.close()


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except (OSError, HTTPException) as error:
        raise NotReadyError(f"the API server does not answer: {error!r}; see services.log in the home's logs folder") from error


class _Peekable:
    """Events in order, taken up to a time."""

    def __init__(self, events: Iterator[Recorded]) -> None:
        self._events = events
        self._next = next(events, None)

    def up_to(self, until_ms: int) -> Iterator[Recorded]:
        """The events known by a time that were not taken yet."""
        while self._next is not None and self._next.known_at_ms <= until_ms:
            taken, self._next = self._next, next(self._events, None)
            yield taken


def _by_time(requests: Iterator[Asked], from_ms: int) -> Iterator[tuple[int, dict[str, list[dict[str, object]]]]]:
    """The requests from a time on, gathered by time, then by model."""
    at_ms, gathered = 0, dict[str, list[dict[str, object]]]()
    for asked in requests:
        if asked.at_ms < from_ms:
            continue
        if asked.at_ms != at_ms and gathered:
            yield at_ms, gathered
            gathered = {}
        at_ms = asked.at_ms
        gathered.setdefault(asked.model, []).append(asked.request)
    if gathered:
        yield at_ms, gathered


def _entry(event: Recorded) -> Entry:
    return Entry(event.stream, event.payload, event.known_at_ms)
