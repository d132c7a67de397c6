"""Rows of tables as the texts of events."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from math import isinf
from typing import Any

import orjson

from tidemill.clock import moment_of
from tidemill.events import Stream

_TRUE, _FALSE = ("true", "t", "yes", "1"), ("false", "f", "no", "0")


def row_text(row: Mapping[str | Any, object]) -> str:
    """A row as a JSON object; times without a zone are taken as UTC, as databases and files mostly mean them.

    NaN is null, as writers of Parquet mean it; an infinite number becomes text, which the engine rejects and keeps.

    >>> row_text({"n": Decimal("1.5"), "at": datetime(2026, 1, 2)})
    '{"n":1.5,"at":"2026-01-02T00:00:00+00:00"}'
    """
    row = {name: str(value) if type(value) is float and isinf(value) else value for name, value in row.items()}
    return orjson.dumps(row, default=_plain, option=orjson.OPT_NAIVE_UTC | orjson.OPT_NON_STR_KEYS).decode()


def typed_row(row: Mapping[str, str | None], stream: Stream) -> dict[str, object]:
    """A row of texts with the types that the stream's schema asks for; what does not fit stays text, for the engine to judge.

    An empty text is null, and times are read as `moment_of` does.
    """
    return {name: _typed(text, stream.python_types.get(name, str)) for name, text in row.items()}


def fitted_row(row: Mapping[str, Any], stream: Stream) -> dict[str, object]:
    """A row of a database with the types that the stream's schema asks for, where the database has no such type or keeps another.

    Numbers become text where text is wanted (an id), 0 and 1 become booleans, and texts of times without a zone are taken as UTC.
    """
    return {name: _fitted(value, stream.python_types.get(name)) for name, value in row.items()}


def _fitted(value: Any, wanted: type | None) -> object:
    if wanted is str and isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return str(value)
    if wanted is bool and type(value) is int and value in (0, 1):
        return bool(value)
    if wanted is int and isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    if wanted is datetime and isinstance(value, str):
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    return value


def _typed(text: str | None, wanted: type) -> object:
    if not text:
        return None
    if wanted is bool:
        return text.lower() in _TRUE if text.lower() in (*_TRUE, *_FALSE) else text
    if wanted is datetime:
        return moment_of(text) or text
    with suppress(ValueError):
        return wanted(text)
    return text


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", "backslashreplace")
    return str(value)
