"""What the heat map draws of what the feature watch has kept."""

from __future__ import annotations

from typing import Any

from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.drift import ColumnChange, Heat
from tidemill.ui.heat_map import CELL, HeatMap, Shape, read_heat


def state() -> dict[str, Any]:
    heat = Heat()
    for hour in range(10):
        heat.take(DAY_MS + hour * HOUR_MS, {"calm": 0.2, "wind": 1.6 if hour > 7 else 0.1, "sea": 0.9})
    heat.warn([ColumnChange("wind", DAY_MS + 7 * HOUR_MS, DAY_MS + 8 * HOUR_MS), ColumnChange("gone", 0, 1)])
    shapes = {"wind": {"labels": ["up to 3", "above 3", "missing"], "reference": [0.9, 0.1, 0.0], "now": [0.2, 0.7, 0.1]}}
    return {"heat": heat.state(), "shapes": shapes}


def test_what_warned_comes_first_and_what_is_quiet_is_not_drawn() -> None:
    heat = read_heat(state())
    assert [strip.column for strip in heat.strips] == ["wind", "sea", "calm"]
    wind, sea, calm = heat.strips
    assert wind.paths == (("h4", f"M{8 * CELL} 0h20v10h-20z"),)
    assert sea.paths == (("h2", "M0 0h100v10h-100z"),)
    assert calm.paths == ()
    assert [mark.x for mark in wind.marks] == [7 * CELL]
    assert wind.words == "at most 1.60 of what warns, in an hour from 1970-01-02; warned 1×, last of a change on 1970-01-02"
    assert (heat.n_cells, heat.from_ms, heat.until_ms) == (10, DAY_MS, DAY_MS + 10 * HOUR_MS)
    assert heat.ticks[0] == (0.0, "01-02 00:00")
    assert len(heat.ticks) <= 4


def test_other_changes_are_marked_on_the_same_axis() -> None:
    marks = read_heat(state()).marks([(DAY_MS + 5 * HOUR_MS, "errors rose"), (0, "before"), (9 * DAY_MS, "after")])
    assert [(mark.x, mark.text) for mark in marks] == [(5 * CELL, "1970-01-02 05:00 UTC: errors rose")]


def test_a_shape_says_what_changed_most_and_outlines_its_bins() -> None:
    shape = read_heat(state()).strips[0].shape
    assert shape is not None
    assert shape.words == "above 3: 10% in the reference, 70% now; up to 3: 90% in the reference, 20% now"
    assert shape.path("reference", 90) == "M0 90V0h10V80h10V90h10V90"
    same = Shape(("a", "missing"), (0.5, 0.5), (0.51, 0.49))
    assert (same.words, Shape((), (), ()).highest) == ("as in the reference", 1.0)


def test_what_an_older_release_left_draws_nothing() -> None:
    assert read_heat({"columns": []}) == HeatMap()
