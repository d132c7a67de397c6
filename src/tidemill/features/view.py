"""A view: aggregates of one stream by one entity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tidemill.clock import duration_ms
from tidemill.errors import ProjectError
from tidemill.events import Column, Columns, Stream
from tidemill.features.feature import Feature
from tidemill.features.tiles import Layout
from tidemill.features.windows import check_duration, check_window


@dataclass(frozen=True)
class View:
    """Aggregates of `stream` for each value of `entity`.

    Args:
        name: unique in the project.
        stream: whose events are summed up.
        entity: the field, or the fields together, that features are about. Events with a null entity are not counted.
        features: by name, each a `count`, `mean`, ... with its window.
        allowed_lateness: raises the stream's, when longer.

    Raises:
        ProjectError: a field that is not in the stream, or a window its buckets cannot tile.
    """

    name: str
    stream: Stream
    entity: str | tuple[str, ...] = field(kw_only=True)
    features: Mapping[str, Feature] = field(kw_only=True)
    allowed_lateness: str | int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Check the declaration."""
        where = f"view {self.name!r}"
        if not self.features:
            raise ProjectError("no features", where=where, fix="give at least one, e.g. {'n_1h': count(over='1h')}")
        if not self.entity_fields:
            raise ProjectError("no entity", where=where, fix=_texts(self.stream.kinds))
        for name in self.entity_fields:
            if self.stream.kinds.get(name) != "text":
                what = f"entity {name!r} is not a text field of stream {self.stream.name!r}"
                raise ProjectError(what, where=where, fix=_texts(self.stream.kinds))
        for name, feature in self.features.items():
            check_window(feature.window_ms, feature.bucket_ms, f"{where}, feature {name!r}")
            if feature.expression is not None:
                check_numbers(feature.expression.names, self.stream, f"{where}, feature {name!r}")
        if self.allowed_lateness is not None:
            check_duration(self.allowed_lateness, "allowed_lateness", where)

    @property
    def entity_fields(self) -> tuple[str, ...]:
        """The fields of the entity, one or several."""
        return (self.entity,) if isinstance(self.entity, str) else tuple(self.entity)

    @cached_property
    def layouts(self) -> dict[int, Layout]:
        """By bucket size in ms: what its tiles hold."""
        sizes = sorted({feature.bucket_ms for feature in self.features.values()})
        return {size: Layout.of([feature for feature in self.features.values() if feature.bucket_ms == size]) for size in sizes}

    @cached_property
    def fields_read(self) -> frozenset[str]:
        """The stream's fields that its features read (not the entity)."""
        return frozenset().union(*(feature.expression.names for feature in self.features.values() if feature.expression is not None))

    @property
    def retention_ms(self) -> int:
        """Longest window + bucket + allowed lateness: how long an old event still matters."""
        reach_ms = max(feature.window_ms + feature.bucket_ms for feature in self.features.values())
        own_ms = 0 if self.allowed_lateness is None else duration_ms(self.allowed_lateness)
        return reach_ms + max(own_ms, self.stream.allowed_lateness_ms)

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits of the definition: equal definitions, equal digests."""
        definition = {
            "stream": self.stream.name,
            "entity": self.entity_fields,
            "features": {name: [*feature.slot, feature.window_ms, feature.bucket_ms] for name, feature in sorted(self.features.items())},
        }
        return hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()[:16]

    def column(self, feature: str) -> str:
        """What a vector calls one of its features."""
        return f"{self.name}__{feature}"

    @property
    def feature_columns(self) -> list[str]:
        """What a vector calls its features, in order."""
        return [self.column(name) for name in self.features]

    def keys(self, columns: Columns) -> list[str | None]:
        """The key of each row; None where a part of the entity is null."""
        return make_keys([columns[name] for name in self.entity_fields])


def check_numbers(names: Iterable[str], stream: Stream, where: str) -> None:
    """Refuse fields that no expression can read.

    Raises:
        ProjectError: one is not a number or a time of the stream.
    """
    for name in names:
        if stream.kinds.get(name, "text") == "text":
            fix = f"choose of {', '.join(field for field, kind in stream.kinds.items() if kind != 'text')}"
            raise ProjectError(f"{name!r} is not a number of stream {stream.name!r}", where=where, fix=fix)


def make_keys(parts: Sequence[Column]) -> list[str | None]:
    """Keys of one or several columns of text; several are joined by commas, with `\\` before a comma or `\\` of their own.

    >>> import numpy as np
    >>> make_keys([np.array(["EWR", None], dtype=object), np.array(["UA", "UA"], dtype=object)])
    ['EWR,UA', None]
    """
    if len(parts) == 1:
        return list(parts[0])
    return [None if any(part is None for part in row) else ",".join(_escaped(part) for part in row) for row in zip(*parts, strict=True)]


def _escaped(part: str) -> str:
    return part.replace("\\", "\\\\").replace(",", "\\,") if "," in part or "\\" in part else part


def _texts(kinds: Mapping[str, str]) -> str:
    return f"choose of {', '.join(name for name, kind in kinds.items() if kind == 'text')}"
