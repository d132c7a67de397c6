"""Avro values as the texts of events, with the schema they were written with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import fastavro

from tidemill.errors import ProjectError
from tidemill.sources.kafka_values import undecodable
from tidemill.sources.rows import row_text
from tidemill.sources.schema_registry import SchemaRegistry, UnknownSchemaError

_PREFIX_BYTES = 5


@dataclass(frozen=True)
class Avro:
    """Values in Avro's binary encoding. Fields reach the event under their own names; times become UTC, decimals numbers.

    Args:
        registry: the address of a schema registry (`http://127.0.0.1:8081`); each value begins with a byte 0 and the four bytes of its
            schema's id there, as clients of Confluent's registry write it.
        schema: without a registry, the schema in JSON that all values are written with; they then have no such beginning.
        username_env: the environment's variable with the registry's user, if it asks for one.
        password_env: the variable with the password.

    Raises:
        ProjectError: it needs one of `registry` and `schema`, and the schema is none.

    >>> decoder = AvroDecoder(Avro(schema='{"type": "record", "name": "Tap", "fields": [{"name": "zones", "type": "int"}]}'))
    >>> decoder.text(bytes([6]))
    '{"zones":3}'
    """

    registry: str | None = None
    schema: str | None = None
    username_env: str | None = None
    password_env: str | None = None

    def __post_init__(self) -> None:
        """Check the declaration."""
        if (self.registry is None) == (self.schema is None):
            raise ProjectError("it needs a registry or a schema, not both", where="Avro", fix="write e.g. Avro('http://127.0.0.1:8081')")
        if self.registry is not None and "@" in self.registry:
            raise ProjectError("an address may hold no password", where="Avro", fix="name variables: username_env=..., password_env=...")
        if self.schema is not None:
            try:
                _parsed(self.schema)
            except Exception as error:  # of fastavro, of several kinds
                raise ProjectError(f"the schema is none: {error!r}", where="Avro", fix="give a schema in Avro's JSON form") from error


class AvroDecoder:
    """Makes a text of each value; one that cannot be decoded becomes a text that the engine rejects and keeps.

    Args:
        avro: the declaration.

    Raises:
        SettingsError: the environment lacks what it names.
    """

    def __init__(self, avro: Avro) -> None:
        self._given = None if avro.schema is None else _parsed(avro.schema)
        self._registry = None if avro.registry is None else SchemaRegistry(avro.registry, avro.username_env, avro.password_env)
        self._schemas = dict[int, Any]()

    def text(self, value: bytes) -> str:
        """The event's text.

        Raises:
            NotReadyError: the registry does not answer.
        """
        try:
            schema, begin = self._schema(value)
        except UnknownSchemaError as error:
            return undecodable(value, str(error))
        data = BytesIO(value)
        data.seek(begin)
        try:
            row: Any = fastavro.schemaless_reader(data, schema, None)
            text = row_text(row)
        except Exception as error:  # whatever a decoder makes of bytes that it was not meant for
            return undecodable(value, f"no Avro of its schema: {error!r}")
        left = len(value) - data.tell()
        return undecodable(value, f"no Avro of its schema: {left} bytes are left over") if left else text

    def _schema(self, value: bytes) -> tuple[Any, int]:
        """What the value was written with, and where it begins."""
        if self._registry is None:
            return self._given, 0
        if len(value) < _PREFIX_BYTES or value[0] != 0:
            raise UnknownSchemaError("it does not begin with a byte 0 and the id of a schema")
        number = int.from_bytes(value[1:_PREFIX_BYTES], "big")
        if number not in self._schemas:
            self._schemas[number] = _registered(self._registry, number)
        return self._schemas[number], _PREFIX_BYTES


def _registered(registry: SchemaRegistry, number: int) -> Any:
    """A schema with all that it refers to."""
    named = dict[str, Any]()
    answer = registry.by_id(number)
    if answer.get("schemaType", "AVRO") != "AVRO":
        raise UnknownSchemaError(f"schema {number} is of the type {answer['schemaType']}, not AVRO")
    try:
        return _with_references(answer, registry.by_version, named)
    except (ValueError, fastavro.schema.SchemaParseException, fastavro.schema.UnknownType) as error:
        raise UnknownSchemaError(f"schema {number} is no Avro schema: {error!r}") from error


def _with_references(answer: Any, by_version: Callable[[str, int], Any], named: dict[str, Any]) -> Any:
    for reference in answer.get("references", ()):
        if reference["name"] not in named:
            _with_references(by_version(reference["subject"], reference["version"]), by_version, named)
    return fastavro.parse_schema(json.loads(answer["schema"]), named_schemas=named)


def _parsed(schema: str) -> Any:
    return fastavro.parse_schema(json.loads(schema))
