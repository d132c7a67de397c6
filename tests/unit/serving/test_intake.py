"""Lines out of chunks, wherever those are cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from tests import tiny
from tidemill.errors import InputError
from tidemill.project import Workspace
from tidemill.registry import Registry
from tidemill.serving import Champions, create_app, intake
from tidemill.serving.intake import in_lines
from tidemill.settings import EngineSettings, ServerSettings, Settings


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


def test_lines_after_which_nothing_comes_are_not_held_back() -> None:
    async def gather() -> list[list[str]]:
        heard = asyncio.Event()

        async def chunks() -> AsyncIterator[bytes]:
            yield b"a\nb\nhalf"
            await heard.wait()
            yield b" a line\n"

        found = []
        async for lines in in_lines(chunks(), 10):
            found.append(lines)
            heard.set()
        return found

    assert asyncio.run(asyncio.wait_for(gather(), 60)) == [["a", "b"], ["half a line"]]


def test_whoever_ends_it_early_ends_the_wait_for_more() -> None:
    async def begin() -> bool:
        ended = asyncio.Event()

        async def chunks() -> AsyncIterator[bytes]:
            yield b"a\n"
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        async with aclosing(in_lines(chunks(), 10)) as lines:
            assert await anext(lines) == ["a"]
        return await asyncio.wait_for(ended.wait(), 60)

    assert asyncio.run(begin())


def test_bytes_that_are_no_text_are_kept_visibly() -> None:
    assert lines_of(b'{"a": 1}\n\xff\xfe\n', [], 10) == [['{"a": 1}', "\\xff\\xfe"]]


def test_a_mark_of_utf_8_is_no_part_of_a_line_as_of_files_that_were_joined() -> None:
    assert lines_of(b'\xef\xbb\xbf{"a": 1}\n\xef\xbb\xbf{"b": 2}\n', [1], 10) == [['{"a": 1}', '{"b": 2}']]


def test_a_sender_does_not_wait_for_ever_for_an_engine_that_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_PATIENCE_S", 0.1)
    with closing(Workspace.open(tiny.project, tmp_path)) as workspace:
        champions = Champions(workspace, Registry("http://127.0.0.1:9", tmp_path), "test")
        app = create_app(workspace, Settings(engine=EngineSettings(max_behind=5), server=ServerSettings(open=True)), champions)
        client = TestClient(app, base_url="http://127.0.0.1:8000")
        lines = "\n".join(tiny.order(f"o{number}", tiny.START_MS) for number in range(1_001))
        refused = client.post("/v1/streams/orders/events", content=lines, headers={"content-type": "application/x-ndjson"})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert "The first 1000 lines were kept; sent again they count as duplicates" in refused.json()["error"]["what"]
        assert workspace.log.end().offset("orders") == 1_000


def test_a_line_without_an_end_is_an_error_after_those_before_it() -> None:
    found: list[str] = []

    async def gather() -> None:
        async for lines in in_lines(pieces(b"a\nb\n" + b"x" * 300_000, [2]), 10):
            found.extend(lines)

    with pytest.raises(InputError, match="line 2: a line of more than"):
        asyncio.run(gather())
    assert found == ["a", "b"]
