"""From the tiles of a window to the values of features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tidemill.features.aggregates import Floats, Ints
from tidemill.features.feature import Feature
from tidemill.features.tiles import Layout
from tidemill.features.windows import floor_ms


@dataclass(frozen=True)
class TileRows:
    """Tiles of one layout for several keys, key after key.

    Args:
        layout: what the rows hold.
        starts_ms: (m,) bucket starts.
        states: (m, layout.width) the tiles.
        lengths: (n_keys,) how many of the rows belong to each key; may be 0.
    """

    layout: Layout
    starts_ms: Ints
    states: Floats
    lengths: Ints


def feature_values(features: Sequence[Feature], rows: TileRows, at_ms: int) -> Floats:
    """The values at `at_ms` of features that share one bucket size and layout.

    Returns:
        (n_keys, n_features) float64; NaN for missing. Rows outside a feature's window are left out here.
    """
    n_keys = len(rows.lengths)
    values = np.empty((n_keys, len(features)))
    owners = np.repeat(np.arange(n_keys), rows.lengths)
    last_ms = floor_ms(at_ms, features[0].bucket_ms)
    for window_ms in {feature.window_ms for feature in features}:
        inside = (rows.starts_ms >= last_ms - window_ms) & (rows.starts_ms <= last_ms)
        present, run_starts = _runs(owners[inside])
        merged = rows.layout.neutral(n_keys)
        if len(present):
            merged[present] = rows.layout.reduce(rows.states[inside], run_starts)
        for place, feature in enumerate(features):
            if feature.window_ms == window_ms:
                slot = rows.layout.slots[feature.slot]
                values[:, place] = slot.aggregate.value(merged[:, slot.begin : slot.end])
    return values


def _runs(owners: Ints) -> tuple[Ints, Ints]:
    """The owners present in a sorted array, and where the run of each begins."""
    changes = np.ones(len(owners), dtype=bool)
    np.not_equal(owners[1:], owners[:-1], out=changes[1:])
    run_starts = np.flatnonzero(changes)
    return owners[run_starts], run_starts
