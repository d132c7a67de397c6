import json

import numpy as np
import pytest

from examples.flights.faults import DELAYED, DUPLICATE, LATE_COPY, MALFORMED, ORIGINAL, SPOILS, Faults, Plan, Times, plan_faults, spoil
from tidemill.streams.recording import Counts

HOUR_MS = 3_600_000
RETENTION_MS = 30 * HOUR_MS
NEVER = np.iinfo(np.int64).max


def _plan(seed: int = 1, rows: int = 10_000, needed_after_ms: int | None = None) -> tuple[Times, Plan]:
    event_time = np.arange(rows, dtype=np.int64) * 60_000
    needed_by = np.full(rows, NEVER) if needed_after_ms is None else event_time + needed_after_ms
    times = Times(event_time, event_time + 600_000, needed_by)
    return times, plan_faults(times, Faults(), RETENTION_MS, np.random.default_rng(seed))


def test_the_shares_are_exact() -> None:
    _, plan = _plan()
    assert plan.counts() == Counts(received=10_160, applied=10_000, duplicate=100, late=50, rejected=10)
    assert np.count_nonzero(plan.kind == DELAYED) == 50


def test_one_seed_one_plan_another_seed_another() -> None:
    first, again, other = _plan(1)[1], _plan(1)[1], _plan(2)[1]
    assert np.array_equal(first.row, again.row) and np.array_equal(first.known_at_ms, again.known_at_ms)
    assert not np.array_equal(first.row, other.row)


def test_each_fault_keeps_to_its_side_of_the_retention() -> None:
    times, plan = _plan()
    age = plan.known_at_ms - times.event_time_ms[plan.row]
    assert np.all(age[plan.kind == LATE_COPY] > RETENTION_MS)
    assert np.all(age[np.isin(plan.kind, (ORIGINAL, DELAYED, DUPLICATE))] <= RETENTION_MS)
    assert np.all(age[plan.kind == DELAYED] > 600_000)


def test_copies_come_after_their_original_and_no_row_has_two_faults() -> None:
    times, plan = _plan()
    original = np.isin(plan.kind, (ORIGINAL, DELAYED))
    known_at = np.zeros(len(times.event_time_ms), dtype=np.int64)
    known_at[plan.row[original]] = plan.known_at_ms[original]
    copies = ~original
    assert np.all(plan.known_at_ms[copies] > known_at[plan.row[copies]])
    assert len(np.unique(plan.row[plan.kind != ORIGINAL])) == np.count_nonzero(plan.kind != ORIGINAL)
    assert np.all(np.diff(plan.known_at_ms) >= 0)


def test_a_delay_never_passes_the_moment_an_event_is_needed() -> None:
    times, plan = _plan(needed_after_ms=2 * HOUR_MS)
    delayed = plan.kind == DELAYED
    assert np.count_nonzero(delayed) == 50
    assert np.all(plan.known_at_ms[delayed] <= times.needed_by_ms[plan.row[delayed]])


def test_what_is_known_before_a_moment_is_a_beginning() -> None:
    _, plan = _plan()
    part = plan.before(int(plan.known_at_ms[5_000]))
    assert 0 < len(part.row) <= 5_000
    assert np.array_equal(part.row, plan.row[: len(part.row)])
    assert part.counts().received == len(part.row)


@pytest.mark.parametrize("how", SPOILS)
def test_each_way_to_spoil_breaks_one_thing(how: str) -> None:
    sound = {"at": "2013-01-01T00:00:00Z", "delay": 3, "name": "x"}
    payload = spoil(json.dumps(sound), how, event_time="at", number="delay", known_at_ms=1_357_000_000_000)
    try:
        fields = json.loads(payload)
    except json.JSONDecodeError:
        assert how == "truncated"
        return
    changed = {name for name in sound if fields.get(name) != sound[name]}
    assert changed == {"wrong_type": {"delay"}, "nan": {"delay"}, "no_event_time": {"at"}, "future": {"at"}}[how]


def test_malformed_copies_are_of_every_kind() -> None:
    _, plan = _plan(rows=200_000)
    assert {int(row) % len(SPOILS) for row in plan.row[plan.kind == MALFORMED]} == set(range(len(SPOILS)))
