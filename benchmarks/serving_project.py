"""The project of `bench_serving`: one model twice, asked for its columns and reading them from five views. `tidemill serve` can load it.

Both models have the same 16 columns in the same order, so that one ONNX file is both.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, create_model
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from benchmarks.cards import payments
from tidemill import Label, Model, Project, Requests, Stream, View, col, count, max_, sum_


class Question(BaseModel):
    """Is this payment a fraud?"""

    payment_id: str
    card: str
    device: str
    merchant: str
    amount: float


class Verdict(BaseModel):
    """What it was."""

    payment_id: str
    found_at: int
    fraud: bool


def make_estimator() -> Pipeline:
    """A hundred trees; a step before them joins the columns, as ONNX converts no bare classifier."""
    return make_pipeline(FunctionTransformer(), HistGradientBoostingClassifier(random_state=0))


_FEATURES = {"n_1h": count(over="1h"), "sum_24h": sum_("amount", over="24h"), "max_24h": max_("amount", over="24h")}
_ENTITIES: tuple[str | tuple[str, ...], ...] = ("card", "device", "merchant", ("card", "merchant"), ("device", "merchant"))
views = [View(f"of_{number}", payments, entity=entity, features=_FEATURES) for number, entity in enumerate(_ENTITIES)]
_values: dict[str, Any] = {column: (float | None, None) for view in views for column in view.feature_columns}
Known = create_model("Known", payment_id=(str, ...), amount=(float, ...), **_values)
known = Stream(
    "known", schema=create_model("KnownPayment", __base__=Known, asked_at=(int, ...)), event_time="asked_at", event_id="payment_id"
)
verdicts = Stream("verdicts", schema=Verdict, event_time="found_at", event_id="payment_id")
_label = Label(verdicts, key="payment_id", value=col("fraud") >= 1, within="3d")
alone = Model(
    "alone",
    request=Known,
    requests=Requests(known, at=col("asked_at")),
    features=["amount", *_values],
    label=_label,
    estimator=make_estimator,
)
with_views = Model(
    "with_views",
    request=Question,
    requests=Requests(payments, at=col("paid_at")),
    features=["amount", *views],
    label=_label,
    estimator=make_estimator,
)
project = Project("cards", streams=[payments, known, verdicts], views=views, models=[alone, with_views])
