"""Keys longer than an index of PostgreSQL could hold stop nobody: of events they are refused with a reason, in either profile alike."""

from __future__ import annotations

import json
import random
from contextlib import closing

from pydantic import BaseModel

from tests import payments, tiny
from tidemill import Project, Stream, Table, View, distinct
from tidemill.events import MAX_KEY_BYTES
from tidemill.project import Workspace
from tidemill.stores import Databases
from tidemill.streams import Entry

LETTERS = random.Random(1)


def random_text(n_letters: int) -> str:
    """A text that no database can make shorter."""
    return "".join(chr(LETTERS.randrange(0x4E00, 0x9FFF)) for _ in range(n_letters))


def test_an_event_with_a_key_that_is_too_long_is_kept_apart_and_the_next_is_applied(databases: Databases) -> None:
    longest, too_long = random_text(MAX_KEY_BYTES // 3), random_text(30_000 // 3)
    with closing(Workspace.open(tiny.project, databases.home, database=databases.url)) as workspace:
        sent = [tiny.order("o1", tiny.START_MS), tiny.delivery("o1", tiny.START_MS), tiny.delivery(longest, tiny.START_MS, longest)]
        wrong = [tiny.delivery(too_long, tiny.START_MS), tiny.delivery("o3", tiny.START_MS, too_long)]
        entries = [Entry("orders", sent[0]), *(Entry("deliveries", one) for one in [*sent[1:], *wrong])]
        workspace.log.append(entries, tiny.START_MS)
        workspace.engine().drain(100)
        books = workspace.books()["deliveries"]
        assert (books.applied, books.rejected, books.pending) == (2, 2, 0)
        said = {letter["detail"] for letter in workspace.state.dead_letters("deliveries")}
        assert said == {"order_id: a key of 30000 bytes; at most 500", "shop: a key of 30000 bytes; at most 500"}
        assert [one.value for one in workspace.state.outcomes_of("late_order", [longest])] == [0.0]


class Stop(BaseModel):
    """A stop, which five texts name together."""

    stop_id: str
    valid_from: int
    country: str
    city: str
    line: str
    way: str
    name: str
    zone: int


STOPS = Stream("stops", schema=Stop, event_time="valid_from", event_id="stop_id", allowed_lateness="1h")
NAMED = ("country", "city", "line", "way", "name")
STOP = Table("stop", STOPS, key=NAMED, columns=["zone"])
BY_STOP = View("by_stop", STOPS, entity=NAMED, features={"zones": distinct("name", over="1h")})
WALKED = Project("walked", streams=[STOPS], views=[BY_STOP], tables=[STOP])


def test_texts_that_are_a_key_together_are_bounded_together(databases: Databases) -> None:
    part, stop = random_text(MAX_KEY_BYTES // 15), {"valid_from": tiny.START_MS, "zone": 1}
    longest = {"stop_id": random_text(MAX_KEY_BYTES // 3), **stop, **dict.fromkeys(NAMED, part)}
    with closing(Workspace.open(WALKED, databases.home, database=databases.url)) as workspace:
        wrong = [{**longest, "stop_id": "w1", "way": part + "x" * 6}, {**longest, "stop_id": "w2", "way": part[1:] + "x" + "," * 5}]
        workspace.log.append([Entry("stops", json.dumps(one)) for one in [longest, *wrong, {**longest, "stop_id": "s2"}]], tiny.START_MS)
        workspace.engine().drain(100)
        books = workspace.books()["stops"]
        assert (books.applied, books.rejected) == (2, 2)
        said = {letter["detail"] for letter in workspace.state.dead_letters("stops")}
        assert said == {f"{', '.join(NAMED)}: a key of {n} bytes; at most 500" for n in (501, 503)}


def test_the_fields_that_are_keys_are_those_of_ids_entities_labels_and_reactions() -> None:
    assert tiny.project.keys == {"orders": [("order_id",)], "deliveries": [("order_id",), ("shop",)]}
    assert payments.project.keys == {
        "payments": [("payment_id",), ("card",), ("card", "merchant"), ("merchant",)],
        "frauds": [("payment_id",)],
        "holders": [("row_id",), ("card",)],
    }
