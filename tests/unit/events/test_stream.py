"""Streams: what may be declared."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, create_model

from tests.unit.events.taps import STAMPS, TAPS
from tidemill.errors import ProjectError
from tidemill.events import Stream


def test_each_field_has_a_kind() -> None:
    assert TAPS.kinds == {"tap_id": "text", "at": "number", "line": "text", "gate": "text", "fare": "number", "riders": "number"}
    assert STAMPS.kinds["at"] == STAMPS.kinds["seen_at"] == "time"
    assert STAMPS.python_types["sure"] is bool
    assert (TAPS.allowed_lateness_ms, TAPS.max_ahead_ms) == (3_600_000, 300_000)


def test_a_constraint_does_not_hide_the_type() -> None:
    class Bounded(BaseModel):
        id: Annotated[str, Field(min_length=1)]
        at: datetime
        share: Annotated[float | None, Field(ge=0)] = None

    assert Stream("bounded", schema=Bounded, event_time="at", event_id="id").kinds == {"id": "text", "at": "time", "share": "number"}


@pytest.mark.parametrize("annotation", [list[int], dict[str, int], int | str, Literal["a"], bytes, BaseModel, Any])
def test_a_type_that_cannot_be_stored_is_refused(annotation: Any) -> None:
    schema = create_model("Odd", id=(str, ...), at=(datetime, ...), odd=(annotation, None))
    with pytest.raises(ProjectError, match=r"stream 'odd': field 'odd' has the type .*; use int, float, bool, str or an aware datetime"):
        Stream("odd", schema=schema, event_time="at", event_id="id")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"event_time": "when"}, "stream 'x': event_time='when' is not a field of Tap; choose one of tap_id, at, line"),
        ({"event_id": "id"}, "stream 'x': event_id='id' is not a field of Tap; choose one of tap_id, at, line"),
        ({"event_id": "riders"}, "stream 'x': event_id='riders' is not text; declare it as str"),
        ({"allowed_lateness": "6x"}, "stream 'x': '6x' is not a duration"),
        ({"max_ahead": 0}, "stream 'x': 0 is not a positive duration"),
    ],
)
def test_a_mistake_names_the_stream_and_the_fix(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ProjectError) as caught:
        Stream("x", **{"schema": TAPS.schema, "event_time": "at", "event_id": "tap_id", **changes})
    assert message in str(caught.value)
    assert caught.value.fix
