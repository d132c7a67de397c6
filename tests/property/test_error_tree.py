"""A tree of errors against a walk by hand, one row at a time."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.drift.error_tree import ANSWER, LEAF_ROWS, ErrorTree
from tidemill.events import Column
from tidemill.kernels import Floats

SEEDS = st.integers(0, 2**32 - 1)
FAR = [-1e300, -1e9, 0.0, 1e9, 1e300, math.nan]


def a_world(seed: int, n: int) -> tuple[Floats, dict[str, Column]]:
    """Errors that depend on all columns; numbers are missing now and then or always, and texts are rare, frequent or missing."""
    rng = np.random.default_rng(seed)
    said, width = rng.normal(size=n), rng.choice([0.5, 1.0, 2.0, 8.0], n)
    width[rng.random(n) < rng.choice([0.0, 0.2, 1.1])] = np.nan
    port = rng.choice(np.array(["north", "south", "rare", None], dtype=object), n, p=[0.5, 0.39, 0.01, 0.1])
    scale = np.exp(0.5 * said) + np.nan_to_num(width, nan=5.0) + (port == "south")
    return rng.normal(size=n) * scale, {ANSWER: said, "width": width, "port": port}


def walk(tree: ErrorTree, row: dict[str, float | str | None]) -> int:
    """The leaf of one row, question by question."""
    node = 0
    while tree.column[node] >= 0:
        name = tree.names[tree.column[node]]
        value = row[name]
        if name in tree.gradings:
            grading = tree.gradings[name]
            value = math.nan if value is None else grading.graded.get(str(value), grading.unknown)
        assert isinstance(value, float)
        if math.isnan(value):
            goes_left = tree.missing_left[node]
        else:
            most = float(np.finfo(np.float32).max)
            goes_left = float(np.float32(min(max(value, -most), most))) <= tree.threshold[node]
        node = tree.left[node] if goes_left else tree.right[node]
    return node


@settings(max_examples=10)
@given(SEEDS, st.integers(2, 1_000))
def test_every_row_comes_to_its_leaf_and_a_leaf_says_what_its_rows_were(seed: int, n: int) -> None:
    off, columns = a_world(seed, n)
    tree = ErrorTree.fit(off, columns)
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*(column.tolist() for column in columns.values()), strict=True)]
    leaves = [walk(tree, row) for row in rows]
    assert tree.leaves(columns).tolist() == leaves
    for leaf in set(leaves):
        mine = [abs(error) for error, at in zip(off.tolist(), leaves, strict=True) if at == leaf]
        assert tree.rows[leaf] == len(mine) >= min(LEAF_ROWS, n)
        for power, mean in ((1, tree.size), (2, tree.square), (4, tree.fourth)):
            assert mean[leaf] == pytest.approx(sum(one**power for one in mine) / len(mine))
    assert tree.size[0] == pytest.approx(np.abs(off).mean())  # the root is all rows


@settings(max_examples=10)
@given(SEEDS, st.sampled_from(FAR), st.sampled_from(["north", "never seen", None]))
def test_what_was_never_seen_is_told_by_a_leaf_that_was(seed: int, far: float, port: str | None) -> None:
    off, columns = a_world(seed, 600)
    tree = ErrorTree.fit(off, columns)
    asked = {ANSWER: np.array([0.0 if math.isnan(far) else far]), "width": np.array([far]), "port": np.array([port], dtype=object)}
    expected = tree.expect(asked)
    leaf = walk(tree, {ANSWER: asked[ANSWER].item(), "width": far, "port": port})
    assert (expected.n, expected.size, expected.square) == (1, tree.size[leaf], tree.square[leaf])
    assert 0 < expected.size <= np.abs(off).max()


@settings(max_examples=10)
@given(SEEDS)
def test_sums_are_those_of_the_rows_and_the_tree_comes_back_from_json(seed: int) -> None:
    off, columns = a_world(seed, 800)
    tree = ErrorTree.fit(off, columns)
    assert ErrorTree.from_json(json.loads(json.dumps(asdict(tree), allow_nan=False))) == tree
    _, asked = a_world(seed + 1, 90)
    leaves, found = tree.leaves(asked).tolist(), tree.expect(asked)
    sizes, variances = (
        [part[leaf] for leaf in leaves] for part in (tree.size, [s - m * m for s, m in zip(tree.square, tree.size, strict=True)])
    )
    assert tree.row_errors(asked, squared=False).tolist() == sizes
    assert found.size == pytest.approx(sum(sizes) / 90)
    assert found.square == pytest.approx(tree.row_errors(asked, squared=True).mean())
    luck = sum(variances) / 90**2
    doubt = sum((leaves.count(leaf) / 90) ** 2 * (tree.square[leaf] - tree.size[leaf] ** 2) / tree.rows[leaf] for leaf in set(leaves))
    assert found.size_variance == pytest.approx(luck + doubt)
