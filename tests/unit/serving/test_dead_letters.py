"""Dead letters on the rise: when it warns, when it does not, and how often."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.events.taps import BY_LINE, STAMPS, T0, TAPS, entry
from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS
from tidemill.project import Project, Workspace
from tidemill.serving.dead_letters import Counted, DeadLetterWatch, find_rise, remember
from tidemill.stores import Alert
from tidemill.streams import Entry

STEPS = st.lists(st.tuples(st.integers(1, 3 * HOUR_MS), st.integers(0, 500), st.integers(0, 50)), max_size=300)


def counts(*steps: tuple[int, int, int]) -> list[Counted]:
    """By how much time, events and dead letters each count lies beyond the one before."""
    return [Counted(*one) for one in zip(*(itertools.accumulate(each) for each in zip(*steps, strict=True)), strict=True)] if steps else []


QUIET = [(T0, 0, 0)] + [(MINUTE_MS, 100, 1)] * 600  # 100 events a minute, one of them dead


@pytest.mark.parametrize(
    ("now", "rises"),
    [
        ([(MINUTE_MS, 100, 3)], False),
        ([(MINUTE_MS, 100, 100)], True),
        ([(MINUTE_MS, 100, 5)] * 15, True),
        ([(MINUTE_MS, 100, 4)] * 15, False),
        ([(MINUTE_MS, 100, 2)] * 600, False),
    ],
)
def test_it_rises_above_three_times_what_was_usual_by_more_than_chance(now: list[tuple[int, int, int]], rises: bool) -> None:
    *seen, last = counts(*QUIET, *now)
    assert (find_rise(seen, last) is not None) == rises


@pytest.mark.parametrize(
    ("taken", "dead", "rises"), [(19, 19, False), (20, 5, True), (20, 4, False), (1_000, 22, False), (1_000, 23, True)]
)
def test_without_a_week_before_one_per_cent_is_usual(taken: int, dead: int, rises: bool) -> None:
    found = find_rise([Counted(T0, 0, 0)], Counted(T0 + HOUR_MS, taken, dead))
    assert (found is not None) == rises
    assert find_rise([], Counted(T0, taken, dead)) is None


def test_a_slow_stream_is_looked_at_over_a_day() -> None:
    *seen, last = counts((T0, 0, 0), *[(HOUR_MS, 5, 0)] * 100, *[(HOUR_MS, 5, 5)] * 2)
    found = find_rise(seen, last)
    assert found is not None
    assert (found.taken, found.dead, found.since_ms, found.usual) == (120, 10, last.at_ms - DAY_MS, 0.0)


def test_chance_alone_warns_hardly_ever() -> None:
    """A share three times the usual, drawn anew each time, which is the worst that is not a rise."""
    rng = random.Random(1)
    base = Counted(T0, 0, 0), Counted(T0 + DAY_MS, 100_000, 300)
    warned = 0
    for n in (20, 50, 200, 1_000):
        for _ in range(1_000):
            dead = sum(rng.random() < 0.009 for _ in range(n))
            warned += find_rise(base, Counted(T0 + DAY_MS + HOUR_MS, 100_000 + n, 300 + dead)) is not None
    assert warned <= 4


@given(steps=STEPS)
def test_few_counts_are_kept_and_always_enough(steps: list[tuple[int, int, int]]) -> None:
    kept: list[Counted] = []
    seen = counts((T0, 0, 0), *[(after_ms, n + dead, dead) for after_ms, n, dead in steps])
    for now in seen:
        kept = remember(kept, now)
    assert len(kept) <= 75 + 8 * 24 + 2
    assert kept[0] == next(one for one in seen if one.at_ms >= kept[0].at_ms)
    for missing in [one for one in seen if one.at_ms >= seen[-1].at_ms - 8 * DAY_MS and one not in kept]:
        near_ms = min(abs(missing.at_ms - one.at_ms) for one in kept)
        assert near_ms < (MINUTE_MS if missing.at_ms > seen[-1].at_ms - HOUR_MS else HOUR_MS)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace.open(Project("tides", streams=[TAPS, STAMPS], views=[BY_LINE]), tmp_path)
    yield opened
    opened.close()


class Feed:
    """An hour of taps at a time, some of them dead; the watch looks after each, begun anew each time."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace, self._engine = workspace, workspace.engine()
        self._at_ms, self._number = T0, 0

    def hour(self, fine: int, torn: int = 0, late: int = 0) -> list[Alert]:
        """How many of each; answers the alerts."""
        self._at_ms += HOUR_MS
        taps = [entry(f"t{self._number + place}", self._at_ms, fare=1.0) for place in range(fine)]
        old = [entry(f"o{self._number + place}", self._at_ms - 10 * DAY_MS, self._at_ms) for place in range(late)]
        self._number += fine + late
        self._workspace.log.append(taps + old + [Entry("taps", "{", self._at_ms)] * torn, 0)
        self._engine.drain(1_000)
        return DeadLetterWatch(self._workspace).step()


def test_it_warns_once_a_day_with_the_figures_and_where_to_look(workspace: Workspace) -> None:
    feed = Feed(workspace)
    assert [feed.hour(fine=100) for _ in range(30)] == [[]] * 30
    assert feed.hour(fine=95, torn=5) == []
    (alert,) = feed.hour(fine=40, torn=20, late=40)
    assert (alert.model, alert.severity, alert.title) == ("taps", "warning", "taps: more events than usual are not applied")
    assert alert.since_ms is not None
    assert T0 < alert.since_ms < alert.at_ms
    assert (
        "65 of 1,000 are late or rejected (6.5%; in the week before 0.00%), the newest as not_json; see `tidemill deadletters taps`"
        in alert.body
    )
    assert [feed.hour(fine=50, torn=50) for _ in range(23)] == [[]] * 23
    assert sum(len(feed.hour(fine=0, torn=100)) for _ in range(8)) == 1, "a day later it rises further"
    assert [record.alert.model for record in workspace.alerts.recent()] == ["taps", "taps"]
    assert DeadLetterWatch(workspace).step() == []


def test_it_is_over_once_no_more_of_them_are_dead_than_usual(workspace: Workspace) -> None:
    feed = Feed(workspace)
    assert [feed.hour(fine=100) for _ in range(20)] == [[]] * 20
    assert len(feed.hour(fine=40, torn=60)) == 1
    assert feed.hour(fine=100) == []
    assert workspace.alerts.is_open("deadletters:taps"), "a window of a thousand still holds them"
    for _ in range(12):
        assert feed.hour(fine=100) == []
    (record,) = workspace.alerts.recent()
    assert record.ended_at_ms is not None
    assert record.alert.at_ms < record.ended_at_ms < workspace.now_ms()


def test_what_has_been_so_for_a_week_is_usual(workspace: Workspace) -> None:
    feed = Feed(workspace)
    warned = [len(feed.hour(fine=70, torn=30)) for _ in range(24 * 4)]
    assert sum(warned[:24]) == 1, "at first, as nothing was known"
    assert sum(warned[48:]) == 0


def test_books_begun_anew_are_counted_anew(workspace: Workspace) -> None:
    held = {"seen": [[T0, 10**6, 10**5]], "alerted_ms": None}
    workspace.monitors.save("dead letters", 0, 1, {"streams": {"taps": held}})
    feed = Feed(workspace)
    assert feed.hour(fine=10, torn=90) == []
    assert len(feed.hour(fine=10, torn=90)) == 1
