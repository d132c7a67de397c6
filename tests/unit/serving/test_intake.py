"""Lines out of chunks, wherever those are cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import InputError
from tidemill.serving.intake import in_lines


async def pieces(text: bytes, cuts: list[int]) -> AsyncIterator[bytes]:
    """A text cut at these places."""
    places = sorted(min(cut, len(text)) for cut in cuts)
    for begin, end in zip([0, *places], [*places, len(text)], strict=True):
        yield text[begin:end]


def lines_of(text: bytes, cuts: list[int], at_once: int) -> list[list[str]]:
    """All pieces."""

    async def gather() -> list[list[str]]:
        return [lines async for lines in in_lines(pieces(text, cuts), at_once)]

    return asyncio.run(gather())


@given(lines=st.lists(st.text(alphabet="aü🚆{ \r", max_size=6)), cuts=st.lists(st.integers(0, 80)), at_once=st.integers(1, 4))
def test_it_does_not_matter_where_the_text_is_cut(lines: list[str], cuts: list[int], at_once: int) -> None:
    found = lines_of("\n".join(lines).encode(), cuts, at_once)
    assert [line for piece in found for line in piece] == [line.strip() for line in lines if line.strip()]
    assert all(0 < len(piece) <= at_once for piece in found)


def test_bytes_that_are_no_text_are_kept_visibly() -> None:
    assert lines_of(b'{"a": 1}\n\xff\xfe\n', [], 10) == [['{"a": 1}', "\\xff\\xfe"]]


def test_a_line_without_an_end_is_an_error_after_those_before_it() -> None:
    found: list[str] = []

    async def gather() -> None:
        async for lines in in_lines(pieces(b"a\nb\n" + b"x" * 300_000, [2]), 10):
            found.extend(lines)

    with pytest.raises(InputError, match="line 2: a line of more than"):
        asyncio.run(gather())
    assert found == ["a", "b"]
