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
    values = np.empty((len(rows.lengths), len(features)))
    owners = np.repeat(np.arange(len(rows.lengths)), rows.lengths)
    last_ms = floor_ms(at_ms, features[0].bucket_ms)
    for window_ms in {feature.window_ms for feature in features}:
        inside = (rows.starts_ms >= last_ms - window_ms) & (rows.starts_ms <= last_ms)
        states, present, run_starts = rows.states[inside], *_runs(owners[inside])
        for place, feature in enumerate(features):
            if feature.window_ms == window_ms:
                slot = rows.layout.slots[feature.slot]
                merged = np.tile(np.array(slot.aggregate.neutral), (len(rows.lengths), 1))
                if len(present):
                    merged[present] = slot.aggregate.reduce(states[:, slot.begin : slot.end], run_starts)
                values[:, place] = slot.aggregate.value(merged)
    return values


def _runs(owners: Ints) -> tuple[Ints, Ints]:
    """The owners present in a sorted array, and where the run of each begins."""
    run_starts = np.flatnonzero(np.diff(owners, prepend=-1))
    return owners[run_starts], run_starts
