"""Shards against a sort of everything at once, in memory and on disk, spread once and again."""

from __future__ import annotations

import random
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from tidemill.learning.event_shards import PLACE, TIED, Shards

BEGIN, END = 1_000, 1_000 + 256**3
PLACES = st.integers(BEGIN, END - 1) | st.sampled_from([BEGIN, BEGIN + 1, BEGIN + 256**2 - 1, BEGIN + 256**2, END - 1])  # edges and ties
BATCHES = st.lists(st.lists(PLACES, max_size=20), max_size=8)
SCHEMA = pa.schema([(PLACE, pa.int64()), (TIED, pa.int64()), ("text", pa.string())])


UNITS = st.sampled_from([1, 300, 256**2, END])


@given(batches=BATCHES, unit=UNITS, memory_mb=st.sampled_from([0, 0.0005, 0.002, 1]), at_once=st.integers(1, 30), rng=st.randoms())
@example(batches=[[BEGIN] * 5, [BEGIN] * 5], unit=1, memory_mb=0, at_once=1, rng=random.Random(1))
def test_they_come_by_place_and_ties_by_offset(
    batches: list[list[int]], unit: int, memory_mb: float, at_once: int, rng: random.Random
) -> None:
    n_rows = sum(len(places) for places in batches)
    offsets = list(range(n_rows))
    rng.shuffle(offsets)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        shards = Shards(BEGIN, END, unit, Path(folder), memory_mb, at_once)
        rows = []
        for places in batches:
            of_these = [(place, offsets.pop(), f"t{place}") for place in places]
            shards.add(pa.RecordBatch.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in of_these], SCHEMA))
            rows += of_these
        spilled = any(Path(folder).iterdir())
        got = list(shards.ordered(pool, ahead=2))
    assert spilled or memory_mb or not rows
    assert [tuple(row.values()) for batch, _ in got for row in batch.to_pylist()] == sorted(rows)
    before = BEGIN
    for batch, end in got:
        places = batch.column(PLACE).to_pylist()
        assert len(batch) <= at_once or len(set(places)) == 1
        assert before <= min(places) <= max(places) < end
        before = end
