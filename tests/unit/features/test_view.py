"""Views, windows and labels: what they mean and what may be declared."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.events.taps import BY_LINE, BY_LINE_AND_GATE, LABEL, STAMPS, T0, TAPS, batch_of, payload
from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, duration_ms
from tidemill.errors import ProjectError
from tidemill.features import Label, View, col, count, distinct, last, mean, quantile, share, std, sum_
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
        ({"features": {"n": count(over=("1h", "61s"))}}, "feature 'n_61s': a window of 61s is not a multiple", "use over='1min' or '65s'"),
        ({"features": {"n": count(over=("1h", "2h")), "n_1h": count(over="1h")}}, "two features come to the name 'n_1h'", "rename one"),
        ({"features": {"f": share("fare", over="1h")}}, "feature 'f': 'fare' is not true or false (a bool)", "there is none; compare"),
        ({"features": {"f": quantile("line", 0.5, over="1h")}}, "'line' is not a number of stream 'taps'", "choose of at, fare, riders"),
        ({"features": {"f": distinct("nope", over="1h")}}, "'nope' is not a field of stream 'taps'", "choose of tap_id, at, line"),
        (
            {"features": {"f": count(where=col("fare").equals("DE"), over="1h")}},
            "'fare' is not a text field of stream 'taps'",
            "choose of tap_id, line, gate",
        ),
        ({"where": col("fare")}, "view 'v', where: 'fare' is not true or false (a bool) of stream 'taps'", "there is none; compare"),
        ({"where": col("line") > 1}, "view 'v', where: 'line' is not a number of stream 'taps'", "choose of at, fare, riders"),
        ({"where": col("fare") + 1}, 'where=("fare" + 1) is not a condition', "write e.g. where=col('amount') > 100"),
        ({"where": "fare > 1"}, "where='fare > 1' is not a condition", "write e.g. where=col('amount') > 100"),
        ({"allowed_lateness": "soon"}, "view 'v': 'soon' is not a duration", "write e.g. allowed_lateness='6h'"),
        ({"version": 0}, "view 'v': version=0 is no version", "write a whole number from 1 on"),
        ({"version": "2"}, "view 'v': version='2' is no version", "write a whole number from 1 on"),
        ({"version": True}, "view 'v': version=True is no version", "write a whole number from 1 on"),
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
        ({"value": "gate", "absent": 0.0}, "absent=0.0, but its outcomes are texts", "write a text, or 'drop'"),
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


def test_a_version_changes_the_digest_and_words_do_not() -> None:
    features = {"a": mean(col("fare") >= 2, over="1h"), "n": count(over="24h")}
    view = View("v", TAPS, entity="line", features=features)
    assert view.digest == "43afef70897a8534", "tiles, served vectors and models of before are found by it"
    assert replace(view, version=1, owner="ann", description="how dear a line is").digest == view.digest
    versions = [replace(view, version=version) for version in (1, 2, 3)]
    assert len({one.digest for one in versions}) == 3
    assert json.loads(versions[1].definition) == {**json.loads(view.definition), "version": 2}


def test_columns_are_named_by_view_and_feature() -> None:
    assert BY_LINE.feature_columns[:2] == ["by_line__n_all", "by_line__n_fares"]
    assert BY_LINE.fields_read == {"fare", "riders"}
    assert BY_LINE_AND_GATE.entity_fields == ("line", "gate")
    assert View("v", TAPS, entity="line", features={"s": sum_(col("fare") * col("riders"), over="1h")}).fields_read == {"fare", "riders"}


def test_several_windows_become_features_of_their_own() -> None:
    view = View("v", TAPS, entity="line", features={"n": count(over=("10min", "1h")), "fare": mean("fare", over="1h")})
    assert view.feature_columns == ["v__n_10min", "v__n_1h", "v__fare"]
    alone = {"n_10min": count(over="10min"), "n_1h": count(over="1h"), "fare": mean("fare", over="1h")}
    assert view.digest == View("v", TAPS, entity="line", features=alone).digest
    assert replace(view, name="w").features == view.features


def test_a_filtered_view_counts_only_what_its_condition_is_true_of() -> None:
    dear = (col("fare") > 2) & col("gate").differs("closed")
    view = View("v", TAPS, entity="line", features={"n": count(over="1h"), "riders": sum_("riders", over="1h")}, where=dear)
    assert view.fields_read == {"fare", "gate", "riders"}
    taps = [payload("t1", T0, fare=3.0, gate="a", riders=1), payload("t2", T0, fare=2.0, gate="a", riders=2)]
    taps += [payload("t3", T0, fare=3.0, gate="closed", riders=4), payload("t4", T0, fare=3.0, riders=8), payload("t5", T0, gate="a")]
    columns = batch_of(taps).columns({"fare", "gate", "riders", "line"})
    assert view.counts(columns).tolist() == [True, False, False, False, False]  # null is not true
    (layout,) = view.layouts.values()
    states = layout.reduce(layout.lift(columns, np.full(5, T0), ["t1", "t2", "t3", "t4", "t5"]), np.array([0]))
    assert states.tolist() == [[1.0, 1.0, 1.0]]  # one tap, of one rider; the view's condition is in its features already
    everything = View("v", TAPS, entity="line", features={"n": count(over="1h")})
    assert everything.counts(columns).tolist() == [True] * 5


def test_a_condition_is_part_of_the_digest() -> None:
    features = {"n": count(over="1h")}
    view = View("v", TAPS, entity="line", features=features, where=col("fare") > 2)
    assert view.digest == View("v", TAPS, entity="line", features={"n": count(over="1h", where=col("fare") > 2)}).digest
    assert view.digest == replace(view, name="w").digest, "a condition is not told twice"
    others = [View("v", TAPS, entity="line", features=features), replace(view, where=col("fare") > 3)]
    assert len({one.digest for one in [view, *others]}) == 3


def test_a_bool_field_is_a_condition() -> None:
    features = {
        "sure": share("sure", over="1h"),
        "sure_if_ok": share("sure", over="1h", where="ok"),
        "not_ok": count(over="1h", where=~col("ok")),
    }
    view = View("v", STAMPS, entity="text", features=features)
    assert view.fields_read == {"ok", "sure"}
    assert view.features["sure"].expression is not None
    columns = {"ok": np.array([1.0, 0.0, 1.0]), "sure": np.array([1.0, 0.0, np.nan]), "text": np.array(["a"] * 3, dtype=object)}
    (layout,) = view.layouts.values()
    row = layout.reduce(layout.lift(columns, np.full(3, T0), ["a", "b", "c"]), np.array([0]))[0]
    states = {
        name: row[layout.slots[feature.slot].begin : layout.slots[feature.slot].end].tolist() for name, feature in view.features.items()
    }
    assert states == {"sure": [2.0, 1.0], "sure_if_ok": [1.0, 1.0], "not_ok": [1.0]}
    assert View("v", STAMPS, entity="text", features=features, where=col("ok")).counts(columns).tolist() == [True, False, True]


def test_sketches_are_no_part_of_a_row() -> None:
    features = {"n": count(over="1h"), "gates": distinct("gate", over="1h"), "p90": quantile("fare", 0.9, over="24h")}
    view = View("v", TAPS, entity="line", features=features)
    assert list(view.row_features) == ["n"]
    assert [name for name, _ in view.sketches] == ["gates", "p90"]
    assert {size: layout.width for size, layout in view.layouts.items()} == {MINUTE_MS: 1}
    assert view.fields_read == {"gate", "fare"}
    assert View("v", TAPS, entity="line", features={"gates": distinct("gate", over="1h")}).layouts == {}
    digests = {View("v", TAPS, entity="line", features={"p": quantile("fare", level, over="1h")}).digest for level in (0.5, 0.9)}
    assert len(digests) == 2


def test_it_says_whether_it_reads_the_ids_of_events() -> None:
    assert not BY_LINE.reads_event_ids
    assert View("v", TAPS, entity="line", features={"last": last("fare", over="1h")}).reads_event_ids


def test_a_layout_that_needs_ids_is_not_filled_without_them() -> None:
    layout = View("v", TAPS, entity="line", features={"last": last("fare", over="1h")}).layouts[MINUTE_MS]
    with pytest.raises(ValueError, match="could not broadcast"):
        layout.lift({"fare": np.zeros(2)}, np.full(2, T0), [])
