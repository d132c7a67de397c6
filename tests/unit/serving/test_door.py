"""Taking a body apart, and what is said of each event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import tiny
from tidemill.errors import InputError, NotFoundError
from tidemill.project import Workspace
from tidemill.serving import door
from tidemill.serving.door import receive, split_events

NOW = tiny.START_MS
OBJECTS = st.lists(
    st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=9), max_size=3), min_size=1, max_size=9
)


@given(objects=OBJECTS)
def test_an_array_and_lines_give_the_same_events(objects: list[dict[str, object]]) -> None:
    array = split_events(json.dumps(objects).encode(), 10)
    lines = split_events("\n".join(json.dumps(one) for one in objects).encode(), 10)
    assert [json.loads(one) for one in array] == [json.loads(one) for one in lines] == objects


def test_blank_lines_are_no_events_and_a_torn_line_is_one() -> None:
    assert split_events(b' \n{"a": 1}\r\n\n{"b"\n', 10) == ['{"a": 1}', '{"b"']


@pytest.mark.parametrize("body", [b'\xef\xbb\xbf{"a": 1}\r\n', b'\xef\xbb\xbf[{"a": 1}]'])
def test_a_mark_of_utf_8_is_no_part_of_the_first_event(body: bytes) -> None:
    assert [json.loads(text) for text in split_events(body, 10)] == [{"a": 1}]


@pytest.mark.parametrize(
    ("body", "said"),
    [(b"\xff", "not UTF-8 at byte 0"), (b"[1, 2", "not a JSON array"), (b"[1, 2, 3]", "3 events; send 1 to 2"), (b"  ", "0 events")],
)
def test_what_cannot_be_taken_apart_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        split_events(body, 2)


@pytest.mark.parametrize(("depth", "taken"), [(31, True), (32, False)])
def test_depth_has_an_end(depth: int, taken: bool) -> None:
    body = ("[" + "[" * depth + "]" * depth + "]").encode()
    if taken:
        assert split_events(body, 2) == ["[" * depth + "]" * depth]
    else:
        with pytest.raises(InputError, match="deeper than 32"):
            split_events(body, 2)


def test_too_many_are_counted_before_anything_else_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_depth", lambda _events: pytest.fail("looked through"))
    with pytest.raises(InputError, match="200000 events; send 1 to 10000"):
        split_events(b"[" + b"0," * 199_999 + b"0]", 10_000)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """An empty workspace of the tiny project."""
    opened = Workspace.open(tiny.project, tmp_path)
    yield opened
    opened.close()


def test_all_that_is_sent_is_appended_and_the_engine_says_the_same(workspace: Workspace) -> None:
    sent = [tiny.order("o1", NOW), "torn", tiny.order("o1", NOW), tiny.order("o2", NOW + 10**9)]
    said = receive(workspace, "orders", sent, NOW)
    assert (said.accepted, said.duplicates) == (1, 1)
    assert [(one["index"], one["reason"]) for one in said.rejected] == [(1, "not_json"), (3, "future")]
    workspace.engine().drain(10)
    books = workspace.books()["orders"]
    assert (books.received, books.applied, books.duplicate, books.rejected) == (4, 1, 1, 2)
    again = receive(workspace, "orders", sent[:1], NOW + 1)
    assert (again.accepted, again.duplicates) == (0, 1)


def test_a_key_that_is_too_long_is_named_at_the_door(workspace: Workspace) -> None:
    said = receive(workspace, "orders", [tiny.order("ü" * 250, NOW), tiny.order("ü" * 251, NOW)], NOW)
    assert (said.accepted, said.rejected) == (1, [{"index": 1, "reason": "schema", "detail": "order_id: a key of 502 bytes; at most 500"}])


def test_an_unknown_stream_takes_nothing(workspace: Workspace) -> None:
    with pytest.raises(NotFoundError, match="orders"):
        receive(workspace, "nowhere", ["{}"], NOW)
    assert workspace.log.end().offset("orders") == 0
