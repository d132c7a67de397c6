"""The watch of dead letters: it warns when more of a stream's events are late or rejected than was usual.

The share of a window of n events, d of them dead, has risen when

    n >= 20  and  d > n p + 3 sqrt(n p) + 3,  where p = min(max(1 %, 3 x the share of the week before), 50 %)

The window reaches back 15 minutes of stream time, or further, until it holds 1,000 events, a day at most. What stands behind n p
leaves room for chance: three standard deviations of a Poisson count, and three more as these are too few where little is expected.
Were events dead one by one with probability p, d would lie beyond it in one window of some thousands.

```
          the week before                     the window           now
 |·····|·····|·····|···|···|··|··|·|·|·|·|──────────────────────────|
 └ counts, remembered by the minute, then by the hour ┘
```
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS
from tidemill.project import Workspace
from tidemill.stores import Alert, Conditions

_NAME = "dead letters"
_WINDOW_MS, _WINDOW_EVENTS, _LONGEST_MS = 15 * MINUTE_MS, 1_000, DAY_MS
_BASELINE_MS = 7 * DAY_MS
_LEAST_SHARE, _RISE, _MOST_SHARE = 0.01, 3.0, 0.5
_LEAST_EVENTS = 20


@dataclass(frozen=True, slots=True)
class Counted:
    """What had become of a stream's events by a stream time: how many were taken, and how many of them are dead letters."""

    at_ms: int
    taken: int
    dead: int


@dataclass(frozen=True, slots=True)
class Rise:
    """A window in which more died than may: `usual` is None without a week before."""

    taken: int
    dead: int
    since_ms: int
    usual: float | None


def find_rise(seen: Sequence[Counted], now: Counted) -> Rise | None:
    """Whether the share of dead letters has risen; the formula stands above.

    Args:
        seen: earlier counts, by time.
        now: what they have come to.

    >>> quiet = [Counted(hour * HOUR_MS, hour * 1_000, hour * 5) for hour in range(100)]
    >>> find_rise(quiet, Counted(100 * HOUR_MS, 100_000, 500)) is None
    True
    >>> find_rise(quiet, Counted(100 * HOUR_MS, 100_000, 595))
    Rise(taken=1000, dead=100, since_ms=356400000, usual=0.005)
    """
    begin = _window_begin(seen, now)
    if begin is None:
        return None
    n, dead = now.taken - begin.taken, now.dead - begin.dead
    oldest = next((one for one in seen if one.at_ms >= begin.at_ms - _BASELINE_MS), begin)
    before = begin.taken - oldest.taken
    usual = (begin.dead - oldest.dead) / before if before else None
    expected = n * min(max(_LEAST_SHARE, _RISE * (usual or 0.0)), _MOST_SHARE)
    return Rise(n, dead, begin.at_ms, usual) if n >= _LEAST_EVENTS and dead > expected + 3 * math.sqrt(expected) + 3 else None


def remember(seen: Sequence[Counted], now: Counted) -> list[Counted]:
    """The counts to keep: the newest by the minute, older ones by the hour, as far back as a window and its week before may ask."""
    kept: list[Counted] = []
    for one in [*seen, now]:
        apart_ms = MINUTE_MS if one.at_ms > now.at_ms - _WINDOW_MS - HOUR_MS else HOUR_MS
        if one.at_ms >= now.at_ms - _BASELINE_MS - _LONGEST_MS and (not kept or one.at_ms >= kept[-1].at_ms + apart_ms):
            kept.append(one)
    return kept


def _window_begin(seen: Sequence[Counted], now: Counted) -> Counted | None:
    """The newest count that lies far enough back, else the oldest within a day; None where there is none."""
    within = [one for one in seen if one.at_ms >= now.at_ms - _LONGEST_MS]
    whole = [one for one in within if one.at_ms <= now.at_ms - _WINDOW_MS and one.taken <= now.taken - _WINDOW_EVENTS]
    return whole[-1] if whole else next(iter(within), None)


class DeadLetterWatch:
    """Watches the books of every stream of a project; it warns of each at most once a day of stream time."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def step(self) -> list[Alert]:
        """Look at the books; answers the alerts it raised now."""
        now_ms = self._workspace.now_ms()
        cursor, state = self._workspace.monitors.load(_NAME)
        before: dict[str, Any] = {} if state is None else state["streams"]
        after: dict[str, Any] = {}
        alerts, quiet = [], []
        for name, books in self._workspace.books().items():
            now = Counted(now_ms, books.received - books.pending, books.late + books.rejected)
            held = before.get(name, {"seen": [], "alerted_ms": None, "risen_ms": None})
            seen = _still_true([Counted(*one) for one in held["seen"]], now)
            alerted_ms, risen_ms = held["alerted_ms"], held.get("risen_ms")
            if rise := find_rise(seen, now):
                risen_ms = now_ms
                if alerted_ms is None or not 0 <= now_ms - alerted_ms < DAY_MS:
                    alerts.append(self._alert(name, rise, now_ms))
                    alerted_ms = now_ms
            elif risen_ms is not None and not 0 <= now_ms - risen_ms < _WINDOW_MS:
                quiet.append(Conditions(name, "deadletters", frozenset(), now_ms, "no more of them than usual for a while"))
                risen_ms = None
            after[name] = {"seen": [list(astuple(one)) for one in remember(seen, now)], "alerted_ms": alerted_ms, "risen_ms": risen_ms}
        if after != before:
            self._workspace.monitors.save(_NAME, cursor, cursor + 1, {"streams": after}, alerts=alerts, conditions=quiet)
        return alerts

    def _alert(self, stream: str, rise: Rise, now_ms: int) -> Alert:
        (newest,) = self._workspace.state.dead_letters(stream, 1)
        usual = "there is no week before" if rise.usual is None else f"in the week before {rise.usual:.2%}"
        return Alert(
            key=f"deadletters:{stream}:{now_ms}",
            model=stream,
            severity="warning",
            title=f"{stream}: more events than usual are not applied",
            body=f"{rise.dead:,} of {rise.taken:,} are late or rejected ({rise.dead / rise.taken:.1%}; {usual}), "
            f"the newest as {newest['reason']}; see `tidemill deadletters {stream}`",
            link="",
            at_ms=now_ms,
            since_ms=rise.since_ms,
            harm="their events are in no feature and no label",
            condition=f"deadletters:{stream}",
        )


def _still_true(seen: list[Counted], now: Counted) -> list[Counted]:
    """None of them where the books were begun anew."""
    return [] if seen and (seen[-1].taken > now.taken or seen[-1].dead > now.dead or seen[-1].at_ms > now.at_ms) else seen
