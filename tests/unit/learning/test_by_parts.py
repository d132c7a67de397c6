"""An estimator that goes on from its parameters, and the file it is kept in."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from tests import tiny
from tidemill.errors import NotReadyError
from tidemill.learning import TrainingSet, to_input
from tidemill.learning.by_parts import from_bytes, go_on, learns_by_parts, to_bytes
from tidemill.registry.estimators import KEPT, keep_estimator, read_estimator

RNG = np.random.default_rng(3)


def rows(n: int) -> TrainingSet:
    """Orders; those of shop a, and large ones, are late more often."""
    shop = np.array(list("abcde"), dtype=object)[RNG.integers(0, 5, n)]
    amount = RNG.normal(50, 20, n)
    outcome = (RNG.random(n) < np.where(shop == "a", 0.8, 0.2)).astype(np.float64)
    columns = {"shop": shop, "amount": amount, "by_shop__mean_delay_3h": RNG.normal(size=n), "by_shop__n_3h": RNG.random(n)}
    return TrainingSet(columns, outcome, np.arange(n), [str(number) for number in range(n)], 0, {}, n, 0)


def fitted() -> Pipeline:
    """Of 400 rows."""
    known = rows(400)
    return tiny.make_estimator_by_parts().fit(to_input(tiny.LATE_ORDER, known.frame()), known.outcome.astype(np.int64))


def test_it_goes_on_as_partial_fit_does_and_the_one_before_stays_as_it_was() -> None:
    estimator, more = fitted(), rows(300)
    before = estimator[-1].coef_.copy()
    again = go_on(tiny.LATE_ORDER, estimator, more)
    np.testing.assert_array_equal(estimator[-1].coef_, before)
    naive = from_bytes(to_bytes(estimator), "a copy")
    naive[-1].partial_fit(naive[:-1].transform(to_input(tiny.LATE_ORDER, more.frame())), more.outcome.astype(np.int64))
    np.testing.assert_allclose(again[-1].coef_, naive[-1].coef_)
    assert not np.allclose(again[-1].coef_, before)


def test_only_what_has_partial_fit_learns_by_parts() -> None:
    assert learns_by_parts(tiny.make_estimator_by_parts())
    assert learns_by_parts(SGDClassifier())
    assert not learns_by_parts(tiny.make_estimator())


def test_a_kept_estimator_says_the_same_and_only_the_newest_are_kept(tmp_path: Path) -> None:
    estimator, asked = fitted(), to_input(tiny.LATE_ORDER, rows(50).frame())
    for version in range(1, KEPT + 3):
        keep_estimator(tmp_path, "tiny.late_order", version, estimator)
    again = read_estimator(tmp_path, "tiny.late_order", KEPT + 2)
    np.testing.assert_array_equal(again.predict_proba(asked), estimator.predict_proba(asked))
    assert len(list((tmp_path / "estimators" / "tiny.late_order").iterdir())) == KEPT
    with pytest.raises(NotReadyError, match="the estimator of version 1 of"):
        read_estimator(tmp_path, "tiny.late_order", 1)


def test_a_file_that_names_other_types_is_refused() -> None:
    estimator = make_pipeline(StandardScaler(), SGDClassifier())
    estimator.steps[0][1].note = Fraction(1, 3)
    with pytest.raises(NotReadyError, match=r"the file names the types fractions\.Fraction, which are not trusted"):
        from_bytes(to_bytes(estimator), "the file")
