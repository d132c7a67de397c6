"""The watch that holds applied events against the conditions of the project's reactions.

```
log ──applied events after the cursor──► may it hold, by the event? ──► read its features ──► does it? ──► first of its key? ─┐
loop.db ◄──────────────────────── the matches, and the cursor past the batch: one transaction ◄──────────────────────────────┘
```
Features are read once for all events of a batch that may match, so their values are those of the position read, which has taken
the event and whatever became known since: in a running system some hundreds of milliseconds, after a stop as long as that was.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from tidemill.clock import to_utc, wall_ms
from tidemill.errors import ConflictError
from tidemill.events import Columns, EventBatch
from tidemill.features import Reaction, take_first
from tidemill.project import Workspace
from tidemill.stores import Lookup, Match
from tidemill.stores.decision_records import decision_id
from tidemill.streams import Position

logger = logging.getLogger(__name__)

_BATCH = 5_000
_FORGET_EVERY_S = 600.0
_FOLLOWER = "reactions"


class ReactionWatch:
    """Looks at each applied event once, for all reactions of a project; a reaction that is new looks at what comes from now on."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._store = workspace.reactions
        self._reactions = list(workspace.project.reactions)
        self._applied = workspace.applied()
        self._rng = random.SystemRandom()
        self._forgot_s = -math.inf
        if not self._reactions:
            self._store.leave()
            workspace.state.followers.leave(_FOLLOWER)
            return
        now, begun = workspace.state.position(), self._store.cursor()
        if begun is not None and not workspace.log.end().at_least(begun):
            logger.warning("reactions begin anew: they had looked beyond the end of the log position=%s", begun.token)
            self._store.leave()
            begun = None
        workspace.state.followers.start(_FOLLOWER, begun or now)
        self._store.begin([reaction.name for reaction in self._reactions], now)
        self._since = self._store.since()

    def step(self) -> int:
        """Look at what was applied since the last step; answers how many matches are new.

        Raises:
            ConflictError: another process looks at the same events; nothing was changed.
        """
        if not self._reactions:
            return 0
        found, before = 0, self._store.cursor()
        if before is None:
            raise ConflictError("another process has a project without reactions on this home; end one of them")
        for batches, after in self._applied.after(before, _BATCH):
            matches = [match for batch in batches for reaction in self._reactions for match in self._matches(reaction, batch, after)]
            self._store.take(before, after, matches)
            self._workspace.state.followers.passed(_FOLLOWER, after)
            found, before = found + len(matches), after
        self._forget_when_due()
        return found

    def _forget_when_due(self) -> None:
        if time.monotonic() - self._forgot_s > _FORGET_EVERY_S:
            self._store.forget(self._workspace.now_ms(), wall_ms())
            self._forgot_s = time.monotonic()

    def _matches(self, reaction: Reaction, batch: EventBatch, after: Position) -> list[Match]:
        if reaction.stream.name != batch.stream.name:
            return []
        batch = batch.rows(~self._since[reaction.name].taken(batch.stream.name, batch.offsets))
        batch = batch.rows(reaction.may_hold(batch))
        if not len(batch):
            return []
        features, position = self._read_features(reaction, batch) if reaction.features else ({}, after)
        holding = np.flatnonzero(reaction.holds(batch, features)).tolist()
        keys = [_key(reaction, batch, place) for place in holding]
        at_ms = batch.known_at_ms[holding].tolist()
        taken = take_first(keys, at_ms, reaction, self._store.held(reaction.name, list(dict.fromkeys(keys))))
        told = [_told(reaction, batch, holding[one], features) | {"position": position.token} for one in taken]
        return [
            Match(
                id=decision_id(wall_ms(), self._rng),
                reaction=reaction.name,
                event_id=said["event_id"],
                once_key=keys[one],
                at_ms=at_ms[one],
                until_ms=reaction.until_ms(at_ms[one]),
                body=orjson.dumps(said).decode(),
            )
            for one, said in zip(taken, told, strict=True)
        ]

    def _read_features(self, reaction: Reaction, batch: EventBatch) -> tuple[Columns, Position]:
        columns = batch.columns({name for source in reaction.features for name in source.entity_fields})
        lookups = [Lookup(source.name, source.keys(columns)) for source in reaction.features]
        reading = self._workspace.state.tiles.read(lookups, self._workspace.now_ms())
        return reading.values, reading.position


def _key(reaction: Reaction, batch: EventBatch, place: int) -> str:
    return orjson.dumps([batch.values[name][place] for name in reaction.once_fields]).decode()


def _told(reaction: Reaction, batch: EventBatch, place: int, features: Columns) -> dict[str, Any]:
    """What a run or a webhook is told of one event."""
    values: Mapping[str, Any] = {name: _plain(features[name][place]) for name in reaction.feature_kinds}
    event = {name: batch.values[name][place] for name in reaction.parameters.values() if name not in values}
    return {
        "reaction": reaction.name,
        "stream": batch.stream.name,
        "event_id": batch.event_ids[place],
        "event_time": to_utc(int(batch.event_time_ms[place])),
        "known_at": to_utc(int(batch.known_at_ms[place])),
        "parameters": {parameter: {**values, **event}[name] for parameter, name in reaction.parameters.items()},
        "features": values,
    }


def _plain(value: Any) -> float | str | None:
    return value if value is None or isinstance(value, str) else None if math.isnan(value) else float(value)
