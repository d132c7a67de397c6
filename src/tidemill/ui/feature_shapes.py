"""The distributions of a view's features: what each model that reads it has learnt from, beside what it is asked now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidemill.project import ViewDetail
from tidemill.ui.heat_map import Shape
from tidemill.ui.overview import ModelPanel


@dataclass(frozen=True)
class FeatureShape:
    """A feature as one model sees it; `has_moved` while its column warns."""

    feature: str
    model: str
    shape: Shape
    has_moved: bool


@dataclass(frozen=True)
class FeatureShapes:
    """All that can be drawn of a view or table.

    Args:
        drawn: feature by feature in the order of the view, model by model.
        waiting: models that read the view and have no complete window with the version that serves.
        unwatched: features without a window though others of the view have one.
    """

    drawn: tuple[FeatureShape, ...] = ()
    waiting: tuple[str, ...] = ()
    unwatched: tuple[str, ...] = ()


def feature_shapes(view: ViewDetail, models: Sequence[ModelPanel]) -> FeatureShapes:
    """What the models' monitors hold of the features of a view, or of the columns of a table."""
    readers = [model for model in models if model.name in view.models]
    held = {model.name: {strip.column: strip.shape for strip in model.drift.watch.heat.strips if strip.shape} for model in readers}
    drawn = []
    for feature in view.features:
        column = f"{view.name}__{feature.name}"  # as the vector names it
        for model in readers:
            shape, now = held[model.name].get(column), model.drift.column(column)
            if shape is not None:
                drawn.append(FeatureShape(feature.name, model.name, shape, has_moved=now is not None and now.warning))
    known = {each.feature for each in drawn}
    return FeatureShapes(
        drawn=tuple(drawn),
        waiting=tuple(name for name, shapes in held.items() if not shapes),
        unwatched=tuple(each.name for each in view.features if each.name not in known) if any(held.values()) else (),
    )
