"""A CSV file told again as it came: when each event is known, what is asked, when its outcome comes, and what the books must say."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from pydantic import BaseModel
from sklearn.linear_model import LogisticRegression

from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS
from tidemill.errors import InputError
from tidemill.events import MAX_KEY_BYTES, Stream
from tidemill.features import Label, View, col, count
from tidemill.learning import Model, Requests
from tidemill.project import CsvHistory, Project, Workspace
from tidemill.streams import Counts, Entry, Recording

BEGIN_MS = 1_767_225_600_000  # 2026-01-01


class Payment(BaseModel):
    """A payment."""

    payment_id: str
    paid_at: datetime
    card: str
    amount_eur: float | None


class Outcome(BaseModel):
    """What became of it."""

    payment_id: str
    settled_at: datetime
    fraud: bool


class Question(BaseModel):
    """A payment to judge."""

    payment_id: str
    card: str
    amount_eur: float | None


PAYMENTS = Stream("payments", schema=Payment, event_time="paid_at", event_id="payment_id")
OUTCOMES = Stream("outcomes", schema=Outcome, event_time="settled_at", event_id="payment_id")
BY_CARD = View("by_card", PAYMENTS, entity="card", features={"n_24h": count(over="24h")})
FRAUD = Model(
    "fraud",
    request=Question,
    requests=Requests(PAYMENTS, at=col("paid_at") + MINUTE_MS),
    features=["amount_eur", BY_CARD],
    label=Label(OUTCOMES, key="payment_id", value=col("fraud") >= 1, within="3d"),
    estimator=LogisticRegression,
)
ROWS = """Payment ID,Paid at,Card,Amount (EUR),Fraud
p2,2026-01-01 02:00,c1,,no
p1,2026-01-01T01:00:00Z,c1,9.5,yes
p3,1767236400,c2,7,
p2,2026-01-01 04:00,c1,1,no
p4,2026-01-01 05:00,c1,dear,no
p5,2026-01-03 00:00,c1,2,no
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "payments.csv"
    path.write_text(ROWS)
    return path


def applied(project: Project, recording: Recording, home: Path) -> dict[str, Counts]:
    """What the books say once an engine has applied it."""
    workspace = Workspace.open(project, home, durable_log=False)
    workspace.log.append([Entry(event.stream, event.payload, event.known_at_ms) for event in recording.events()], 0)
    workspace.engine().drain(100)
    books = workspace.books()
    workspace.close()
    return {name: Counts(one.received, one.applied, one.duplicate, one.late, one.rejected) for name, one in books.items()}


def test_each_event_is_known_when_it_happened_and_its_outcome_later(file: Path) -> None:
    recording = CsvHistory(file, PAYMENTS, FRAUD, outcome_after="12h")(days=1)
    told = [
        (event.stream, (event.known_at_ms - BEGIN_MS) // HOUR_MS, json.loads(event.payload)["payment_id"]) for event in recording.events()
    ]
    assert told[:5] == [("payments", hour, name) for hour, name in ((1, "p1"), (2, "p2"), (3, "p3"), (4, "p2"), (5, "p4"))]
    assert told[5:] == [("outcomes", 12 + hour, name) for hour, name in ((1, "p1"), (2, "p2"), (4, "p2"), (5, "p4"))], "p3 has none"
    first = json.loads(next(recording.events()).payload)
    assert first == {"payment_id": "p1", "paid_at": "2026-01-01T01:00:00+00:00", "card": "c1", "amount_eur": 9.5}
    assert (recording.first_ms, recording.last_ms) == (BEGIN_MS + HOUR_MS, BEGIN_MS + 17 * HOUR_MS)


def test_the_question_is_asked_when_the_model_says(file: Path) -> None:
    asked = list(CsvHistory(file, PAYMENTS, FRAUD)(days=30).requests())
    assert [question.at_ms for question in asked] == [BEGIN_MS + hour * HOUR_MS + MINUTE_MS for hour in (1, 2, 3, 4, 5, 48)]
    assert asked[0].request == {"payment_id": "p1", "card": "c1", "amount_eur": 9.5}
    assert asked[1].request == {"payment_id": "p2", "card": "c1", "amount_eur": None}


def test_the_books_are_what_it_says(file: Path, tmp_path: Path) -> None:
    recording = CsvHistory(file, PAYMENTS, FRAUD)(days=30)
    expected = recording.expected()
    assert expected == {
        "payments": Counts(received=6, applied=4, duplicate=1, rejected=1),
        "outcomes": Counts(received=5, applied=4, duplicate=1),
    }
    project = Project("pay", streams=[PAYMENTS, OUTCOMES], views=[BY_CARD], models=[FRAUD])
    assert applied(project, recording, tmp_path / "home") == expected


def test_rows_whose_keys_are_too_long_are_counted_as_the_engine_judges_them(tmp_path: Path) -> None:
    """What is a key says the whole project: a card is one by a view that the model does not read."""
    texts = [("p" * MAX_KEY_BYTES, "c1"), ("p" * (MAX_KEY_BYTES + 1), "c1"), ("p1", "ä" * (MAX_KEY_BYTES // 2 + 1)), ("p2", "ä" * 250)]
    file = tmp_path / "long.csv"
    file.write_text("payment_id,paid_at,card,amount_eur,fraud\n" + "".join(f"{name},2026-01-01,{card},1,yes\n" for name, card in texts))
    fraud = replace(FRAUD, features=["amount_eur"])
    history = CsvHistory(file, PAYMENTS, fraud)
    project = Project("pay", streams=[PAYMENTS, OUTCOMES], views=[BY_CARD], models=[fraud], recording=history)
    assert project.recording is not None
    recording = project.recording(days=30)
    expected = recording.expected()
    assert expected == {
        "payments": Counts(received=4, applied=2, rejected=2),
        "outcomes": Counts(received=4, applied=3, rejected=1),
    }
    assert applied(project, recording, tmp_path / "home") == expected


def test_a_row_that_cannot_be_read_is_told_in_its_place_and_is_no_event(tmp_path: Path) -> None:
    file, rows = tmp_path / "odd.csv", [b"p1,2026-01-01,c1,1,yes", b"p2,2026-01-02,c1,1,yes,more", b"p3,2026-01-03,\xfc,1,yes"]
    file.write_bytes(b"\n".join([b"payment_id,paid_at,card,Amount (EUR),fraud", *rows]))
    recording = CsvHistory(file, PAYMENTS, FRAUD)(days=30)
    expected = recording.expected()
    assert expected == {"payments": Counts(received=3, applied=1, rejected=2), "outcomes": Counts(received=1, applied=1)}
    project = Project("pay", streams=[PAYMENTS, OUTCOMES], views=[BY_CARD], models=[FRAUD])
    assert applied(project, recording, tmp_path / "home") == expected
    assert [question.request["payment_id"] for question in recording.requests()] == ["p1"]
    assert [event.payload.partition(",")[0] for event in recording.events() if event.payload[0] == "["] == ['[{"_error":"odd.csv'] * 2


def test_an_outcome_comes_when_its_own_column_says(tmp_path: Path) -> None:
    file = tmp_path / "settled.csv"
    file.write_text("payment_id,paid_at,card,amount_eur,fraud,settled_at\np1,2026-01-01,c1,1,yes,2026-01-05\n")
    *_, outcome = CsvHistory(file, PAYMENTS, FRAUD)(days=30).events()
    assert (outcome.stream, outcome.known_at_ms) == ("outcomes", BEGIN_MS + 4 * DAY_MS)
    assert json.loads(outcome.payload)["fraud"] is True


def test_rows_without_an_id_are_numbered_and_events_alone_ask_nothing(tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    file.write_text("paid_at,card,amount_eur\n2026-01-02,c1,1\n2026-01-01,c1,2\n")
    recording = CsvHistory(file, PAYMENTS)(days=30)
    assert [json.loads(event.payload)["payment_id"] for event in recording.events()] == ["row2", "row1"]
    assert list(recording.requests()) == []
    assert recording.expected() == {"payments": Counts(received=2, applied=2)}


def test_a_row_whose_time_nobody_can_read_stays_by_its_neighbour(tmp_path: Path) -> None:
    file = tmp_path / "times.csv"
    lines = [f"{name},{at},c1,1,yes" for name, at in (("p1", ""), ("p2", "2026-01-01 01:00"), ("p3", "soon"), ("p4", "2026-01-02 01:00"))]
    file.write_text("\n".join(["payment_id,paid_at,card,amount_eur,fraud", *lines]))
    recording = CsvHistory(file, PAYMENTS)(days=30)
    told = [((event.known_at_ms - BEGIN_MS) // HOUR_MS, json.loads(event.payload)["payment_id"]) for event in recording.events()]
    assert told == [(1, "p1"), (1, "p2"), (1, "p3"), (25, "p4")]
    assert recording.expected() == {"payments": Counts(received=4, applied=2, rejected=2)}


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: cannot be read as CSV"):
        CsvHistory(tmp_path / "none.csv", PAYMENTS)(days=3)
    (tmp_path / "empty.csv").write_text("paid_at,card\n")
    with pytest.raises(InputError, match=r"empty\.csv: there is no row below the first line"):
        CsvHistory(tmp_path / "empty.csv", PAYMENTS)(days=3)
