"""Expressions over the fields of an event, as data: one definition, compiled to numpy and to DuckDB.

Null is the only missing value and spreads as in SQL: `null >= 15` is null, not false. In numpy a null number is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidemill.events import Columns

Number = int | float
_NUMPY: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    ">=": np.greater_equal,
    "<=": np.less_equal,
    ">": np.greater,
    "<": np.less,
    "=": np.equal,
    "<>": np.not_equal,
}
_CONDITIONS = frozenset({">=", "<=", ">", "<", "=", "<>"})


@dataclass(frozen=True, eq=False)
class Expression:
    """A number made from an event's fields; build it with `col` and the usual operators.

    >>> (col("arr_delay") >= 15).text
    '("arr_delay" >= 15)'
    """

    operator: str
    left: Expression | str | Number
    right: Expression | Number | None = None

    @property
    def text(self) -> str:
        """A canonical text: what digests and messages show."""
        if self.operator == "col":
            return f'"{self.left}"'
        return f"({_text(self.left)} {self.operator} {_text(self.right)})"

    @property
    def names(self) -> frozenset[str]:
        """The fields it reads."""
        if self.operator == "col":
            return frozenset({str(self.left)})
        return frozenset().union(*(side.names for side in (self.left, self.right) if isinstance(side, Expression)))

    def evaluate(self, columns: Columns) -> npt.NDArray[np.float64]:
        """(n,) float64 with NaN for null; a condition gives 0.0 or 1.0.

        Division by zero is null, as in DuckDB's `nullif` form that `sql` makes.
        """
        if self.operator == "col":
            return np.asarray(columns[str(self.left)], dtype=np.float64)
        left, right = _evaluate(self.left, columns), _evaluate(self.right, columns)
        if self.operator == "/":
            right = np.where(np.equal(right, 0), np.nan, right)
        result = np.asarray(_NUMPY[self.operator](left, right), dtype=np.float64)
        return np.where(np.isnan(left) | np.isnan(right), np.nan, result)

    def sql(self, parameters: dict[str, Number]) -> str:
        """DuckDB SQL of the same value; constants are added to `parameters` and bound by name, never pasted."""
        if self.operator == "col":
            return f'cast("{self.left}" as double)'
        left, right = _sql(self.left, parameters), _sql(self.right, parameters)
        if self.operator == "/":
            right = f"nullif({right}, 0)"
        inner = f"({left} {self.operator} {right})"
        return f"cast({inner} as double)" if self.operator in _CONDITIONS else inner

    def __add__(self, other: Expression | Number) -> Expression:
        """The sum."""
        return Expression("+", self, other)

    def __sub__(self, other: Expression | Number) -> Expression:
        """The difference."""
        return Expression("-", self, other)

    def __mul__(self, other: Expression | Number) -> Expression:
        """The product."""
        return Expression("*", self, other)

    def __truediv__(self, other: Expression | Number) -> Expression:
        """The quotient; null where the divisor is 0."""
        return Expression("/", self, other)

    def __ge__(self, other: Expression | Number) -> Expression:
        """1.0 where at least."""
        return Expression(">=", self, other)

    def __le__(self, other: Expression | Number) -> Expression:
        """1.0 where at most."""
        return Expression("<=", self, other)

    def __gt__(self, other: Expression | Number) -> Expression:
        """1.0 where more."""
        return Expression(">", self, other)

    def __lt__(self, other: Expression | Number) -> Expression:
        """1.0 where less."""
        return Expression("<", self, other)

    def __bool__(self) -> bool:
        """Refused: `0 < col("x") < 5` would silently keep only its last half."""
        raise TypeError(f"{self.text} is not true or false by itself; write one comparison at a time, e.g. (x > 0) * (x < 5)")

    def equals(self, other: Expression | Number) -> Expression:
        """1.0 where equal. (`==` compares definitions, as everywhere in Python.)"""
        return Expression("=", self, other)

    def differs(self, other: Expression | Number) -> Expression:
        """1.0 where not equal."""
        return Expression("<>", self, other)


def col(name: str) -> Expression:
    """The field `name` of an event; a time is its milliseconds since the epoch."""
    if '"' in name:
        raise ValueError(f"{name!r}: a field's name holds no quotation mark")
    return Expression("col", name)


def as_expression(value: Expression | str) -> Expression:
    """An expression, or the field of that name.

    Raises:
        TypeError: neither; `col("x") == 5` is a plain False, `col("x").equals(5)` is what was meant.
    """
    if isinstance(value, str):
        return col(value)
    if not isinstance(value, Expression):
        raise TypeError(f"{value!r} is not an expression; write a field's name, or e.g. col('x') >= 15 or col('x').equals(15)")
    return value


def _text(side: Expression | str | Number | None) -> str:
    return side.text if isinstance(side, Expression) else repr(side)


def _evaluate(side: Expression | str | Number | None, columns: Columns) -> npt.NDArray[np.float64]:
    return side.evaluate(columns) if isinstance(side, Expression) else np.asarray(side, dtype=np.float64)


def _sql(side: Expression | str | Number | None, parameters: dict[str, Number]) -> str:
    if isinstance(side, Expression):
        return side.sql(parameters)
    name = f"c{len(parameters)}"
    parameters[name] = side  # type: ignore[assignment]  # only a number can stand here
    return f"${name}"
