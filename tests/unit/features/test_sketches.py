"""Sketches: their errors, their bytes, and what they refuse. The laws of order and merging are in tests/property/test_aggregates.py."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.features.ddsketch import Quantile
from tidemill.features.hyperloglog import Distinct, hash_values
from tidemill.features.sketch import NULL_CODE

ROUGH, FINE = Distinct(0.02), Distinct(0.01)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_a_few_different_values_are_counted_exactly(n: int) -> None:
    texts = np.array([f"m{place}" for place in range(n)] * 3, dtype=object)
    assert ROUGH.value(ROUGH.of(ROUGH.codes(texts))) == n


@pytest.mark.parametrize("sketch", [ROUGH, FINE], ids=["0.02", "0.01"])
@pytest.mark.parametrize("n", [10, 100, 1_000, 5_000, 10_000, 20_000, 100_000])
def test_the_error_is_what_was_asked_for_and_has_no_side(sketch: Distinct, n: int) -> None:
    """Where linear counting hands over to the estimate of large counts, about 2.5 m, lies in here for both."""
    rng = np.random.default_rng(n)
    errors = np.array([sketch.value(sketch.of(sketch.codes(rng.random(n)))) / n - 1 for _ in range(40)])
    assert np.sqrt(np.mean(errors**2)) <= sketch.accuracy * 1.2
    assert abs(errors.mean()) <= 4 * sketch.accuracy / math.sqrt(len(errors))


def test_text_and_numbers_are_hashed_the_same_for_ever() -> None:
    """Stored states hold these; a change is a change of every state ever written."""
    assert hash_values(np.array(["a", "é", ""], dtype=object)).tolist() == [3651292819793646536, 16936077304004338822, 4957838861967387852]
    assert hash_values(np.array([1.0, 0.0, -0.0])).tolist() == [9860564707913756141, 16294208416658607535, 16294208416658607535]
    assert ROUGH.of(ROUGH.codes(np.array(["a", "é", None, "a"], dtype=object))).hex() == "81ca000001ac0300"
    median = Quantile(0.5, 0.01)
    assert median.of(median.codes(np.array([1.0, np.nan, 1.0, 100.0]))).hex() == "0000599f010040a001000201"


def test_a_state_is_short_while_it_holds_little() -> None:
    codes = ROUGH.codes(np.arange(10_000.0))
    sizes = [len(ROUGH.of(codes[:n])) for n in (0, 1, 10, 500, 10_000)]
    assert sizes[:4] == [0, 4, 40, 4 * len(np.unique(codes[:500] >> 6))]
    assert sizes[4] == 4_096 == 2**ROUGH.precision
    whole = ROUGH.of(codes)
    assert ROUGH.merge([whole, ROUGH.neutral, ROUGH.of(codes[:10])]) == whole
    assert ROUGH.merge([ROUGH.of(codes[part::7]) for part in range(7)]) == whole


def test_the_greatest_rank_of_a_register_is_kept() -> None:
    register_and_ranks = np.array([3 << 6 | 2, 3 << 6 | 9, 3 << 6 | 1, 4 << 6 | 1])
    state = ROUGH.of(register_and_ranks)
    assert np.frombuffer(state, dtype="<u4").tolist() == [3 << 6 | 9, 4 << 6 | 1]
    assert ROUGH.merge([ROUGH.of(register_and_ranks[place : place + 1]) for place in (3, 1, 0, 2)]) == state
    assert ROUGH.value_of_counts(register_and_ranks, np.array([1, 5, 1, 1])) == ROUGH.value(state)


def test_a_greater_rank_never_means_fewer_values() -> None:
    """Up to the greatest rank, whose hashes end in nothing but zeros and are met once in 2**52 values."""
    ranks = range(1, 64 - ROUGH.precision + 2)
    others = np.arange(2, 2**ROUGH.precision) << 6 | 3
    alone = [ROUGH.value(ROUGH.of(np.array([rank]))) for rank in ranks]
    assert set(alone) == {1.0}
    among = [ROUGH.value(ROUGH.of(np.append(others, [rank, 1 << 6 | rank]))) for rank in ranks]
    assert among == sorted(among)
    assert among[0] < among[-1] < 1.01 * among[0]


def test_no_values_are_no_different_values_and_no_quantile() -> None:
    nulls, no_texts = np.array([np.nan, np.nan]), np.array([None], dtype=object)
    assert ROUGH.of(ROUGH.codes(nulls)) == ROUGH.of(ROUGH.codes(no_texts)) == ROUGH.neutral == ROUGH.merge([])
    assert ROUGH.codes(no_texts[:0]).tolist() == ROUGH.codes(nulls[:0]).tolist() == []
    assert ROUGH.value(ROUGH.neutral) == 0
    median = Quantile(0.5, 0.01)
    assert median.codes(nulls).tolist() == [NULL_CODE, NULL_CODE]
    assert median.of(median.codes(nulls)) == median.neutral == median.merge([median.neutral])
    assert math.isnan(median.value(median.neutral))
    assert math.isnan(median.value_of_counts(np.array([NULL_CODE]), np.array([2])))


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 1.7976931348623157e308, -1e308, 2.3e-308, 5e-324])


@given(
    values=st.lists(NUMBERS, min_size=1, max_size=60),
    level=st.sampled_from([0, 0.25, 0.5, 0.99, 1]) | st.floats(0, 1),
    accuracy=st.sampled_from([0.1, 0.01, 0.0001, 0.000001]),
)
def test_a_quantile_is_within_its_accuracy(values: list[float], level: float, accuracy: float) -> None:
    sketch = Quantile(level, accuracy)
    got = sketch.value(sketch.of(sketch.codes(np.array(values))))
    want = sorted(values)[math.floor(level * (len(values) - 1))]
    assert abs(got - want) <= accuracy * abs(want) * (1 + 1e-6) + 2.3e-308


@given(values=st.lists(NUMBERS, min_size=2, max_size=30))
def test_codes_rise_with_the_values(values: list[float]) -> None:
    codes = Quantile(0.5, 0.01).codes(np.array(sorted(values)))
    assert codes.min() > NULL_CODE
    assert (np.diff(codes) >= 0).all()


def test_many_values_in_few_bins_are_kept_by_bin_and_not_by_value() -> None:
    rng = np.random.default_rng(7)
    values = rng.lognormal(3, 1, 200_000)
    sketch = Quantile(0.9, 0.01)
    parts = [sketch.of(sketch.codes(part)) for part in np.array_split(values, 13)]
    state = sketch.merge(parts)
    assert state == sketch.of(sketch.codes(values)) == sketch.merge([sketch.merge(parts[:5]), *parts[5:]])
    assert len(state) < 3_000
    assert sketch.value(state) == pytest.approx(np.quantile(values, 0.9), rel=0.0101)


def test_counts_of_more_than_a_byte_are_kept() -> None:
    sketch = Quantile(0.5, 0.01)
    for times in (255, 256, 65_535, 65_536):
        state = sketch.of(np.concatenate([np.full(times, 5), np.full(times + 1, 9_000), [70_000]]))
        assert sketch.merge([state]) == state
        doubled = sketch.merge([state, state])
        assert sketch.value(doubled) == sketch.value_of_counts(np.array([9_000, 70_000, 5]), np.array([2 * times + 2, 2, 2 * times]))


@pytest.mark.parametrize("accuracy", [0, 0.001, 1, 2, float("nan")])
def test_a_distinct_count_of_no_such_accuracy_is_refused(accuracy: float) -> None:
    with pytest.raises(ValueError, match="distinct counts within a standard error of"):
        Distinct(accuracy)


@pytest.mark.parametrize(("level", "accuracy"), [(-0.1, 0.01), (90, 0.01), (float("nan"), 0.01), (0.5, 0), (0.5, 1), (0.5, 1e-7)])
def test_what_is_no_quantile_is_refused(level: float, accuracy: float) -> None:
    with pytest.raises(ValueError, match=r"a quantile's (level|accuracy) lies between"):
        Quantile(level, accuracy)


def test_what_shares_a_state_has_one_kind() -> None:
    assert Distinct(0.02).kind == Distinct(0.017).kind == "distinct[12]"
    assert Quantile(0.5, 0.01).kind == Quantile(0.9, 0.01).kind != Quantile(0.5, 0.02).kind
    assert Quantile(0.5, 0.01).reading != Quantile(0.9, 0.01).reading
    assert Quantile(1, np.float64(0.01)) == Quantile(1.0, 0.01)
    assert Quantile(1, np.float64(0.01)).kind == Quantile(1.0, 0.01).kind == "quantile[0.01]"
