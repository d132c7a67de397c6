"""The inner loops, compiled: grouping events into tiles, finding, claiming and merging rows, reading values, ordering rows, hashing texts.

So is betting on drift. Each is a function of arrays and stands beside a plain twin in the tests.
"""

from tidemill.kernels.bets import advance_bets, idle_sums
from tidemill.kernels.compiling import Flags, Floats, Ints, Tags
from tidemill.kernels.history import cover_runs, find_runs, merge_known, merge_tiles_known, run_up_states
from tidemill.kernels.order import order_rows, spread_rows
from tidemill.kernels.states import (
    ADD,
    DEVIATION,
    EXTREME,
    FOLLOWS,
    GREATEST,
    KEPT,
    LATEST,
    LEAST,
    MEAN,
    SPREAD,
    SUM,
    TOTAL,
    VARIANCE,
    merge_runs,
    read_values,
)
from tidemill.kernels.tables import STATE, claim_rows, enter_rows, find_rows, merge_rows, put_rows
from tidemill.kernels.texts import hash_texts
from tidemill.kernels.tiles import TilePlan, append_plan, group_events, list_plan, read_tiles, tile_tags

__all__ = [
    "ADD",
    "DEVIATION",
    "EXTREME",
    "FOLLOWS",
    "GREATEST",
    "KEPT",
    "LATEST",
    "LEAST",
    "MEAN",
    "SPREAD",
    "STATE",
    "SUM",
    "TOTAL",
    "VARIANCE",
    "Flags",
    "Floats",
    "Ints",
    "Tags",
    "TilePlan",
    "advance_bets",
    "append_plan",
    "claim_rows",
    "cover_runs",
    "enter_rows",
    "find_rows",
    "find_runs",
    "group_events",
    "hash_texts",
    "idle_sums",
    "list_plan",
    "merge_known",
    "merge_rows",
    "merge_runs",
    "merge_tiles_known",
    "order_rows",
    "put_rows",
    "read_tiles",
    "read_values",
    "run_up_states",
    "spread_rows",
    "tile_tags",
]
