"""Versions that take long to become ready, a process each: started beside what serves, so that no other alias waits for them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from tidemill.errors import ConflictError, TidemillError, UnavailableError

logger = logging.getLogger(__name__)

Made = TypeVar("Made")
_AGAIN_S = 30.0  # after a start that failed, until the next


class StartingError(UnavailableError):
    """It is not ready yet, or its start has failed and is tried again; whoever looks again later may find it."""


class Starts(Generic[Made]):
    """What is being made, by model and version, each in a thread of its own."""

    def __init__(self) -> None:
        self._going: dict[tuple[str, int], tuple[Future[Made], float]] = {}

    def take(self, key: tuple[str, int], what: str, make: Callable[[], Made]) -> Made:
        """What has been made; the first to ask begins it.

        Args:
            key: model and version.
            what: for messages.
            make: makes it; called again some time after it has raised.

        Raises:
            StartingError: not ready yet.
            ConflictError: what `make` raises of it, which trying again does not change.
        """
        future, since_s = self._going.get(key) or self._begin(key, make)
        if future.done() and _failed_for_now(future) and time.monotonic() - since_s > _AGAIN_S:
            future, since_s = self._begin(key, make)
        if not future.done():
            raise StartingError(f"{what} is being started")
        error = future.exception()
        if error is None:
            del self._going[key]
            return future.result()
        if isinstance(error, ConflictError):
            del self._going[key]
            raise error
        raise StartingError(f"{what} could not be started: {error}; it is tried again") from error

    def are_going(self, model: str) -> bool:
        """Whether something of a model is being made, or is to be tried again."""
        return any(of == model for of, _ in self._going)

    def keep(self, model: str, versions: set[int]) -> None:
        """Forget the other versions of a model; what is being made is dropped once it is ready."""
        for key in [key for key in self._going if key[0] == model and key[1] not in versions]:
            del self._going[key]

    def _begin(self, key: tuple[str, int], make: Callable[[], Made]) -> tuple[Future[Made], float]:
        future: Future[Made] = Future()
        self._going[key] = future, time.monotonic()
        threading.Thread(target=_make, args=(future, make, key), name="start", daemon=True).start()
        return self._going[key]


def _failed_for_now(future: Future[Made]) -> bool:
    error = future.exception()
    return error is not None and not isinstance(error, ConflictError)


def _make(future: Future[Made], make: Callable[[], Made], key: tuple[str, int]) -> None:
    try:
        future.set_result(make())
    except Exception as error:  # whatever it is, who looks is told
        if isinstance(error, TidemillError):
            logger.error("version not started model=%s version=%s error=%s", *key, error)
        else:
            logger.exception("version not started model=%s version=%s", *key)
        future.set_exception(error)
