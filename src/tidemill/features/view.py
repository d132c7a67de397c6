"""A view: aggregates of one stream by one entity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from tidemill.clock import duration_ms
from tidemill.errors import ProjectError
from tidemill.events import Column, Columns, FieldKind, Stream
from tidemill.features.ends import Last
from tidemill.features.expressions import Expression
from tidemill.features.feature import Feature, expand
from tidemill.features.fields import check_fields, check_key, check_version
from tidemill.features.sketch import Sketch
from tidemill.features.tiles import Layout
from tidemill.features.windows import check_duration, check_window


@dataclass(frozen=True)
class View:
    """Aggregates of `stream` for each value of `entity`.

    Args:
        name: unique in the project.
        stream: whose events are summed up.
        entity: the field, or the fields together, that features are about. Events with a null entity are not counted.
        features: by name, each a `count`, `mean`, ... with its window; one over several windows becomes one of each, `name_window`.
        where: the condition, e.g. `col("amount") > 100`, that an event must meet to count; null is not true.
        allowed_lateness: raises the stream's, when longer.
        owner: who answers for it: a person or a team.
        description: what it is for, in a sentence.
        version: a whole number from 1 on. A home remembers what a name and version mean; who changes a definition raises it.

    Raises:
        ProjectError: a field that is not in the stream, a window its buckets cannot tile, or a version that is none.
    """

    kind: ClassVar[Literal["view"]] = "view"
    name: str
    stream: Stream
    entity: str | tuple[str, ...] = field(kw_only=True)
    features: Mapping[str, Feature] = field(kw_only=True)
    where: Expression | None = field(default=None, kw_only=True)
    allowed_lateness: str | int | None = field(default=None, kw_only=True)
    owner: str = field(default="", kw_only=True)
    description: str = field(default="", kw_only=True)
    version: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        """Check the declaration."""
        where = f"view {self.name!r}"
        if not self.features:
            raise ProjectError("no features", where=where, fix="give at least one, e.g. {'n_1h': count(over='1h')}")
        check_key("entity", self.entity_fields, self.stream, where)
        if self.where is not None:
            self._check_where(where)
        self._check_features(where)
        if self.allowed_lateness is not None:
            check_duration(self.allowed_lateness, "allowed_lateness", where)
        check_version(self.version, where)

    def _check_features(self, where: str) -> None:
        try:
            object.__setattr__(self, "features", expand(self.features, self.where))
        except ValueError as error:
            raise ProjectError(str(error), where=where, fix="rename one of them") from error
        for name, feature in self.features.items():
            check_window(feature.window_ms, feature.bucket_ms, f"{where}, feature {name!r}")
            if feature.expression is not None:
                takes_text = isinstance(feature.aggregate, Sketch) and feature.aggregate.takes_text
                check_fields(feature.expression, self.stream, f"{where}, feature {name!r}", "any" if takes_text else "number")

    def _check_where(self, where: str) -> None:
        condition = self.where
        if not isinstance(condition, Expression) or not (condition.is_condition or condition.operator == "col"):
            what = condition.text if isinstance(condition, Expression) else repr(condition)
            raise ProjectError(f"where={what} is not a condition", where=where, fix="write e.g. where=col('amount') > 100")
        check_fields(condition, self.stream, f"{where}, where", "flag")

    @property
    def entity_fields(self) -> tuple[str, ...]:
        """The fields of the entity, one or several."""
        return (self.entity,) if isinstance(self.entity, str) else tuple(self.entity)

    @cached_property
    def layouts(self) -> dict[int, Layout]:
        """By bucket size in ms: what its tiles hold, without sketches."""
        rows = list(self.row_features.values())
        sizes = sorted({feature.bucket_ms for feature in rows})
        return {size: Layout.of([feature for feature in rows if feature.bucket_ms == size]) for size in sizes}

    @cached_property
    def row_features(self) -> Mapping[str, Feature]:
        """Its features whose tiles are rows of numbers, by name."""
        return {name: feature for name, feature in self.features.items() if not isinstance(feature.aggregate, Sketch)}

    @cached_property
    def sketches(self) -> list[tuple[str, Feature]]:
        """Its other features, whose tiles are sketches, with their names."""
        return [(name, feature) for name, feature in self.features.items() if isinstance(feature.aggregate, Sketch)]

    @cached_property
    def fields_read(self) -> frozenset[str]:
        """The stream's fields that its features read, and so `where` (not the entity)."""
        return frozenset[str]().union(*(feature.expression.names for feature in self.features.values() if feature.expression is not None))

    @property
    def reads_event_ids(self) -> bool:
        """Whether a value depends on the events' ids, as first and last do."""
        return any(isinstance(feature.aggregate, Last) for feature in self.features.values())

    @property
    def retention_ms(self) -> int:
        """Longest window + bucket + allowed lateness: how long an old event still matters."""
        reach_ms = max(feature.window_ms + feature.bucket_ms for feature in self.features.values())
        own_ms = 0 if self.allowed_lateness is None else duration_ms(self.allowed_lateness)
        return reach_ms + max(own_ms, self.stream.allowed_lateness_ms)

    @cached_property
    def definition(self) -> str:
        """All that its values depend on, and its version, as canonical JSON; version 1 goes without saying."""
        definition = {
            "stream": self.stream.name,
            "entity": self.entity_fields,
            "features": {name: feature.definition for name, feature in sorted(self.features.items())},
        }
        version = {"version": self.version} if self.version > 1 else {}
        return json.dumps(definition | version, sort_keys=True)

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits of the definition: equal definitions, equal digests. Tiles of another digest are never read."""
        return hashlib.sha256(self.definition.encode()).hexdigest()[:16]

    def column(self, feature: str) -> str:
        """What a vector calls one of its features."""
        return f"{self.name}__{feature}"

    @cached_property
    def feature_columns(self) -> list[str]:
        """What a vector calls its features, in order."""
        return [self.column(name) for name in self.features]

    @property
    def column_kinds(self) -> dict[str, FieldKind]:
        """What a vector calls its features, in order, and what they hold: numbers."""
        return dict.fromkeys(self.feature_columns, "number")

    def keys(self, columns: Columns) -> list[str | None]:
        """The key of each row; None where a part of the entity is null."""
        return make_keys([columns[name] for name in self.entity_fields])

    def counts(self, columns: Columns) -> npt.NDArray[np.bool_]:
        """(n,) whether `where` is true of each event.

        The others change no value, since each feature knows `where` too; who leaves them out is spared their tiles.
        """
        if self.where is None:
            return np.ones(len(columns[self.entity_fields[0]]), dtype=np.bool_)
        return np.equal(self.where.evaluate(columns), 1)


def make_keys(parts: Sequence[Column]) -> list[str | None]:
    """Keys of one or several columns of text; several are joined by commas, with `\\` before a comma or `\\` of their own.

    >>> import numpy as np
    >>> make_keys([np.array(["EWR", None], dtype=object), np.array(["UA", "UA"], dtype=object)])
    ['EWR,UA', None]
    """
    if len(parts) == 1:
        return list(parts[0])
    return [None if None in row else ",".join(map(_escaped, row)) for row in zip(*parts, strict=True)]


def _escaped(part: str) -> str:
    return part.replace("\\", "\\\\").replace(",", "\\,") if "," in part or "\\" in part else part
