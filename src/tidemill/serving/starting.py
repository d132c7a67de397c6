"""Versions that are being made ready, a thread each, so that no other alias waits for a download or for the start of a process."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tidemill.errors import ConflictError, TidemillError, UnavailableError

logger = logging.getLogger(__name__)

Made = TypeVar("Made")
_REST_S, _LONGEST_REST_S = 10.0, 60.0  # after a try that failed, each time twice as long: each may download much


class StartingError(UnavailableError):
    """It is not ready yet, or its start has failed and is tried again; whoever looks again later may find it."""


@dataclass
class _Try(Generic[Made]):
    """One try to make something.

    Args:
        rest_s: after it, if it fails in a way that may pass, until the next.
        future: what comes of it.
        ended_s: when, on the monotonic clock.
    """

    rest_s: float
    future: Future[Made] = field(default_factory=Future)
    ended_s: float = 0.0

    def is_over(self) -> bool:
        """Whether nothing else comes of it, as trying again would change nothing."""
        return self.future.done() and isinstance(self.future.exception(), ConflictError)

    def has_rested(self) -> bool:
        """Whether it has failed, and it is time for the next."""
        failed = self.future.done() and self.future.exception() is not None and not self.is_over()
        return failed and time.monotonic() - self.ended_s >= self.rest_s


class Starts(Generic[Made]):
    """What is being made, by model and version.

    Args:
        ready: called from its thread when one has been made, or has failed.
    """

    def __init__(self, ready: Callable[[], None]) -> None:
        self._ready = ready
        self._going: dict[tuple[str, int], _Try[Made]] = {}

    def take(self, key: tuple[str, int], what: str, make: Callable[[], Made], patience_s: float = 0.0) -> Made:
        """What has been made; the first to ask begins it.

        Args:
            key: model and version.
            what: for messages.
            make: makes it; called again some time after it has raised.
            patience_s: how long who begins it waits for it.

        Raises:
            StartingError: not ready yet.
            ConflictError: what `make` has raised of it, which trying again does not change.
        """
        going = self._going.get(key)
        if going is None or going.has_rested():
            going = self._going[key] = self._begin(key, make, _REST_S if going is None else min(2 * going.rest_s, _LONGEST_REST_S))
            wait([going.future], patience_s)
        if not going.future.done():
            raise StartingError(f"{what} is being started")
        error = going.future.exception()
        if error is None:
            del self._going[key]
            return going.future.result()
        if isinstance(error, ConflictError):
            raise ConflictError(str(error))
        raise StartingError(f"{what} could not be started: {error}; it is tried again")

    def are_going(self, model: str) -> bool:
        """Whether something of a model is being made, or is to be tried again."""
        return any(of == model and not going.is_over() for (of, _), going in self._going.items())

    def keep(self, model: str, versions: set[int]) -> None:
        """Forget the other versions of a model, but for those that are being made: they may be asked for once more before a later call."""
        for key in [key for key, going in self._going.items() if key[0] == model and key[1] not in versions and going.future.done()]:
            del self._going[key]

    def _begin(self, key: tuple[str, int], make: Callable[[], Made], rest_s: float) -> _Try[Made]:
        going = _Try[Made](rest_s)
        threading.Thread(target=self._make, args=(going, make, key), name="start", daemon=True).start()
        return going

    def _make(self, going: _Try[Made], make: Callable[[], Made], key: tuple[str, int]) -> None:
        try:
            made = make()
        except Exception as error:  # whatever it is, who looks is told
            if isinstance(error, TidemillError):
                logger.error("version not served model=%s version=%s error=%s", *key, error)
            else:
                logger.exception("version not served model=%s version=%s", *key)
            going.ended_s = time.monotonic()
            told = str(error)  # its traceback would keep what was opened, a process say, for as long as it is held
            going.future.set_exception(ConflictError(told) if isinstance(error, ConflictError) else UnavailableError(told))
        else:
            going.future.set_result(made)
        self._ready()
