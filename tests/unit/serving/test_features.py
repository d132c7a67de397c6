"""Keys as people write them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tidemill.features.view import make_keys
from tidemill.serving.features import split_key

PARTS = st.lists(st.text(alphabet="ab,\\", max_size=5), min_size=2, max_size=4)


@given(parts=PARTS)
def test_a_key_is_split_into_what_made_it(parts: list[str]) -> None:
    (key,) = make_keys([np.array([part], dtype=object) for part in parts])
    assert key is not None
    assert split_key(key) == parts
