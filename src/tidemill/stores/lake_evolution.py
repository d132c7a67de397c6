"""How a stream's table follows its declaration: new optional fields are added, anything else is refused."""

from __future__ import annotations

import types
import typing

import pyarrow as pa
from deltalake import DeltaTable, Field, Schema
from deltalake.exceptions import CommitFailedError

from tidemill.errors import ConflictError, ProjectError
from tidemill.events import Stream


def evolve(table: DeltaTable, expected: pa.Schema, stream: Stream) -> None:
    """Bring a table in step with its stream.

    Rows of before a field was added hold null in it.

    Args:
        table: the stream's table, of this or an earlier declaration.
        expected: the columns it must hold now.
        stream: how it is declared.

    Raises:
        ProjectError: a field was removed, has another type, or is new and not optional.
        ConflictError: another process changed the table at the same moment; try again.
    """
    missing = _missing(table, expected, stream)
    if missing:
        try:
            table.alter.add_columns(missing)
        except CommitFailedError as error:
            raise ConflictError(f"the lake's {stream.name!r} was changed at the same moment; try again") from error


def _missing(table: DeltaTable, expected: pa.Schema, stream: Stream) -> list[Field]:
    held = {field.name: field for field in table.schema().fields}
    wanted = {field.name: field for field in Schema.from_arrow(expected).fields}
    where = f"stream {stream.name!r}"
    for name, field in held.items():
        if name not in wanted:
            what = f"field {name!r} ({_type(field)}) is in its lake and no longer in {stream.schema.__name__}"
            raise ProjectError(what, where=where, fix="put it back, optional if it is no longer sent, or name the stream anew")
        if _type(field) != _type(wanted[name]):
            what = f"field {name!r} is {_type(field)} in its lake and {_type(wanted[name])} in {stream.schema.__name__}"
            raise ProjectError(what, where=where, fix=f"keep it {_type(field)}, and give what is new another name, optional")
    for name in set(wanted) - set(held):
        if name in stream.kinds and not _is_optional(stream, name):
            what = f"field {name!r} ({_type(wanted[name])}) is new, and the events of its lake hold none"
            raise ProjectError(
                what, where=where, fix=f"declare it optional, e.g. `{name}: {stream.python_types[name].__name__} | None = None`"
            )
    return [field for name, field in wanted.items() if name not in held]


def _is_optional(stream: Stream, name: str) -> bool:
    annotation = stream.schema.model_fields[name].annotation
    return typing.get_origin(annotation) in (typing.Union, types.UnionType) and type(None) in typing.get_args(annotation)


def _type(field: Field) -> str:
    """What the project calls the type of a field."""
    name = str(getattr(field.type, "type", field.type))
    return {"long": "int", "double": "float", "boolean": "bool", "string": "str", "timestamp": "datetime"}.get(name, name)
