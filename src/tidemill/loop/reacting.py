"""Carry reactions out: each match at least once, until the receiver has it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from tidemill.errors import RefusedError
from tidemill.stores.reactions import ReactionStore, Waiting

logger = logging.getLogger(__name__)

Send = Callable[[Waiting], None]


@dataclass(frozen=True)
class CarriedOut:
    """How one round went; what failed is tried again, what was given up is not."""

    sent: int = 0
    failed: int = 0
    given_up: int = 0


def carry_out(store: ReactionStore, reaction: str, send: Send, wall_ms: int, limit: int = 20) -> CarriedOut:
    """One round for one reaction: at most `limit` matches, so that a burst of events does not become one of calls.

    A receiver that does not answer is left alone for a while, longer each time; a match that it refuses does not hold up the others.

    Args:
        store: the outbox.
        reaction: whose matches.
        send: carries one out; raises RefusedError when it is not wanted, anything else when it can be tried again.
        wall_ms: wall time.
        limit: most matches in this round.
    """
    sent = failed = given_up = 0
    for waiting in store.due(reaction, wall_ms, limit):
        try:
            send(waiting)
        except RefusedError as error:
            ended = store.mark_refused(waiting, str(error), wall_ms)
            logger.warning("reaction refused name=%s event=%s attempt=%d error=%s", reaction, waiting.event_id, waiting.attempts + 1, error)
            given_up, failed = given_up + ended, failed + (not ended)
        except Exception as error:  # whatever a client raises, the match waits and the loop goes on
            store.mark_unavailable(waiting, str(error), wall_ms)
            logger.warning("reaction waits name=%s event=%s attempt=%d error=%s", reaction, waiting.event_id, waiting.attempts + 1, error)
            failed += 1
            break
        else:
            store.mark_sent(waiting, wall_ms)
            logger.info("reaction sent name=%s event=%s", reaction, waiting.event_id)
            sent += 1
    return CarriedOut(sent, failed, given_up)
