"""The order of rows against numpy's."""

from __future__ import annotations

import numpy as np
import pytest

from tidemill.kernels import order_rows, spread_rows


@pytest.mark.parametrize("most", [1, 2, 2_048, 2_049, 10**6, 2**62])
@pytest.mark.parametrize("n_rows", [0, 1, 2, 1_000])
def test_rows_come_by_one_column_then_the_other_then_as_they_are(most: int, n_rows: int) -> None:
    rng = np.random.default_rng(most)
    by, then_by = rng.integers(-most // 2, most // 2 + 1, n_rows), rng.integers(0, min(most, 5), n_rows)
    for first, second in ((by, then_by), (then_by, by)):
        assert order_rows(first, second).tolist() == np.lexsort((second, first)).tolist()


@pytest.mark.parametrize("n_rows", [0, 1, 1_000])
def test_rows_are_spread_over_parts_as_they_are(n_rows: int) -> None:
    places = np.random.default_rng(n_rows).integers(-50, 350, n_rows)
    order, edges = spread_rows(places, -50, 100, 5)
    parts = (places + 50) // 100
    assert order.tolist() == np.argsort(parts, kind="stable").tolist()
    assert edges.tolist() == [int((parts < part).sum()) for part in range(6)]
