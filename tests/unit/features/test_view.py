"""Views, labels, derived features and expressions: what they declare, and the mistakes they name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.events.taps import BY_LINE, BY_LINE_AND_GATE, T0, TAPS, batch_of, payload
from tidemill.clock import HOUR_MS, MINUTE_MS
from tidemill.errors import ProjectError
from tidemill.features import Expression, Label, Layout, View, col, count, derive, mean, sum_

ONE_HOUR = {"n": count(over="1h")}


def test_features_that_read_the_same_share_their_place() -> None:
    layout = Layout.of([mean("fare", over="1h"), mean("fare", over="2h"), sum_("fare", over="1h"), count(over="1h")])
    assert (len(layout.slots), layout.width) == (3, 5)


def test_retention_is_the_longest_window_its_bucket_and_the_lateness() -> None:
    features = {"a": count(over="1h", bucket="15min"), "b": count(over="2h", bucket="1h")}
    assert View("v", TAPS, entity="line", features=features).retention_ms == 3 * HOUR_MS + HOUR_MS
    assert View("v", TAPS, entity="line", features=ONE_HOUR, allowed_lateness="5h").retention_ms == 6 * HOUR_MS + MINUTE_MS
    shorter = View("v", TAPS, entity="line", features=ONE_HOUR, allowed_lateness="1min")
    assert shorter.retention_ms == HOUR_MS + MINUTE_MS + TAPS.allowed_lateness_ms


def test_the_digest_is_of_the_definition_alone() -> None:
    same = View("other", TAPS, entity="line", features=dict(reversed(list(BY_LINE.features.items()))))
    assert same.digest == BY_LINE.digest
    changed = [
        View("v", TAPS, entity="gate", features=ONE_HOUR),
        View("v", TAPS, entity="line", features={"n": count(over="2h")}),
        View("v", TAPS, entity="line", features={"n": count(over="1h", bucket="5min")}),
        View("v", TAPS, entity="line", features={"m": count(over="1h")}),
        View("v", TAPS, entity="line", features={"n": count("fare", over="1h")}),
        View("v", TAPS, entity="line", features=ONE_HOUR),
    ]
    assert len({view.digest for view in changed}) == len(changed)


def test_a_vector_calls_a_feature_by_its_view() -> None:
    assert View("v", TAPS, entity="line", features=ONE_HOUR).feature_columns == ["v__n"]
    assert BY_LINE_AND_GATE.entity_fields == ("line", "gate")
    assert BY_LINE.fields_read == {"fare", "riders"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"features": {}}, r"view 'v': no features; give at least one"),
        ({"entity": ()}, r"view 'v': no entity; choose of tap_id, line, gate"),
        ({"entity": "lines"}, r"view 'v': entity 'lines' is not a text field of stream 'taps'; choose of tap_id, line, gate"),
        ({"entity": ("line", "fare")}, r"view 'v': entity 'fare' is not a text field"),
        (
            {"features": {"m": mean("fair", over="1h")}},
            r"view 'v', feature 'm': 'fair' is not a number of .*; choose of at, fare, riders",
        ),
        ({"features": {"m": mean(col("line") >= 1, over="1h")}}, r"feature 'm': 'line' is not a number"),
        ({"features": {"m": count(over="61min", bucket="2min")}}, r"feature 'm': .*use over='60min'|feature 'm': .*use over='1h'"),
        ({"allowed_lateness": "long"}, r"view 'v': 'long' is not a duration.*allowed_lateness='6h'"),
    ],
)
def test_a_mistake_in_a_view_names_it_and_the_fix(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ProjectError, match=said):
        View("v", TAPS, **{"entity": "line", "features": ONE_HOUR, **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"key": "fare"}, r"label on stream 'taps': key 'fare' is not a text field of it; choose of tap_id, line, gate"),
        ({"value": "line"}, r"label on stream 'taps': 'line' is not a number"),
        ({"within": "1 day"}, r"label on stream 'taps': '1 day' is not a duration.*within='6h'"),
    ],
)
def test_a_mistake_in_a_label_names_it_and_the_fix(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ProjectError, match=said):
        Label(TAPS, **{"key": "line", "value": "fare", "within": "1h", **changes})


def test_a_label_reads_keys_and_values_with_nulls() -> None:
    label = Label(TAPS, key="line", value=col("fare") >= 2, within="1h")
    keys, values = label.read(batch_of([payload("a", T0, line="x", fare=2), payload("b", T0, line="y"), payload("c", T0, fare=1)]))
    assert keys == ["x", "y", None]
    np.testing.assert_array_equal(values, [1, np.nan, 0])


def test_a_derived_feature_is_the_same_for_one_row_and_many() -> None:
    def per_rider(fare: Any, riders: Any) -> Any:
        return fare / np.maximum(riders, 1)

    derived = derive(per_rider)
    assert (derived.name, derived.parameters) == ("per_rider", ("fare", "riders"))
    fare, riders = np.array([4.0, 9.0, np.nan]), np.array([2.0, 0.0, 1.0])
    whole = derived.compute({"fare": fare, "riders": riders, "more": riders})
    rows = [derived.compute({"fare": fare[[row]], "riders": riders[[row]]})[0] for row in range(3)]
    np.testing.assert_array_equal(whole, rows)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda fare: fare.no_such_thing, r"derive\(<lambda>\): failed with AttributeError.*; it must map numpy arrays"),
        (lambda fare: 1.0, r"derive\(<lambda>\): gave the shape \(\) for \(2,\); answer one value a row"),
        (lambda fare: fare[:1], r"gave the shape \(1,\)"),
        (lambda fare: ["a", "b"], r"failed with ValueError"),
    ],
)
def test_a_mistake_in_a_derived_feature_names_it_and_the_fix(function: Any, said: str) -> None:
    with pytest.raises(ProjectError, match=said):
        derive(function).compute({"fare": np.array([1.0, 2.0])})


def test_a_chained_or_equated_expression_is_refused() -> None:
    with pytest.raises(TypeError, match="write one comparison at a time"):
        assert 0 < col("fare") < 5
    with pytest.raises(TypeError, match=r"col\('x'\).equals\(15\)"):
        mean(col("fare") == 5, over="1h")  # type: ignore[arg-type, comparison-overlap]  # the very mistake
    with pytest.raises(ValueError, match="no quotation mark"):
        col('fa"re')


def test_constants_are_bound_never_pasted() -> None:
    parameters: dict[str, int | float] = {}
    expression: Expression = (col("fare") + 1) * 2 >= 3
    assert expression.sql(parameters) == 'cast((((cast("fare" as double) + $c0) * $c1) >= $c2) as double)'
    assert parameters == {"c0": 1, "c1": 2, "c2": 3}
    assert expression.text == '((("fare" + 1) * 2) >= 3)'
