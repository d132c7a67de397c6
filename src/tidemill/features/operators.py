"""What each operator of an expression does: to numpy arrays, and as DuckDB SQL. One table, so that neither can lack what the other has.

Null is NaN in numpy. A result beyond float64 is null, and so is a division by zero. In SQL arithmetic may pass an infinity on to more
arithmetic, which keeps it infinite or makes it NaN; whatever reads it as a number (a comparison, a divisor, an aggregate) reads null.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tidemill.events import Column

Floats = npt.NDArray[np.float64]

# How an operator reads an operand: a number; a number that may still be infinite (SQL only); a truth; a text field; a field as it is,
# text or not; several constants.
Role = Literal["number", "raw", "flag", "text", "any", "constants"]


@dataclass(frozen=True)
class Operator:
    """One operator.

    Args:
        compute: (n,) operands to (n,) float64 with NaN for null; a truth is 0.0 or 1.0.
        sql: the SQL, with a `{0}` for each operand.
        takes: how it reads each operand.
        condition: whether it gives a truth; its SQL is a boolean then.
        overflows: whether it makes results beyond float64.
    """

    compute: Callable[..., Floats]
    sql: str
    takes: tuple[Role, ...]
    condition: bool = False
    overflows: bool = False


def as_truth(values: Column) -> Floats:
    """0.0 or 1.0 of numbers, where 0 is false; NaN stays."""
    return np.where(np.isnan(values), np.nan, values != 0)


def _finite(compute: Callable[[Any, Any], Any]) -> Callable[..., Floats]:
    def computed(left: Floats, right: Floats) -> Floats:
        result = np.asarray(compute(left, right), dtype=np.float64)
        return np.where(np.isfinite(result), result, np.nan)

    return computed


def _known(compute: Callable[[Any, Any], Any]) -> Callable[..., Floats]:
    def computed(left: Floats, right: Floats) -> Floats:
        return np.where(np.isnan(left) | np.isnan(right), np.nan, compute(left, right))

    return computed


def _both(left: Floats, right: Floats) -> Floats:
    return np.where((left == 0) | (right == 0), 0.0, left * right)


def _either(left: Floats, right: Floats) -> Floats:
    return np.where((left == 1) | (right == 1), 1.0, left + right)


def _is_null(values: Column) -> Floats:
    if values.dtype == object:
        return np.fromiter((value is None for value in values), dtype=np.float64, count=len(values))
    return np.isnan(values).astype(np.float64)


def _among(values: Column, texts: Sequence[str]) -> Floats:
    found = {text: 1.0 for text in texts} | {None: np.nan}
    return np.fromiter((found.get(value, 0.0) for value in values), dtype=np.float64, count=len(values))


def _if_null(values: Floats, instead: Floats) -> Floats:
    return np.where(np.isnan(values), instead, values)


def _is_in(values: Floats, choices: Sequence[float]) -> Floats:
    return np.where(np.isnan(values), np.nan, np.isin(values, np.asarray(choices, dtype=np.float64)))


def _when(values: Floats, truth: Floats) -> Floats:
    return np.where(truth == 1, values, np.nan)


def _pick(compute: Callable[..., Any], name: str) -> Operator:
    sql = f"case when {{0}} is not null and {{1}} is not null then {name}({{0}}, {{1}}) end"
    return Operator(compute, f"({sql})", ("number", "number"))


_COMPARISONS: dict[str, np.ufunc] = {
    ">=": np.greater_equal,
    "<=": np.less_equal,
    ">": np.greater,
    "<": np.less,
    "=": np.equal,
    "<>": np.not_equal,
}

OPERATORS: dict[str, Operator] = {
    "+": Operator(_finite(np.add), "({0} + {1})", ("raw", "raw"), overflows=True),
    "-": Operator(_finite(np.subtract), "({0} - {1})", ("raw", "raw"), overflows=True),
    "*": Operator(_finite(np.multiply), "({0} * {1})", ("raw", "raw"), overflows=True),
    "/": Operator(_finite(np.divide), "({0} / {1})", ("raw", "number"), overflows=True),
    "neg": Operator(np.negative, "(-{0})", ("raw",)),
    "abs": Operator(np.abs, "abs({0})", ("raw",)),
    "least": _pick(np.minimum, "least"),
    "greatest": _pick(np.maximum, "greatest"),
    "if_null": Operator(_if_null, "coalesce({0}, {1})", ("number", "number")),
    "when": Operator(_when, "(case when {1} then {0} end)", ("number", "flag")),
    "and": Operator(_both, "({0} and {1})", ("flag", "flag"), condition=True),
    "or": Operator(_either, "({0} or {1})", ("flag", "flag"), condition=True),
    "not": Operator(lambda truth: 1.0 - truth, "(not {0})", ("flag",), condition=True),
    "is_null": Operator(_is_null, "({0} is null)", ("any",), condition=True),
    "in": Operator(_is_in, "({0} in ({1}))", ("number", "constants"), condition=True),
    "among": Operator(_among, "({0} in ({1}))", ("text", "constants"), condition=True),
    **{
        name: Operator(_known(compute), f"({{0}} {name} {{1}})", ("number", "number"), condition=True)
        for name, compute in _COMPARISONS.items()
    },
}
