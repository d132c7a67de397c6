"""What questions may read of a block, against a naive twin: windows apart, within each other and empty, over ties and gaps."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tidemill.learning.block import Runs

PLACES = st.lists(st.integers(0, 60), max_size=30).map(sorted)
MOMENTS = st.lists(st.integers(-5, 65), max_size=12).map(sorted)
WINDOWS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10)), min_size=1, max_size=3)  # so far back, and so far ahead


@given(places=PLACES, moments=MOMENTS, windows=WINDOWS)
def test_every_row_of_every_window_is_read_and_none_that_lies_beyond_all(
    places: list[int], moments: list[int], windows: list[tuple[int, int]]
) -> None:
    held, at = np.array(places, dtype=np.int64), np.array(moments, dtype=np.int64)
    several = [Runs.between(held, at - back, at + ahead) for back, ahead in windows]
    rows = [[[row for row, place in enumerate(places) if t - back <= place < t + ahead] for t in moments] for back, ahead in windows]
    assert [_rows(runs) for runs in several] == rows
    covered, fewer = Runs.compact(several)
    assert [[covered[part].tolist() for part in _rows(runs)] for runs in fewer] == rows
    widest = [(t - max(back for back, _ in windows), t + max(ahead for _, ahead in windows)) for t in moments]
    reached = [row for row, place in enumerate(places) if any(begin <= place < end for begin, end in widest)]
    assert set(covered.tolist()) <= set(reached)
    assert covered.tolist() == sorted(set(covered.tolist()))


@given(places=PLACES, moments=MOMENTS, kept=st.lists(st.booleans(), min_size=12, max_size=12))
def test_questions_that_read_nothing_cost_no_rows(places: list[int], moments: list[int], kept: list[bool]) -> None:
    at = np.array(moments, dtype=np.int64)
    runs = Runs.between(np.array(places, dtype=np.int64), at - 3, at + 3).where(np.array(kept[: len(at)], dtype=np.bool_))
    covered, (fewer,) = Runs.compact([runs])
    assert covered.tolist() == sorted({row for part in _rows(runs) for row in part})
    assert [covered[part].tolist() for part in _rows(fewer)] == _rows(runs)


def _rows(runs: Runs) -> list[list[int]]:
    return [list(range(low, low + count)) for low, count in zip(runs.low.tolist(), runs.count.tolist(), strict=True)]
