"""Fast parsing against `parse_event`, event by event: the same verdict, the same reason, the same values."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, field_validator

from tests.unit.events.taps import STAMPS, T0, TAPS
from tidemill.errors import EventError
from tidemill.events import EventParser, Stream, parse_event

ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-12)), None])
DAYS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))
MOMENTS = st.builds(lambda day, zone: day.replace(tzinfo=zone).isoformat(), DAYS, ZONES)
TIMES = MOMENTS | st.sampled_from(["2014-05-13T00:00:00.1234567Z", "2014-05-13T00:00Z", "2014-05-13", "1400000000", "2014-05-13 00:00:00Z"])
NUMBERS = st.sampled_from([0, -0.0, 1.0, 1e308, 5e-324, 2**53 + 1, 2**63, -(2**63), -(2**63) - 1, True]) | st.floats() | st.integers()
TEXTS = st.text(max_size=5) | st.sampled_from(["", "\ud800", "\x00", "é", "x" * 126, "x" * 500, "x" * 501, "é" * 251, ",\\" * 126])
KEYS = {"taps": (("tap_id",), ("line", "gate")), "stamps": (("stamp_id",), ("text",))}
ANYTHING = st.none() | NUMBERS | TIMES | TEXTS | st.booleans() | st.lists(st.none(), max_size=2)
KNOWN_AT_MS = T0


def event_of(stream: Stream, good: dict[str, Any], odd: dict[str, Any], cut: int) -> str:
    """The text of an event, some of whose fields are odd and some gone; it may be cut off."""
    fields = {name: value for name, value in {**good, **odd}.items() if value != "gone"}
    text = json.dumps(fields)
    return text if cut == 0 else text[:-cut]


GOOD_TAP = {"tap_id": "t1", "at": T0, "line": "a", "gate": None, "fare": 1.5, "riders": 3}
GOOD_STAMP = {
    "stamp_id": "s", "at": "2014-05-13T00:00:00.5+02:00", "seen_at": None, "number": 5, "share": 1, "ok": True, "sure": None, "text": "x",
}  # fmt: skip
ODD = ANYTHING | st.just("gone")
TAPS_SENT = st.builds(
    event_of,
    st.just(TAPS),
    st.just(GOOD_TAP),
    st.dictionaries(st.sampled_from([*GOOD_TAP, "other"]), ODD, max_size=2),
    st.sampled_from([0, 0, 0, 1, 5]),
)
STAMPS_SENT = st.builds(
    event_of,
    st.just(STAMPS),
    st.just(GOOD_STAMP),
    st.dictionaries(st.sampled_from([*GOOD_STAMP, "other"]), ODD, max_size=2),
    st.sampled_from([0, 0, 0, 1, 5]),
)
TEXTS_SENT = st.sampled_from(
    ["", "null", "[]", "{}", "{" * 300, '{"a":' + "[" * 250 + "]" * 250 + "}", " " + json.dumps(GOOD_TAP) + "\n", "\ufeff{}"]
)


def check(stream: Stream, payloads: list[str]) -> None:
    n_rows = len(payloads)
    keys = KEYS.get(stream.name, ())
    parsed = EventParser(stream, keys).parse(payloads, np.arange(n_rows), np.full(n_rows, KNOWN_AT_MS))
    place = 0
    for number, payload in enumerate(payloads):
        try:
            event = parse_event(payload, stream, KNOWN_AT_MS, keys)
        except EventError as error:
            got = parsed.refused[number]
            assert (got.reason, got.detail) == (error.reason, error.detail), payload
            continue
        assert number not in parsed.refused, payload
        batch = parsed.batch
        assert (batch.event_ids[place], batch.event_time_ms[place], batch.offsets[place]) == (event.event_id, event.event_time_ms, number)
        for name, column in batch.values.items():
            want = getattr(event.fields, name)
            assert (repr(column[place]), type(column[place])) == (repr(want), type(want)) or column[place] == want, (payload, name)
        assert parsed.places[place] == number
        place += 1
    assert place == len(parsed.batch)


@settings(max_examples=150)
@given(payloads=st.lists(TAPS_SENT | TEXTS_SENT, max_size=8))
@example(payloads=[json.dumps(GOOD_TAP)] * 3)
@example(
    payloads=[
        '{"tap_id": "t", "at": 5, "tap_id": "u"}',
        '{"tap_id": "", "at": 5}',
        '{"tap_id": "t", "at": -1}',
        '{"tap_id": "t", "at": 9e15}',
        json.dumps({"tap_id": "t", "at": 5, "line": "é" * 251, "gate": "é" * 251}),
        json.dumps({"tap_id": "é" * 250, "at": 5, "line": "é" * 125, "gate": "é" * 125}),
        json.dumps({"tap_id": "é" * 251, "at": 5, "line": "é" * 125, "gate": "é" * 126}),
    ]
)
def test_numbers_and_texts(payloads: list[str]) -> None:
    check(TAPS, payloads)


@settings(max_examples=150)
@given(payloads=st.lists(STAMPS_SENT | TEXTS_SENT, max_size=8))
@example(
    payloads=[
        json.dumps({**GOOD_STAMP, "at": at}) for at in ("2014-05-12T23:59:59.9999999Z", "2014-05-13T00:05:00Z", "2014-05-13T00:05:00.001Z")
    ]
)
def test_times_and_flags(payloads: list[str]) -> None:
    check(STAMPS, payloads)


class Strict(BaseModel):
    """A schema that says more than types."""

    tap_id: str = Field(alias="id")
    at: int
    fare: float = Field(ge=0)

    @field_validator("fare")
    @classmethod
    def _halve(cls, fare: float) -> float:
        return fare / 2


def test_a_schema_with_rules_of_its_own_is_left_to_pydantic() -> None:
    stream = Stream("strict", schema=Strict, event_time="at", event_id="tap_id")
    check(stream, ['{"id": "a", "at": 5, "fare": 3}', '{"id": "a", "at": 5, "fare": -3}', '{"tap_id": "a", "at": 5, "fare": 3}'])
    parsed = EventParser(stream).parse(['{"id": "a", "at": 5, "fare": 3}'], np.array([1]), np.array([9]))
    assert parsed.batch.values["fare"] == (1.5,)
