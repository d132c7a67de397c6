"""Events of several partitions: their log offsets, and the positions that have taken them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tidemill.streams import Mark, Position, Records, log_offset, partition_of
from tidemill.streams.log_offset import MAX_OFFSET, offsets_of, partitions_of
from tidemill.streams.position import lowest

PARTS = st.dictionaries(st.sampled_from(["0", "1", "2", "10", "500000"]), st.integers(0, 6), max_size=4)
EVENTS = st.lists(st.tuples(st.sampled_from(["0", "1", "2", "10", "500000"]), st.integers(1, 7)), max_size=8)


@given(events=st.lists(st.tuples(st.integers(0, 2**19 - 1).map(str), st.integers(0, MAX_OFFSET)), max_size=5))
def test_a_log_offset_holds_partition_and_offset(events: list[tuple[str, int]]) -> None:
    records = Records.of([("taps", partition, offset, 1, "{}") for partition, offset in events])
    told = records.log_offsets
    assert told.tolist() == [record.log_offset for record in records] == [log_offset(*event) for event in events]
    assert [partition_of(one) for one in told.tolist()] == [partition for partition, _ in events]
    assert list(zip(map(str, partitions_of(told).tolist()), offsets_of(told).tolist(), strict=True)) == events


@given(parts=PARTS, events=EVENTS)
def test_a_position_tells_what_it_has_taken_of_each_partition(parts: dict[str, int], events: list[tuple[str, int]]) -> None:
    position = Position({"taps": parts, "gates": {"0": 9}})
    offsets = np.array([log_offset(*event) for event in events], dtype=np.int64)
    taken = [offset <= parts.get(partition, 0) for partition, offset in events]
    assert position.taken("taps", offsets).tolist() == taken
    assert [any(first <= one <= last for first, last in position.spans("taps")) for one in offsets.tolist()] == taken
    assert position.last("taps") == max((log_offset(*part) for part in parts.items() if part[1]), default=0)


def test_what_all_have_taken_carries_the_marks_of_the_slowest() -> None:
    fast = Position({"taps": {"0": 7, "1": 2}, "gates": {"0": 4}}, {"taps": {"0": Mark(70, 7), "1": Mark(20, 2)}})
    slow = Position({"taps": {"0": 5, "1": 9}}, {"taps": {"0": Mark(50, 4), "1": Mark(90, 8)}})
    both = lowest([fast, slow])
    assert both == Position({"taps": {"0": 5, "1": 2}, "gates": {"0": 0}})
    assert both.marks == {"taps": {"0": Mark(50, 4), "1": Mark(20, 2)}}
    assert fast.at_least(both) and slow.at_least(both)


def test_marks_are_part_of_a_token_and_not_of_what_a_position_is() -> None:
    marked = Position({"taps": {"0": 7, "1": 0}}, {"taps": {"0": Mark(known_at_ms=70, events=6)}})
    again = Position.from_token(marked.token)
    assert (again, again.marks, again.token) == (marked, marked.marks, marked.token)
    assert (again.mark("taps", "0"), again.mark("taps", "1"), again.mark("gates", "0")) == (Mark(70, 6), None, None)
    assert marked == Position({"taps": {"0": 7, "1": 0}})
