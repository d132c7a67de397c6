"""Which fault comes when."""

from __future__ import annotations

import random

from tests.chaos.__main__ import Plan, drawn

NAMES = ["a", "b", "c"]


def test_each_fault_comes_once_before_any_comes_again() -> None:
    names = list(drawn(Plan("embedded", NAMES, rounds=8, seed=1), random.Random(1)))
    assert sorted(names[:3]) == sorted(names[3:6]) == NAMES
    assert len(set(names[6:])) == 2


def test_a_seed_repeats_their_order() -> None:
    plan = Plan("embedded", NAMES, rounds=30, seed=1)
    assert list(drawn(plan, random.Random(1))) == list(drawn(plan, random.Random(1)))
    assert list(drawn(plan, random.Random(1))) != list(drawn(plan, random.Random(2)))
