"""A label: the outcome of what a model was asked, joined by key when it becomes known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from tidemill.clock import duration_ms
from tidemill.errors import ProjectError
from tidemill.events import EventBatch, Stream
from tidemill.features.expressions import Expression, as_expression
from tidemill.features.fields import check_fields
from tidemill.features.view import make_keys
from tidemill.features.windows import check_duration
from tidemill.kernels import Floats


@dataclass(frozen=True)
class Label:
    """The outcome that events of `stream` bring.

    Args:
        stream: whose events tell the outcome; of several for one key the last known wins.
        key: the field that is also a field of the model's request.
        value: the outcome, 0 or 1 for a condition; null means none.
        within: how long after the question an outcome still counts.
        absent: what no outcome by then means: `"drop"` (the row is not used) or a number.
    """

    stream: Stream
    key: str = field(kw_only=True)
    value: Expression | str = field(kw_only=True)
    within: str | int = field(kw_only=True)
    absent: Literal["drop"] | float = field(default="drop", kw_only=True)

    def __post_init__(self) -> None:
        """Check the declaration."""
        where = f"label on stream {self.stream.name!r}"
        if self.stream.kinds.get(self.key) != "text":
            texts = [name for name, kind in self.stream.kinds.items() if kind == "text"]
            raise ProjectError(f"key {self.key!r} is not a text field of it", where=where, fix=f"choose of {', '.join(texts)}")
        check_fields(self.expression, self.stream, where)
        check_duration(self.within, "within", where)

    @property
    def expression(self) -> Expression:
        """`value` as an expression."""
        return as_expression(self.value)

    @property
    def within_ms(self) -> int:
        """`within` in milliseconds."""
        return duration_ms(self.within)

    def read(self, batch: EventBatch) -> tuple[list[str | None], Floats]:
        """The keys and (n,) values that a batch of its stream tells; NaN where null."""
        columns = batch.columns({self.key, *self.expression.names})
        return make_keys([columns[self.key]]), np.asarray(self.expression.evaluate(columns), dtype=np.float64)
