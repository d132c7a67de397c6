"""Every inner loop compiled ahead: when tidemill is installed or starts, not when the first event waits for it."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from tidemill.kernels import (
    ADD,
    SUM,
    TilePlan,
    advance_bets,
    append_plan,
    claim_rows,
    cover_runs,
    enter_rows,
    find_rows,
    find_runs,
    group_events,
    hash_texts,
    idle_sums,
    list_plan,
    merge_known,
    merge_rows,
    merge_runs,
    merge_tiles_known,
    order_rows,
    put_rows,
    read_tiles,
    read_values,
    run_up_states,
    spread_rows,
    tile_tags,
)

logger = logging.getLogger(__name__)


def compile_kernels() -> None:
    """Have every inner loop ready: about 0.4 s in a process, some ten seconds when they were never compiled on this machine.

    Each is called with one event of one key, whose sum is then read back.
    """
    if not list(Path(__file__).parent.glob("__pycache__/*.nbi")):
        logger.info("compiling the inner loops, once on this machine: some ten seconds")
    letter, hash_keys = np.frombuffer(b"a", np.uint8), np.zeros(4, dtype=np.uint64)
    first, second = hash_texts(letter, np.frombuffer(bytes(4) + b"\1\0\0\0", np.int32), hash_keys)
    merges, states, number = np.array([ADD, ADD]), np.array([[1.0, 5.0]]), np.array([1], dtype=np.uint64)
    present = np.ones((1, 1), dtype=np.bool_)
    keys, sizes_ms = (first[None, :], second[None, :], present), np.array([1_000, 0])
    a, b, starts_ms, summed = group_events(np.array([5_000]), sizes_ms, keys, (np.array([0]), number), merges, states)
    index, tags, used = np.zeros(2, dtype=np.uint64), np.zeros((1, 4), dtype=np.uint64), np.zeros(1, dtype=np.int64)
    cells = tags.view(np.float64)
    rows, fresh = claim_rows(index, tags, used, a, b)
    merge_rows(merges, cells, rows, fresh, summed)
    put_rows(tags, cells, rows, b, summed)
    enter_rows(np.zeros(2, dtype=np.uint64), tags, 1)
    zero, one, reads = np.array([0]), np.array([1]), np.array([[SUM, 1, 0, 0, 2]])
    of_tiles = tile_tags(starts_ms, number)
    plan = TilePlan(index, tags, index, tags, 1, *of_tiles, one, merges, np.zeros(2), reads, zero, np.array([[0]]))
    plans = list_plan(plan)
    append_plan(plans, plan)
    assert read_tiles(plans, (letter, one), hash_keys, (np.array([0, 1]), one))[0] == 5.0
    runs, known = (np.array([0]), np.array([1])), np.array([7])
    run_up_states(merges, states, runs[0])
    merge_known(merges, states, known, runs, known, np.zeros((1, 2)))
    cover_runs(*find_runs(known, known, known))
    order_rows(known, known)
    spread_rows(known, 0, 10, 1)
    merge_tiles_known(merges, (states, known, np.array([0, 1])), runs, known, np.zeros((1, 2)))
    assert find_rows(index, tags, a, b)[0] == 0
    assert read_values(reads, merge_runs(merges, states, zero))[0, 0] == 5.0
    sums, since_ms, peaks = idle_sums(1)
    assert advance_bets(zero, one, np.array([[2.0]]), np.array([1.0]), sums, since_ms, peaks, False) == 0
