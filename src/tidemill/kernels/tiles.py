"""Tiles: which one an event falls into, and those of a window."""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from typing import NamedTuple

import numpy as np
from numba.typed import List

from tidemill.kernels.compiling import Flags, Floats, Ints, Tags, compiled, inlined
from tidemill.kernels.states import SPREAD, merge_state, state_value
from tidemill.kernels.tables import STATE, find_rows
from tidemill.kernels.texts import Bytes, hash_text

_ZERO, _ONE = np.uint64(0), np.uint64(1)
_ODD, _SALT, _APART = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93), np.uint64(0xA0761D6478BD642F)
_MIX, _MIX_AGAIN = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_U27, _U30, _U31 = np.uint64(27), np.uint64(30), np.uint64(31)


@compiled
def _mixed(number: np.uint64) -> np.uint64:
    """SplitMix64's finalizer (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014)."""
    number = (number ^ (number >> _U30)) * _MIX
    number = (number ^ (number >> _U27)) * _MIX_AGAIN
    return number ^ (number >> _U31)


@compiled
def _place(start_ms: np.int64, number: np.uint64) -> np.uint64:
    return np.uint64(start_ms) * _ODD + number * _SALT


@compiled
def tile_tags(starts_ms: Ints, numbers: Tags) -> tuple[Tags, Tags]:
    """(s, m) what turns the digests of keys into those of tiles, by exclusive or: for s numbers of sets and m bucket starts."""
    of_first, of_second = np.empty((len(numbers), len(starts_ms)), np.uint64), np.empty((len(numbers), len(starts_ms)), np.uint64)
    for of_set in range(len(numbers)):
        for bucket in range(len(starts_ms)):
            place = _place(starts_ms[bucket], numbers[of_set])
            of_first[of_set, bucket], of_second[of_set, bucket] = _mixed(place), _mixed(place + _APART)
    return of_first, of_second


@compiled
def group_events(
    times_ms: Ints, sizes_ms: Ints, keys: tuple[Tags, Tags, Flags], sets: tuple[Ints, Tags], merges: Ints, states: Floats
) -> tuple[Tags, Tags, Ints, Floats]:
    """Sum up n events by tile.

    Args:
        times_ms: (n,) when each happened.
        sizes_ms: (2,) how long a bucket is, and the first bucket that counts.
        keys: (k, n) both halves of the digests of the events' keys, and whether there is one.
        sets: (s,) which of the k each tile set goes by, and its number.
        merges: how states are merged.
        states: (n, width) the state of each event.

    Returns:
        (g,) both tags of each tile, (g,) its bucket start, (g, width) its state.
    """
    first, second, present = keys
    key_of, number_of = sets
    n_sets, n_events = len(key_of), len(times_ms)
    n_slots = 16
    while n_slots < 2 * n_sets * n_events:
        n_slots *= 2
    slots = np.full(n_slots, -1, np.int32)
    mask = np.uint64(n_slots - 1)
    tile_of = np.full((n_sets, n_events), -1, np.int32)
    a, b, starts_ms = np.empty(n_sets * n_events, np.uint64), np.empty(n_sets * n_events, np.uint64), np.empty(n_sets * n_events, np.int64)
    n_tiles = 0
    for of_set in range(n_sets):
        key, number = key_of[of_set], number_of[of_set]
        last_ms, of_first, of_second = np.int64(-(2**62)), _ZERO, _ZERO
        for event in range(n_events):
            start_ms = times_ms[event] // sizes_ms[0] * sizes_ms[0]
            if not present[key, event] or start_ms < sizes_ms[1]:
                continue
            if start_ms != last_ms:
                place = _place(start_ms, number)
                last_ms, of_first, of_second = start_ms, _mixed(place), _mixed(place + _APART)
            tag_a, tag_b = first[key, event] ^ of_first, (second[key, event] ^ of_second) | _ONE
            slot = tag_a & mask
            while slots[slot] >= 0 and (a[slots[slot]] != tag_a or b[slots[slot]] != tag_b):
                slot = (slot + _ONE) & mask
            if slots[slot] < 0:
                slots[slot] = n_tiles
                a[n_tiles], b[n_tiles], starts_ms[n_tiles] = tag_a, tag_b, start_ms
                n_tiles += 1
            tile_of[of_set, event] = slots[slot]
    is_odd = bool(np.any(merges >= SPREAD))
    summed = np.empty((n_tiles, states.shape[1]))
    begun = np.zeros(n_tiles, np.bool_)
    for of_set in range(n_sets):
        for event in range(n_events):
            tile = tile_of[of_set, event]
            if tile < 0:
                continue
            if begun[tile]:
                merge_state(merges, is_odd, summed, tile, states, event, 0)
            else:
                summed[tile] = states[event]
                begun[tile] = True
    return a[:n_tiles].copy(), b[:n_tiles].copy(), starts_ms[:n_tiles].copy(), summed


class TilePlan(NamedTuple):
    """How f features of s tile sets are read at one time, from m buckets that lie in two tables.

    Args:
        older_index: of the table that holds the first `n_older` of the buckets.
        older_rows: its rows, as tags.
        newer_index: of the table that holds the others.
        newer_rows: its rows, as tags.
        n_older: how many lie in the older.
        of_first: (s, m) what turns the first halves of the digests of keys into those of tiles.
        of_second: (s, m) the same of the second halves.
        depth: (m,) in how many of the windows a bucket lies: of windows that come longest first, in the first so many.
        merges: (width,) how states are merged.
        neutral: (width,) the state of no events.
        reads: (f, 5) what `read_values` would read of each window.
        lots: (s,) which lot of keys each set is asked of.
        columns: (s, f) the place of each feature among the values of its lot.
    """

    older_index: Tags
    older_rows: Tags
    newer_index: Tags
    newer_rows: Tags
    n_older: int
    of_first: Tags
    of_second: Tags
    depth: Ints
    merges: Ints
    neutral: Floats
    reads: Ints
    lots: Ints
    columns: Ints


@compiled
def list_plan(plan: TilePlan) -> MutableSequence[TilePlan]:
    """A list of one plan, as `read_tiles` takes it: to hand over a list costs as much as one array, however much it holds."""
    plans: MutableSequence[TilePlan] = List()
    plans.append(plan)
    return plans


@compiled
def append_plan(plans: MutableSequence[TilePlan], plan: TilePlan) -> None:
    """Put one more into such a list."""
    plans.append(plan)


@compiled
def read_tiles(plans: Sequence[TilePlan], texts: tuple[Bytes, Ints], hash_keys: Tags, lots: tuple[Ints, Ints]) -> Floats:
    """What tiles say of n keys.

    Args:
        plans: where they lie and how they are merged.
        texts: the keys, lot after lot: their letters, and (n,) how many each has; -1 for no key, of which nothing was told.
        hash_keys: the two that digests are made with.
        lots: (lots + 1,) where each lot ends, 0 first, and (lots,) how many values a key of the lot has.

    Returns:
        The (width, keys) values of each lot, one after another; NaN where no plan says one.
    """
    letters, lengths = texts
    ends, widths = lots
    first, second, end = np.empty(len(lengths), np.uint64), np.empty(len(lengths), np.uint64), 0
    for key in range(len(lengths)):
        begin, end = end, end + max(lengths[key], 0)
        first[key], second[key] = hash_text(letters, begin, end, hash_keys)
    begins = np.zeros(len(ends), np.int64)
    for lot in range(len(widths)):
        begins[lot + 1] = begins[lot] + widths[lot] * (ends[lot + 1] - ends[lot])
    values = np.full(begins[-1], np.nan)
    for plan in plans:
        is_odd = bool(np.any(plan.merges >= SPREAD))
        n_buckets, n_windows, older = len(plan.depth), plan.reads[0, 1], plan.n_older
        merged = np.empty((n_windows, len(plan.neutral)))
        a, b = np.empty(n_buckets, np.uint64), np.empty(n_buckets, np.uint64)
        for of_set in range(len(plan.lots)):
            lot = plan.lots[of_set]
            for key in range(ends[lot], ends[lot + 1]):
                merged[:] = plan.neutral
                if lengths[key] >= 0:
                    for bucket in range(n_buckets):
                        a[bucket] = first[key] ^ plan.of_first[of_set, bucket]
                        b[bucket] = (second[key] ^ plan.of_second[of_set, bucket]) | _ONE
                    _merge_found(plan.older_index, plan.older_rows, a[:older], b[:older], plan.depth[:older], plan.merges, is_odd, merged)
                    _merge_found(plan.newer_index, plan.newer_rows, a[older:], b[older:], plan.depth[older:], plan.merges, is_odd, merged)
                place, step = begins[lot] + key - ends[lot], ends[lot + 1] - ends[lot]
                for feature in range(len(plan.reads)):
                    says, window = plan.reads[feature, 0], plan.reads[feature, 2]
                    value = state_value(says, merged, window, plan.reads[feature, 3], plan.reads[feature, 4])
                    values[place + plan.columns[of_set, feature] * step] = value
    return values


@inlined
def _merge_found(index: Tags, tags: Tags, a: Tags, b: Tags, depth: Ints, merges: Ints, is_odd: bool, merged: Floats) -> None:
    rows, cells = find_rows(index, tags, a, b), tags.view(np.float64)
    for bucket in range(len(a)):
        if rows[bucket] >= 0:
            for window in range(depth[bucket]):
                merge_state(merges, is_odd, merged, window, cells, rows[bucket], STATE)
