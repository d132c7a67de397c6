"""Positions and books."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import InputError
from tidemill.streams import Books, Position

OFFSETS = st.dictionaries(st.text(max_size=5), st.dictionaries(st.text(max_size=3), st.integers(0, 2**62), max_size=3), max_size=3)


@given(offsets=OFFSETS)
def test_a_token_is_the_position(offsets: dict[str, dict[str, int]]) -> None:
    position = Position(offsets)
    assert Position.from_token(position.token) == position
    shuffled = Position({name: dict(reversed(parts.items())) for name, parts in reversed(offsets.items())})
    assert shuffled.token == position.token


@pytest.mark.parametrize("token", ["", "{", "7", "[]", "null", '{"a": 1}', '{"a": {"0": "x"}}', '{"a": {"0": null}}', '{"a": []}'])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(InputError, match="position: not a position"):
        Position.from_token(token)


def test_a_position_has_taken_what_lies_below() -> None:
    low, high, other = Position({"a": {"0": 3}}), Position({"a": {"0": 5}, "b": {"0": 1}}), Position({"c": {"0": 1}})
    assert high.at_least(low) and high.at_least(high) and low.at_least(Position({}))
    assert not low.at_least(high)
    assert not high.at_least(other) and not other.at_least(high)
    assert (low.offset("a"), low.offset("a", "1"), low.offset("b")) == (3, 0, 0)


def test_books_balance_only_when_each_event_is_in_one_place() -> None:
    books = Books(received=10, applied=4, duplicate=3, late=2, rejected=1, pending=0)
    assert books.balanced
    for column in ("received", "applied", "duplicate", "late", "rejected", "pending"):
        assert not replace(books, **{column: getattr(books, column) + 1}).balanced
