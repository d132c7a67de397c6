"""The texts of events from the records of a Kafka topic."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from tidemill.events import unreadable

_SPACE = " \t\r\n"  # what JSON takes for it
_PREFIX_BYTES = 5


class Payloads:
    """Makes an event's text of each record that has a value.

    Args:
        decode: makes a JSON text of a value.
        key_field: where the key goes; None for nowhere.
        header_fields: by header, where it goes.
    """

    def __init__(self, decode: Callable[[bytes], str], key_field: str | None, header_fields: Mapping[str, str]) -> None:
        self._decode = decode
        self._key_field = key_field
        self._header_fields = header_fields

    def of(self, records: Iterable[Any]) -> list[str]:
        """The texts of kafka-python's records, in order; those without a value (tombstones) have none."""
        decode = self._decode
        if self._key_field is None and not self._header_fields:
            return [decode(record.value) for record in records if record.value is not None]
        return [with_fields(decode(record.value), self._beside(record)) for record in records if record.value is not None]

    def _beside(self, record: Any) -> dict[str, str | None]:
        """What goes into the event from beside its value; of several headers of one name the last counts."""
        fields = {} if self._key_field is None else {self._key_field: _text(record.key)}
        headers = dict(record.headers)
        return fields | {field: _text(headers.get(header)) for header, field in self._header_fields.items()}


def json_text(value: bytes) -> str:
    r"""A JSON value as text, without the prefix that a schema registry's clients write; what is not UTF-8 is kept visibly, and is not JSON.

    >>> json_text(b"\0\0\0\0\7{}"), json_text(b'{"a":"\xff"}')
    ('{}', '{"a":"\\xff"}')
    """
    return (value[_PREFIX_BYTES:] if value[:1] == b"\0" else value).decode("utf-8", "backslashreplace")


def undecodable(value: bytes, why: str) -> str:
    """A text that the engine rejects under any schema, and keeps: the reason, and the whole value in base 64.

    >>> undecodable(b"?", "no Avro")
    '[{"_error":"no Avro","_undecodable":"Pw=="}]'
    """
    return unreadable(why, _undecodable=b64encode(value).decode("ascii"))


def with_fields(text: str, fields: Mapping[str, str | None]) -> str:
    """A JSON object with more fields before its own, which win when both have one of a name; another text stays as it is.

    The text is not parsed, so what it says comes through to the letter.

    >>> with_fields('{"n":1.50}', {"card": "c7"}), with_fields(" { } ", {"card": None}), with_fields("[1]", {"card": "c7"})
    ('{"card":"c7","n":1.50}', '{"card":null}', '[1]')
    """
    bare = text.strip(_SPACE)
    if bare[:1] != "{":
        return text
    rest = bare[1:].lstrip(_SPACE)
    comma = "" if rest[:1] == "}" else ","
    return orjson.dumps(fields).decode()[:-1] + comma + rest


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "backslashreplace")
