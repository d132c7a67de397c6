"""Expressions: data that says what to compute; the laws against DuckDB are in tests/property/test_expressions.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tidemill.features import Expression, col, greatest, least
from tidemill.features.expressions import as_expression

X = {
    "x": np.array([0.0, 2.0, np.nan]),
    "y": np.array([0.0, 4.0, 1.0]),
    "ok": np.array([1.0, 0.0, np.nan]),
    "land": np.array(["DE", "AT", None], dtype=object),
}
NULL = np.nan


@pytest.mark.parametrize(
    ("expression", "want"),
    [
        (col("x") + 1, [1, 3, NULL]),
        (col("x") - col("y"), [0, -2, NULL]),
        (col("x") * col("y"), [0, 8, NULL]),
        (col("y") / col("x"), [NULL, 2, NULL]),
        (col("x") / 0, [NULL, NULL, NULL]),
        (col("x") >= 2, [0, 1, NULL]),
        (col("x") <= 0, [1, 0, NULL]),
        (col("x") > 0, [0, 1, NULL]),
        (col("x") < 2, [1, 0, NULL]),
        (2 <= col("x"), [0, 1, NULL]),  # noqa: SIM300  # what Python makes of it is what is tested
        (col("x").equals(2), [0, 1, NULL]),
        (col("x").differs(col("y")), [0, 1, NULL]),
        ((col("x") >= 1) * (col("y") >= 1), [0, 1, NULL]),
        (1 + col("x"), [1, 3, NULL]),
        (1 - col("x"), [1, -1, NULL]),
        (3 * col("x"), [0, 6, NULL]),
        (8 / col("x"), [NULL, 4, NULL]),
        (-col("y"), [0, -4, -1]),
        (abs(col("x") - 3), [3, 1, NULL]),
        (least(col("x"), 1), [0, 1, NULL]),
        (greatest(1, col("x")), [1, 2, NULL]),
        (col("x").is_null(), [0, 0, 1]),
        (col("land").is_null(), [0, 0, 1]),
        (col("x").if_null(-1), [0, 2, -1]),
        (col("x").if_null(col("y")), [0, 2, 1]),
        ((col("x") > 1) & (col("y") > 0), [0, 1, NULL]),
        ((col("x") > 1) & (col("y") > 1), [0, 1, 0]),  # null and false is false
        ((col("x") > 1) | (col("y") > 0), [0, 1, 1]),  # null or true is true
        ((col("x") > 1) | (col("y") > 1), [0, 1, NULL]),
        (~(col("x") > 1), [1, 0, NULL]),
        (~col("ok"), [0, 1, NULL]),
        (col("ok") & (col("y") < 1), [1, 0, 0]),
        (col("land").equals("DE"), [1, 0, NULL]),
        (col("land").differs("DE"), [0, 1, NULL]),
        (col("land").isin(["AT", "CH"]), [0, 1, NULL]),
        (col("y").isin([4, 1.0]), [0, 1, 1]),
        (col("y").when(col("x") > 1), [NULL, 4, NULL]),
        (col("x") * 1e308 * 10, [0, NULL, NULL]),  # beyond float64
        (1 / (col("x") * 1e308), [NULL, NULL, NULL]),
    ],
)
def test_null_spreads_and_conditions_are_numbers(expression: Expression, want: list[float]) -> None:
    np.testing.assert_array_equal(expression.evaluate(X), want)


def test_it_knows_its_fields_and_says_itself() -> None:
    expression = (col("x") - col("y")) / 60 >= 15
    assert expression.names == {"x", "y"}
    assert expression.text == '((("x" - "y") / 60) >= 15)'


def test_constants_are_bound_and_never_pasted() -> None:
    parameters: dict[str, Any] = {}
    expression = (least(col("x"), 2) >= 15) & col("land").isin(["'; drop table t", "DE"])
    sql = expression.sql(parameters)
    assert sql.startswith("cast(") and "drop" not in sql and "15" not in sql
    assert parameters == {"c0": 2.0, "c1": 15.0, "c2": "'; drop table t", "c3": "DE"}
    assert [type(value) for value in parameters.values()] == [float, float, str, str]
    assert (col("y") > 3).sql(parameters) == 'cast((cast("y" as double) > $c4) as double)'
    assert (col("y") > 3).condition_sql({}) == '(cast("y" as double) > $c0)'
    assert (col("ok") | (col("y") > 3)).condition_sql({}) == '((cast("ok" as double) <> 0) or (cast("y" as double) > $c0))'


def test_equal_definitions_have_equal_texts() -> None:
    from_numpy: Any = np.int64(2)
    assert (col("x") * 2).text == (col("x") * 2.0).text == (col("x") * np.float64(2)).text == (col("x") * from_numpy).text
    assert (col("x") > True).text == '("x" > 1)'
    assert (col("x") > 2.5).text == (col("x") > np.float64(2.5)).text == '("x" > 2.5)'
    assert (col("x") > 2**60).text == (col("x") > 2.0**60).text  # beyond 2**53 a whole number is what its float is
    assert abs(col("x")).text == 'abs("x")'
    assert (-col("x").if_null(0)).text == 'neg(if_null("x", 0))'


def test_it_says_how_each_field_is_read() -> None:
    expression = ((col("x") + 1).when(col("ok") & col("land").equals("DE"))).if_null(col("y").is_null())
    assert expression.reads() == {("x", "raw"), ("ok", "flag"), ("land", "text"), ("y", "any")}
    assert col("land").when(col("ok")).reads("any") == {("land", "any"), ("ok", "flag")}


def test_a_chain_of_comparisons_is_refused_instead_of_half_kept() -> None:
    with pytest.raises(TypeError, match=r'\("x" > 0\) is not true or false by itself; join comparisons with &, \| and ~'):
        0 < col("x") < 5  # noqa: B015
    with pytest.raises(TypeError, match="is not true or false by itself"):
        col("x") > 0 and col("y") > 0
    with pytest.raises(TypeError, match=r"is not a condition; write .* each in brackets"):
        col("x") > 0 & col("y")  # type: ignore[operator]  # noqa: B015  # the mistake: it is col("x") > (0 & col("y"))
    with pytest.raises(TypeError, match=r'\("x" \+ 1\) is not a condition'):
        (col("x") + 1) | (col("y") > 0)


@pytest.mark.parametrize("constant", [float("nan"), float("inf"), 10**400])
def test_a_constant_that_no_float_holds_is_refused(constant: float) -> None:
    with pytest.raises(ValueError, match="is no finite number"):
        col("x") > constant  # noqa: B015


def test_what_is_neither_number_nor_text_is_refused() -> None:
    with pytest.raises(TypeError, match=r"the text 'y' is not a number; write col\('y'\) for the field of that name"):
        col("x") + "y"  # type: ignore[operator]  # the mistake
    with pytest.raises(TypeError, match="None is neither a number, text nor an expression"):
        col("x").equals(None)  # type: ignore[arg-type]  # the mistake
    with pytest.raises(TypeError, match=r'\("x" \+ 1\) is not a field; only a field is compared with text'):
        (col("x") + 1).equals("DE")
    with pytest.raises(ValueError, match="name at least one choice, all texts or all numbers"):
        col("x").isin([])
    with pytest.raises(ValueError, match="name at least one choice, all texts or all numbers"):
        col("x").isin([1, "DE"])  # type: ignore[arg-type]  # the mistake


def test_what_is_no_expression_is_refused() -> None:
    with pytest.raises(TypeError, match=r"False is not an expression; .* col\('x'\)\.equals\(15\)"):
        as_expression(col("x") == 15)  # type: ignore[arg-type, comparison-overlap]  # the mistake
    with pytest.raises(ValueError, match="holds no quotation mark"):
        col('x" or 1=1 --')
