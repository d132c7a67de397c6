"""What the guard refuses, in which order, and the laws its refusals keep."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.loop import Admitted, GuardFacts, GuardPolicy, Refused, admit, read_facts
from tidemill.stores import Databases, open_loop
from tidemill.stores.decisions import Decision, DecisionStore, Ending, Trigger

POLICY = GuardPolicy(cooldown_ms=7 * DAY_MS, min_labels=2_000, max_retrains=2, period_ms=30 * DAY_MS)
NOW = 100 * DAY_MS
FINE = GuardFacts(now_ms=NOW, labels=5_000)

TIMES = st.integers(0, 200 * DAY_MS)
FACTS = st.builds(
    GuardFacts,
    now_ms=TIMES,
    labels=st.integers(0, 4_000),
    last_retrain_ms=st.none() | TIMES,
    retrains_ms=st.lists(TIMES, max_size=6).map(tuple),
    running=st.sampled_from(["", "d-1"]),
    frozen=st.sampled_from(["", "by ana"]),
    bad_data=st.sampled_from(["", "half of origin is missing"]),
)
POLICIES = st.builds(
    GuardPolicy,
    cooldown_ms=st.integers(1, 60 * DAY_MS),
    min_labels=st.integers(0, 4_000),
    max_retrains=st.none() | st.integers(0, 4),
    period_ms=st.integers(1, 60 * DAY_MS),
)
TRIGGERS: st.SearchStrategy[Trigger] = st.sampled_from(("error", "evidently", "schedule", "labels", "upstream", "manual"))


@pytest.mark.parametrize(
    ("facts", "name", "words", "passes_at_ms"),
    [
        (replace(FINE, frozen="by ana: audit"), "Frozen", ["ana", "audit", "unfrozen"], None),
        (replace(FINE, running="d-7"), "Running", ["d-7", "finished"], None),
        (replace(FINE, bad_data="41 % of origin is missing"), "BadData", ["41 %", "repaired"], None),
        (replace(FINE, last_retrain_ms=NOW - 1), "Cooldown", ["7d", "1970-04-17 23:59"], NOW - 1 + 7 * DAY_MS),
        (
            replace(FINE, retrains_ms=(NOW - 9 * DAY_MS, NOW - 20 * DAY_MS, NOW - 40 * DAY_MS)),
            "BudgetUsed",
            ["2 retrains", "30d", "budget is 2", "1970-04-21"],
            NOW + 10 * DAY_MS,
        ),
        (replace(FINE, labels=1_999), "TooFewLabels", ["1999", "2000", "1 more"], None),
    ],
)
def test_each_refusal_has_its_name_its_numbers_and_when_it_passes(
    facts: GuardFacts, name: str, words: list[str], passes_at_ms: int | None
) -> None:
    refused = admit("error", facts, POLICY)
    assert isinstance(refused, Refused)
    assert (refused.name, refused.passes_at_ms) == (name, passes_at_ms)
    assert [word for word in words if word not in refused.reason] == []
    assert "passes" in refused.reason


@pytest.mark.parametrize(
    "facts",
    [
        FINE,
        replace(FINE, labels=2_000),
        replace(FINE, last_retrain_ms=NOW - 7 * DAY_MS),
        replace(FINE, retrains_ms=(NOW - 30 * DAY_MS, NOW - 9 * DAY_MS)),
    ],
)
def test_the_edges_admit(facts: GuardFacts) -> None:
    assert admit("error", facts, POLICY) == Admitted()


def test_without_a_budget_any_number_is_fine_and_a_budget_of_none_refuses_all() -> None:
    many = replace(FINE, retrains_ms=tuple(NOW - hour * HOUR_MS for hour in range(50)))
    assert admit("schedule", many, replace(POLICY, max_retrains=None)) == Admitted()
    refused = admit("schedule", FINE, replace(POLICY, max_retrains=0))
    assert isinstance(refused, Refused)
    assert (refused.name, refused.passes_at_ms) == ("BudgetUsed", None)


@given(FACTS, POLICIES)
def test_by_hand_only_freeze_running_and_bad_data_count(facts: GuardFacts, policy: GuardPolicy) -> None:
    allowed = not (facts.frozen or facts.running or facts.bad_data)
    assert isinstance(admit("manual", facts, policy), Admitted) == allowed


@given(TRIGGERS, FACTS, POLICIES)
def test_a_trigger_is_never_admitted_where_a_person_is_not(trigger: Trigger, facts: GuardFacts, policy: GuardPolicy) -> None:
    if isinstance(admit("manual", facts, policy), Refused):
        assert admit(trigger, facts, policy) == admit("manual", facts, policy)


@given(TRIGGERS, FACTS, POLICIES, st.integers(0, 60 * DAY_MS), st.integers(0, 4_000))
def test_time_and_labels_never_turn_an_admission_into_a_refusal(
    trigger: Trigger, facts: GuardFacts, policy: GuardPolicy, later_ms: int, more: int
) -> None:
    assume(isinstance(admit(trigger, facts, policy), Admitted))
    assert admit(trigger, replace(facts, now_ms=facts.now_ms + later_ms, labels=facts.labels + more), policy) == Admitted()


@given(FACTS, POLICIES)
def test_a_refusal_passes_exactly_when_it_says(facts: GuardFacts, policy: GuardPolicy) -> None:
    refused = admit("error", replace(facts, frozen="", running="", bad_data=""), policy)
    assume(isinstance(refused, Refused) and refused.passes_at_ms is not None)
    assert isinstance(refused, Refused) and refused.passes_at_ms is not None
    assert refused.passes_at_ms > facts.now_ms

    def name_at(now_ms: int) -> str:
        then = admit("error", replace(facts, frozen="", running="", bad_data="", now_ms=now_ms), policy)
        return then.name if isinstance(then, Refused) else ""

    assert name_at(refused.passes_at_ms - 1) == refused.name
    assert name_at(refused.passes_at_ms) != refused.name


def test_the_facts_are_those_of_the_store(tmp_path: Path) -> None:
    store = DecisionStore(open_loop(Databases(tmp_path)))

    def asked(name: str) -> Decision:
        decision = Decision(name, "late", "error", name, "errors rose", requested_at_ms=NOW, requested_wall_ms=1)
        store.request(decision)
        store.claim(name, f"run-{name}", wall_ms=2)
        return decision

    asked("a")
    store.finish("a", Ending("rejected", "no gain", at_ms=NOW - DAY_MS, wall_ms=3, fits=2), "run-a")
    first, second = asked("b"), asked("c")
    assert read_facts(store, first, NOW, 3_000, POLICY) == GuardFacts(NOW, 3_000, NOW - DAY_MS, (NOW - DAY_MS,))
    assert read_facts(store, second, NOW, 3_000, POLICY).running == "b"
    store.freeze("late", "ana", "audit", wall_ms=NOW)
    refused = admit("manual", read_facts(store, first, NOW, 3_000, POLICY), POLICY)
    assert refused == Refused("Frozen", "the model is frozen by ana at 1970-04-11 00:00 UTC: audit; passes once it is unfrozen")


def test_a_thousand_duplicate_alarms_are_one_retrain(tmp_path: Path) -> None:
    """The same alarm again is no decision; others that come in a burst wait as one; those that come after it are refused."""
    store = DecisionStore(open_loop(Databases(tmp_path)))

    def alarm(number: int, key: str) -> Decision:
        return Decision(f"d{number:04}", "late", "error", key, "errors rose", requested_at_ms=NOW, requested_wall_ms=number)

    assert sum(store.request(alarm(number, "one alarm")) for number in range(500)) == 1
    assert sum(store.request(alarm(number, f"alarm {number}")) for number in range(500, 1_000)) == 500
    assert len(store.merge_waiting(NOW, wall_ms=1)) == 500
    (event,) = store.unclaimed(now_wall_ms=10, retry_after_ms=1)
    trained = 0
    for number in (0, *range(1_000, 1_020)):
        decision = alarm(number, f"alarm {number}" if number else "one alarm")
        assert store.request(decision) is (number > 0)
        assert store.claim(decision.id, f"run-{number}", wall_ms=2)
        said = admit("error", read_facts(store, decision, NOW, 5_000, POLICY), POLICY)
        if isinstance(said, Admitted):
            trained += 1
            store.finish(decision.id, Ending("rejected", "no gain", at_ms=NOW, wall_ms=3, fits=3), f"run-{number}")
        else:
            assert (said.name, said.outcome) == ("Cooldown", "refused")
            store.finish(decision.id, Ending(said.outcome, said.reason, at_ms=NOW, wall_ms=3), f"run-{number}")
    assert (event.decision_id, trained) == ("d0000", 1)


@given(FACTS, POLICIES)
def test_a_follow_up_waits_for_no_cooldown_and_no_labels(facts: GuardFacts, policy: GuardPolicy) -> None:
    found = admit("labels", facts, policy)
    assert not isinstance(found, Refused) or found.name in ("Frozen", "Running", "BadData", "BudgetUsed")
    if isinstance(admit("error", facts, policy), Admitted):
        assert found == Admitted()
