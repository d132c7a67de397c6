"""Views, windows and labels: what they mean and what may be declared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.events.taps import BY_LINE, BY_LINE_AND_GATE, LABEL, T0, TAPS, batch_of, payload
from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, duration_ms
from tidemill.errors import ProjectError
from tidemill.features import Label, View, col, count, mean, std, sum_
from tidemill.features.windows import MAX_TILES, check_window, default_bucket_ms


@pytest.mark.parametrize(
    ("window", "bucket"),
    [
        *[("1s", "1s"), ("1min", "1s"), ("61s", "5s"), ("5min", "5s"), ("15min", "15s"), ("1h", "1min"), ("3h", "5min")],
        *[("24h", "1h"), ("7d", "6h"), ("60d", "1d"), ("365d", "1d")],
    ],
)
def test_the_default_bucket_is_a_sixtieth_rounded_up(window: str, bucket: str) -> None:
    assert default_bucket_ms(duration_ms(window)) == duration_ms(bucket)


@pytest.mark.parametrize(
    ("window", "bucket", "fix"),
    [
        (61 * SECOND_MS, 5 * SECOND_MS, "use over='1min' or '65s', or set bucket="),
        (30 * MINUTE_MS, HOUR_MS, "use over='1h', or set bucket="),
        ((MAX_TILES + 1) * SECOND_MS, SECOND_MS, "set bucket='401s', or over='400s' at most"),
        (DAY_MS, SECOND_MS, "set bucket='5min', or over='400s' at most"),
        (500 * DAY_MS, DAY_MS, "set bucket='500d', or over='400d' at most"),
    ],
)
def test_a_window_that_cannot_be_tiled_names_the_nearest_choices(window: int, bucket: int, fix: str) -> None:
    with pytest.raises(ProjectError) as caught:
        check_window(window, bucket, "view 'v', feature 'f'")
    assert (caught.value.where, caught.value.fix) == ("view 'v', feature 'f'", fix)


def test_the_most_tiles_are_allowed() -> None:
    check_window(MAX_TILES * SECOND_MS, SECOND_MS, "here")


@pytest.mark.parametrize(
    ("changes", "message", "fix"),
    [
        ({"features": {}}, "view 'v': no features", "give at least one"),
        ({"entity": ()}, "view 'v': no entity", "choose of tap_id, line, gate"),
        ({"entity": "fare"}, "entity 'fare' is not a text field of stream 'taps'", "choose of tap_id, line, gate"),
        ({"entity": ("line", "nope")}, "entity 'nope' is not a text field of stream 'taps'", "choose of tap_id, line, gate"),
        ({"features": {"f": mean("nope", over="1h")}}, "view 'v', feature 'f': 'nope' is not a number", "choose of at, fare, riders"),
        (
            {"features": {"f": mean(col("fare") / col("gate"), over="1h")}},
            "'gate' is not a number",
            "choose of at, fare, riders",
        ),
        ({"features": {"f": count(over="61s")}}, "feature 'f': a window of 61s is not a multiple", "use over='1min' or '65s'"),
        ({"allowed_lateness": "soon"}, "view 'v': 'soon' is not a duration", "write e.g. allowed_lateness='6h'"),
    ],
)
def test_a_mistake_names_view_feature_and_fix(changes: dict[str, Any], message: str, fix: str) -> None:
    with pytest.raises(ProjectError) as caught:
        View("v", TAPS, **{"entity": "line", "features": {"n": count(over="1h")}, **changes})
    assert message in str(caught.value)
    assert fix in caught.value.fix


@pytest.mark.parametrize(
    ("changes", "message", "fix"),
    [
        ({"key": "nope"}, "label on stream 'taps': key 'nope' is not a text field of it", "choose of tap_id, line, gate"),
        ({"key": "riders"}, "label on stream 'taps': key 'riders' is not a text field of it", "choose of tap_id, line, gate"),
        ({"value": "line"}, "label on stream 'taps': 'line' is not a number of stream 'taps'", "choose of at, fare, riders"),
        ({"within": "never"}, "label on stream 'taps': 'never' is not a duration", "write e.g. within='6h'"),
    ],
)
def test_a_label_that_cannot_be_read_is_refused(changes: dict[str, Any], message: str, fix: str) -> None:
    with pytest.raises(ProjectError) as caught:
        Label(TAPS, **{"key": "line", "value": "fare", "within": "1h", **changes})
    assert message in str(caught.value)
    assert fix in caught.value.fix


def test_a_label_reads_keys_and_outcomes() -> None:
    keys, values = LABEL.read(batch_of([payload("t1", T0, line="a", fare=2.0), payload("t2", T0, fare=1.0), payload("t3", T0, line="b")]))
    assert keys == ["a", None, "b"]
    np.testing.assert_array_equal(values, [1.0, 0.0, np.nan])


def test_retention_is_the_longest_window_its_bucket_and_the_lateness() -> None:
    view = View("v", TAPS, entity="line", features={"a": count(over="1h"), "b": count(over="50min", bucket="25min")})
    assert view.retention_ms == 75 * MINUTE_MS + HOUR_MS
    patient = View("v", TAPS, entity="line", features=view.features, allowed_lateness="6h")
    assert patient.retention_ms == 75 * MINUTE_MS + 6 * HOUR_MS
    hasty = View("v", TAPS, entity="line", features=view.features, allowed_lateness="1s")
    assert hasty.retention_ms == view.retention_ms, "a view cannot make its stream less patient"


def test_features_of_one_bucket_share_their_slots() -> None:
    features = {"a": mean("fare", over="1h"), "b": mean("fare", over="30min", bucket="1min"), "c": mean("fare", over="3h")}
    view = View("v", TAPS, entity="line", features=features)
    assert {size: list(layout.slots) for size, layout in view.layouts.items()} == {
        MINUTE_MS: [("mean", '"fare"')],
        5 * MINUTE_MS: [("mean", '"fare"')],
    }


def test_the_digest_is_of_the_definition() -> None:
    features = {"a": mean("fare", over="1h"), "b": count(over="1h")}
    base = View("v", TAPS, entity="line", features=features)
    same = View("other name", TAPS, entity=("line",), features={"b": count(over="60min"), "a": mean(col("fare"), over=HOUR_MS)})
    assert base.digest == same.digest
    others = [
        View("v", TAPS, entity="gate", features=features),
        View("v", TAPS, entity=("line", "gate"), features=features),
        View("v", TAPS, entity="line", features={"a": std("fare", over="1h"), "b": count(over="1h")}),
        View("v", TAPS, entity="line", features={"a": mean("fare", over="2h"), "b": count(over="1h")}),
        View("v", TAPS, entity="line", features={"a": mean("fare", over="1h", bucket="5min"), "b": count(over="1h")}),
        View("v", TAPS, entity="line", features={"a": mean(col("fare") >= 2, over="1h"), "b": count(over="1h")}),
        View("v", TAPS, entity="line", features={"x": mean("fare", over="1h"), "b": count(over="1h")}),
    ]
    assert len({view.digest for view in [base, *others]}) == len(others) + 1


def test_columns_are_named_by_view_and_feature() -> None:
    assert BY_LINE.feature_columns[:2] == ["by_line__n_all", "by_line__n_fares"]
    assert BY_LINE.fields_read == {"fare", "riders"}
    assert BY_LINE_AND_GATE.entity_fields == ("line", "gate")
    assert View("v", TAPS, entity="line", features={"s": sum_(col("fare") * col("riders"), over="1h")}).fields_read == {"fare", "riders"}
