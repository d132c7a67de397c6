"""Features: expressions, aggregates, windows, views, tables, tiles, derived columns, labels and reactions."""

from tidemill.features.aggregates import Aggregate, Inputs
from tidemill.features.derived import Derived, derive, in_order
from tidemill.features.event_order import id_sql
from tidemill.features.expressions import Expression, col, greatest, least
from tidemill.features.feature import (
    Feature,
    count,
    distinct,
    first,
    last,
    max_,
    mean,
    min_,
    quantile,
    share,
    std,
    sum_,
    variance,
)
from tidemill.features.label import Label
from tidemill.features.reaction import Reaction, on, take_first
from tidemill.features.sketch import Sketch
from tidemill.features.table import FeatureSource, Table
from tidemill.features.tiles import Layout
from tidemill.features.view import View, make_keys
from tidemill.features.windows import floor_ms

__all__ = [
    "Aggregate",
    "Derived",
    "Expression",
    "Feature",
    "FeatureSource",
    "Inputs",
    "Label",
    "Layout",
    "Reaction",
    "Sketch",
    "Table",
    "View",
    "col",
    "count",
    "derive",
    "distinct",
    "first",
    "floor_ms",
    "greatest",
    "id_sql",
    "in_order",
    "last",
    "least",
    "make_keys",
    "max_",
    "mean",
    "min_",
    "on",
    "quantile",
    "share",
    "std",
    "sum_",
    "take_first",
    "variance",
]
