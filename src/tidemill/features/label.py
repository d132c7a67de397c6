"""A label: the outcome of what a model was asked, joined by key when it becomes known."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from tidemill.clock import duration_ms
from tidemill.errors import ProjectError
from tidemill.events import Column, EventBatch, Stream
from tidemill.features.expressions import Expression, as_expression
from tidemill.features.fields import check_fields
from tidemill.features.nodes import Node
from tidemill.features.view import make_keys
from tidemill.features.windows import check_duration

LabelKind = Literal["condition", "text", "whole", "number"]
_KINDS: dict[type, LabelKind] = {bool: "condition", str: "text", int: "whole"}


@dataclass(frozen=True)
class Label:
    """The outcome that events of `stream` bring.

    Args:
        stream: whose events tell the outcome; of several for one key the last known wins.
        key: the field that is also a field of the model's request.
        value: the outcome: a condition (0 or 1), a text field (a class), or a number; null means none.
        within: how long after the question an outcome still counts.
        absent: what no outcome by then means: `"drop"` (the row is not used), a number, or for a text field a text.
    """

    stream: Stream
    key: str = field(kw_only=True)
    value: Expression | str = field(kw_only=True)
    within: str | int = field(kw_only=True)
    absent: float | str = field(default="drop", kw_only=True)

    def __post_init__(self) -> None:
        """Check the declaration."""
        where = f"label on stream {self.stream.name!r}"
        if self.stream.kinds.get(self.key) != "text":
            texts = [name for name, kind in self.stream.kinds.items() if kind == "text"]
            raise ProjectError(f"key {self.key!r} is not a text field of it", where=where, fix=f"choose of {', '.join(texts)}")
        check_fields(self.expression, self.stream, where, "text" if self.is_text else "number")
        check_duration(self.within, "within", where)
        if self.absent != "drop" and isinstance(self.absent, str) != self.is_text:
            kind, fix = ("texts", "a text") if self.is_text else ("numbers", "a number")
            raise ProjectError(f"absent={self.absent!r}, but its outcomes are {kind}", where=where, fix=f"write {fix}, or 'drop'")

    @property
    def expression(self) -> Expression:
        """`value` as an expression."""
        return as_expression(self.value)

    @cached_property
    def kind(self) -> LabelKind:
        """What its values are for certain: true or false, texts, whole numbers, or some numbers."""
        value: Node = self.expression
        while value.operator == "when" and isinstance(value.left, Node):
            value = value.left
        if value.is_condition:
            return "condition"
        python_type = self.stream.python_types.get(str(value.left)) if value.operator == "col" else None
        return _KINDS.get(python_type, "number") if python_type else "number"

    @property
    def is_text(self) -> bool:
        """Whether an outcome is a text rather than a number."""
        return self.kind == "text"

    @property
    def within_ms(self) -> int:
        """`within` in milliseconds."""
        return duration_ms(self.within)

    def read(self, batch: EventBatch) -> tuple[list[str | None], Column]:
        """The keys and (n,) values that a batch of its stream tells: float64, NaN where null, or texts, None where null."""
        columns = batch.columns({self.key, *self.expression.names})
        return make_keys([columns[self.key]]), self.expression.read(columns) if self.is_text else self.expression.evaluate(columns)
