"""Where publications stand: who holds one, how far it is, and what is kept for it."""

from __future__ import annotations

import pytest

from tidemill.errors import ConflictError
from tidemill.stores import Alert, AlertStore, Databases, Decision, DecisionStore, PublicationStore, open_loop
from tidemill.stores.publications import Passed

ONE = Passed(sent=1, refused=0, wall_ms=50)


@pytest.fixture
def store(databases: Databases) -> PublicationStore:
    """One that publishes predictions and alerts."""
    opened = PublicationStore(open_loop(databases))
    opened.begin({"predictions": 7, "alerts": 0})
    return opened


def test_what_is_begun_goes_on_where_it_is(store: PublicationStore) -> None:
    store.advance("predictions", 7, 9, ONE)
    store.begin({"predictions": 100, "decisions": 0})
    assert (store.cursor("predictions"), store.cursor("decisions")) == (9, 0)
    with pytest.raises(ConflictError, match="another project file has ended the publication of alerts"):
        store.cursor("alerts")


def test_only_who_knows_where_it_stands_moves_it(store: PublicationStore) -> None:
    store.advance("predictions", 7, 9, ONE)
    with pytest.raises(ConflictError, match="does not stand at 7 any more"):
        store.advance("predictions", 7, 8, ONE)
    standing = store.standing()["predictions"]
    assert (standing.cursor, standing.sent, standing.last_sent_wall_ms) == (9, 1, 50)


def test_one_process_holds_it_at_a_time(store: PublicationStore) -> None:
    assert store.hold("predictions", "a", 1_000, 100)
    assert not store.hold("predictions", "b", 1_099, 100)
    assert store.hold("alerts", "b", 1_099, 100)
    assert store.hold("predictions", "a", 1_099, 100)
    assert not store.hold("predictions", "b", 1_198, 100)
    assert store.hold("predictions", "b", 1_199, 100), "it has run out"
    store.let_go("predictions", "a")
    assert not store.hold("predictions", "a", 1_200, 100), "who does not hold it cannot let it go"
    store.let_go("predictions", "b")
    assert store.hold("predictions", "a", 1_200, 100)
    assert store.hold("predictions", "b", 500, 100), "the clock was set back, so nobody knows how long it was held for"
    assert not store.hold("decisions", "a", 1, 100), "nobody publishes it"


def test_alerts_and_decisions_are_kept_only_while_they_are_published(databases: Databases, store: PublicationStore) -> None:
    loop = open_loop(databases)
    for key in ("a1", "a2", "a1"):
        AlertStore(loop).raise_alert(Alert(key, "busy", "info", "t", "b", "", at_ms=1))
    DecisionStore(loop).request(Decision("d1", "busy", "manual", "k", "", requested_at_ms=1, requested_wall_ms=1))
    assert [(one.id, one.model) for one in store.kept("alerts", 10)] == [("a1", "busy"), ("a2", "busy")]
    assert store.kept("decisions", 10) == []
    (first,) = store.kept("alerts", 1)
    store.drop("alerts", [first.number], ONE)
    assert [one.id for one in store.kept("alerts", 10)] == ["a2"]
    assert (store.standing()["alerts"].sent, store.standing()["alerts"].kept) == (1, 1)
    store.begin({"predictions": 0})
    store.begin({"predictions": 0, "alerts": 0})
    assert store.kept("alerts", 10) == []


def test_a_number_is_never_given_twice(databases: Databases, store: PublicationStore) -> None:
    """Or a process that stood still would drop what another has kept since."""
    numbers = []
    for key in ("a1", "a2"):
        AlertStore(open_loop(databases)).raise_alert(Alert(key, "busy", "info", "t", "b", "", at_ms=1))
        (kept,) = store.kept("alerts", 10)
        store.drop("alerts", [kept.number], ONE)
        numbers.append(kept.number)
    assert numbers[0] < numbers[1]
