"""Every operator of an expression: what numpy and DuckDB say is what a loop over rows says, for any nesting and any values."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.property.naive import naive_number
from tidemill.features import Expression, col, greatest, least
from tidemill.features.operators import OPERATORS

Row = dict[str, Any]
TYPES = {"x": pa.float64(), "y": pa.float64(), "n": pa.int64(), "ok": pa.bool_(), "country": pa.string()}

EDGES = [0.0, -0.0, 1.0, -1.0, 15.0, 0.1, 1e308, -1e308, 1.7976931348623157e308, 1e-308, 5e-324, -5e-324, 2.0**53, 1e154, -1e200]
NUMBERS = st.sampled_from(EDGES) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.sampled_from(["DE", "de", "", "é", "'", "a,b", "\\", "\0"])
ROWS = st.fixed_dictionaries(
    {
        "x": st.none() | NUMBERS,
        "y": st.none() | NUMBERS,
        "n": st.none() | st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, 15, 2**53 + 1]),
        "ok": st.none() | st.booleans(),
        "country": st.none() | TEXTS,
    }
)
CONSTANTS = NUMBERS | st.sampled_from([2, 15, 2**53 + 1, 2**70, True])

# By operator, how it is written. A number is made of numbers, a condition of numbers or conditions.
ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "least": least,
    "greatest": greatest,
}
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    "=": lambda a, b: a.equals(b),
    "<>": lambda a, b: a.differs(b),
}
OTHERS = {"neg", "abs", "if_null", "when", "and", "or", "not", "is_null", "in", "among"}


def numbers(inner: st.SearchStrategy[Expression], truths: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    either = inner | CONSTANTS
    return st.one_of(
        st.builds(lambda write, a, b: write(a, b), st.sampled_from(list(ARITHMETIC.values())), inner, either),
        st.builds(lambda write, a, b: write(a, b), st.sampled_from(list(ARITHMETIC.values())), CONSTANTS, inner),
        st.builds(lambda a: -a, inner),
        st.builds(abs, inner),
        st.builds(lambda a, b: a.if_null(b), inner, either),
        st.builds(lambda a, truth: a.when(truth), inner, truths),
    )


def conditions(inner: st.SearchStrategy[Expression], truths: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    text = st.just(col("country"))
    return st.one_of(
        st.builds(lambda write, a, b: write(a, b), st.sampled_from(list(COMPARISONS.values())), inner, inner | CONSTANTS),
        st.builds(lambda a, choices: a.isin(choices), inner, st.lists(CONSTANTS, min_size=1, max_size=3)),
        st.builds(lambda a, choices: a.isin(choices), text, st.lists(TEXTS, min_size=1, max_size=3)),
        st.builds(lambda a, choice: a.equals(choice), text, TEXTS),
        st.builds(lambda a, choice: a.differs(choice), text, TEXTS),
        st.builds(lambda a: a.is_null(), inner | text | truths),
        st.builds(lambda a, b: a & b, truths, truths),
        st.builds(lambda a, b: a | b, truths, truths),
        st.builds(lambda a: ~a, truths),
    )


def grown(depth: int) -> tuple[st.SearchStrategy[Expression], st.SearchStrategy[Expression]]:
    """Numbers and conditions of at most this depth."""
    fields = st.sampled_from([col("x"), col("y"), col("n")])
    if depth == 0:
        return fields, st.just(col("ok"))
    inner, truths = grown(depth - 1)
    more = conditions(inner, truths)
    return fields | numbers(inner, truths) | more, st.just(col("ok")) | more


EXPRESSIONS = st.one_of(numbers(*grown(2)), conditions(*grown(2)))


@cache
def database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def by_duckdb(sql: str, parameters: dict[str, Any], rows: list[Row]) -> list[Any]:
    database().register("t", pa.table({name: pa.array([row[name] for row in rows], type=kind) for name, kind in TYPES.items()}))
    return [row[0] for row in database().execute(f"select {sql} from t", parameters).fetchall()]


def by_numpy(rows: list[Row]) -> dict[str, Any]:
    """The columns, as an `EventBatch` gives them."""
    made: dict[str, Any] = {"country": np.array([row["country"] for row in rows], dtype=object)}
    return made | {name: np.array([row[name] for row in rows], dtype=np.float64) for name in TYPES if name != "country"}


ONE: Row = {"x": 1e308, "y": 0.0, "n": 2**53 + 1, "ok": None, "country": None}
EMPTY: Row = dict.fromkeys(TYPES)


@settings(max_examples=300)
@given(expression=EXPRESSIONS, rows=st.lists(ROWS, min_size=1, max_size=6))
@example(expression=col("x") / col("y"), rows=[ONE, {**ONE, "y": -0.0}, EMPTY])
@example(expression=1 / (col("x") * 10), rows=[ONE, EMPTY])  # 1 / infinity would be 0
@example(expression=(col("x") * 10 - col("x") * 10).is_null(), rows=[ONE, EMPTY])
@example(expression=-(col("x") + col("x")) < 0, rows=[ONE, EMPTY])
@example(expression=abs(col("x") * 100).if_null(7), rows=[ONE, EMPTY])
@example(expression=least(col("x") * 100, 3), rows=[ONE, EMPTY])
@example(expression=(col("x") * 100).when(col("ok") | (col("y") < 1)), rows=[ONE, EMPTY])
@example(expression=col("n") > 2**53, rows=[ONE, EMPTY])  # as floats they are equal
@example(expression=col("y").equals(-0.0) & ~col("ok").is_null(), rows=[ONE, {**ONE, "ok": False}])
def test_numpy_and_duckdb_say_what_a_loop_says(expression: Expression, rows: list[Row]) -> None:
    want = [naive_number(expression, row) for row in rows]
    values = expression.evaluate(by_numpy(rows))
    assert values.dtype == np.float64
    assert [None if math.isnan(value) else value for value in values.tolist()] == want, expression.text
    parameters: dict[str, Any] = {}
    assert by_duckdb(expression.sql(parameters), parameters, rows) == want, expression.text
    if expression.is_condition:
        parameters = {}
        truths = by_duckdb(expression.condition_sql(parameters), parameters, rows)
        assert [None if truth is None else float(truth) for truth in truths] == want, expression.text


def test_every_operator_is_written_above() -> None:
    assert {*ARITHMETIC, *COMPARISONS, *OTHERS} == set(OPERATORS)


@given(rows=st.lists(ROWS, min_size=1, max_size=6), truth=conditions(*grown(1)))
def test_text_stays_text_under_a_condition(rows: list[Row], truth: Expression) -> None:
    expression = col("country").when(truth)
    want = [row["country"] if naive_number(truth, row) else None for row in rows]
    assert expression.read(by_numpy(rows)).tolist() == want
    parameters: dict[str, Any] = {}
    assert by_duckdb(expression.read_sql(parameters), parameters, rows) == want


@given(choices=st.lists(TEXTS, min_size=1, max_size=5), rng=st.randoms(use_true_random=False))
def test_one_choice_is_one_definition_in_any_order(choices: list[str], rng: Any) -> None:
    assert col("country").isin(choices).text == col("country").isin(rng.sample(choices, len(choices)) + choices[:1]).text
