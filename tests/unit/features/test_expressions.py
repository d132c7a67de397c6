"""Expressions: data that says what to compute; the laws against DuckDB are in tests/property/test_tiles.py."""

from __future__ import annotations

import numpy as np
import pytest

from tidemill.features import Expression, col
from tidemill.features.expressions import as_expression

X = {"x": np.array([0.0, 2.0, np.nan]), "y": np.array([0.0, 4.0, 1.0])}
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
    ],
)
def test_null_spreads_and_conditions_are_numbers(expression: Expression, want: list[float]) -> None:
    np.testing.assert_array_equal(expression.evaluate(X), want)


def test_it_knows_its_fields_and_says_itself() -> None:
    expression = (col("x") - col("y")) / 60 >= 15
    assert expression.names == {"x", "y"}
    assert expression.text == '((("x" - "y") / 60) >= 15)'


def test_constants_are_bound_and_never_pasted() -> None:
    parameters: dict[str, int | float] = {}
    assert (col("x") / 2 >= 15).sql(parameters) == 'cast(((cast("x" as double) / nullif($c0, 0)) >= $c1) as double)'
    assert parameters == {"c0": 2, "c1": 15}
    assert (col("y") > 3).sql(parameters) == 'cast((cast("y" as double) > $c2) as double)'


def test_a_chain_of_comparisons_is_refused_instead_of_half_kept() -> None:
    with pytest.raises(TypeError, match=r'\("x" > 0\) is not true or false by itself; write one comparison at a time'):
        0 < col("x") < 5  # noqa: B015


def test_what_is_no_expression_is_refused() -> None:
    with pytest.raises(TypeError, match=r"False is not an expression; .* col\('x'\)\.equals\(15\)"):
        as_expression(col("x") == 15)  # type: ignore[arg-type, comparison-overlap]  # the mistake
    with pytest.raises(ValueError, match="holds no quotation mark"):
        col('x" or 1=1 --')
