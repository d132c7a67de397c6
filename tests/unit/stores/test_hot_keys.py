"""The values of keys in demand: held under a stamp, for one key a view, and no more than so many."""

from __future__ import annotations

import numpy as np

from tidemill.stores.hot_keys import HotKeys

ROW = [np.array([1.0]), np.array([2.0])]


def test_what_was_put_is_found_under_its_stamp_only() -> None:
    hot = HotKeys()
    hot.put({("by_card", "c1"): ROW, ("by_card", None): ROW}, stamp=(7, 0))
    asked = {"by_card": ["c1"], "by_device": ["c1"]}
    assert hot.get(asked, (7, 0)) == {"by_card": ROW}
    assert hot.get(asked, (8, 0)) == {}
    assert hot.get({"by_card": [None]}, (7, 0)) == {"by_card": ROW}
    hot.put({("by_card", "c1"): ROW}, stamp=(8, 0))
    assert hot.get(asked, (8, 0)) == {"by_card": ROW}


def test_views_that_are_asked_for_several_keys_are_not_looked_for() -> None:
    hot = HotKeys()
    hot.put({("by_card", "c1"): ROW, ("by_card", "c2"): ROW}, stamp=1)
    assert hot.get({"by_card": ["c1", "c2"]}, 1) == {}
    assert hot.get({"by_card": []}, 1) == {}


def test_those_put_longest_ago_are_forgotten_first() -> None:
    hot = HotKeys(most=3)
    for number in range(5):
        hot.put({("by_card", f"c{number}"): ROW}, stamp=1)
    assert [bool(hot.get({"by_card": [f"c{number}"]}, 1)) for number in range(5)] == [False, False, True, True, True]
