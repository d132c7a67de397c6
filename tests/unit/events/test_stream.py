"""A stream says what its events look like; a mistake in it is named with its fix."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import BaseModel, Field

from tests.unit.events.taps import STAMPS, T0, TAPS, Tap, batch_of, payload
from tidemill.clock import HOUR_MS, MINUTE_MS
from tidemill.errors import ProjectError
from tidemill.events import Stream, to_column


class Mixed(BaseModel):
    """An annotated field is what it annotates."""

    mixed_id: str
    at: Annotated[datetime, Field(description="when")]
    share: Annotated[float | None, Field(ge=0)] = None


class Listed(BaseModel):
    """A list cannot be stored."""

    listed_id: str
    at: int
    parts: list[int]


class Torn(BaseModel):
    """Two types in one field cannot be stored."""

    torn_id: str
    at: int
    either: int | str


def test_kinds_follow_the_types() -> None:
    assert STAMPS.kinds == {
        "stamp_id": "text",
        "at": "time",
        "seen_at": "time",
        "number": "number",
        "share": "number",
        "ok": "number",
        "sure": "number",
        "text": "text",
    }
    assert Stream("mixed", schema=Mixed, event_time="at", event_id="mixed_id").kinds == {
        "mixed_id": "text",
        "at": "time",
        "share": "number",
    }


def test_durations_are_read() -> None:
    assert (TAPS.allowed_lateness_ms, TAPS.max_ahead_ms) == (HOUR_MS, 5 * MINUTE_MS)


@pytest.mark.parametrize(
    ("schema", "changes", "said"),
    [
        (Tap, {"event_time": "when"}, r"stream 'taps': event_time='when' is not a field of Tap; choose one of tap_id, at"),
        (Tap, {"event_id": "nr"}, r"stream 'taps': event_id='nr' is not a field of Tap; choose one of"),
        (Tap, {"event_id": "riders"}, r"stream 'taps': event_id='riders' is not text; declare it as str"),
        (Tap, {"allowed_lateness": "soon"}, r"stream 'taps': 'soon' is not a duration.*allowed_lateness='6h'"),
        (Tap, {"max_ahead": "5 minutes"}, r"stream 'taps': '5 minutes' is not a duration.*max_ahead='5min'"),
        (Listed, {"event_id": "listed_id"}, r"stream 'taps': field 'parts' has the type list\[int\]; use int, float, bool, str"),
        (Torn, {"event_id": "torn_id"}, r"stream 'taps': field 'either' has the type int \| str; use int, float"),
    ],
)
def test_a_mistake_names_the_stream_and_the_fix(schema: type[BaseModel], changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ProjectError, match=said):
        Stream("taps", **{"schema": schema, "event_time": "at", "event_id": "tap_id", **changes})


def test_columns_hold_nan_or_none_where_a_field_is_null() -> None:
    batch = batch_of([payload("a", T0, line="x", fare=2), payload("b", T0 + 1, riders=3)])
    columns = batch.columns(["line", "fare", "riders", "at"])
    assert columns["line"].tolist() == ["x", None]
    np.testing.assert_array_equal(columns["fare"], [2.0, np.nan])
    np.testing.assert_array_equal(columns["riders"], [np.nan, 3.0])
    np.testing.assert_array_equal(columns["at"], [T0, T0 + 1])
    assert batch.event_time_ms.tolist() == [T0, T0 + 1]


def test_times_and_truth_become_numbers() -> None:
    np.testing.assert_array_equal(to_column([datetime.fromisoformat("2013-01-01T00:00:00Z"), None], "time"), [1_356_998_400_000, np.nan])
    np.testing.assert_array_equal(to_column([True, False, None], "number"), [1, 0, np.nan])
