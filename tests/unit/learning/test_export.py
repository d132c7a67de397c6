"""Only a model whose ONNX form says what the trained one says may serve."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from tests import tiny
from tidemill.errors import ExportError
from tidemill.learning import Model, OnnxModel, predict, to_input
from tidemill.learning.export import export


def rows(n: int = 2_000) -> tuple[pd.DataFrame, np.ndarray[Any, np.dtype[np.int64]]]:
    """Orders of which the shops' order by name says nothing about how late they are; with missing values."""
    rng = np.random.default_rng(0)
    shop = rng.choice(list("abcdefghij"), n)
    amount = rng.normal(size=n).astype(np.float32).astype(np.float64)
    late = rng.random(n) < np.where(np.isin(shop, list("adfi")), 0.8, 0.1)
    amount[::7] = np.nan
    count = rng.integers(0, 9, n).astype(np.float64)
    frame = pd.DataFrame({"shop": shop.astype(object), "amount": amount, "by_shop__mean_delay_3h": amount * 3, "by_shop__n_3h": count})
    return frame, late.astype(np.int64)


def boosted(categories: list[int] | None) -> Any:
    """Trees over ordinal codes of the shop, which they take for categories or for numbers."""
    encode = make_column_transformer((OrdinalEncoder(), ["shop"]), remainder="passthrough", verbose_feature_names_out=False)
    return make_pipeline(encode, HistGradientBoostingClassifier(max_iter=20, categorical_features=categories, random_state=0))


def fitted(estimator: Any) -> tuple[Model, Any, pd.DataFrame]:
    model = replace(tiny.LATE_ORDER, estimator=partial(lambda made: made, estimator))
    frame, late = rows()
    return model, estimator.fit(to_input(model, frame), late), frame


@pytest.mark.parametrize("estimator", [boosted(None), tiny.make_estimator()], ids=["trees", "logistic"])
def test_an_equal_form_is_exported_with_how_near_it_is(estimator: Any) -> None:
    model, trained, frame = fitted(estimator)
    exported = export(model, trained, frame)
    assert exported.n_compared == len(frame)
    said = OnnxModel(exported.content, model.columns).score({name: frame[name].to_numpy() for name in model.columns})
    assert np.abs(said - predict(model, trained, frame)).max() == exported.largest_difference <= 1e-5
    assert said.std() > 0.05


def test_native_categories_convert_wrongly_and_are_refused() -> None:
    model, trained, frame = fitted(boosted([0]))
    with pytest.raises(ExportError, match=r"differs from the trained one on \d+ of 2000 rows.*encode categories yourself"):
        export(model, trained, frame)


def test_a_bare_classifier_is_refused_with_what_to_put_before_it() -> None:
    frame, late = rows()
    model = replace(tiny.LATE_ORDER, features=["amount", tiny.BY_SHOP], slices=())
    with pytest.raises(ExportError, match="put a ColumnTransformer before it"):
        export(model, HistGradientBoostingClassifier(max_iter=2).fit(to_input(model, frame), late), frame)


def test_what_cannot_be_converted_is_refused_with_the_reason() -> None:
    class Own(HistGradientBoostingClassifier):  # type: ignore[misc]  # scikit-learn ships no types
        """An estimator that no converter knows."""

    encode = make_column_transformer((OrdinalEncoder(), ["shop"]), remainder="passthrough", verbose_feature_names_out=False)
    model, trained, frame = fitted(make_pipeline(encode, Own(max_iter=2)))
    with pytest.raises(ExportError, match="does not convert to ONNX"):
        export(model, trained, frame)


CLASSES = replace(tiny.LATE_ORDER, label=replace(tiny.LATE_ORDER.label, value="shop"))
NUMBER = replace(tiny.LATE_ORDER, label=replace(tiny.LATE_ORDER.label, value="delay_min"), task="regression")


def kinds(estimator: Any, outcome: np.ndarray[Any, Any], model: Model) -> tuple[Model, Any, pd.DataFrame]:
    """A model on the orders above, fitted to other outcomes."""
    frame, _ = rows()
    return model, estimator.fit(to_input(model, frame), outcome), frame


def several(seed: int = 0) -> np.ndarray[Any, Any]:
    """The place of a class for each order, most of the time that of its shop."""
    shops = rows()[0]["shop"].map({name: place % 3 for place, name in enumerate("abcdefghij")}).to_numpy()
    rng = np.random.default_rng(seed)
    return np.where(rng.random(len(shops)) < 0.8, shops, rng.integers(0, 3, len(shops)))


ENCODE = make_column_transformer((OrdinalEncoder(), ["shop"]), remainder="passthrough", verbose_feature_names_out=False)


def test_one_of_several_classes_is_exported_with_their_names() -> None:
    trees = make_pipeline(ENCODE, HistGradientBoostingClassifier(max_iter=10, random_state=0))
    model, trained, frame = kinds(trees, several(), CLASSES)
    exported = export(model, trained, frame, ("early", "late", "lost"))
    scorer, columns = OnnxModel(exported.content, model.columns), {name: frame[name].to_numpy() for name in model.columns}
    assert (scorer.task, scorer.classes) == ("multiclass", ("early", "late", "lost"))
    said = scorer.score(columns)
    np.testing.assert_allclose(said, trained.predict_proba(to_input(model, frame)), atol=1e-5)
    other = scorer.score(columns, ("late", "unheard of", "early"))
    np.testing.assert_array_equal(other, np.column_stack([said[:, 1], np.zeros(len(said)), said[:, 0]]))
    np.testing.assert_array_equal(scorer.score(columns, scorer.classes), said)


def test_only_the_classes_that_it_was_fitted_to_are_exported() -> None:
    trees = make_pipeline(ENCODE, HistGradientBoostingClassifier(max_iter=5, random_state=0))
    model, trained, frame = kinds(trees, several() * 2, CLASSES)  # places 0, 2, 4
    scorer = OnnxModel(export(model, trained, frame, (1, 2, 3, 4, 5)).content, model.columns)
    assert scorer.classes == (1, 3, 5)
    assert scorer.score({name: frame[name].to_numpy() for name in model.columns}).shape == (len(frame), 3)


@pytest.mark.parametrize("estimator", [HistGradientBoostingRegressor(max_iter=20, random_state=0), Ridge()], ids=["trees", "linear"])
def test_a_number_is_exported_on_the_scale_of_the_outcomes(estimator: Any) -> None:
    encode = make_column_transformer((OneHotEncoder(sparse_output=False), ["shop"]), (SimpleImputer(), ["amount", "by_shop__n_3h"]))
    outcome = 40_000 + 5_000 * several() + 300 * np.random.default_rng(2).normal(size=2_000)
    model, trained, frame = kinds(make_pipeline(encode, estimator), outcome, NUMBER)
    exported = export(model, trained, frame)
    scorer = OnnxModel(exported.content, model.columns)
    said = scorer.score({name: frame[name].to_numpy() for name in model.columns})
    assert (scorer.task, scorer.classes, said.shape) == ("regression", (), (len(frame),))
    np.testing.assert_allclose(said, predict(model, trained, frame), atol=0.5)
    assert said.std() > 1_000


def test_a_number_that_float32_cannot_tell_apart_is_refused() -> None:
    encode = make_column_transformer((SimpleImputer(), ["amount", "by_shop__n_3h"]))
    model, trained, frame = kinds(make_pipeline(encode, Ridge()), 1e9 + rows()[0]["by_shop__n_3h"].to_numpy(), NUMBER)
    with pytest.raises(ExportError, match="differs from the trained one"):
        export(model, trained, frame)
