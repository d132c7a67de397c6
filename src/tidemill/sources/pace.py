"""The pace of a source that has to be asked for news."""

from __future__ import annotations

import time

_MAX_WAIT_S = 1.0


class Pace:
    """Lets something be asked at most every so often.

    Args:
        every_s: seconds from one question to the next.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._due_s = 0.0

    def is_time(self) -> bool:
        """Whether to ask now; waits for it, a second at most."""
        if (wait_s := self._due_s - time.monotonic()) > 0:
            time.sleep(min(wait_s, _MAX_WAIT_S))
            if wait_s > _MAX_WAIT_S:
                return False
        self._due_s = time.monotonic() + self._every_s
        return True
