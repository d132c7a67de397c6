"""A project small enough to train in a second: orders of five shops, which of them will be delivered late?

It is a project file like any other (`TIDEMILL_PROJECT=tests/tiny.py`), with what tests need to give it a past.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import BaseModel
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tidemill import Label, Model, Project, Requests, Stream, View, col, count, mean
from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS
from tidemill.learning import RetrainPolicy
from tidemill.project import Workspace
from tidemill.registry import Registry, gate, make_ready, register, snapshot, train
from tidemill.streams import Entry

FILE = Path(__file__)
START_MS = 1_736_899_200_000 // DAY_MS * DAY_MS  # a midnight of January 2025
SHOPS = "abcde"
AN_HOUR = 40


class Order(BaseModel):
    """An order is placed."""

    order_id: str
    placed_at: int
    shop: str
    amount: float | None = None


class Delivery(BaseModel):
    """It is delivered: the outcome."""

    order_id: str
    delivered_at: int
    shop: str
    delay_min: float | None = None


class Question(BaseModel):
    """Will it be late?"""

    order_id: str
    shop: str
    amount: float | None = None


def make_estimator() -> Pipeline:
    """A logistic regression that takes missing values."""
    return make_pipeline(_encode(), LogisticRegression())


def make_estimator_by_parts() -> Pipeline:
    """The same, learnt row by row, so that it can go on."""
    return make_pipeline(_encode(), SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.01, random_state=0))


def _encode() -> ColumnTransformer:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["shop"]),
        (numbers, ["amount", "by_shop__mean_delay_3h", "by_shop__n_3h"]),
    )


ORDERS = Stream("orders", schema=Order, event_time="placed_at", event_id="order_id", allowed_lateness="1h")
DELIVERIES = Stream("deliveries", schema=Delivery, event_time="delivered_at", event_id="order_id", allowed_lateness="1h")
BY_SHOP = View("by_shop", DELIVERIES, entity="shop", features={"mean_delay_3h": mean("delay_min", over="3h"), "n_3h": count(over="3h")})
LATE_ORDER = Model(
    "late_order",
    request=Question,
    requests=Requests(ORDERS, at=col("placed_at")),
    features=["shop", "amount", BY_SHOP],
    label=Label(DELIVERIES, key="order_id", value=col("delay_min") >= 15, within="6h"),
    estimator=make_estimator,
    slices=("shop",),
    policy=RetrainPolicy(cooldown="2d", min_labels=500, gate="1d"),
)


def named(name: str) -> Project:
    """The project under a name of its own, so that tests that share a registry share no model."""
    return Project(name, streams=[ORDERS, DELIVERIES], views=[BY_SHOP], models=[LATE_ORDER])


project = named("tiny")


def order(order_id: str, at_ms: int, shop: str = "a", amount: float | None = 10.0) -> str:
    """An order as a source sends it."""
    return json.dumps({"order_id": order_id, "placed_at": at_ms, "shop": shop, "amount": amount})


def delivery(order_id: str, at_ms: int, shop: str = "a", delay_min: float = 0.0) -> str:
    """A delivery as a source sends it."""
    return json.dumps({"order_id": order_id, "delivered_at": at_ms, "shop": shop, "delay_min": delay_min})


def history(first_day: int, last_day: int, *, slow: str = "ab") -> list[Entry]:
    """Orders and deliveries that become known on the days `[first_day, last_day)`, in that order; the `slow` shops are late more often."""
    begin_ms, end_ms = START_MS + first_day * DAY_MS, START_MS + last_day * DAY_MS
    happened = _happenings(max(first_day - 1, 0), last_day, slow)
    known = [(entry.known_at_ms or 0, place, entry) for place, entry in enumerate(happened)]
    return [entry for at_ms, _, entry in sorted(known, key=lambda one: one[:2]) if begin_ms <= at_ms < end_ms]


def _happenings(first_day: int, last_day: int, slow: str) -> Iterator[Entry]:
    for number in range(first_day * 24 * AN_HOUR, last_day * 24 * AN_HOUR):
        rng = np.random.default_rng(number)
        placed_ms = START_MS + number * HOUR_MS // AN_HOUR
        shop, amount = SHOPS[rng.integers(5)], float(rng.integers(5, 100))
        late = rng.random() < (0.6 if shop in slow else 0.15) + amount / 500
        delay_min = float(rng.integers(15, 40) if late else rng.integers(0, 15))
        delivered_ms = placed_ms + int((30 + delay_min) * MINUTE_MS)
        yield Entry("orders", order(f"o{number}", placed_ms, shop, amount), placed_ms)
        yield Entry("deliveries", delivery(f"o{number}", delivered_ms, shop, delay_min), delivered_ms)


def live(workspace: Workspace, first_day: int, last_day: int, *, slow: str = "ab") -> None:
    """Days go by: events in the log, applied, and in the lake."""
    workspace.log.append(history(first_day, last_day, slow=slow), 0)
    workspace.engine().drain(10_000)
    workspace.lake_writer().flush()


def train_version(workspace: Workspace, registry: Registry) -> int:
    """Train on what the workspace holds and register; promotes nothing."""
    model = workspace.project.models[0]
    rows = snapshot(workspace, model)
    ready = make_ready(model, gate(model, train(workspace, registry, model, rows)), rows)
    return register(workspace, registry, model, ready, {"trigger": "test"})
