"""A view that comes later, filled from the lake and what waits for it, says what it would have said from the start."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from tests.unit.events.taps import BY_LINE, BY_LINE_AND_GATE, RETENTION_MS, T0, TAPS, entry, make_engine, open_log
from tidemill.clock import HOUR_MS, MINUTE_MS
from tidemill.errors import NotFoundError
from tidemill.stores import Lake, LakeWriter, Lookup, SqlState, backfill_view

KEYS = ["a,n", "a,s", "b,n", "b,s", None]


@pytest.mark.parametrize("in_lake", [0, 60, 100])
def test_a_backfilled_view_says_what_it_would_have_said_from_the_start(tmp_path: Path, in_lake: int) -> None:
    draw = random.Random(in_lake)
    log, lake = open_log(tmp_path), Lake(tmp_path / "lake", [TAPS])
    early = SqlState(tmp_path / "early.db", [BY_LINE, BY_LINE_AND_GATE], {}, RETENTION_MS)
    late = SqlState(tmp_path / "late.db", [BY_LINE], {}, RETENTION_MS)
    times = [T0 + 2 * place * MINUTE_MS - draw.choice([0, HOUR_MS]) for place in range(100)]
    entries = [
        entry(
            f"t{place}",
            times[place],
            T0 + 2 * place * MINUTE_MS,
            line=draw.choice("ab"),
            gate=draw.choice("ns"),
            fare=draw.choice([None, 1, 2, 3]),
            riders=draw.randrange(5),
        )
        for place in range(100)
    ]
    log.append(entries[:in_lake], now_ms=0)
    make_engine(log, late).drain(7)
    LakeWriter(late, lake, 0.0, 1_000).flush()
    log.append(entries[in_lake:], now_ms=0)
    make_engine(log, late).drain(7)
    make_engine(log, early).drain(11)
    late.close()
    late = SqlState(tmp_path / "late.db", [BY_LINE, BY_LINE_AND_GATE], {}, RETENTION_MS)  # the project has gained a view
    at_ms = early.position_and_time()[1]
    reach_ms = at_ms - BY_LINE_AND_GATE.retention_ms
    n_read = sum(at >= reach_ms or place >= in_lake for place, at in enumerate(times))  # all that wait are read
    for _ in range(2):  # a second time adds nothing
        assert backfill_view(late, lake, BY_LINE_AND_GATE) == n_read
    want = early.tiles.read([Lookup("by_line_and_gate", KEYS)], at_ms)
    got = late.tiles.read([Lookup("by_line_and_gate", KEYS)], at_ms)
    assert got.position == want.position
    for column, values in want.values.items():
        np.testing.assert_allclose(got.values[column], values, rtol=1e-12, err_msg=column)
    assert want.values["by_line_and_gate__n_all"].sum() > 10
    log.append([entry("next", at_ms, at_ms, line="a", gate="n", fare=2)], now_ms=0)
    for state in (early, late):  # and live events go on from there
        make_engine(log, state).drain(7)
    counts = [
        state.tiles.read([Lookup("by_line_and_gate", ["a,n"])], at_ms).values["by_line_and_gate__n_all"][0] for state in (early, late)
    ]
    assert counts[0] == counts[1] == want.values["by_line_and_gate__n_all"][0] + 1
    for state in (early, late):
        state.close()
    log.close()


def test_a_view_that_is_not_there_is_named(tmp_path: Path) -> None:
    state = SqlState(tmp_path / "state.db", [BY_LINE], {}, RETENTION_MS)
    with pytest.raises(NotFoundError, match="no view 'by_gate'; there is: by_line"):
        state.tiles.read([Lookup("by_gate", ["x"])], T0)
    state.close()


def test_expired_tiles_and_ids_go_and_what_a_window_can_reach_stays(tmp_path: Path) -> None:
    log, state = open_log(tmp_path), SqlState(tmp_path / "state.db", [BY_LINE], {}, RETENTION_MS)
    far_ms = T0 + BY_LINE.retention_ms + 12 * HOUR_MS
    log.append([entry("old", T0, T0, line="x", fare=1), entry("new", far_ms - 2 * HOUR_MS, far_ms, line="x", fare=2)], now_ms=0)
    make_engine(log, state).drain(1)
    assert state.tiles.read([Lookup("by_line", ["x"])], T0).values["by_line__n_all"].tolist() == [0]
    assert state.tiles.read([Lookup("by_line", ["x"])], far_ms).values["by_line__n_fares"].tolist() == [1]
    assert list(state.seen("taps", ["old", "new"])) == ["new"]
    state.close()
    log.close()
