"""What the heat map remembers: the most of each cell, in a bounded number of cells, however long a column is watched."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.drift import ColumnChange, ColumnProfile, Heat
from tidemill.drift.heat import N_CELLS, N_CHANGES, STEPS_MS
from tidemill.drift.shape import shape

TAKEN = st.lists(st.tuples(st.integers(0, 60 * DAY_MS), st.floats(0.0, 5.0)), min_size=1, max_size=60)


@given(taken=TAKEN)
def test_a_cell_holds_the_most_of_its_time_whatever_its_size_became(taken: list[tuple[int, float]]) -> None:
    heat = Heat()
    for at_ms, level in sorted(taken):
        heat.take(at_ms, {"wind": level})
    row = heat.cells["wind"]
    expected: dict[int, int] = {}
    for at_ms, level in taken:
        place = (at_ms - heat.from_ms) // heat.step_ms
        expected[place] = max(expected.get(place, -1), round(100 * level))
    assert {place: level for place, level in enumerate(row) if level >= 0} == expected
    assert len(row) <= N_CELLS
    assert heat.from_ms % heat.step_ms == 0


def test_years_take_no_more_room_than_weeks_and_what_is_long_gone_is_forgotten() -> None:
    heat = Heat()
    for day in range(5 * 365):
        heat.take(day * DAY_MS, {"wind": 0.5, **({"sea": 2.0} if day < 10 else {})})
    assert heat.step_ms == STEPS_MS[-1]
    assert heat.cells == {"wind": [50] * N_CELLS}
    heat.take(50 * 365 * DAY_MS, {"wind": 20.0})
    assert heat.cells["wind"][-1] == 999
    assert heat.n_cells == N_CELLS


def test_a_column_that_comes_later_is_unseen_before() -> None:
    heat = Heat()
    heat.take(0, {"wind": 0.1})
    heat.take(2 * HOUR_MS, {"sea": 0.2})
    heat.take(HOUR_MS, {})
    assert heat.cells == {"wind": [10, -1, -1], "sea": [-1, -1, 20]}


def test_it_is_kept_as_json_and_remembers_the_newest_changes() -> None:
    heat = Heat()
    heat.take(DAY_MS, {"wind": 1.5})
    heat.warn(ColumnChange("wind", number, number + 1) for number in range(N_CHANGES + 3))
    again = Heat.from_state(json.loads(json.dumps(heat.state())))
    assert again == heat
    assert (len(again.changes), again.changes[0].since_ms) == (N_CHANGES, 3)
    assert Heat.from_state(None) == Heat()


def column(kind: str, counts: tuple[int, ...], edges: tuple[float, ...] = (), categories: tuple[str, ...] = ()) -> ColumnProfile:
    return ColumnProfile("x", kind, edges, categories, counts)  # type: ignore[arg-type]  # one of two


@pytest.mark.parametrize(
    "profile",
    [
        column("numeric", (10, *[10] * 99, 0, 5), edges=tuple(float(number) for number in range(100))),
        column("numeric", (10, 0, 90, 0), edges=(0.0, 0.0)),
        column("numeric", (7, 3, 2), edges=(4.0,)),
        column("numeric", (9, 1)),
        column("numeric", (1, 50, 1, 1, 0), edges=(0.0, 5.0, 6.0)),
        column("categorical", (*range(30, 0, -1), 4, 2), categories=tuple(f"c{number}" for number in range(30))),
        column("categorical", (0, 3)),
    ],
)
def test_a_shape_loses_no_row_and_has_few_bins(profile: ColumnProfile) -> None:
    window = np.zeros(profile.n_bins)
    window[[0, -1]] = 150, 50
    found = shape(profile, window)
    assert len(found["labels"]) == len(found["reference"]) == len(found["now"]) <= 17
    assert sum(found["reference"]) == pytest.approx(1.0, abs=2e-3)
    assert sum(found["now"]) == pytest.approx(1.0, abs=2e-3)
    assert found["labels"][-1] == "missing"
    assert found["now"][-1] == pytest.approx(0.25, abs=1e-3)


def test_a_share_of_no_rows_is_no_minus() -> None:
    """Of these rows the sum of the bins misses the sum of all by a rounding, so that the last bin fell below 0 and was told as -0%."""
    profile = column("numeric", (*[10] * 12, 0), edges=tuple(float(number) for number in range(11)))
    found = shape(profile, np.array([26, 17, 33, 28, 12, 16, 35, 29, 25, 16, 0, 0, 16]))
    assert f"{found['now'][-2]:.0%}" == "0%"


def test_what_moved_up_is_seen_to_be_up() -> None:
    edges = tuple(np.quantile(np.random.default_rng(0).normal(size=5_000), np.linspace(0.01, 0.99, 99)))
    profile = column("numeric", (*[50] * 100, 0), edges=edges)
    window = np.zeros(profile.n_bins)
    window[-3:-1] = 100
    found = shape(profile, window)
    assert sum(found["now"][-4:]) == pytest.approx(1.0, abs=1e-3)
    assert max(found["reference"][:-1]) == found["reference"][len(found["reference"]) // 2 - 1] or max(found["reference"]) < 0.25
