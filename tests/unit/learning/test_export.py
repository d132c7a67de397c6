"""Only a model whose ONNX form says what the trained one says may serve."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

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
    model = replace(tiny.LATE_ORDER, features=["amount", tiny.BY_SHOP])
    with pytest.raises(ExportError, match="put a ColumnTransformer before it"):
        export(model, HistGradientBoostingClassifier(max_iter=2).fit(to_input(model, frame), late), frame)


def test_what_cannot_be_converted_is_refused_with_the_reason() -> None:
    class Own(HistGradientBoostingClassifier):  # type: ignore[misc]  # scikit-learn ships no types
        """An estimator that no converter knows."""

    encode = make_column_transformer((OrdinalEncoder(), ["shop"]), remainder="passthrough", verbose_feature_names_out=False)
    model, trained, frame = fitted(make_pipeline(encode, Own(max_iter=2)))
    with pytest.raises(ExportError, match="does not convert to ONNX"):
        export(model, trained, frame)
