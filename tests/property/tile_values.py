"""Values of tiles that lie in a dict, by the aggregates' own merging: what the stores do in tables, done one tile at a time."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from tidemill.features import Feature, Layout, floor_ms
from tidemill.kernels import Floats

K = TypeVar("K", bound=Hashable)


def merge_groups(layout: Layout, states: Floats, groups: Sequence[K]) -> dict[K, Floats]:
    """Merge (m, width) rows that share a group; answers a row for each."""
    merged: dict[K, Floats] = {}
    for group, state in zip(groups, states, strict=True):
        merged[group] = layout.reduce(np.array([merged[group], state]), np.array([0]))[0] if group in merged else state
    return merged


def values_of_tiles(layout: Layout, features: Mapping[str, Feature], tiles: Mapping[int, Floats], at_ms: int) -> dict[str, float]:
    """By name, the value of each feature at a time; `tiles` are one key's, by bucket start."""
    values = {}
    for name, feature in features.items():
        slot, last_ms = layout.slots[feature.slot], floor_ms(at_ms, feature.bucket_ms)
        inside = [state for start, state in tiles.items() if last_ms - feature.window_ms <= start <= last_ms]
        states = np.array(inside) if inside else layout.neutral(1)
        values[name] = float(slot.aggregate.value(layout.reduce(states, np.array([0]))[:, slot.begin : slot.end])[0])
    return values
