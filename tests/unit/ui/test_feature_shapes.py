"""What is drawn of a view's features, and what is said where nothing can be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.unit.ui.ferry import Ferry
from tidemill.project import ViewDetail
from tidemill.settings import Settings
from tidemill.ui import OverviewReader, Shown
from tidemill.ui.feature_shapes import FeatureShapes, feature_shapes
from tidemill.ui.files import read_files
from tidemill.ui.heat_map import HeatMap, Shape, Strip
from tidemill.ui.overview import ModelPanel, Overview
from tidemill.ui.rendering import Renderer

DELAY = "ports__mean_delay_3h"
NUMBER = Shape(("up to 3", "above 3", "missing"), (0.9, 0.1, 0.0), (0.2, 0.7, 0.1))
CATEGORY = Shape(("north", "south", "others", "missing"), (0.5, 0.4, 0.1, 0.0), (0.1, 0.9, 0.0, 0.0))


@pytest.fixture
def seen(ferry: Ferry) -> Overview:
    return OverviewReader(ferry.workspace, Settings()).read()


def watching(panel: ModelPanel, name: str, shapes: Mapping[str, Shape | None]) -> ModelPanel:
    """The panel of a model whose monitor holds these distributions."""
    heat = HeatMap(tuple(Strip(column, shape=shape) for column, shape in shapes.items()))
    return replace(panel, name=name, drift=replace(panel.drift, watch=replace(panel.drift.watch, heat=heat)))


def features(seen: Overview, view: ViewDetail) -> str:
    """The section with this view alone, in one line."""
    alone = replace(seen, views=(view,))
    return " ".join(
        Renderer(read_files()).inside("features", **{**Shown().of(alone), "user": "", "may_operate": True, "token": ""}).split()
    )


def test_each_model_that_reads_a_view_has_its_own_figures(seen: Overview) -> None:
    (view,), (panel,) = seen.views, seen.models
    (delay,) = view.features
    view = replace(
        view, models=("late_ferry", "full_ferry", "new_ferry"), features=(delay, replace(delay, name="region"), replace(delay, name="gone"))
    )
    models = [
        watching(panel, "late_ferry", {DELAY: NUMBER, "wind": NUMBER, "ports__region": CATEGORY}),
        watching(panel, "full_ferry", {DELAY: CATEGORY, "ports__gone": None}),
        watching(panel, "new_ferry", {}),
        watching(panel, "reads_another", {DELAY: NUMBER}),
    ]
    found = feature_shapes(view, models)
    assert [(each.feature, each.model, each.shape) for each in found.drawn] == [
        ("mean_delay_3h", "late_ferry", NUMBER),
        ("mean_delay_3h", "full_ferry", CATEGORY),
        ("region", "late_ferry", CATEGORY),
    ]
    assert (found.waiting, found.unwatched) == (("new_ferry",), ("gone",))


def test_a_view_that_no_model_reads_or_that_knows_a_part_says_so(seen: Overview) -> None:
    (view,) = seen.views
    assert feature_shapes(replace(view, models=()), seen.models) == FeatureShapes()
    text = features(seen, replace(view, models=()))
    assert "No model reads ports, so nothing was learnt from it." in text
    text = features(seen, replace(view, whole=False))
    assert "knows only the events since the view was declared or changed" in text
    assert "late_ferry has no complete window yet" in text
