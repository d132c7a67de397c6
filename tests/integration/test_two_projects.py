"""Two project files of one home, each with a model of its own that reads the same view: one engine, one tile set, two predictors.

```
          orders, deliveries ──► engine of shops ──► tiles of by_shop ──┬──► predictor of shops:    late_order
                                                                        └──► predictor of couriers: very_late_order
```
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tidemill.clock import wall_ms
from tidemill.learning import Model
from tidemill.project import Workspace, describe_view, load_project
from tidemill.registry import Registry
from tidemill.serving import Champions, Prediction, Predictor, read_features
from tidemill.stores import Served

FILE = """
from pydantic import BaseModel
from tests.tiny import make_estimator
from tidemill import Label, Model, Project, Requests, RetrainPolicy, Stream, View, col, count, mean

class Order(BaseModel):
    order_id: str
    placed_at: int
    shop: str
    amount: float | None = None

class Delivery(BaseModel):
    order_id: str
    delivered_at: int
    shop: str
    delay_min: float

class Question(BaseModel):
    order_id: str
    shop: str
    amount: float | None = None

orders = Stream("orders", schema=Order, event_time="placed_at", event_id="order_id", allowed_lateness="1h")
deliveries = Stream("deliveries", schema=Delivery, event_time="delivered_at", event_id="order_id", allowed_lateness="1h")
by_shop = View("by_shop", deliveries, entity="shop", features={{"mean_delay_3h": mean("delay_min", over="3h"), "n_3h": count(over="3h")}})
{model} = Model(
    "{model}", request=Question, requests=Requests(orders, at=col("placed_at")), features=[{columns}, by_shop],
    label=Label(deliveries, key="order_id", value=col("delay_min") >= {late_min}, within="6h"), estimator=make_estimator,
    policy=RetrainPolicy(min_labels=500, gate="1d"),
)
project = Project("{project}", streams=[orders, deliveries], views=[by_shop], models=[{model}])
"""
SHOPS = FILE.format(project="shops", model="late_order", columns='"shop", "amount"', late_min=15)
COURIERS = FILE.format(project="couriers", model="very_late_order", columns='"amount", "shop"', late_min=30)
COLUMNS = tiny.BY_SHOP.feature_columns


@dataclass(frozen=True)
class Side:
    """One project file's process: its workspace and what answers."""

    workspace: Workspace
    predictor: Predictor

    @property
    def model(self) -> Model:
        """Its only model."""
        return self.workspace.project.models[0]

    def ask(self, shops: str) -> list[Prediction]:
        """Predictions for an order of each shop."""
        requests = [self.model.request(order_id=f"q{place}", shop=shop, amount=20.0) for place, shop in enumerate(shops)]
        scored = self.predictor.score(self.model, [requests])
        return scored.told(self.workspace.predictions.write(scored.answered))

    def read(self, answers: list[Prediction]) -> np.ndarray:
        """(n, 2) the view's features in the vectors of these answers, as they were logged."""
        served: Served = self.workspace.predictions.served(self.model.name, after_id=int(answers[0].prediction_id) - 1)
        return served.numbers[:, [self.model.number_columns.index(column) for column in COLUMNS]]


def side(workspace: Workspace, registry: Registry) -> Side:
    """Train and promote the workspace's model, and hold it."""
    name = workspace.project.registered_name(workspace.project.models[0].name)
    registry.promote(name, tiny.train_version(workspace, registry))
    champions = Champions(workspace, registry, name)
    champions.refresh(wall_ms())
    return Side(workspace, Predictor(workspace, champions, workspace.now_ms))


def tile_sets(home: Path) -> list[tuple[str, int, int, int]]:
    """Every tile set of the home: view, bucket, number, whether it is whole."""
    with sqlite3.connect(home / "state.db") as connection:
        rows = connection.execute("select view, bucket_ms, number, whole from tile_set").fetchall()
    connection.close()
    return rows


def tables(home: Path) -> dict[str, bytes]:
    """The tables of tiles and ids as they lie on the disk."""
    return {path.name: path.read_bytes() for path in (home / "state.tables").iterdir() if path.suffix in (".rows", ".index")}


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str) -> Iterator[tuple[Side, Side]]:
    """Both, after three days that the engine of the first has applied."""
    home, files = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("files")
    path, modules = list(sys.path), set(sys.modules)
    for name, text in (("shops", SHOPS), ("couriers", COURIERS)):
        (files / f"{name}.py").write_text(text)
    registry = Registry(mlflow_uri, home)
    shops = Workspace.open(load_project(files / "shops.py"), home)
    tiny.live(shops, 0, 3)
    couriers = Workspace.open(load_project(files / "couriers.py"), home)
    assert shops.project.view("by_shop") is not couriers.project.view("by_shop")
    yield side(shops, registry), side(couriers, registry)
    shops.close()
    couriers.close()
    sys.path[:] = path
    for name in {name for name in set(sys.modules) - modules if name.startswith("tidemill_project_")}:
        del sys.modules[name]


def test_one_tile_set_serves_the_models_of_two_project_files(sides: tuple[Side, Side]) -> None:
    shops, couriers = sides
    home = shops.workspace.home
    assert [row[:2] + row[3:] for row in tile_sets(home)] == [("by_shop", 300_000, 1)]
    numbers = shops.workspace.state.sets.readable()
    assert couriers.workspace.state.sets.readable() == numbers
    assert list(numbers.values()) == [tile_sets(home)[0][2]]

    before = tables(home)
    mine, theirs = shops.ask("abcde"), couriers.ask("abcde")
    assert {answer.position for answer in mine} == {answer.position for answer in theirs}
    values = shops.read(mine)
    assert values.shape == (5, 2)
    assert (values[:, 1] > 0).all()
    assert np.array_equal(values, couriers.read(theirs))
    assert before
    assert tables(home) == before, "the second project has made no tile of its own"


def test_both_see_what_the_one_engine_applies_next(sides: tuple[Side, Side]) -> None:
    shops, couriers = sides
    before = couriers.read(couriers.ask("abcde"))
    sets = tile_sets(shops.workspace.home)
    tiny.live(shops.workspace, 3, 4, slow="cd")
    values = couriers.read(couriers.ask("abcde"))
    assert not np.array_equal(values, before)
    assert np.array_equal(values, shops.read(shops.ask("abcde")))
    assert tile_sets(shops.workspace.home) == sets
    assert couriers.workspace.now_ms() == shops.workspace.now_ms()


def test_both_say_the_same_of_the_view_and_of_a_key(sides: tuple[Side, Side]) -> None:
    (shops, couriers) = (one.workspace for one in sides)
    view = shops.project.view("by_shop")
    assert read_features(shops, view, "a", None) == read_features(couriers, couriers.project.view("by_shop"), "a", None)
    one, other = (describe_view(each, each.project.view("by_shop"), 0) for each in (shops, couriers))
    assert (one.digest, one.versions) == (other.digest, other.versions)
    assert len(one.versions) == 1
    assert (one.models, other.models) == (("late_order",), ("very_late_order",))
