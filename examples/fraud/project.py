"""Did a thief make this payment? Asked one second after it; who reports none within a week is content."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from pydantic import BaseModel
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from examples.fraud.payments import ASKED_AFTER_MS, history
from tidemill import Label, Model, Project, Requests, RetrainPolicy, Stream, View, col, count, derive, distinct, max_, mean
from tidemill.kernels import Floats


class Payment(BaseModel):
    """A card has paid."""

    payment_id: str
    paid_at: datetime
    card: str
    merchant: str
    country: str
    amount: float


class Report(BaseModel):
    """The card's owner says that it was not them: some days later."""

    payment_id: str
    reported_at: datetime
    card: str
    merchant: str
    amount: float


class Question(BaseModel):
    """A payment to judge."""

    payment_id: str
    card: str
    merchant: str
    country: str
    amount: float


payments = Stream("payments", schema=Payment, event_time="paid_at", event_id="payment_id")
reports = Stream("reports", schema=Report, event_time="reported_at", event_id="payment_id")

card_habits = View(
    "card_habits",
    payments,
    entity="card",
    features={
        "n": count(over=("1h", "24h")),
        "mean_amount_28d": mean("amount", over="28d"),
        "max_amount_24h": max_("amount", over="24h"),
        "merchants_1h": distinct("merchant", over="1h"),
    },
)
merchant_habits = View("merchant_habits", payments, entity="merchant", features={"n_28d": count(over="28d")})
merchant_reports = View("merchant_reports", reports, entity="merchant", features={"n_28d": count(over="28d")})


def times_usual(amount: Floats, card_habits__mean_amount_28d: Floats) -> Floats:
    """How many times what the card usually pays."""
    return amount / card_habits__mean_amount_28d


def reported_share(merchant_reports__n_28d: Floats, merchant_habits__n_28d: Floats) -> Floats:
    """How much of what is paid at a merchant is reported, drawn towards 2 % where there is little of it."""
    return np.asarray((merchant_reports__n_28d + 1) / (np.maximum(merchant_habits__n_28d, merchant_reports__n_28d) + 50))


def make_estimator() -> Pipeline:
    """The country as columns of 0 and 1, then gradient boosting."""
    countries = make_column_transformer((OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["country"]), remainder="passthrough")
    return make_pipeline(countries, HistGradientBoostingClassifier(max_iter=80, learning_rate=0.08, min_samples_leaf=40, random_state=0))


fraud = Model(
    "fraud",
    request=Question,
    requests=Requests(payments, at=col("paid_at") + ASKED_AFTER_MS),
    features=["country", "amount", card_habits, merchant_habits, merchant_reports, derive(times_usual), derive(reported_share)],
    label=Label(reports, key="payment_id", value=col("amount") > 0, within="7d", absent=0),
    estimator=make_estimator,
    policy=RetrainPolicy(on=("error", "evidently"), cooldown="7d", min_labels=1_000, gate="10d"),
    canary_by="card",
)

project = Project(
    "fraud", streams=[payments, reports], views=[card_habits, merchant_habits, merchant_reports], models=[fraud], recording=history
)
