"""What no model may learn from: a feed that says one thing only, a column gone missing, what the monitor holds to be broken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from tests import tiny
from tidemill.clock import DAY_MS
from tidemill.drift import profile_reference
from tidemill.learning import TrainingSet
from tidemill.learning.null_outcomes import NullOutcomes
from tidemill.registry.faults import LEAST_RUN, label_fault, null_fault, row_fault, watched_fault

RARE = np.repeat([0.0, 1.0], [4_900, 100])
EVEN = np.tile([0.0, 1.0], 500)
MODEL = replace(tiny.LATE_ORDER, features=["amount", "shop"], estimator=LogisticRegression)


@pytest.mark.parametrize(
    ("newest", "reference", "words"),
    [
        (np.ones(600), EVEN, "600 labels are all 1, which 50 %"),
        (np.concatenate([EVEN, np.zeros(500)]), EVEN, "500 labels are all 0"),
        (np.ones(LEAST_RUN - 1), EVEN, ""),
        (np.zeros(1_000), RARE, ""),  # of a rare outcome a thousand without one are no wonder
        (np.zeros(3_000), RARE, "3000 labels are all 0"),
        (np.ones(600), RARE, "600 labels are all 1"),
        (np.ones(600), np.ones(500), ""),
        (np.array([]), EVEN, ""),
        (EVEN, np.array([]), ""),
    ],
)
def test_a_feed_of_one_value_is_a_fault_where_the_reference_calls_it_impossible(
    newest: np.ndarray, reference: np.ndarray, words: str
) -> None:
    said = label_fault(newest, reference)
    assert bool(said) is bool(words)
    assert words in said


@given(share=st.floats(0.05, 0.95), poisoned=st.sampled_from([0.0, 1.0]), n=st.integers(2_000, 4_000), seed=st.integers(0, 500))
def test_a_poisoned_feed_is_always_seen_and_a_changed_world_never(share: float, poisoned: float, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference = np.concatenate([[0.0, 1.0], (rng.random(3_000) < share).astype(np.float64)])
    changed = (rng.random(n) < rng.uniform(0.05, 0.95)).astype(np.float64)
    assert label_fault(changed, reference) == ""
    assert label_fault(np.concatenate([changed, np.full(2_000, poisoned)]), reference)


@pytest.mark.parametrize(
    ("newest", "reference", "words"),
    [
        ((600, 600), (9_000, 0), "100 % of the newest 600 label events have no outcome, 0 % when"),
        ((600, 150), (9_000, 0), "25 % of"),
        ((600, 100), (9_000, 0), ""),  # from none to a sixth: not yet
        ((600, 100), (9_000, 180), ""),
        ((600, 240), (9_000, 2_700), ""),
        ((600, 560), (9_000, 2_700), "93 % of"),
        ((600, 0), (9_000, 2_700), "0 % of"),  # where a third was missing all are filled in now
        ((LEAST_RUN - 1, LEAST_RUN - 1), (9_000, 0), ""),
        ((600, 600), (LEAST_RUN - 1, 0), ""),
        ((600, 600), (9_000, 9_000), ""),
    ],
)
def test_label_events_without_an_outcome_are_a_fault_where_their_share_is_far_off(
    newest: tuple[int, int], reference: tuple[int, int], words: str
) -> None:
    said = null_fault(NullOutcomes(*newest), NullOutcomes(*reference))
    assert bool(said) is bool(words)
    assert words in said


def gone(missing: int, reference_missing: int) -> str:
    """What is said of 300 newest rows of which so many lack their amount, against 1,000 of the reference."""
    rng = np.random.default_rng(1)
    known = {"amount": rng.normal(size=1_000), "shop": np.array(["a", "b"] * 500, dtype=object)}
    known["amount"][:reference_missing] = np.nan
    reference = profile_reference(known, rng.random(1_000), np.arange(1_000) * DAY_MS // 50)
    amount = rng.normal(size=300)
    amount[:missing] = np.nan
    columns = {"amount": amount, "shop": np.array([None] * 300, dtype=object) if missing == 300 else np.array(["a"] * 300, dtype=object)}
    rows = TrainingSet(columns, np.zeros(300), np.arange(300), [""] * 300, 0, {}, 0, 0)
    return row_fault(MODEL, rows, reference)


def test_a_column_gone_missing_is_a_fault_unless_it_always_was() -> None:
    assert gone(300, 0) == "column 'amount' is missing in all 300 newest rows, and so is shop"
    assert gone(299, 0) == ""
    assert gone(300, 600) == "column 'shop' is missing in all 300 newest rows"


@pytest.mark.parametrize("state", [None, {}, {"faults": []}, {"faults": None}, {"faults": "x"}, {"version": 3}])
def test_a_monitor_that_says_nothing_of_faults_holds_nothing_up(state: dict[str, object] | None) -> None:
    assert watched_fault(state) == ""


def test_what_the_monitor_holds_to_be_broken_is_named() -> None:
    faults = [{"column": "amount", "what": "stuck", "since_ms": DAY_MS}, {"column": "shop", "what": "all missing", "since_ms": DAY_MS}]
    assert watched_fault({"faults": faults}) == "column 'amount' is stuck since 1970-01-02 00:00 UTC, and 1 more"
    assert watched_fault({"faults": [{"column": "amount"}]}) == "column 'amount' is broken"
