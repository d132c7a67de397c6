"""`Client`: each call waits for its answer."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from types import TracebackType
from typing import TypeVar, overload

from tidemill.client import calls
from tidemill.client.answers import DecisionMade, Features, ModelState, PredictionMade, Receipt
from tidemill.client.calls import Asked, Call
from tidemill.client.failures import may_repeat, wait_s
from tidemill.client.reaching import Reach, answer_of, fresh_random, lost, request_of
from tidemill.errors import TidemillError

T = TypeVar("T")


class Client:
    """A tidemill server, for a program that waits. Threads may share one; close it, or use it as a context manager.

    Args:
        url: of the server; by default `TIDEMILL_CLIENT__URL`, or http://127.0.0.1:8000.
        key: an API key; by default `TIDEMILL_CLIENT__KEY`, or what the file named by `TIDEMILL_CLIENT__KEY_FILE` holds.
        timeout_s: how long to wait for a connection, and for each part of an answer; for that of events longer, see `send_events`.
        attempts: how often a call is sent at most; only what may be repeated is, see `tidemill.client.failures`.

    Raises:
        TidemillError: from every method: `InputError`, `NotFoundError`, `NotReadyError`, `BusyError`, `UnavailableError` or `RefusedError`,
            which say what to do.
    """

    def __init__(self, url: str | None = None, key: str | None = None, *, timeout_s: float = 30.0, attempts: int = 4) -> None:
        import httpx  # here: project files import tidemill, and only programs that call a server need it

        self._reach = Reach.of(url, key, timeout_s, attempts)
        self._http = httpx.Client(**self._reach.options())
        self._rng = fresh_random()

    def send_events(self, stream: str, events: Iterable[Asked]) -> Receipt:
        """Send events: mappings or pydantic models, however many. Durable on return; sent again they are duplicates.

        While the engine is far behind the server has whoever sends wait, for five minutes at a time.
        """
        return self._call(calls.send_events(stream, events))

    @overload
    def predict(self, model: str, asked: Asked, *, explain: bool = False) -> PredictionMade: ...
    @overload
    def predict(self, model: str, asked: Sequence[Asked], *, explain: bool = False) -> list[PredictionMade]: ...
    def predict(self, model: str, asked: Asked | Sequence[Asked], *, explain: bool = False) -> PredictionMade | list[PredictionMade]:
        """Ask a model one question, or up to 10,000 at once; each answer is logged, so a call that may have been taken is not repeated."""
        if isinstance(asked, Sequence):
            return self._call(calls.predict(model, asked, explain=explain))
        return self._call(calls.predict(model, asked, explain=explain))

    def features(self, view: str, key: str, at: datetime | int | None = None) -> Features:
        """The features of a key of a view or table, now or at a time (aware, or ms since the epoch)."""
        return self._call(calls.features(view, key, at))

    def features_of(self, view: str, keys: Sequence[str], at: datetime | int | None = None) -> list[Features]:
        """The features of many keys, all at one position."""
        return self._call(calls.features_of(view, keys, at))

    def model(self, name: str) -> ModelState:
        """A model's versions, and what it reads."""
        return self._call(calls.model(name))

    def decisions(self, model: str | None = None, limit: int = 50) -> list[DecisionMade]:
        """What the loop decided, newest first."""
        return self._call(calls.decisions(model, limit))

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        """The client itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def _call(self, call: Call[T]) -> T:
        attempt = 1
        while True:
            try:
                return self._once(call)
            except TidemillError as error:
                if attempt >= self._reach.attempts or not may_repeat(error, call.repeatable):
                    raise
                time.sleep(wait_s(error, attempt, self._rng))
                attempt += 1

    def _once(self, call: Call[T]) -> T:
        import httpx

        try:
            response = self._http.request(**request_of(call, self._reach.timeout_s))
        except httpx.TransportError as error:
            raise lost(error, self._reach.url) from error
        answer: T = answer_of(call, response, self._reach.url)
        return answer
