"""Keys of entities of several fields: commas and backslashes in them, nulls, and no two entities of one key."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from tidemill.features import make_keys

PARTS = st.text(alphabet="a,\\é\"' ", max_size=4)


@given(entities=st.lists(st.tuples(PARTS, PARTS, PARTS), unique=True, max_size=30))
@example(entities=[("a,b", "c", ""), ("a", "b,c", ""), ("a", "b", ",c"), ("a\\", "b", "c"), ("a", "\\b", "c"), ("a\\,b", "", "c")])
def test_entities_of_several_fields_never_meet(entities: list[tuple[str, str, str]]) -> None:
    columns = [np.array([entity[place] for entity in entities], dtype=object) for place in range(3)]
    keys = make_keys(columns)
    assert None not in keys
    assert len(set(keys)) == len(entities)


def test_a_null_part_is_no_key() -> None:
    columns = [np.array(["a", None, "", None], dtype=object), np.array([None, "b", "", None], dtype=object)]
    assert make_keys(columns) == [None, None, ",", None]
    assert make_keys(columns[:1]) == ["a", None, "", None]


def test_one_field_is_its_own_key() -> None:
    assert make_keys([np.array(["a,b", "a\\b"], dtype=object)]) == ["a,b", "a\\b"]
