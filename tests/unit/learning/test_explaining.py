"""What an explanation adds up to, against naive twins: coefficients of a linear model, Shapley values over all subsets of trees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from tests import tiny
from tidemill import Label
from tidemill.events import Column
from tidemill.learning import Explanation, Model, OnnxModel, explain, to_input, typical_columns
from tidemill.learning.export import export

TYPICAL: dict[str, object] = {"shop": "b", "amount": 0.25, "by_shop__mean_delay_3h": float("nan"), "by_shop__n_3h": 4.0}
NAMES = list(TYPICAL)


def rows(n: int = 400) -> pd.DataFrame:
    """Vectors of the tiny model, some with a value missing."""
    rng = np.random.default_rng(3)
    amount = rng.normal(size=n).astype(np.float32).astype(np.float64)
    delay = np.where(rng.random(n) < 0.2, np.nan, amount + 3).astype(np.float32).astype(np.float64)
    counts = rng.integers(0, 9, n).astype(np.float64)
    shop = rng.choice(list("abcde"), n).astype(object)
    return pd.DataFrame({"shop": shop, "amount": amount, "by_shop__mean_delay_3h": delay, "by_shop__n_3h": counts})


def noise(spread: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """One number a row, so that no answer is nearly certain: of those float32 tells too little."""
    return np.random.default_rng(1).normal(0.0, spread, 400)


def trained(model: Model, estimator: Any, outcome: np.ndarray[Any, Any], classes: tuple[str, ...] = ()) -> tuple[OnnxModel, Any]:
    frame = rows()
    fitted = estimator.fit(to_input(model, frame), outcome)
    return OnnxModel(export(model, fitted, frame, classes).content, model.columns), fitted


def columns_of(frame: pd.DataFrame) -> dict[str, Column]:
    return {name: frame[name].to_numpy() for name in NAMES}


def adds_up(one: Explanation) -> bool:
    return one.typical + sum(one.contributions.values()) + one.unexplained == pytest.approx(one.said, abs=1e-9)


def test_a_linear_model_is_explained_by_its_coefficients() -> None:
    frame = rows()
    late = (frame["amount"] + frame["by_shop__n_3h"] / 9 + (frame["shop"] == "a") + noise(2.0) > 0.8).astype(int).to_numpy()
    model = tiny.LATE_ORDER
    scorer, fitted = trained(model, tiny.make_estimator(), late)
    typical = pd.DataFrame(typical_columns(model.columns, TYPICAL))
    encode, coefficients = fitted[0], fitted[1].coef_[0]
    far = encode.transform(to_input(model, frame)) - encode.transform(to_input(model, typical))
    moved = np.asarray(far.todense() if hasattr(far, "todense") else far) * coefficients
    owner = [0] * 5 + [1, 2, 3]  # five shops, then three numbers
    for row, one in enumerate(explain(scorer, model.columns, columns_of(frame), TYPICAL)[:50]):
        expected = {name: sum(moved[row, np.array(owner) == place]) for place, name in enumerate(NAMES)}
        assert one.contributions == pytest.approx(expected, abs=2e-5)
        assert abs(one.unexplained) < 5e-5 and adds_up(one)
        assert list(one.contributions) == sorted(one.contributions, key=lambda name: -abs(one.contributions[name]))
        assert (one.scale, one.of) == ("log_odds", None)


def shapley(scorer: OnnxModel, model: Model, row: Mapping[str, object]) -> dict[str, float]:
    """The Shapley values of one row against the typical one, by asking for every subset of the columns."""

    def said(told: frozenset[str]) -> float:
        mixed = {name: row[name] if name in told else TYPICAL[name] for name in NAMES}
        likely = float(scorer.score(typical_columns(model.columns, mixed))[0])
        return float(np.log(likely / (1 - likely)))

    values = {}
    for name in NAMES:
        others = [other for other in NAMES if other != name]
        values[name] = sum(
            factorial(size)
            * factorial(len(others) - size)
            / factorial(len(NAMES))
            * (said(frozenset(some) | {name}) - said(frozenset(some)))
            for size in range(len(NAMES))
            for some in combinations(others, size)
        )
    return values


def test_trees_that_join_two_columns_at_most_get_their_shapley_values() -> None:
    frame = rows()
    late = ((frame["amount"] > 0) ^ (frame["by_shop__n_3h"] > 4) ^ (noise(1.0) > 1)).astype(int).to_numpy()
    numbers = make_column_transformer(
        (OrdinalEncoder(), ["shop"]), (SimpleImputer(), NAMES[1:]), remainder="drop", verbose_feature_names_out=False
    )
    model = tiny.LATE_ORDER
    scorer, _ = trained(model, make_pipeline(numbers, GradientBoostingClassifier(n_estimators=20, max_depth=2, random_state=0)), late)
    few = frame.head(6)
    for row, one in zip(few.to_dict("records"), explain(scorer, model.columns, columns_of(few), TYPICAL), strict=True):
        assert one.contributions == pytest.approx(shapley(scorer, model, row), abs=1e-5)
        assert abs(one.unexplained) < 1e-5 and adds_up(one)


def test_a_number_is_explained_in_its_own_unit_and_the_rest_is_told() -> None:
    frame = rows()
    outcome = (np.where(frame["amount"] > 0, 1.0, -1.0) * frame["by_shop__n_3h"] * (frame["shop"] == "a")).to_numpy()
    label = Label(tiny.DELIVERIES, key="order_id", value="delay_min", within="6h")
    model = replace(tiny.LATE_ORDER, label=label, task="regression", metric=None)
    encode = make_column_transformer((OrdinalEncoder(), ["shop"]), remainder="passthrough", verbose_feature_names_out=False)
    scorer, _ = trained(model, make_pipeline(encode, HistGradientBoostingRegressor(max_iter=30, random_state=0)), outcome)
    told = explain(scorer, model.columns, columns_of(frame), TYPICAL)
    assert all(adds_up(one) and one.scale == "value" for one in told)
    assert max(abs(one.unexplained) for one in told) > 0.1, "three columns act together here"
    np.testing.assert_allclose([one.said for one in told], scorer.score(columns_of(frame)))


def test_of_several_classes_the_most_probable_one_is_explained() -> None:
    frame = rows()
    classes = ("early", "late", "lost")
    outcome = np.digitize(frame["amount"] + noise(2.0), [-0.5, 0.7])
    label = Label(tiny.DELIVERIES, key="order_id", value="shop", within="6h")
    model = replace(tiny.LATE_ORDER, label=label, task=None, metric=None)
    scorer, _ = trained(model, make_pipeline(tiny.make_estimator()[0], LogisticRegression()), outcome, classes)
    likely = scorer.score(columns_of(frame))
    for row, one in enumerate(explain(scorer, model.columns, columns_of(frame), TYPICAL)):
        assert one.of == classes[int(likely[row].argmax())]
        assert one.scale == "log_share" and abs(one.unexplained) < 1e-4 and adds_up(one)


def test_many_rows_take_several_runs_and_none_takes_none() -> None:
    frame = pd.concat([rows(400)] * 8, ignore_index=True)
    late = (rows()["amount"] > 0).astype(int).to_numpy()
    scorer, _ = trained(tiny.LATE_ORDER, tiny.make_estimator(), late)
    told = explain(scorer, tiny.LATE_ORDER.columns, columns_of(frame), TYPICAL)
    assert len(told) == 3_200
    assert told[0].contributions == pytest.approx(told[2_800].contributions, abs=1e-6)
    assert explain(scorer, tiny.LATE_ORDER.columns, columns_of(frame.head(0)), TYPICAL) == []
