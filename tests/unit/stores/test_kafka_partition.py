"""What is next in time among several partitions, and when each event became known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.stores.kafka_partition import Partition, next_in_time
from tidemill.streams import Mark

RISING = st.lists(st.integers(0, 20), max_size=6).map(sorted)


@given(waiting=st.lists(st.tuples(RISING, st.booleans()), min_size=1, max_size=4), limit=st.integers(1, 12))
def test_what_is_given_out_is_the_earliest_that_there_can_be(waiting: list[tuple[list[int], bool]], limit: int) -> None:
    times, complete = [some for some, _ in waiting], [is_complete for _, is_complete in waiting]
    n_of, owner = next_in_time(times, complete, limit)
    assert [owner.count(number) for number in range(len(times))] == n_of
    places = [iter(some) for some in times]
    given_out = [next(places[number]) for number in owner]
    assert given_out == sorted(given_out), "in the order of time, each partition's in its own"
    rest = sorted(time for some, n in zip(times, n_of, strict=True) for time in some[n:])
    assert given_out == sorted(time for some in times for time in some)[: len(given_out)]
    unknown = [some[-1] for some, n, whole in zip(times, n_of, complete, strict=True) if not whole and n == len(some) and some]
    assert all(last >= given_out[-1] for last in unknown), "nothing is given out that may lie behind what is to come"
    assert len(given_out) == limit or unknown or not rest, "no more waits than must"


@given(
    stamps=st.lists(st.integers(0, 30), max_size=12),
    cuts=st.lists(st.integers(1, 4), max_size=12),
    fetches=st.lists(st.integers(1, 5), max_size=12),
)
def test_a_stamp_is_raised_the_same_wherever_one_reads_on(stamps: list[int], cuts: list[int], fetches: list[int]) -> None:
    """A clock that was set back: whoever goes on from a mark raises as those who read everything."""
    want = [max(stamps[: place + 1]) for place in range(len(stamps))]
    told, part, begin = list[int](), Partition("taps", "2", 0, Mark(0, 0)), 0
    for cut, fetch in zip(cuts + [4] * 12, fetches + [5] * 12, strict=False):
        end = max(begin, min(len(stamps), begin + fetch))
        part.add(stamps[begin:end], list(range(begin + 1, end + 1)), ["{}"] * (end - begin))
        told += [row[3] for row in part.take(min(cut, len(part)), None, None)]
        part = Partition("taps", "2", part.offset, part.mark)  # another process
        begin = part.offset
        assert part.mark == Mark(told[-1] if told else 0, len(told))
    assert told == want[: len(told)]


def test_what_holds_no_event_is_passed_with_the_last_event_only() -> None:
    part = Partition("taps", "0", 0, Mark(0, 0))
    part.add([5, 5, 9], [1, 2, 7], ["a", "b", "c"])
    assert (part.up_to(6), part.up_to(7), part.known_at_ms(2)) == (2, 3, [5, 5])
    assert part.take(0, 12, None) == [] and part.offset == 0
    assert [row[4] for row in part.take(2, 12, None)] == ["a", "b"] and part.offset == 2
    assert [row[4] for row in part.take(1, 12, 10)] == ["c"]
    assert (part.offset, part.mark) == (10, Mark(9, 3)), "three events up to there, whatever the offsets"
