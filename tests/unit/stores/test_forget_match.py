"""What counts as being about an entity: which events are deleted, and which are left alone."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tests.payments import HOLDERS, ODD, PAYMENTS, history, payment
from tidemill.events import FORGOTTEN
from tidemill.stores import Databases, Entity, SqlLog
from tidemill.stores.forget_match import as_text
from tidemill.streams import Position

CARD = Entity("card", "4711")


@pytest.mark.parametrize(("value", "text"), [(None, None), ("a", "a"), (4711, "4711"), (4711.0, "4711"), (0.5, "0.5"), (True, "True")])
def test_values_are_named_as_a_person_would(value: object, text: str | None) -> None:
    assert as_text(value) == text


@pytest.mark.parametrize(
    "text", ['{"card": "4711"}', '{"card":4711}', '{"card": "\\u0034711"}', '{"card": "4711"', "[4711]", "card 4711, torn"]
)
def test_it_is_found_however_it_is_written(text: str) -> None:
    assert CARD.is_in(text, ["card"])


@pytest.mark.parametrize(
    "text", ['{"card": "47110"}', '{"friend": "4711"}', '{"card": null, "n": 4711}', "{14711", "{", "", '{"card": ["4711"]}']
)
def test_others_are_left_alone(text: str) -> None:
    assert not CARD.is_in(text, ["card"])


def test_a_value_of_signs_and_letters_beyond_ascii_is_found_in_every_form() -> None:
    odd = Entity("card", ODD)
    assert odd.is_in(payment("p", 1, ODD), odd.names_in(PAYMENTS))
    assert odd.is_in(payment("p", 1, ODD)[:-1], [])
    assert odd.is_mentioned(f"said of {ODD}.")
    assert not odd.is_in(payment("p", 1, ODD + "z"), ["card"])


def test_only_streams_with_the_field_are_asked() -> None:
    assert Entity("merchant", "m1").names_in(PAYMENTS) == ["merchant"]
    assert Entity("merchant", "m1").names_in(HOLDERS) == []


def test_the_log_keeps_offsets_times_and_counts(tmp_path: Path) -> None:
    with closing(SqlLog(Databases(tmp_path), ["payments", "frauds", "holders"])) as log:
        for begin in range(0, 300, 100):
            log.append(history(ODD)[begin : begin + 100], 0)
        records, tally = log.read(Position({}), 1_000)[0], log.tally(Position({}))
        wanted = [1, 2, 5, 250, records.offsets[-1]]
        for _ in range(2):
            log.forget(wanted)
        after = log.read(Position({}), 1_000)[0]
        assert (after.offsets, after.streams, after.known_at_ms) == (records.offsets, records.streams, records.known_at_ms)
        assert log.tally(Position({})) == tally
        for offset, was, now in zip(records.offsets, records.payloads, after.payloads, strict=True):
            assert now == (FORGOTTEN if offset in wanted else was)
