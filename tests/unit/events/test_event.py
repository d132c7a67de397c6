"""At the door: what is an event, and the reason why not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.events.taps import STAMPS, T0, TAPS, batch_of, payload
from tidemill.errors import EventError
from tidemill.events import MAX_EVENT_BYTES, parse_event

AHEAD_MS = TAPS.max_ahead_ms
STAMP = {
    "stamp_id": "s1", "at": "2013-01-01T00:00:00Z", "seen_at": None, "number": 1, "share": None, "ok": True, "sure": None, "text": None,
}  # fmt: skip


def stamp(**changes: Any) -> str:
    """The text of a valid stamp with some fields changed."""
    return json.dumps({**STAMP, **changes})


def refused(text: str, stream: Any = TAPS, known_at_ms: int = T0) -> EventError:
    with pytest.raises(EventError) as caught:
        parse_event(text, stream, known_at_ms)
    return caught.value


def test_a_valid_event_keeps_its_fields() -> None:
    event = parse_event(payload("t1", T0, line="a", fare=3, riders=2), TAPS, T0)
    assert (event.event_id, event.event_time_ms) == ("t1", T0)
    assert event.fields.model_dump() == {"tap_id": "t1", "at": T0, "line": "a", "gate": None, "fare": 3.0, "riders": 2}


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        ("", "not_json", "EOF"),
        ("{", "not_json", "EOF"),
        ('{"tap_id": "\\ud800", "at": 1}', "not_json", ""),
        ("\ud800", "schema", "the event: Input should be a valid string"),
        ("[]", "schema", "the event: "),
        ("null", "schema", "the event: "),
        ('{"tap_id": "t1"}', "no_time", "at: missing"),
        ('{"at": 1}', "schema", "tap_id: Field required (stream 'taps' expects Tap)"),
        ('{"tap_id": "", "at": 1}', "schema", "tap_id: empty"),
        ('{"tap_id": 7, "at": 1}', "schema", "tap_id: "),
        ('{"tap_id": "t1", "at": "1"}', "schema", "at: Input should be a valid integer; send whole milliseconds since 1970 (stream"),
        ('{"tap_id": "t1", "at": null}', "schema", "at: "),
        ('{"tap_id": "t1", "at": -1}', "schema", "at: outside 1970 to 2100"),
        ('{"tap_id": "t1", "at": 1, "fare": "3"}', "schema", "fare: "),
        ('{"tap_id": "t1", "at": 1, "fare": NaN}', "not_finite", "fare: nan; send null"),
        ('{"tap_id": "t1", "at": 1, "fare": -Infinity}', "not_finite", "fare: -inf; send null"),
        ('{"tap_id": "t1", "at": 1, "fare": 1e999}', "not_finite", "fare: inf; send null"),
        ('{"tap_id": "t1", "at": 1, "riders": 1.5}', "schema", "riders: "),
        ('{"tap_id": "t1", "at": 1, "riders": 9223372036854775808}', "schema", "riders: a whole number of more than 64 bits"),
        ('{"tap_id": "t1", "at": 1, "riders": -9223372036854775809}', "schema", "riders: a whole number of more than 64 bits"),
        (f'{{"tap_id": "t1", "at": 1, "riders": 1{"0" * 400}}}', "schema", "riders: "),
    ],
)
def test_a_bad_event_is_refused_with_reason_place_and_value(text: str, reason: str, detail: str) -> None:
    error = refused(text)
    assert error.reason == reason
    assert detail in error.detail


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        (
            {"at": 1_356_998_400_000},
            "at: Input should be a valid datetime; send ISO 8601 with its zone, e.g. '2026-03-01T10:00",
        ),
        ({"seen_at": "1.1.2013"}, "; send ISO 8601 with its zone, e.g. "),
        ({"at": "2013-01-01T00:00:00"}, "at: 2013-01-01T00:00:00 has no time zone; add one"),
        ({"seen_at": "2013-01-01T00:00:00"}, "seen_at: 2013-01-01T00:00:00 has no time zone; add one"),
        ({"seen_at": "0001-01-01T00:00:00+05:00"}, "seen_at: 0001-01-01T00:00:00+05:00 lies outside the years 1 to 9999 of UTC"),
        ({"seen_at": "9999-12-31T23:59:59-05:00"}, "seen_at: 9999-12-31T23:59:59-05:00 lies outside the years 1 to 9999 of UTC"),
        ({"at": 1_356_998_400}, "at: "),
        ({"at": "2101-01-01T00:00:00Z"}, "at: outside 1970 to 2100"),
        ({"at": "1969-12-31T23:59:59Z"}, "at: outside 1970 to 2100"),
        ({"ok": 1}, "ok: "),
        ({"number": True}, "number: "),
    ],
)
def test_times_and_flags_are_strict(changes: dict[str, Any], detail: str) -> None:
    error = refused(stamp(**changes), STAMPS, 4_200_000_000_000)
    assert (error.reason, detail in error.detail) == ("schema", True), error.detail


def test_the_future_is_refused_to_the_millisecond() -> None:
    assert parse_event(payload("t1", T0 + AHEAD_MS), TAPS, T0).event_time_ms == T0 + AHEAD_MS
    error = refused(payload("t1", T0 + AHEAD_MS + 1))
    assert (error.reason, error.detail) == ("future", "at: 300 s in the future; at most 300 s")


def test_an_event_may_be_large_but_not_larger() -> None:
    room = MAX_EVENT_BYTES - len(payload("t1", T0, line=""))
    assert parse_event(payload("t1", T0, line="x" * room), TAPS, T0).event_id == "t1"
    error = refused(payload("t1", T0, line="x" * (room + 1)))
    assert (error.reason, error.detail) == ("too_large", "an event of 65537 characters; the most is 65536")


def test_a_zone_is_an_offset_and_not_another_moment() -> None:
    texts = ["2013-01-01T05:00:00Z", "2013-01-01T00:00:00-05:00", "2013-01-01T10:30:00.000+05:30"]
    assert len({parse_event(stamp(at=text), STAMPS, T0).event_time_ms for text in texts}) == 1


def test_whatever_the_door_lets_in_can_become_columns() -> None:
    """What the engine computes of a valid event must not fail: it would stop at it for ever."""
    texts = [stamp(stamp_id=str(number), number=number, seen_at="0001-01-01T00:00:00Z") for number in (-(2**63), 2**63 - 1)]
    columns = batch_of(texts, STAMPS).columns(STAMPS.kinds)
    assert columns["number"].tolist() == [-(2.0**63), 2.0**63]
    assert columns["seen_at"].tolist() == [-62_135_596_800_000.0] * 2
    assert columns["ok"].tolist() == [1.0, 1.0]
    assert str(columns["share"].tolist()) == "[nan, nan]"
    assert columns["text"].tolist() == [None, None]
