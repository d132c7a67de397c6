"""Features: expressions, aggregates, windows, views, tiles, derived columns and labels."""

from tidemill.features.aggregates import Aggregate
from tidemill.features.derived import Derived, derive
from tidemill.features.expressions import Expression, col
from tidemill.features.feature import Feature, count, max_, mean, min_, std, sum_, variance
from tidemill.features.label import Label
from tidemill.features.tiles import Layout
from tidemill.features.values import TileRows, feature_values
from tidemill.features.view import View, make_keys
from tidemill.features.windows import floor_ms

__all__ = [
    "Aggregate",
    "Derived",
    "Expression",
    "Feature",
    "Label",
    "Layout",
    "TileRows",
    "View",
    "col",
    "count",
    "derive",
    "feature_values",
    "floor_ms",
    "make_keys",
    "max_",
    "mean",
    "min_",
    "std",
    "sum_",
    "variance",
]
