"""Nodes: expressions as data, and what they compile to. How they are written is in `expressions.py`, what each operator does in
`operators.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tidemill.events import Column, Columns
from tidemill.features.operators import OPERATORS, Floats, Role, as_truth

Constant = int | float | str
_BETWEEN = frozenset({"+", "-", "*", "/", ">=", "<=", ">", "<", "=", "<>", "and", "or", "when", "in", "among"})  # written in the middle


@dataclass(frozen=True, eq=False)
class Node:
    """An operator and its operands; `col` reads the field that `left` names."""

    operator: str
    left: Node | Constant
    right: Node | Constant | tuple[Constant, ...] | None = None

    def __post_init__(self) -> None:
        """Bring constants to one form, so that equal definitions have equal texts.

        Raises:
            TypeError: an operand that the operator cannot read.
            ValueError: a constant that is not finite.
        """
        if self.operator == "col":
            return
        for side, role in zip(("left", "right"), self._takes, strict=False):
            object.__setattr__(self, side, _operand(getattr(self, side), role))

    @property
    def text(self) -> str:
        """A canonical text: what digests and messages show."""
        if self.operator == "col":
            return f'"{self.left}"'
        sides = [_text(side) for side in self._operands]
        return f"({sides[0]} {self.operator} {sides[1]})" if self.operator in _BETWEEN else f"{self.operator}({', '.join(sides)})"

    @property
    def is_condition(self) -> bool:
        """Whether it is true, false or null rather than a number."""
        return self.operator != "col" and OPERATORS[self.operator].condition

    @property
    def names(self) -> frozenset[str]:
        """The fields it reads."""
        return frozenset(name for name, _ in self.reads("any"))

    def reads(self, role: Role = "number") -> frozenset[tuple[str, Role]]:
        """The fields it reads and how each is read, when it is read as `role` itself."""
        if self.operator == "col":
            return frozenset({(str(self.left), role)})
        takes = (role, "flag") if self.operator == "when" else self._takes
        sides = [(side, how) for side, how in zip(self._operands, takes, strict=True) if isinstance(side, Node)]
        return frozenset[tuple[str, Role]]().union(*(side.reads(how) for side, how in sides))

    def evaluate(self, columns: Columns) -> Floats:
        """(n,) float64 with NaN for null; a condition gives 0.0 or 1.0.

        Division by zero is null, and so is a result beyond float64.
        """
        if self.operator == "col":
            return np.asarray(columns[str(self.left)], dtype=np.float64)
        operands = [_column(side, role, columns) for side, role in zip(self._operands, self._takes, strict=True)]
        with np.errstate(all="ignore"):
            return OPERATORS[self.operator].compute(*operands)

    def read(self, columns: Columns) -> Column:
        """As `evaluate`, but a text field, also under `when`, stays text: (n,) objects with None for null."""
        if self.operator == "col":
            return np.asarray(columns[str(self.left)])
        if self.operator == "when" and isinstance(self.left, Node):
            values = self.left.read(columns)
            if values.dtype == object:
                values = values.copy()
                values[_column(self.right, "flag", columns) != 1] = None
                return values
        return self.evaluate(columns)

    def sql(self, parameters: dict[str, Any]) -> str:
        """DuckDB SQL of what `evaluate` gives, a double; constants are added to `parameters` and bound by name, never pasted."""
        return _sql(self, "number", parameters)

    def condition_sql(self, parameters: dict[str, Any]) -> str:
        """DuckDB SQL of a condition, a boolean; see `sql`."""
        return _sql(self, "flag", parameters)

    def read_sql(self, parameters: dict[str, Any]) -> str:
        """DuckDB SQL of what `read` gives: text where it is a text field, else a number."""
        if self.operator == "when" and isinstance(self.left, Node):
            return f"(case when {_sql(self.right, 'flag', parameters)} then {self.left.read_sql(parameters)} end)"
        return _sql(self, "any", parameters)

    @property
    def _operands(self) -> list[Any]:
        return [self.left, self.right][: len(self._takes)]

    @property
    def _takes(self) -> tuple[Role, ...]:
        return OPERATORS[self.operator].takes

    @cached_property
    def _overflows(self) -> bool:
        """Whether its SQL may give an infinity."""
        if self.operator == "col":
            return False
        raw = [side for side, role in zip(self._operands, self._takes, strict=True) if role == "raw" and isinstance(side, Node)]
        return OPERATORS[self.operator].overflows or any(side._overflows for side in raw)


def _operand(side: object, role: Role, /) -> Any:
    """An operand as the operator keeps it."""
    if role == "constants":
        choices = side if isinstance(side, tuple) else (side,)
        return tuple(_plain(choice) for choice in choices)
    if role == "flag" and not (isinstance(side, Node) and (side.is_condition or side.operator == "col")):
        raise TypeError(f"{_text(side)} is not a condition; write e.g. (col('x') > 0) & (col('y') > 1), each in brackets")
    if role == "text" and not (isinstance(side, Node) and side.operator == "col"):
        raise TypeError(f"{_text(side)} is not a field; only a field is compared with text")
    if isinstance(side, Node):
        return side
    if isinstance(side, str):
        raise TypeError(f"the text {side!r} is not a number; write col({side!r}) for the field of that name")
    return _plain(side)


def _plain(value: object) -> Constant:
    """A constant in its one form: text, an int where it is whole and exact, else a float."""
    if isinstance(value, str):
        return str(value)
    if not isinstance(value, int | float | np.number | np.bool_):
        raise TypeError(f"{value!r} is neither a number, text nor an expression")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no finite number; null is made with col('x').when(...)")
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _text(side: object) -> str:
    if isinstance(side, tuple):
        return f"({', '.join(map(repr, side))})"
    return side.text if isinstance(side, Node) else repr(side)


def _column(side: Any, role: Role, columns: Columns) -> Any:
    """What an operator is given of an operand: (n,) values, or the constants."""
    if role == "constants":
        return side
    if not isinstance(side, Node):
        return np.float64(side)
    if role in ("text", "any"):
        return side.read(columns)
    values = side.evaluate(columns)
    return as_truth(values) if role == "flag" and not side.is_condition else values


def _sql(side: Any, role: Role, parameters: dict[str, Any]) -> str:
    """What an operator is given of an operand, as SQL."""
    if role == "constants":
        return ", ".join(_bound(choice, parameters) for choice in side)
    if not isinstance(side, Node):
        return _bound(side, parameters)
    if side.operator == "col":
        return _field_sql(str(side.left), role)
    operator = OPERATORS[side.operator]
    sql = operator.sql.format(*(_sql(part, how, parameters) for part, how in zip(side._operands, side._takes, strict=True)))
    if operator.condition:
        return sql if role == "flag" else f"cast({sql} as double)"
    return f"(case when isfinite({sql}) then {sql} end)" if side._overflows and role != "raw" else sql


def _field_sql(name: str, role: Role) -> str:
    if role in ("text", "any"):
        return f'"{name}"'
    number = f'cast("{name}" as double)'
    return f"({number} <> 0)" if role == "flag" else number


def _bound(value: Constant, parameters: dict[str, Any]) -> str:
    # a whole number is bound as a double too, so that what is made of it is one, whatever stands beside it
    name = f"c{len(parameters)}"
    parameters[name] = value if isinstance(value, str) else float(value)
    return f"${name}"
