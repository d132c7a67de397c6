"""Expressions over the fields of an event, as data: one definition, compiled to numpy and to DuckDB.

Null is the only missing value and spreads as in SQL: `null >= 15` is null, not false; `null & false` is false, `null | true` is true.
In numpy a null number is NaN. A result beyond float64 is null.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tidemill.features.nodes import Node

Number = int | float


@dataclass(frozen=True, eq=False)
class Expression(Node):
    """A number or a condition made from an event's fields; build it with `col` and the usual operators.

    >>> (col("arr_delay") >= 15).text
    '("arr_delay" >= 15)'
    >>> print(((col("amount") > 100) & ~col("country").isin(["DE", "AT"])).text)
    (("amount" > 100) and not(("country" among ('AT', 'DE'))))
    """

    def __add__(self, other: Expression | Number) -> Expression:
        """The sum."""
        return Expression("+", self, other)

    def __radd__(self, other: Number) -> Expression:
        """The sum."""
        return Expression("+", other, self)

    def __sub__(self, other: Expression | Number) -> Expression:
        """The difference."""
        return Expression("-", self, other)

    def __rsub__(self, other: Number) -> Expression:
        """The difference."""
        return Expression("-", other, self)

    def __mul__(self, other: Expression | Number) -> Expression:
        """The product."""
        return Expression("*", self, other)

    def __rmul__(self, other: Number) -> Expression:
        """The product."""
        return Expression("*", other, self)

    def __truediv__(self, other: Expression | Number) -> Expression:
        """The quotient; null where the divisor is 0."""
        return Expression("/", self, other)

    def __rtruediv__(self, other: Number) -> Expression:
        """The quotient; null where the divisor is 0."""
        return Expression("/", other, self)

    def __neg__(self) -> Expression:
        """The same below zero."""
        return Expression("neg", self)

    def __abs__(self) -> Expression:
        """The distance from zero."""
        return Expression("abs", self)

    def __ge__(self, other: Expression | Number) -> Expression:
        """True where at least."""
        return Expression(">=", self, other)

    def __le__(self, other: Expression | Number) -> Expression:
        """True where at most."""
        return Expression("<=", self, other)

    def __gt__(self, other: Expression | Number) -> Expression:
        """True where more."""
        return Expression(">", self, other)

    def __lt__(self, other: Expression | Number) -> Expression:
        """True where less."""
        return Expression("<", self, other)

    def __and__(self, other: Expression) -> Expression:
        """True where both are, false where one is false; else null."""
        return Expression("and", self, other)

    def __or__(self, other: Expression) -> Expression:
        """True where one is, false where both are false; else null."""
        return Expression("or", self, other)

    def __invert__(self) -> Expression:
        """True where it is false."""
        return Expression("not", self)

    # `0 & col("x")` is what Python makes of `col("y") > 0 & col("x")`: refused with a word on brackets
    __rand__ = __and__
    __ror__ = __or__

    def __bool__(self) -> bool:
        """Refused: `0 < col("x") < 5` would silently keep only its last half, and so would `and`, `or` and `not`."""
        raise TypeError(f"{self.text} is not true or false by itself; join comparisons with &, | and ~, e.g. (x > 0) & (x < 5)")

    def equals(self, other: Expression | Number | str) -> Expression:
        """True where equal; a text field is compared with a text. (`==` compares definitions, as everywhere in Python.)"""
        return self.isin([other]) if isinstance(other, str) else Expression("=", self, other)

    def differs(self, other: Expression | Number | str) -> Expression:
        """True where not equal."""
        return ~self.isin([other]) if isinstance(other, str) else Expression("<>", self, other)

    def isin(self, choices: Iterable[str] | Iterable[Number]) -> Expression:
        """True where equal to one of several texts or numbers.

        Raises:
            ValueError: no choice, or texts and numbers together.
        """
        several = sorted(set(choices), key=repr)
        are_texts = {isinstance(choice, str) for choice in several}
        if len(are_texts) != 1:
            raise ValueError(f"isin({several}): name at least one choice, all texts or all numbers")
        return Expression("among" if are_texts == {True} else "in", self, tuple(several))

    def is_null(self) -> Expression:
        """True where it is null, else false."""
        return Expression("is_null", self)

    def if_null(self, other: Expression | Number) -> Expression:
        """Itself, or `other` where it is null."""
        return Expression("if_null", self, other)

    def when(self, condition: Expression) -> Expression:
        """Itself where the condition is true, else null, which no aggregate counts.

        >>> print(col("amount").when(col("country").equals("DE")).text)
        ("amount" when ("country" among ('DE')))
        """
        return Expression("when", self, condition)


def col(name: str) -> Expression:
    """The field `name` of an event; a time is its milliseconds since the epoch."""
    if '"' in name:
        raise ValueError(f"{name!r}: a field's name holds no quotation mark")
    return Expression("col", name)


def least(one: Expression | Number, other: Expression | Number) -> Expression:
    """The lesser of two; null where one is.

    >>> least(col("delay"), 60).text
    'least("delay", 60)'
    """
    return Expression("least", one, other)


def greatest(one: Expression | Number, other: Expression | Number) -> Expression:
    """The greater of two; null where one is."""
    return Expression("greatest", one, other)


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
