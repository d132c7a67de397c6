"""The order of events of one time, on paper; the law against DuckDB is in tests/property/test_aggregates_sql.py."""

from __future__ import annotations

import numpy as np
import pytest

from tidemill.features import Inputs
from tidemill.features.ends import First, Last
from tidemill.features.event_order import WORDS, order_words
from tidemill.kernels import Floats

ALIKE = "payment-of-the-customer-with-the-number-0042"  # 44 bytes


def by_words(event_ids: list[str]) -> list[str]:
    words = order_words(event_ids)
    return [event_ids[place] for place in np.lexsort(words.T[::-1])]


@pytest.mark.parametrize(
    "event_ids",
    [
        ["", "a", "a\0", "a\0\0", "a\0b", "a\x01", "aa", "b"],
        ["A", "Z", "a", "z", "\x7f", "é", "￿", "\U0001f600"],  # by bytes, which is by code point and not by UTF-16 unit
        [ALIKE[:41], ALIKE[:42], "q"],
        ["x" * 6, "x" * 7, "x" * 12, "x" * 13, "y" * 6],
    ],
)
def test_ids_sort_as_their_bytes_do(event_ids: list[str]) -> None:
    assert by_words(event_ids[::-1]) == by_words(event_ids) == event_ids == sorted(event_ids, key=str.encode)


def test_ids_alike_in_42_bytes_have_an_order_too() -> None:
    event_ids = [ALIKE[:42], *(ALIKE[:42] + end for end in ("a", "b", "é", "\0"))]
    in_order = by_words(event_ids)
    assert in_order[0] == ALIKE[:42]
    assert by_words(event_ids[::-1]) == in_order
    assert len({tuple(row) for row in order_words(event_ids)}) == len(event_ids)


def test_words_are_whole_numbers_that_a_float_holds() -> None:
    words = order_words(["\U0010ffff" * 20, ALIKE, "a"])
    assert words.shape == (3, WORDS)
    assert ((words >= 0) & (words < 2**48) & (words == np.floor(words))).all()
    assert order_words([]).shape == (0, WORDS)


def states_of(aggregate: Last, events: list[tuple[int, str, float]]) -> Floats:
    times, event_ids, values = zip(*events, strict=True)
    return aggregate.lift(Inputs(np.array(values), np.array(times), list(event_ids)))


def test_the_first_and_last_of_several_runs() -> None:
    null = float("nan")
    runs = [
        [(1, "b", 1.0), (1, "a", 2.0), (0, "z", null)],
        [(5, "a", 3.0)],
        [(2, "a", null)],
        [(3, "a", 4.0), (2, "c", 5.0), (2, "b", 6.0)],
    ]
    for aggregate, want in ((First(), [2.0, 3.0, null, 6.0]), (Last(), [1.0, 3.0, null, 4.0])):
        states = np.vstack([states_of(aggregate, run) for run in runs])
        starts = np.array([0, 3, 4, 5])
        np.testing.assert_array_equal(aggregate.value(aggregate.reduce(states, starts)), want)


def test_of_copies_of_one_event_one_is_kept_in_any_order() -> None:
    """No store lets a copy through; should one come, it must not matter which came first."""
    copies = [(1, "a", 1.0), (1, "a", 3.0), (1, "a", 2.0)]
    for aggregate in (First(), Last()):
        for turn in range(3):
            states = states_of(aggregate, copies[turn:] + copies[:turn])
            assert aggregate.value(aggregate.reduce(states, np.array([0]))).tolist() == [3.0]
