"""Positions as tokens and as an order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import InputError
from tidemill.streams import Books, Position

OFFSETS = st.dictionaries(
    st.sampled_from(["taps", "gates", "züge"]), st.dictionaries(st.sampled_from(["0", "1"]), st.integers(0, 2**62), max_size=2), max_size=3
)


@given(OFFSETS)
def test_a_token_is_read_back_and_is_the_same_in_any_order(offsets: dict[str, dict[str, int]]) -> None:
    position = Position(offsets)
    assert Position.from_token(position.token) == position
    assert Position(dict(reversed(offsets.items()))).token == position.token


@given(OFFSETS, OFFSETS)
def test_at_least_is_an_order(one: dict[str, dict[str, int]], two: dict[str, dict[str, int]]) -> None:
    left, right = Position(one), Position(two)
    assert left.at_least(left)
    assert left.at_least(Position({}))
    ahead = all(left.offset(name, part) >= right.offset(name, part) for name in ("taps", "gates", "züge") for part in ("0", "1"))
    assert left.at_least(right) == ahead


@pytest.mark.parametrize(
    "token", ["", "7", "null", "[]", '{"taps": 7}', '{"taps": {"0": "x"}}', '{"taps": {"0": null}}', "{'taps'}", "{" * 90]
)
def test_what_is_no_position_is_refused(token: str) -> None:
    with pytest.raises(InputError, match="not a position"):
        Position.from_token(token)


def test_what_was_never_taken_stands_at_zero() -> None:
    assert Position({}).offset("taps") == 0
    assert Position({"taps": {"1": 4}}).offset("taps") == 0


def test_books_balance_only_when_each_event_is_in_one_place() -> None:
    assert Books(received=6, applied=1, duplicate=1, late=1, rejected=1, pending=2).balanced
    assert not Books(received=6, applied=1, duplicate=1, late=1, rejected=1, pending=1).balanced
    assert not Books(received=6, applied=2, duplicate=1, late=1, rejected=1, pending=2).balanced
