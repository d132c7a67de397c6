"""After an alarm that brought no new champion: when the next try is due, and when there is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from tests import tiny
from tidemill.kernels import Floats
from tidemill.learning import Model
from tidemill.project import Workspace
from tidemill.registry import Ask, asked_since, due_follow_up, is_in_vain, make_decision, plan_of, repeated, since_of
from tidemill.stores import Answered, Decision
from tidemill.stores.decision_records import Ending, Outcome
from tidemill.stores.prediction_records import Role

POLICY = replace(tiny.LATE_ORDER.policy, follow_ups=(100, 300, 600), max_fits=9)
MODEL = replace(tiny.LATE_ORDER, policy=POLICY)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A day of the tiny project: 960 labels or so; each test raises a newer alarm, and only the last counts."""
    workspace = Workspace.open(tiny.project, tmp_path_factory.mktemp("follow"))
    workspace.log.append(tiny.history(0, 1), 0)
    workspace.engine().drain(10_000)
    yield workspace
    workspace.close()


def alarm(workspace: Workspace, name: str, since_ms: int, outcome: Outcome = "rejected", fits: int = 3) -> Decision:
    """An alarm's decision that has ended; it was asked for when the change began, so that no label had been seen."""
    decision = Decision(name, MODEL.name, "error", name, "errors rose", since_ms, len(name), {"since_ms": since_ms}, from_version="1")
    end(workspace, decision, outcome, fits)
    return workspace.decisions.get(name)


def end(workspace: Workspace, decision: Decision, outcome: Outcome, fits: int) -> None:
    """Let a decision end so."""
    assert workspace.decisions.request(decision)
    assert workspace.decisions.claim(decision.id, f"run {decision.id}", 1)
    reason = "TooFewLabels: few" if outcome == "refused" else "no gain"
    assert workspace.decisions.finish(decision.id, Ending(outcome, reason, workspace.now_ms(), 2, fits=fits), f"run {decision.id}")


def promote(workspace: Workspace, decision: Decision, version: int) -> None:
    """Let a decision promote a version."""
    assert workspace.decisions.request(decision)
    assert workspace.decisions.claim(decision.id, f"run {decision.id}", 1)
    ending = Ending("promoted", "better", workspace.now_ms(), 2, to_version=str(version), fits=2)
    assert workspace.decisions.finish(decision.id, ending, f"run {decision.id}")


def known(workspace: Workspace, last: int) -> int:
    """The time after which so many labels became known."""
    return workspace.state.newest_outcomes(MODEL.name, last + 1)[0].known_at_ms


def follow(workspace: Workspace, ask: Ask, outcome: Outcome = "rejected", fits: int = 2) -> None:
    """Carry a follow-up out."""
    end(workspace, make_decision(MODEL, ask, workspace.now_ms(), 1_000), outcome, fits)


def due(workspace: Workspace, model: Model = MODEL) -> tuple[int, int | None] | None:
    """The number of labels that is due, and the version that it is due for."""
    ask = due_follow_up(workspace, model)
    return None if ask is None else (int(ask.key.rpartition(":")[2]), ask.from_version)


def test_each_number_of_labels_is_tried_once_until_the_fits_are_used_up(workspace: Workspace) -> None:
    root = alarm(workspace, "a", known(workspace, 350))
    ask = due_follow_up(workspace, MODEL)
    assert ask is not None
    assert (ask.trigger, ask.key, ask.from_version) == ("labels", "labels:a:300", 1), "the largest that has passed"
    assert ask.evidence is not None
    assert (ask.evidence["follows"], ask.evidence["since_ms"]) == (root.id, root.evidence["since_ms"])
    plan = plan_of(workspace, MODEL, make_decision(MODEL, ask, 5, 5))
    assert (plan.since_ms, plan.most) == (root.evidence["since_ms"], 9 - 3 - 1)
    follow(workspace, ask)
    assert due(workspace) is None, "600 labels have not come yet"

    alarm(workspace, "ab", known(workspace, 700), fits=5)
    second = due_follow_up(workspace, MODEL)
    assert second is not None and second.key == "labels:ab:600"
    opened = make_decision(MODEL, replace(second, key="labels:ab:100"), 5, 900)
    assert workspace.decisions.request(opened)
    assert due(workspace) is None, "one is open"
    assert workspace.decisions.finish(opened.id, Ending("merged", "a test", 1, 1))
    follow(workspace, replace(second, key="labels:ab:300"), fits=3)
    assert due(workspace) is None, "of 9 fits 8 are used"


def test_what_is_refused_for_its_few_rows_is_followed_and_so_is_what_comes_of_it(workspace: Workspace) -> None:
    alarm(workspace, "abcd", known(workspace, 400), "refused", fits=0)
    assert due(workspace) == (300, 1)
    ask = due_follow_up(workspace, MODEL)
    assert ask is not None
    promote(workspace, make_decision(MODEL, ask, workspace.now_ms(), 1_000), 2)
    assert due(workspace) is None, "600 labels have not come yet"


def test_a_champion_that_came_of_an_alarm_is_followed_up_on_twice_the_rows_of_the_new_world(workspace: Workspace) -> None:
    asked = Decision("u1", MODEL.name, "error", "u1", "errors rose", known(workspace, 350), 10, {"since_ms": 5}, from_version="1")
    root = replace(asked, evidence={"since_ms": known(workspace, 350), "n_labels": 150})
    promote(workspace, root, 2)
    ask = due_follow_up(workspace, MODEL)
    assert ask is not None
    assert (ask.key, ask.from_version) == ("labels:u1:300", 2), "150 were had, so the next that counts is 300"
    assert ask.reason.endswith("follows decision u1, version 2 has learnt from fewer")
    second = make_decision(MODEL, ask, 5, 1_001)
    plan = plan_of(workspace, MODEL, second)
    assert (plan.windows, plan.since_ms, plan.most) == (("change",), root.evidence["since_ms"], 9 - 2 - 1)
    promote(workspace, second, 3)
    assert due(workspace) is None, "600 labels have not come yet"

    other = replace(root, id="u2", alarm_key="u2", requested_wall_ms=11, evidence=dict(root.evidence) | {"n_labels": 151})
    promote(workspace, other, 4)
    assert due(workspace) is None, "300 are not twice as many"


def test_a_champion_of_a_late_alarm_is_followed_up_on_twice_as_many(workspace: Workspace) -> None:
    root = Decision("late", MODEL.name, "error", "late", "errors rose", 1_000, 12, {"since_ms": known(workspace, 700), "n_labels": 320})
    root = replace(root, from_version="1")
    promote(workspace, root, 2)
    assert due(workspace) == (640, 2), "600 are not twice 320"
    ask = due_follow_up(workspace, MODEL)
    assert ask is not None
    promote(workspace, make_decision(MODEL, ask, 5, 1_002), 3)
    assert due(workspace) is None, "it has learnt from more than the last number asks for"
    own = replace(root, id="own", alarm_key="own", requested_wall_ms=13, evidence=dict(root.evidence) | {"n_labels": 610})
    promote(workspace, own, 4)
    assert due(workspace) is None


def test_a_champion_that_is_only_old_is_held_against_all_rows_alone(workspace: Workspace) -> None:
    old = Decision("old", MODEL.name, "schedule", "old", "100 days old", 1, 1)
    assert plan_of(workspace, MODEL, old).windows == ("all",)
    narrow = replace(MODEL, policy=replace(POLICY, windows=("recent",)))
    assert plan_of(workspace, narrow, old).windows == (), "what the policy names"
    assert plan_of(workspace, MODEL, replace(old, trigger="manual")).windows == ()


def test_an_alarm_repeats_the_one_of_its_version_that_waits_for_rows(workspace: Workspace) -> None:
    since_ms = known(workspace, 350)
    first = alarm(workspace, "r" * 30, since_ms, "refused", fits=0)
    assert repeated(workspace, MODEL, "2", "error") == {}, "the earlier one was about another version"
    joined = repeated(workspace, MODEL, "1", "error")
    assert joined == {"follows": first.id, "since_ms": since_ms}
    later = Decision("again", MODEL.name, "error", "again", "errors rose", known(workspace, 200), 31, joined, from_version="1")
    end(workspace, later, "refused", 0)
    assert repeated(workspace, MODEL, "1", "error") == joined, "the first is still the one that waits"
    assert due(workspace) == (300, 1), "rows are counted since the first"
    plan = plan_of(workspace, MODEL, later)
    assert (plan.since_ms, plan.most) == (since_ms, 9 - 1)

    third = replace(later, id="third", alarm_key="third", requested_wall_ms=32)
    end(workspace, third, "rejected", 3)
    assert repeated(workspace, MODEL, "1", "error") == {}, "what has been tried waits no longer: an alarm after it is of its own"
    assert due(workspace) == (300, 1), "it had 150 labels"
    ask = due_follow_up(workspace, MODEL)
    assert ask is not None and plan_of(workspace, MODEL, make_decision(MODEL, ask, 5, 5)).most == 9 - 3 - 1


def test_an_alarm_that_had_the_labels_is_not_tried_again_on_as_many(workspace: Workspace) -> None:
    decision = Decision(
        "abcde",
        MODEL.name,
        "error",
        "abcde",
        "errors rose",
        known(workspace, 50),
        50,
        {"since_ms": known(workspace, 500)},
        from_version="1",
    )
    end(workspace, decision, "rejected", 3)
    assert due(workspace) is None, "it had seen 450 of the 500, and 600 have not come"


def test_a_check_of_the_inputs_says_since_the_last_time_and_a_person_says_nothing() -> None:
    check = Decision("c", MODEL.name, "evidently", "c", "moved", 10**12, 1)
    assert since_of(MODEL, check) == 10**12 - MODEL.monitor.check_every_ms
    assert since_of(MODEL, replace(check, trigger="manual")) is None


def test_what_was_asked_changed_a_labels_usual_lag_before_its_labels_did(workspace: Workspace) -> None:
    told = workspace.state.newest_outcomes(MODEL.name, 30)
    for outcome in told:
        scores: dict[Role, tuple[int, Floats]] = {"champion": (1, np.array([0.5]))}
        asked_ms = outcome.known_at_ms - 7_000
        workspace.predictions.write(
            Answered(MODEL.name, asked_ms, asked_ms, "{}", "d", [outcome.key], ["{}"], np.zeros((1, len(MODEL.number_columns))), scores)
        )
    root = alarm(workspace, "a" * 60, known(workspace, 350))
    since_ms = since_of(MODEL, root)
    assert since_ms is not None
    assert asked_since(workspace, MODEL, root) == since_ms - 7_000
    ask = due_follow_up(workspace, MODEL)
    assert ask is not None
    assert plan_of(workspace, MODEL, make_decision(MODEL, ask, 5, 5)).since_ms == since_ms - 7_000
    check = Decision("g", MODEL.name, "evidently", "g", "moved", since_ms, 1)
    assert asked_since(workspace, MODEL, check) == since_of(MODEL, check), "a check looks at what was asked, not at labels"


def test_a_check_of_the_inputs_repeats_an_alarm_of_the_errors_but_not_the_other_way_round(workspace: Workspace) -> None:
    since_ms = known(workspace, 350)
    first = alarm(workspace, "w" * 60, since_ms, "refused", fits=0)
    joined = repeated(workspace, MODEL, "1", "evidently")
    assert joined == {"follows": first.id, "since_ms": since_ms}
    check = Decision("check", MODEL.name, "evidently", "check", "columns moved", known(workspace, 100), 61, joined, from_version="1")
    end(workspace, check, "refused", 0)
    assert due(workspace) == (300, 1), "rows are counted since the errors rose"
    own = Decision("alone", MODEL.name, "evidently", "alone", "columns moved", known(workspace, 100), 62, {}, from_version="1")
    end(workspace, own, "refused", 0)
    assert repeated(workspace, MODEL, "1", "error") == {}, "the errors know better since when"
    assert repeated(workspace, MODEL, "1", "evidently")["follows"] == "alone"


@pytest.mark.parametrize(("name", "labels", "in_vain"), [("x" * 70, 650, True), ("y" * 80, 750, False)])
def test_an_alarm_that_repeats_one_asks_for_nothing_while_rows_are_surely_too_few(
    workspace: Workspace, name: str, labels: int, in_vain: bool
) -> None:
    first = alarm(workspace, name, known(workspace, labels), "refused", fits=0)
    assert not is_in_vain(workspace, MODEL, first), "an alarm of a change of its own is told, with what it lacks"
    joined = repeated(workspace, MODEL, "1", "error")
    again = Decision("again" + name, MODEL.name, "error", "again" + name, "errors rose", workspace.now_ms(), 90, joined, from_version="1")
    assert is_in_vain(workspace, MODEL, again) == in_vain
    whole = replace(MODEL, policy=replace(POLICY, windows=("all",)))
    assert not is_in_vain(workspace, whole, again), "which is not fitted on the rows since the change"
