"""A project of two models that are not binary: what becomes of a parcel, one of several fates, and how many days it is on its way.

It is a project file like any other (`TIDEMILL_PROJECT=tests/parcels.py`), with what tests need to give it a past.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from pydantic import BaseModel
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tidemill import Label, Model, Project, Requests, Stream, View, col, count
from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.learning import Monitor, RetrainPolicy
from tidemill.streams import Entry

START_MS = 1_736_899_200_000 // DAY_MS * DAY_MS  # a midnight of January 2025
A_DAY = 600
DEPOTS = "abc"


class Parcel(BaseModel):
    """A parcel is sent."""

    parcel_id: str
    sent_at: int
    depot: str
    weight: float


class Ending(BaseModel):
    """What became of it, and how long it took."""

    parcel_id: str
    ended_at: int
    depot: str
    fate: str
    days: float


class Question(BaseModel):
    """What will become of it?"""

    parcel_id: str
    depot: str
    weight: float


def encode() -> Pipeline:
    """The columns as an estimator takes them."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["depot"]), (numbers, ["weight", "by_depot__n_3h"]))


def make_classifier() -> Pipeline:
    """Of several classes."""
    return make_pipeline(encode(), LogisticRegression(C=10.0))


def make_regressor() -> Pipeline:
    """Of a number."""
    return make_pipeline(encode(), Ridge())


PARCELS = Stream("parcels", schema=Parcel, event_time="sent_at", event_id="parcel_id")
ENDINGS = Stream("endings", schema=Ending, event_time="ended_at", event_id="parcel_id")
BY_DEPOT = View("by_depot", ENDINGS, entity="depot", features={"n_3h": count(over="3h")})
FATE = Model(
    "fate",
    request=Question,
    requests=Requests(PARCELS, at=col("sent_at")),
    features=["depot", "weight", BY_DEPOT],
    label=Label(ENDINGS, key="parcel_id", value="fate", within="2d"),
    estimator=make_classifier,
    monitor=Monitor(cycle="1d"),
    policy=RetrainPolicy(cooldown="2d", min_labels=500, gate="1d", z=0.0),  # a day is asked about at one moment, so no error is known
)
DAYS = Model(
    "days",
    request=Question,
    requests=FATE.requests,
    features=FATE.features,
    label=Label(ENDINGS, key="parcel_id", value="days", within="2d"),
    estimator=make_regressor,
    task="regression",
    metric="absolute_error",
    monitor=FATE.monitor,
    policy=FATE.policy,
)
project = Project("parcels", streams=[PARCELS, ENDINGS], views=[BY_DEPOT], models=[FATE, DAYS])


def questions(day: int) -> list[dict[str, Any]]:
    """The parcels of a day, as they are asked about."""
    rng = np.random.default_rng(day)
    weights = rng.uniform(0, 10, A_DAY).round(2)
    return [
        {"parcel_id": f"p{day}-{place}", "depot": DEPOTS[place % len(DEPOTS)], "weight": float(weight)}
        for place, weight in enumerate(weights)
    ]


def happen(day: int, *, changed: bool = False) -> list[Entry]:
    """The events of a day as they become known: all parcels are sent at its begin, and end one after another.

    Light ones arrive, heavy ones are lost, most of the time; in the changed world it is the other way round, they take other times, and
    some are sent back.
    """
    rng = np.random.default_rng(1_000 + day)
    begin_ms = START_MS + day * DAY_MS
    sent, ended = [], []
    for place, asked in enumerate(questions(day)):
        weight = asked["weight"]
        fates = ["arrived", "late", "lost"][:: -1 if changed else 1]
        fate = fates[min(int(weight / 3.34), 2)] if rng.random() < 0.85 else str(rng.choice(fates))
        if changed and place % 10 == 0:
            fate = "returned"
        days = (6.0 - 0.3 * weight if changed else 1.0 + 0.5 * weight) + float(rng.normal(0, 0.5))
        ended_ms = begin_ms + 2 * HOUR_MS + place * (20 * HOUR_MS // A_DAY)
        sent.append(Entry("parcels", json.dumps({**asked, "sent_at": begin_ms}), begin_ms))
        told = {"parcel_id": asked["parcel_id"], "ended_at": ended_ms, "depot": asked["depot"], "fate": fate, "days": days}
        ended.append(Entry("endings", json.dumps(told), ended_ms))
    return [*sent, *ended]
