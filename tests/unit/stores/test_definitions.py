"""What a version of a view means is written once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.events.taps import BY_LINE, BY_LINE_AND_GATE, T0, open_state
from tidemill.features import View, count
from tidemill.stores import SqlState
from tidemill.stores.definitions import Definition, Definitions

CHANGED = View("by_line", BY_LINE.stream, entity="line", features={"n": count(over="1h")})
VIEWS = [BY_LINE, BY_LINE_AND_GATE]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[SqlState]:
    opened = open_state(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def definitions(state: SqlState) -> Definitions:
    return state.definitions


def remembered(view: View, first_seen_ms: int) -> Definition:
    return Definition(view.name, view.version, view.digest, view.definition, first_seen_ms)


def test_a_view_is_remembered_with_the_time_it_was_first_seen(definitions: Definitions) -> None:
    assert definitions.of("by_line") == []
    assert definitions.remember(VIEWS, T0) == []
    assert definitions.remember(VIEWS, T0 + 1) == []
    assert definitions.of("by_line") == [remembered(BY_LINE, T0)]
    assert definitions.of("by_line_and_gate") == [remembered(BY_LINE_AND_GATE, T0)]


def test_it_is_found_by_the_next_process(definitions: Definitions, tmp_path: Path) -> None:
    definitions.remember([BY_LINE], T0)
    again = open_state(tmp_path)
    assert again.definitions.of("by_line") == [remembered(BY_LINE, T0)]
    again.close()


def test_another_definition_under_the_same_version_stands_against_it_and_nothing_is_written(definitions: Definitions) -> None:
    definitions.remember([BY_LINE], T0)
    assert definitions.against([CHANGED, BY_LINE_AND_GATE]) == [remembered(BY_LINE, T0)]
    assert definitions.remember([CHANGED, BY_LINE_AND_GATE], T0 + 1) == [remembered(BY_LINE, T0)]
    assert definitions.of("by_line") == [remembered(BY_LINE, T0)]
    assert definitions.of("by_line_and_gate") == [], "a project that is refused leaves nothing behind"


def test_versions_stand_beside_one_another_and_an_old_one_may_come_back(definitions: Definitions) -> None:
    second = replace(CHANGED, version=2)
    definitions.remember([BY_LINE], T0)
    assert definitions.remember([second], T0 + 5) == []
    assert definitions.of("by_line") == [remembered(BY_LINE, T0), remembered(second, T0 + 5)]
    assert definitions.remember([BY_LINE], T0 + 9) == []
    assert [one.version for one in definitions.against([replace(BY_LINE, version=2)])] == [2]


def test_owner_and_description_may_change(definitions: Definitions) -> None:
    definitions.remember([BY_LINE], T0)
    assert definitions.against([replace(BY_LINE, owner="ann", description="lines")]) == []


def test_looking_writes_nothing(definitions: Definitions) -> None:
    assert definitions.against(VIEWS) == []
    assert definitions.of("by_line") == []
