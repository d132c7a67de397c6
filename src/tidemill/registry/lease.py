"""Keeping hold of a decision: a run that carries it out gives signs of life while it lives, however long a fit takes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tidemill.clock import wall_ms
from tidemill.stores import DecisionStore

logger = logging.getLogger(__name__)

LONGEST_S = 12 * 3_600.0  # a run that hangs must not hold its model for ever


@contextmanager
def holding(decisions: DecisionStore, decision_id: str, run_id: str, lease_s: float, longest_s: float = LONGEST_S) -> Iterator[None]:
    """Renew a run's claim four times a lease from a thread, until the block ends; a process that dies or stands still renews nothing.

    Args:
        decisions: where it is claimed.
        decision_id: the claimed decision.
        run_id: the run that holds it.
        lease_s: after so long a silence the claim is taken back, and another run goes on.
        longest_s: after so long no sign of life is given any more.
    """
    ended = threading.Event()
    until_s = time.monotonic() + longest_s

    def renew() -> None:
        while not ended.wait(lease_s / 4) and time.monotonic() < until_s:
            try:
                if not decisions.renew(decision_id, run_id, wall_ms()):
                    return  # ended, given back, or taken back: whoever marks the next stage is told
            except Exception as error:  # a database that is away for a while; nobody can take the claim back meanwhile either
                logger.warning("no sign of life decision=%s error=%s", decision_id, type(error).__name__)

    renewing = threading.Thread(target=renew, name="holding", daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
