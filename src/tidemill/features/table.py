"""A table: for each key the newest row that a stream has brought, as it stood at any moment."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Literal

from tidemill.clock import duration_ms
from tidemill.errors import ProjectError
from tidemill.events import Columns, FieldKind, Stream
from tidemill.features.fields import check_key, check_version
from tidemill.features.view import View, make_keys
from tidemill.features.windows import check_duration


@dataclass(frozen=True)
class Table:
    """What is true of each `key` until a newer row says otherwise: a plane's seats, a shop's town.

    The value for a key at time t is that of the row with the greatest (event time, event id) among those with `event_time <= t` that
    are known by t. No window, no bucket, no expiry. A row replaces the one before as a whole: where it holds null the value is missing,
    and a row of nulls removes. Ids are compared whole, by their UTF-8 bytes.

    Args:
        name: unique among the project's views and tables.
        stream: whose events are the rows; the event time says from when on a row is valid.
        key: the field, or the fields together, that a row is about. A row with a null key is nobody's.
        columns: the fields that are read, in the order of the vector: numbers and times (as ms), truths (as 0 and 1), and text.
        allowed_lateness: how old a row may be when it becomes known; raises the stream's retention, when longer.
        owner: who answers for it: a person or a team.
        description: what it is for, in a sentence.
        version: a whole number from 1 on. A home remembers what a name and version mean; who changes a definition raises it.

    Raises:
        ProjectError: a field that is not in the stream, or a version that is none.
    """

    kind: ClassVar[Literal["table"]] = "table"
    name: str
    stream: Stream
    key: str | tuple[str, ...] = field(kw_only=True)
    columns: Sequence[str] = field(kw_only=True)
    allowed_lateness: str | int = field(default="3650d", kw_only=True)
    owner: str = field(default="", kw_only=True)
    description: str = field(default="", kw_only=True)
    version: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        """Check the declaration."""
        where, kinds = f"table {self.name!r}", self.stream.kinds
        check_key("key", self.entity_fields, self.stream, where)
        if isinstance(self.columns, str) or not self.columns:
            raise ProjectError("no columns", where=where, fix=f"list at least one of {', '.join(kinds)}")
        object.__setattr__(self, "columns", tuple(self.columns))
        for name in self.columns:
            if name not in kinds:
                what = f"column {name!r} is not a field of stream {self.stream.name!r}"
                raise ProjectError(what, where=where, fix=f"choose of {', '.join(kinds)}")
            if self.columns.count(name) > 1:
                raise ProjectError(f"column {name!r} is there twice", where=where, fix="leave one out")
        check_duration(self.allowed_lateness, "allowed_lateness", where)
        check_version(self.version, where)

    @property
    def entity_fields(self) -> tuple[str, ...]:
        """The fields of the key, one or several."""
        return (self.key,) if isinstance(self.key, str) else tuple(self.key)

    @property
    def retention_ms(self) -> int:
        """How old a row may be when it becomes known."""
        return max(duration_ms(self.allowed_lateness), self.stream.allowed_lateness_ms)

    @cached_property
    def definition(self) -> str:
        """All that its values depend on, and its version, as canonical JSON. The order of the columns counts: rows and vectors hold it."""
        columns = [[name, self.stream.kinds[name]] for name in self.columns]
        definition = {"stream": self.stream.name, "entity": self.entity_fields, "columns": columns}
        version = {"version": self.version} if self.version > 1 else {}
        return json.dumps(definition | version, sort_keys=True)

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits of the definition. Rows of another digest are never read."""
        return hashlib.sha256(self.definition.encode()).hexdigest()[:16]

    def column(self, name: str) -> str:
        """What a vector calls one of its columns."""
        return f"{self.name}__{name}"

    @property
    def feature_columns(self) -> list[str]:
        """What a vector calls its columns, in order."""
        return list(self.column_kinds)

    @cached_property
    def column_kinds(self) -> dict[str, FieldKind]:
        """What a vector calls its columns, in order, and what they hold; times count as numbers."""
        return {self.column(name): "text" if self.stream.kinds[name] == "text" else "number" for name in self.columns}

    def keys(self, columns: Columns) -> list[str | None]:
        """The key of each row; None where a part of it is null."""
        return make_keys([columns[name] for name in self.entity_fields])


FeatureSource = View | Table
