"""A step that is done again and again until told to stop, and after a failure tried again later and later."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tenacity import RetryCallState, RetryError, Retrying, sleep_using_event, stop_when_event_set, wait_random_exponential

_MAX_WAIT_S = 30.0


def repeat(
    step: Callable[[], int], stopping: threading.Event, note_failure: Callable[[RetryCallState], None], *, idle_s: float = 0.0
) -> None:
    """Do a step until told to stop.

    Args:
        step: what is done; answers how much of it there was.
        stopping: says when to stop.
        note_failure: told of each failure, whatever it is; the pause after it grows with each in a row, to half a minute at most.
        idle_s: the pause after a step that had nothing to do, seconds.
    """
    retrying = Retrying(
        wait=wait_random_exponential(max=_MAX_WAIT_S),
        stop=stop_when_event_set(stopping),
        sleep=sleep_using_event(stopping),
        before_sleep=note_failure,
    )
    while not stopping.is_set():
        try:
            if retrying(step) == 0:
                stopping.wait(idle_s)
        except RetryError:
            break  # told to stop while it waited
