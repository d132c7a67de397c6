"""SipHash-2-4 against the paper's vector, and against pandas', which mixes its bits once more."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pandas.util import hash_array

from tidemill.kernels import Tags, hash_texts
from tidemill.stores.digests import digest_texts

TEXTS = st.lists(st.text(max_size=40) | st.integers(0, 33).map("x".__mul__), min_size=1, max_size=20)


def mixed(numbers: Tags) -> Tags:
    """What pandas does to every hash."""
    numbers = (numbers ^ numbers >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ numbers >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return numbers ^ numbers >> np.uint64(31)


def test_the_vector_of_the_paper() -> None:
    """Aumasson, Bernstein, "SipHash: a fast short-input PRF", appendix A."""
    text, ends = np.frombuffer(bytes(range(15)), np.uint8), np.frombuffer(np.array([0, 15], np.int32).tobytes(), np.int32)
    keys = np.frombuffer(bytes(16) + bytes(range(16)), np.uint64).copy()
    first, second = hash_texts(text, ends, keys)
    assert second.tolist() == [0xA129CA6149BE45E5]
    assert hash_texts(text, ends, np.roll(keys, 2))[1].tolist() == first.tolist() != second.tolist()


@given(texts=TEXTS)
def test_it_is_what_pandas_makes_of_it(texts: list[str]) -> None:
    column = np.empty(len(texts), dtype=object)
    column[:] = texts
    first, second, present = digest_texts(texts)
    assert present.all()
    np.testing.assert_array_equal(mixed(first), hash_array(column, hash_key="tidemill/first/2", categorize=False))
    np.testing.assert_array_equal(second & np.uint64(1), np.ones(len(texts)))
    again = digest_texts([None, *column, None])
    assert [(int(a), int(b)) for a, b in zip(*again[:2], strict=True)] == [
        (0, 0),
        *zip(first.tolist(), second.tolist(), strict=True),
        (0, 0),
    ]
    assert again[2].tolist() == [False, *[True] * len(texts), False]


def test_no_texts_and_only_empty_ones() -> None:
    assert [len(part) for part in digest_texts([])] == [0, 0, 0]
    first, _, present = digest_texts(["", ""])
    assert first[0] == first[1] != 0
    assert present.all()
