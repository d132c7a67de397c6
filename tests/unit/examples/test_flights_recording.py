"""A recording is checked against a naive recount: the engine's rules, written again as one loop over the texts it sends."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from itertools import islice, pairwise, zip_longest

import pytest

from examples.flights.recording import flights
from examples.flights.tables import DAY_ONE_MS
from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS, to_ms
from tidemill.streams.recording import Counts, Recorded, Recording

RETENTION_MS = {"schedules": 24 * HOUR_MS, "departures": 49 * HOUR_MS, "arrivals": 49 * HOUR_MS, "weather": 27 * HOUR_MS + 5 * MINUTE_MS}
RETENTION_MS |= {"planes": 3_650 * DAY_MS}
TIME = {"schedules": "published_at", "departures": "departed_at", "arrivals": "arrived_at", "weather": "observed_at"}
TIME |= {"planes": "valid_from"}
NUMBER = {"schedules": "distance_mi", "departures": "dep_delay", "arrivals": "arr_delay", "weather": "temp"}
NUMBER |= {"planes": "seats"}
ID = {"weather": "observation_id", "planes": "row_id"}
MAX_AHEAD_MS = 5 * MINUTE_MS


def _recording(days: int) -> Recording:
    return flights(days, retention_ms=RETENTION_MS, model="late_arrival")


@pytest.fixture(scope="module")
def ten_days() -> Recording:
    return _recording(10)


@pytest.fixture(scope="module")
def year() -> Recording:
    return _recording(365)


def _id_and_time(event: Recorded) -> tuple[str, int] | None:
    try:
        fields = json.loads(event.payload)
        number = fields[NUMBER[event.stream]]
        event_time_ms = to_ms(datetime.fromisoformat(fields[TIME[event.stream]]))
    except (json.JSONDecodeError, KeyError):
        return None
    if isinstance(number, str) or (number is not None and math.isnan(number)) or event_time_ms > event.known_at_ms + MAX_AHEAD_MS:
        return None
    return fields[ID.get(event.stream, "flight_id")], event_time_ms


def _verdicts(recording: Recording) -> Iterator[tuple[Recorded, str]]:
    kept_until: dict[tuple[str, str], int] = {}
    for event in recording.events():
        valid = _id_and_time(event)
        if valid is None:
            yield event, "rejected"
            continue
        (event_id, event_time_ms), retention_ms = valid, RETENTION_MS[event.stream]
        if event.known_at_ms <= kept_until.get((event.stream, event_id), -1):
            yield event, "duplicate"
        elif event.known_at_ms - event_time_ms > retention_ms:
            yield event, "late"
        else:
            kept_until[event.stream, event_id] = event_time_ms + retention_ms
            yield event, "applied"


def _recount(recording: Recording) -> dict[str, Counts]:
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for event, verdict in _verdicts(recording):
        seen[event.stream][verdict] += 1
    return {stream: Counts(received=count.total(), **count) for stream, count in seen.items()}


def test_expected_counts_equal_a_naive_recount(ten_days: Recording) -> None:
    recounted = _recount(ten_days)
    assert recounted == ten_days.expected()
    together = sum(recounted.values(), Counts())
    assert min(together.duplicate, together.late, together.rejected) > 10  # there was something to count


def test_the_year_is_whole(year: Recording) -> None:
    expected = year.expected()
    assert {stream: counts.applied for stream, counts in expected.items()} == {
        "schedules": 336_776,
        "departures": 328_521,
        "arrivals": 327_346,
        "weather": 26_115,
        "planes": 3_322,
    }
    for stream, counts in expected.items():
        clean = stream in ("arrivals", "planes")
        assert counts.duplicate == (0 if clean else round(counts.applied * 0.01))
        assert counts.rejected == (0 if clean else round(counts.applied * 0.001))
        assert counts.late == (0 if clean else round(counts.applied * 0.01) - round(counts.applied * 0.01) // 2)
        assert counts.received == counts.applied + counts.duplicate + counts.rejected + counts.late
    assert sum(1 for _ in year.requests()) == 336_776


def test_events_come_in_order_and_within_the_recording(ten_days: Recording) -> None:
    moments = [event.known_at_ms for event in ten_days.events()]
    assert all(earlier <= later for earlier, later in pairwise(moments))
    assert moments[0] == ten_days.first_ms
    assert max(moments[-1], max(asked.at_ms for asked in ten_days.requests())) == ten_days.last_ms < DAY_ONE_MS + 10 * DAY_MS


def test_requests_come_in_order_each_after_its_schedule(ten_days: Recording) -> None:
    published: dict[str, int] = {}
    fields: dict[str, dict[str, object]] = {}
    for event, verdict in _verdicts(ten_days):
        if event.stream == "schedules" and verdict == "applied":
            schedule = json.loads(event.payload)
            published[schedule["flight_id"]] = event.known_at_ms
            fields[schedule["flight_id"]] = schedule
    asked = list(ten_days.requests())
    assert len(asked) > 8_000
    assert all(earlier.at_ms <= later.at_ms for earlier, later in pairwise(asked))
    for question in asked:
        flight_id = str(question.request["flight_id"])
        assert published[flight_id] <= question.at_ms - HOUR_MS
        assert question.at_ms == to_ms(datetime.fromisoformat(str(question.request["scheduled_departure"]))) - HOUR_MS
        assert question.request.items() <= fields[flight_id].items()


def test_arrivals_are_never_faulty(ten_days: Recording) -> None:
    arrivals = [event for event in ten_days.events() if event.stream == "arrivals"]
    assert len({json.loads(event.payload)["flight_id"] for event in arrivals}) == len(arrivals) > 8_000
    assert all(to_ms(datetime.fromisoformat(json.loads(event.payload)["arrived_at"])) == event.known_at_ms for event in arrivals)


def test_weather_is_known_ten_minutes_after_its_hour(ten_days: Recording) -> None:
    waits: Counter[bool] = Counter()
    for event, verdict in _verdicts(ten_days):
        if event.stream == "weather" and verdict == "applied":
            waits[event.known_at_ms - to_ms(datetime.fromisoformat(json.loads(event.payload)["observed_at"])) == 10 * MINUTE_MS] += 1
    assert waits[True] > 100 * waits[False] > 0


def test_every_aircraft_is_known_before_the_first_question(ten_days: Recording) -> None:
    known = {event.known_at_ms for event in ten_days.events() if event.stream == "planes"}
    assert known == {ten_days.first_ms}
    assert ten_days.first_ms < next(iter(ten_days.requests())).at_ms


def test_some_duplicates_differ_from_their_original(ten_days: Recording) -> None:
    copies = [event.payload for event, verdict in _verdicts(ten_days) if verdict == "duplicate"]
    altered = sum("999" in payload for payload in copies)
    assert 0.3 * len(copies) < altered < 0.7 * len(copies)


def test_told_twice_it_is_the_same(ten_days: Recording) -> None:
    assert all(one == other for one, other in zip_longest(ten_days.events(), ten_days.events()))


def test_a_short_recording_is_the_beginning_of_the_year(ten_days: Recording, year: Recording) -> None:
    short = list(ten_days.events())
    assert short == list(islice(year.events(), len(short)))


def test_no_recording_of_no_days() -> None:
    with pytest.raises(ValueError, match="at least one day"):
        _recording(0)
