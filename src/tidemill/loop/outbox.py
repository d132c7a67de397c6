"""Carry decisions out: emit the event of each until a run claims it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from tidemill.clock import MINUTE_MS
from tidemill.stores.decisions import DecisionStore, OutboxEvent

logger = logging.getLogger(__name__)

_DOUBLED_AT_MOST = 3


@dataclass(frozen=True)
class Relayed:
    """How one round went."""

    emitted: int
    failed: int


def relay(
    store: DecisionStore,
    emit: Callable[[OutboxEvent], None],
    wall_ms: int,
    retry_after_ms: int = MINUTE_MS,
    is_awaited: Callable[[OutboxEvent], bool] = lambda event: False,
) -> Relayed:
    """Emit what nobody claimed: at least once, again after `retry_after_ms`, then after twice as long each time, at most eight times.

    A claim lets only one run go on. Each emission is a run, though, and a process that takes seconds to find it has nothing to do: what
    `is_awaited` says is on its way is asked for no second time. Where it cannot know, those that are taken up may be fewer than are asked
    for, as after an outage, so these become ever rarer.

    Where one of the two raises, it stays due for the next round, so an orchestrator that is down delays a retrain, never loses it.
    """
    emitted = failed = 0
    for event in store.unclaimed(wall_ms, retry_after_ms):
        try:
            if event.emits and is_awaited(event):
                store.put_off(event.decision_id, wall_ms)
                continue
            emit(event)
        except Exception as error:  # whatever the orchestrator's client raises, the row stays due and the loop goes on
            logger.warning("not emitted decision=%s model=%s error=%s", event.decision_id, event.model, type(error).__name__)
            failed += 1
            continue
        longer = 2 ** min(event.emits, _DOUBLED_AT_MOST) - 1
        store.mark_emitted(event.decision_id, wall_ms + longer * retry_after_ms)
        logger.info("emitted decision=%s model=%s emits=%d", event.decision_id, event.model, event.emits + 1)
        emitted += 1
    return Relayed(emitted, failed)
