"""One store's life of a decision: asked for, claimed, ended; taken back; emitted; frozen."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from tidemill.errors import InputError, NotFoundError
from tidemill.stores import Databases, open_loop
from tidemill.stores.decisions import Decision, DecisionStore, Ending, Freeze, Outcome, Trigger, decision_id


@pytest.fixture
def store(databases: Databases) -> DecisionStore:
    return DecisionStore(open_loop(databases))


def decision(name: str, model: str = "late", wall_ms: int = 10) -> Decision:
    return Decision(name, model, "error", f"alarm-{name}", "errors rose", requested_at_ms=1_000, requested_wall_ms=wall_ms)


def ending(outcome: Outcome, at_ms: int = 2_000, fits: int = 0) -> Ending:
    return Ending(outcome, f"because {outcome}", at_ms=at_ms, wall_ms=30, fits=fits)


def run(store: DecisionStore, name: str, how: Ending, model: str = "late") -> None:
    assert store.request(decision(name, model))
    assert store.claim(name, f"run-{name}", wall_ms=20)
    assert store.finish(name, how, f"run-{name}")


def test_a_decision_is_read_as_it_was_written(store: DecisionStore) -> None:
    asked = Decision(
        "d", "late", "evidently", "k", "drift", requested_at_ms=1, requested_wall_ms=2, evidence={"psi": 0.25, "columns": ["origin"]}
    )
    store.request(asked)
    assert store.get("d") == asked
    store.claim("d", "run", wall_ms=3)
    told = Ending("promoted", "better", 4, 5, "1", "2", "log_loss", 0.5, 0.25, fits=1)
    assert store.finish("d", told, "run")
    ended = store.get("d")
    assert (ended.state, ended.outcome, ended.outcome_reason, ended.finished_at_ms, ended.finished_wall_ms) == (
        ("finished", "promoted", "better", 4, 5)
    )
    assert (ended.from_version, ended.to_version, ended.metric_name, ended.metric_champion, ended.metric_challenger, ended.fits) == (
        ("1", "2", "log_loss", 0.5, 0.25, 1)
    )
    assert (ended.flow_run_id, ended.claimed_wall_ms, ended.evidence) == ("run", 3, asked.evidence)


def test_an_unknown_decision_is_not_found(store: DecisionStore) -> None:
    with pytest.raises(NotFoundError, match="no decision 'nobody'"):
        store.get("nobody")


def test_the_same_id_for_another_alarm_is_an_error_not_a_silent_loss(store: DecisionStore) -> None:
    store.request(decision("d"))
    with pytest.raises(IntegrityError):
        store.request(Decision("d", "late", "error", "another", "errors rose", requested_at_ms=1, requested_wall_ms=1))


@pytest.mark.parametrize("evidence", [{"text": "x" * 16_384}, {"gain": float("nan")}, {"what": object()}])
def test_evidence_that_cannot_be_kept_is_refused(evidence: dict[str, object]) -> None:
    with pytest.raises(InputError, match="evidence"):
        Decision("d", "late", "error", "k", "r", requested_at_ms=1, requested_wall_ms=1, evidence=evidence)


def test_the_holder_claims_again_and_another_run_does_not(store: DecisionStore) -> None:
    store.request(decision("d"))
    assert store.claim("d", "run-a", wall_ms=20)
    assert not store.claim("d", "run-b", wall_ms=21)
    assert store.claim("d", "run-a", wall_ms=22)
    assert store.get("d").claimed_wall_ms == 20
    with pytest.raises(ValueError, match="flow run"):
        store.claim("d", "", wall_ms=23)


@pytest.mark.parametrize("outcome", ["promoted", "rejected", "failed", "refused", "merged"])
def test_only_the_holder_ends_a_claimed_decision_and_only_once(store: DecisionStore, outcome: Outcome) -> None:
    store.request(decision("d"))
    store.claim("d", "run-a", wall_ms=20)
    assert not store.finish("d", ending(outcome), "run-b")
    assert not store.finish("d", ending(outcome))
    assert store.finish("d", ending(outcome), "run-a")
    assert not store.finish("d", ending("failed"), "run-a")
    assert not store.claim("d", "run-a", wall_ms=40)
    assert store.get("d").outcome == outcome


@pytest.mark.parametrize(
    ("outcome", "ends"), [("refused", True), ("merged", True), ("promoted", False), ("rejected", False), ("failed", False)]
)
def test_an_unclaimed_decision_can_only_be_refused_or_merged(store: DecisionStore, outcome: Outcome, ends: bool) -> None:
    store.request(decision("d"))
    assert store.finish("d", ending(outcome)) is ends
    assert (store.get("d").state == "finished") is ends


def test_of_two_that_run_the_earlier_claim_counts(store: DecisionStore) -> None:
    for name in ("a", "b"):
        store.request(decision(name))
    assert store.running("late") is None
    store.claim("b", "run-b", wall_ms=20)
    store.claim("a", "run-a", wall_ms=20)
    assert store.running("late", besides="b") is None
    seen = store.running("late", besides="a")
    assert seen is not None and seen.id == "b"
    assert store.running("other") is None
    store.finish("b", ending("promoted"), "run-b")
    assert store.running("late", besides="a") is None
    seen = store.running("late")
    assert seen is not None and seen.id == "a"


def test_a_dead_run_is_asked_for_again_and_given_up_after_two_times(store: DecisionStore) -> None:
    store.request(decision("d"))
    for attempt in (1, 2, 3):
        (event,) = store.unclaimed(now_wall_ms=100, retry_after_ms=1_000)
        assert event.payload["attempt"] == str(attempt)
        store.mark_emitted("d", wall_ms=100)
        store.claim("d", f"run-{attempt}", wall_ms=100)
        assert store.release_stale(100, now_ms=5_000, wall_ms=150) == []
        assert store.release_stale(101, now_ms=5_000, wall_ms=150) == ["d"]
        assert not store.finish("d", ending("promoted"), f"run-{attempt}")
    ended = store.get("d")
    assert (ended.state, ended.outcome, ended.finished_at_ms, ended.finished_wall_ms) == ("finished", "failed", 5_000, 150)
    assert "3 runs in a row" in ended.outcome_reason
    assert store.unclaimed(now_wall_ms=10_000, retry_after_ms=1) == []


def test_stages_and_findings_are_kept_by_the_holder_alone(store: DecisionStore) -> None:
    store.request(decision("d"))
    assert not store.mark("d", "run", "guarded", wall_ms=25)
    store.claim("d", "run", wall_ms=20)
    assert store.mark("d", "run", "guarded", wall_ms=25, findings={"guard": {"labels": 7}})
    assert store.mark("d", "run", "fitted", wall_ms=29, findings={"candidates": []})
    assert not store.mark("d", "another", "fitted", wall_ms=30)
    found = store.get("d")
    assert (found.stages, found.findings) == ({"guarded": 25, "fitted": 29}, {"guard": {"labels": 7}, "candidates": []})
    assert store.release_stale(29, now_ms=1, wall_ms=40) == [], "a stage is a sign of life"
    with pytest.raises(InputError, match="findings"):
        store.mark("d", "run", "judged", wall_ms=30, findings={"gain": float("nan")})


def test_a_claim_given_back_is_asked_for_again_after_a_growing_pause(store: DecisionStore) -> None:
    store.request(decision("d"))
    store.claim("d", "run-1", wall_ms=100)
    assert not store.put_back("d", "another", wall_ms=100)
    assert store.put_back("d", "run-1", wall_ms=100)
    assert store.get("d").state == "requested"
    assert store.unclaimed(now_wall_ms=5_100, retry_after_ms=1) == []
    (event,) = store.unclaimed(now_wall_ms=5_101, retry_after_ms=1)
    assert event.payload["attempt"] == "2"
    store.claim("d", "run-2", wall_ms=6_000)
    assert store.put_back("d", "run-2", wall_ms=6_000, at_most=2)
    assert store.unclaimed(now_wall_ms=16_000, retry_after_ms=1) == []
    store.claim("d", "run-3", wall_ms=20_000)
    assert not store.put_back("d", "run-3", wall_ms=20_000, at_most=2)
    assert store.finish("d", ending("failed"), "run-3")


def test_of_alarms_that_wait_the_oldest_goes_on_and_a_person_is_not_merged(store: DecisionStore) -> None:
    for number in range(5):
        store.request(decision(f"e{number}", wall_ms=10 + number))
    store.request(replace(decision("by hand"), trigger="manual", requested_wall_ms=30))
    store.request(decision("other", model="another", wall_ms=30))
    assert sorted(store.merge_waiting(now_ms=5, wall_ms=40)) == ["e1", "e2", "e3", "e4"]
    assert sorted(event.decision_id for event in store.unclaimed(100, 1)) == ["by hand", "e0", "other"]
    merged = store.get("e3")
    assert (merged.outcome, merged.decided_by, "e0" in merged.outcome_reason) == ("merged", "guard", True)
    assert store.merge_waiting(now_ms=5, wall_ms=40) == []


def test_the_last_alarm_and_what_follows_it(store: DecisionStore) -> None:
    run(store, "a", ending("rejected", fits=3))
    assert store.last_alarm("late") == store.get("a")
    store.request(decision("cooling", wall_ms=20))
    store.finish("cooling", Ending("refused", "Cooldown: too soon", at_ms=1, wall_ms=1))
    assert store.last_alarm("late") == store.get("a")
    store.request(decision("few", wall_ms=30))
    store.finish("few", Ending("refused", "TooFewLabels: 3", at_ms=1, wall_ms=1))
    assert store.last_alarm("late") == store.get("few")
    for number in (500, 1_000):
        store.request(replace(decision(f"f{number}"), trigger="labels", alarm_key=f"labels:a:{number}", evidence={"follows": "a"}))
    assert [one.id for one in store.follow_ups("late", "a")] == ["f1000", "f500"]
    store.request(replace(decision("again", wall_ms=40), evidence={"follows": "few"}))
    store.finish("again", Ending("refused", "TooFewLabels: 4", at_ms=1, wall_ms=1))
    assert store.last_alarm("late") == store.get("few"), "an alarm that repeats another is not one of its own"
    assert store.follow_ups("late", "few") == [store.get("again")]
    assert store.of_alarm("late", "labels:a:500") == store.get("f500")
    assert store.of_alarm("late", "labels:a:7") is None


def test_what_was_known_when_it_was_asked_for_stays(store: DecisionStore) -> None:
    store.request(replace(decision("d"), from_version="4", act="rollback", to_version="3"))
    store.finish("d", ending("refused"))
    found = store.get("d")
    assert (found.from_version, found.to_version, found.act) == ("4", "3", "rollback")


def test_a_sign_of_life_keeps_the_claim(store: DecisionStore) -> None:
    store.request(decision("d"))
    store.claim("d", "run", wall_ms=100)
    store.claim("d", "run", wall_ms=500)
    assert store.release_stale(400, now_ms=1, wall_ms=500) == []
    assert store.get("d").state == "claimed"


def test_recent_is_newest_first_and_last_finished_goes_by_stream_time(store: DecisionStore) -> None:
    run(store, "a", ending("promoted", at_ms=9_000, fits=1))
    run(store, "b", ending("rejected", at_ms=5_000, fits=2))
    run(store, "c", ending("failed", at_ms=9_500))
    run(store, "d", ending("promoted", at_ms=9_900, fits=1), model="other")
    assert [found.id for found in store.recent("late")] == ["c", "b", "a"]
    assert [found.id for found in store.recent(limit=2)] == ["d", "c"]
    last = store.last_finished("late")
    assert last is not None and last.id == "a"
    last = store.last_finished("late", ["failed"])
    assert last is not None and last.id == "c"
    assert store.last_finished("late", ["refused"]) is None
    assert store.retrained_since("late", 0) == [5_000, 9_000]
    assert store.retrained_since("late", 5_000) == [9_000]


@pytest.mark.parametrize("trigger", ["schedule", "manual"])
def test_a_champion_that_was_only_old_or_asked_about_and_stays_holds_no_alarm_back(store: DecisionStore, trigger: Trigger) -> None:
    run(store, "a", ending("rejected", at_ms=5_000, fits=2))
    assert store.request(replace(decision("b"), trigger=trigger))
    assert store.claim("b", "run-b", wall_ms=20)
    assert store.finish("b", ending("rejected", at_ms=9_000, fits=2), "run-b")
    assert store.last_retrained("late") == 5_000
    assert store.retrained_since("late", 0) == [5_000, 9_000], "its fits count for the budget all the same"


def test_an_event_goes_out_again_until_someone_claims(store: DecisionStore) -> None:
    store.request(decision("b", wall_ms=11))
    store.request(decision("a", wall_ms=12))
    events = store.unclaimed(now_wall_ms=100, retry_after_ms=50)
    assert [event.decision_id for event in events] == ["b", "a"]
    assert events[0].payload == {"decision_id": "b", "model": "late", "trigger": "error", "reason": "errors rose", "attempt": "1"}
    for event in events:
        store.mark_emitted(event.decision_id, wall_ms=100)
    assert store.unclaimed(now_wall_ms=149, retry_after_ms=50) == []
    store.claim("a", "run", wall_ms=150)
    (again,) = store.unclaimed(now_wall_ms=150, retry_after_ms=50)
    assert (again.decision_id, again.emits) == ("b", 1)
    store.put_off("b", wall_ms=150)
    assert store.unclaimed(now_wall_ms=199, retry_after_ms=50) == []
    assert [event.emits for event in store.unclaimed(now_wall_ms=200, retry_after_ms=50)] == [1], "it did not go out"
    store.finish("b", ending("refused"))
    assert store.unclaimed(now_wall_ms=10_000, retry_after_ms=50) == []


def test_a_freeze_stands_until_it_is_lifted_and_the_first_word_counts(store: DecisionStore) -> None:
    assert store.frozen("late") is None
    assert store.freeze("late", "ana", "audit", wall_ms=5)
    assert not store.freeze("late", "bo", "me too", wall_ms=6)
    assert store.frozen("late") == Freeze("late", "ana", "audit", 5)
    assert store.frozen("other") is None
    assert store.unfreeze("late", "ana", wall_ms=7)
    assert not store.unfreeze("late", "ana", wall_ms=8)
    assert store.frozen("late") is None
    assert store.freeze("late", "bo", "again", wall_ms=9)


@given(st.lists(st.integers(0, (1 << 48) - 1), min_size=2, unique=True), st.integers())
def test_ids_sort_by_time(times: list[int], seed: int) -> None:
    rng = random.Random(seed)
    assert [at for _, at in sorted((decision_id(at, rng), at) for at in times)] == sorted(times)
