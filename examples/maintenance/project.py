"""Will this machine fail within a day? Asked every four hours; a failure is written down up to two days after it."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from examples.maintenance.machines import history
from tidemill import Label, Model, Project, Requests, RetrainPolicy, Stream, View, col, count, derive, last, max_, mean, std
from tidemill.kernels import Floats


class Reading(BaseModel):
    """What the sensors of a machine say: its load from 0 to 1, degrees Celsius, mm/s."""

    reading_id: str
    read_at: datetime
    machine: str
    load: float
    celsius: float
    vibration: float


class Check(BaseModel):
    """A moment at which somebody could act."""

    check_id: str
    checked_at: datetime
    machine: str


class Failure(BaseModel):
    """The machine failed so many hours after that check; entered when the technician comes to it."""

    check_id: str
    entered_at: datetime
    machine: str
    hours_ahead: float


class Question(BaseModel):
    """A machine to judge."""

    check_id: str
    machine: str


readings = Stream("readings", schema=Reading, event_time="read_at", event_id="reading_id")
checks = Stream("checks", schema=Check, event_time="checked_at", event_id="check_id")
failures = Stream("failures", schema=Failure, event_time="entered_at", event_id="check_id")

sensed = View(
    "sensed",
    readings,
    entity="machine",
    features={
        "vibration": mean("vibration", over=("6h", "3d")),
        "vibration_max_6h": max_("vibration", over="6h"),
        "vibration_std_24h": std("vibration", over="24h"),
        "celsius": mean("celsius", over=("6h", "3d")),
        "load_6h": mean("load", over="6h"),
        "vibration_last": last("vibration", over="6h"),
        "n_24h": count(over="24h"),
    },
)
failed = View("failed", failures, entity="machine", features={"n": count(over=("2d", "14d"))})


def vibration_rise(sensed__vibration_6h: Floats, sensed__vibration_3d: Floats) -> Floats:
    """How much more it shakes than in the last days, as a share: what a sensor that shows less does not change."""
    return sensed__vibration_6h / sensed__vibration_3d - 1


def heat_beyond_load(sensed__celsius_6h: Floats, sensed__load_6h: Floats) -> Floats:
    """Degrees above what its load explains."""
    return sensed__celsius_6h - 35 - 20 * sensed__load_6h


def make_estimator() -> Pipeline:
    """Gradient boosting, small, as failures are few; the step before it joins the columns, which ONNX wants."""
    return make_pipeline(
        FunctionTransformer(), HistGradientBoostingClassifier(max_iter=60, learning_rate=0.08, max_leaf_nodes=8, random_state=0)
    )


fails = Model(
    "fails",
    request=Question,
    requests=Requests(checks, at=col("checked_at")),
    features=[sensed, failed, derive(vibration_rise), derive(heat_beyond_load)],
    label=Label(failures, key="check_id", value=col("hours_ahead") >= 0, within="3d", absent=0),
    estimator=make_estimator,
    policy=RetrainPolicy(on=("error", "evidently"), cooldown="7d", min_labels=500, gate="10d"),
    canary_by="machine",
)

project = Project("maintenance", streams=[readings, checks, failures], views=[sensed, failed], models=[fails], recording=history)
