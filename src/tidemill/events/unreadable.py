"""What stands in a log in the place of what came but cannot be read: why not, and all of it. The engine rejects it and keeps it."""

from __future__ import annotations

from contextlib import suppress

import orjson

_WHY = "_error"
_BEGIN = f'[{{"{_WHY}":'
_MOST_SHOWN = 500  # letters of a reason, which anybody may have sent


def unreadable(why: str, **kept: str) -> str:
    """A text that is no event under any schema, and tells why.

    Args:
        why: where it came from and what is wrong with it, for a person.
        kept: what came, as a text or in base 64.

    >>> unreadable("a.csv, line 2: 3 values, where the first line names 2", _text="a,b,c")
    '[{"_error":"a.csv, line 2: 3 values, where the first line names 2","_text":"a,b,c"}]'
    """
    return orjson.dumps([{_WHY: why, **kept}]).decode()


def why_unreadable(payload: str) -> str | None:
    """The reason that `unreadable` was given; None of any other text.

    >>> why_unreadable(unreadable("no Avro", _undecodable="Pw==")), why_unreadable("[1]")
    ('no Avro', None)
    """
    if payload.startswith(_BEGIN):
        with suppress(ValueError, LookupError, TypeError):
            return str(orjson.loads(payload)[0][_WHY])[:_MOST_SHOWN]
    return None
