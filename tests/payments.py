"""Payments by card: a project in which one card is to be forgotten, with everything that may hold it.

It is a project file like any other (`TIDEMILL_PROJECT=tests/payments.py`).
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel
from sklearn.linear_model import LogisticRegression

from tidemill import Label, Model, Project, Requests, Stream, Table, View, col, count, distinct, max_, on, quantile, sum_
from tidemill.clock import HOUR_MS, MINUTE_MS
from tidemill.project import Workspace
from tidemill.serving.reactions import ReactionWatch
from tidemill.stores import Answered
from tidemill.streams import Entry

FILE = Path(__file__)
T0 = 1_736_899_200_000
PLAIN, ODD = "card-4711-zz", 'kärte, "47\\11/zz'
OTHERS = [f"other-{place}" for place in range(8)]


class Payment(BaseModel):
    """Somebody pays."""

    payment_id: str
    at: int
    card: str | None
    merchant: str
    amount: float
    note: str | None = None


class Fraud(BaseModel):
    """It turns out to be fraud, or not."""

    payment_id: str
    at: int
    card: str
    is_fraud: bool


class Holder(BaseModel):
    """What is true of a card from `at` on."""

    row_id: str
    at: int
    card: str
    town: str


class Question(BaseModel):
    """Is it fraud?"""

    payment_id: str
    card: str
    amount: float


PAYMENTS = Stream("payments", schema=Payment, event_time="at", event_id="payment_id", allowed_lateness="1h")
FRAUDS = Stream("frauds", schema=Fraud, event_time="at", event_id="payment_id", allowed_lateness="1h")
HOLDERS = Stream("holders", schema=Holder, event_time="at", event_id="row_id")
OF_ALL = {
    "n_6h": count(over="6h"),
    "spent_24h": sum_("amount", over="24h"),
    "most_24h": max_("amount", over="24h"),
    "median_24h": quantile("amount", 0.5, over="24h"),
}
BY_CARD = View("by_card", PAYMENTS, entity="card", features=OF_ALL)
BY_CARD_AND_MERCHANT = View("by_card_and_merchant", PAYMENTS, entity=("card", "merchant"), features=OF_ALL)
BY_MERCHANT = View("by_merchant", PAYMENTS, entity="merchant", features={**OF_ALL, "cards_24h": distinct("card", over="24h")})
HOLDER_INFO = Table("holder_info", HOLDERS, key="card", columns=["town"])
DEAR = on(PAYMENTS, name="dear", when=col("amount") > 90, once_per="card", parameters={"card": "card"}, webhook="http://127.0.0.1:9/")
FRAUD = Model(
    "fraud",
    request=Question,
    requests=Requests(PAYMENTS, at=col("at")),
    features=["amount", BY_CARD, HOLDER_INFO],
    label=Label(FRAUDS, key="payment_id", value="is_fraud", within="12h"),
    estimator=LogisticRegression,
)
project = Project(
    "payments",
    streams=[PAYMENTS, FRAUDS, HOLDERS],
    views=[BY_CARD, BY_CARD_AND_MERCHANT, BY_MERCHANT],
    tables=[HOLDER_INFO],
    models=[FRAUD],
    reactions=[DEAR],
)


def payment(payment_id: str, at_ms: int, card: str | None, merchant: str = "m1", amount: float = 5.0, **fields: object) -> str:
    """A payment as a source sends it."""
    return json.dumps({"payment_id": payment_id, "at": at_ms, "card": card, "merchant": merchant, "amount": amount, **fields})


def history(card: str, n_events: int = 400) -> list[Entry]:
    """Half a day: payments of all cards, their outcomes, what is true of the cards, copies, late ones, and such as are no events."""
    draw = random.Random(7)
    cards = [card, *OTHERS]
    entries = [
        Entry("holders", json.dumps({"row_id": f"h{place}", "at": T0, "card": one, "town": f"town of {one}"}), T0)
        for place, one in enumerate(cards)
    ]
    for place in range(n_events):
        at_ms = T0 + place * 2 * MINUTE_MS
        one, merchant = draw.choice([*cards, None]), f"m{draw.randrange(4)}"
        text = payment(f"p{place}", at_ms, one, merchant, float(draw.randrange(1, 100)))
        entries.append(Entry("payments", text, at_ms))
        if place % 9 == 0:
            entries.append(Entry("payments", text, at_ms))
        if place % 11 == 0:
            entries.append(Entry("payments", payment(f"late{place}", at_ms - 40 * HOUR_MS, one), at_ms))
        if one is not None and place % 3 == 0:
            told = {"payment_id": f"p{place}", "at": at_ms, "card": one, "is_fraud": place % 2 == 0}
            entries.append(Entry("frauds", json.dumps(told), at_ms))
    last_ms = T0 + n_events * 2 * MINUTE_MS
    untyped = json.dumps({"payment_id": "untyped", "at": last_ms, "Card": card, "merchant": "m1", "amount": "5"})
    odd = [payment("torn", last_ms, card)[:-1], untyped, "{", payment("note", last_ms, "other-1", note="hello")]
    return [*entries, *(Entry("payments", text, last_ms) for text in odd)]


def without(card: str, entries: list[Entry]) -> list[Entry]:
    """Those that do not mention a card."""
    return [entry for entry in entries if json.dumps(card)[1:-1] not in entry.payload]


def fill(workspace: Workspace, card: str, n_events: int = 400) -> None:
    """A home with a past, and two events that nobody has applied."""
    entries = history(card, n_events)
    reactions = ReactionWatch(workspace)
    reactions.step()  # it looks at what comes from here on
    workspace.log.append(entries, 0)
    workspace.engine().drain(60)
    reactions.step()
    workspace.lake_writer().flush(150)
    at_ms = workspace.now_ms()
    for place, one in enumerate([card, *OTHERS, card]):
        request = json.dumps({"payment_id": f"p{place}", "card": one, "amount": 5.0}, ensure_ascii=place % 2 == 0)
        answered = Answered(
            model="fraud",
            at_ms=at_ms,
            made_wall_ms=1,
            position=workspace.state.position().token,
            digest="d",
            keys=[f"p{place}"],
            requests=[request],
            numbers=np.zeros((1, 3)),
            scores={"champion": (1, np.array([0.5]))},
            texts=[json.dumps({"holder_info__town": f"town {place}"}).encode()],
        )
        workspace.predictions.write(answered)
    news = [payment("new1", at_ms, card), payment("new2", at_ms, "other-1")]
    workspace.log.append([Entry("payments", text, at_ms) for text in news], 0)
    for name in ("cache/old.arrow", "artifacts/1/profile.json", "logs/services.log"):
        (workspace.home / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace.home / name).write_text(json.dumps([card]), encoding="utf-8")
    pq.write_table(pa.table({"card": [card] * 50 + OTHERS}), workspace.home / "artifacts" / "1" / "sample.parquet")
