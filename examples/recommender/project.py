"""Will this visitor click this item, and stay? Asked of each item that is about to be shown, so that the best can be shown first."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from examples.recommender.visits import ASKED_AFTER_MS, LEAST_DWELL_S, history
from tidemill import Label, Model, Project, Requests, RetrainPolicy, Stream, View, col, count, derive
from tidemill.kernels import Floats


class Shown(BaseModel):
    """An item was shown to a visitor, at a place of the page from 0 on."""

    shown_id: str
    shown_at: datetime
    visitor: str
    item: str
    category: str
    place: int


class Click(BaseModel):
    """It was clicked; for how many seconds the visitor stayed."""

    shown_id: str
    clicked_at: datetime
    visitor: str
    item: str
    category: str
    dwell_s: float


class Question(BaseModel):
    """An item that might be shown."""

    shown_id: str
    visitor: str
    item: str
    category: str
    place: int


shown = Stream("shown", schema=Shown, event_time="shown_at", event_id="shown_id")
clicks = Stream("clicks", schema=Click, event_time="clicked_at", event_id="shown_id")

# popularity: how often an item was shown and clicked; affinity: the same of a visitor and a category
item_shown = View("item_shown", shown, entity="item", features={"n": count(over=("24h", "7d"))})
item_clicked = View("item_clicked", clicks, entity="item", features={"n": count(over=("24h", "7d"))})
taste_shown = View("taste_shown", shown, entity=("visitor", "category"), features={"n_14d": count(over="14d")})
taste_clicked = View("taste_clicked", clicks, entity=("visitor", "category"), features={"n_14d": count(over="14d")})
visitor_clicked = View("visitor_clicked", clicks, entity="visitor", features={"n_14d": count(over="14d")})


def popularity(item_clicked__n_7d: Floats, item_shown__n_7d: Floats) -> Floats:
    """Clicks a showing, drawn towards one in ten for an item that was hardly shown."""
    return (item_clicked__n_7d + 2) / (item_shown__n_7d + 20)


def affinity(taste_clicked__n_14d: Floats, taste_shown__n_14d: Floats) -> Floats:
    """The same of this visitor and this category."""
    return (taste_clicked__n_14d + 1) / (taste_shown__n_14d + 10)


def make_estimator() -> Pipeline:
    """The category as columns of 0 and 1, then gradient boosting."""
    categories = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["category"]), remainder="passthrough"
    )
    return make_pipeline(categories, HistGradientBoostingClassifier(max_iter=60, learning_rate=0.08, max_leaf_nodes=8, random_state=0))


click = Model(
    "click",
    request=Question,
    requests=Requests(shown, at=col("shown_at") + ASKED_AFTER_MS),
    features=[
        *("category", "place"),
        *(item_shown, item_clicked, taste_shown, taste_clicked, visitor_clicked),
        *(derive(popularity), derive(affinity)),
    ],
    label=Label(clicks, key="shown_id", value=col("dwell_s") >= LEAST_DWELL_S, within="30min", absent=0),
    estimator=make_estimator,
    policy=RetrainPolicy(on=("error", "evidently"), cooldown="3d", min_labels=1_000, gate="3d"),
    slices=("category",),
    canary_by="visitor",
)

project = Project(
    "recommender",
    streams=[shown, clicks],
    views=[item_shown, item_clicked, taste_shown, taste_clicked, visitor_clicked],
    models=[click],
    recording=history,
)
