"""What is an event, and the reason why the rest is not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.events.taps import STAMPS, T0, TAPS, payload
from tidemill.errors import EventError
from tidemill.events import MAX_EVENT_BYTES, parse_event

STAMP = {
    "stamp_id": "s",
    "at": "2013-01-01T01:00:00+01:00",
    "seen_at": None,
    "number": 1,
    "share": 0.5,
    "ok": True,
    "sure": None,
    "text": "x",
}


def reason_of(text: str, *, stamps: bool = False) -> str:
    with pytest.raises(EventError) as caught:
        parse_event(text, STAMPS if stamps else TAPS, T0)
    assert caught.value.detail
    return caught.value.reason


def test_a_valid_event_has_its_id_and_its_time_in_utc() -> None:
    event = parse_event(json.dumps(STAMP), STAMPS, T0)
    assert (event.event_id, event.event_time_ms) == ("s", 1_356_998_400_000)
    tap = parse_event(payload("t", T0, line="a", fare=2, unknown=[1]), TAPS, T0)
    assert (tap.event_id, tap.event_time_ms) == ("t", T0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not_json"),
        ("{", "not_json"),
        ("{'tap_id': 't'}", "not_json"),
        ("\ud800", "schema"),
        ("null", "schema"),
        ("[]", "schema"),
        ("3", "schema"),
        ("{}", "schema"),
        ('{"tap_id": "t"}', "no_time"),
        ('{"tap_id": "t", "at": null}', "schema"),
        ('{"tap_id": "t", "at": "soon"}', "schema"),
        (f'{{"tap_id": "", "at": {T0}}}', "schema"),
        (f'{{"tap_id": 7, "at": {T0}}}', "schema"),
        (f'{{"tap_id": "t", "at": {T0}, "fare": "2"}}', "schema"),
        (f'{{"tap_id": "t", "at": {T0}, "fare": true}}', "schema"),
        (f'{{"tap_id": "t", "at": {T0}, "riders": 1.5}}', "schema"),
        (f'{{"tap_id": "t", "at": {T0}, "riders": {2**63}}}', "schema"),
        (f'{{"tap_id": "t", "at": {T0}, "fare": NaN}}', "not_finite"),
        (f'{{"tap_id": "t", "at": {T0}, "fare": -Infinity}}', "not_finite"),
        (f'{{"tap_id": "t", "at": {T0}, "fare": 1e999}}', "not_finite"),
        ('{"tap_id": "t", "at": -1}', "schema"),
        ('{"tap_id": "t", "at": 1400000000000000}', "schema"),
        (payload("t", T0, line="x" * MAX_EVENT_BYTES), "too_large"),
    ],
)
def test_a_bad_event_has_a_reason(text: str, reason: str) -> None:
    assert reason_of(text) == reason


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("at", "2013-01-01T00:00:00"),
        ("seen_at", "2013-01-01T00:00:00"),
        ("seen_at", "9999-12-31T23:59:59-12:00"),
        ("number", None),
        ("ok", 1),
    ],
)
def test_what_no_store_can_hold_is_refused_at_the_door(field: str, value: object) -> None:
    assert reason_of(json.dumps({**STAMP, field: value}), stamps=True) == "schema"


def test_the_future_begins_after_max_ahead() -> None:
    last_ms = T0 + TAPS.max_ahead_ms
    assert parse_event(payload("t", last_ms), TAPS, T0).event_time_ms == last_ms
    assert reason_of(payload("t", last_ms + 1)) == "future"


def test_the_detail_names_the_field_and_what_to_do() -> None:
    with pytest.raises(EventError, match=r"^fare: .*\(stream 'taps' expects Tap\)$"):
        parse_event(payload("t", T0, fare="x"), TAPS, T0)
    with pytest.raises(EventError, match=r"^fare: nan; send null for a missing value$"):
        parse_event(payload("t", T0, fare=float("nan")), TAPS, T0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["tap_id", "at", "line", "fare", "riders", "x"]), inner),
    max_leaves=8,
)


@given(st.text(max_size=30) | JSON.map(json.dumps))
def test_any_text_is_an_event_or_has_a_reason(text: str) -> None:
    try:
        event = parse_event(text, TAPS, T0)
    except EventError as error:
        assert error.reason in {"not_json", "schema", "not_finite", "no_time", "future"}
    else:
        assert event.event_id
        assert 0 <= event.event_time_ms <= T0 + TAPS.max_ahead_ms
