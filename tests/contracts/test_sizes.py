"""The room that tiles and ids will take is what they do take once the rate has lasted, in files as in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from tests.unit.events.taps import RETENTION_MS, T0, entry, make_engine, new_row_state, open_log, open_state
from tidemill.clock import HOUR_MS, MINUTE_MS
from tidemill.stores import Size, SqlState


@pytest.fixture(params=["mapped", "rows"])
def open_it(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], SqlState]:
    """Opens the state of taps."""
    return partial(open_state, tmp_path) if request.param == "mapped" else new_row_state(request.getfixturevalue("postgres_url"))


def feed(state: SqlState, folder: Path, hours: range) -> None:
    """A tap a minute, each of a line of its own."""
    minutes = range(hours.start * 60, hours.stop * 60)
    with closing(open_log(folder)) as log:
        log.append([entry(f"t{minute}", T0 + minute * MINUTE_MS, line=f"l{minute}", gate="g") for minute in minutes], now_ms=0)
        make_engine(log, state).drain(100)


def rows_ahead(size: Size) -> float:
    """How many rows are foretold; how much room a row takes in PostgreSQL depends on when it was last cleaned."""
    return size.n_bytes_ahead / size.n_bytes * size.rows


def test_what_is_foretold_after_a_while_comes_true(open_it: Callable[[], SqlState], tmp_path: Path) -> None:
    with closing(open_it()) as state:
        assert all(size.rows == 0 and size.n_bytes_ahead == size.n_bytes for size in state.sizes())
        feed(state, tmp_path, range(4))
        early = {size.what: size for size in state.sizes()}
        feed(state, tmp_path, range(4, 60))
        late = {size.what: size for size in state.sizes()}
    assert any(what.startswith("ids") for what in late) and any(what.startswith("tiles") for what in late)
    for what, size in late.items():
        assert size.rows > 0
        assert 0.7 * size.rows <= rows_ahead(early[what]) <= 2.5 * size.rows, (what, early[what], size)
        assert 0.7 * size.rows <= rows_ahead(size) <= 2.5 * size.rows, (what, size)
    (ids,) = (size for what, size in late.items() if what.startswith("ids"))
    assert 0.9 < ids.rows_per_s * 60 < 1.1, "one a minute"
    assert ids.rows >= RETENTION_MS["taps"] // MINUTE_MS
    assert ids.rows <= (RETENTION_MS["taps"] + 4 * HOUR_MS) // MINUTE_MS
