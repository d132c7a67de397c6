"""The score of a version moves when it says something else, and not because another fit or another rounding said it first."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from tidemill.clock import DAY_MS
from tidemill.drift import FeatureDrift, Scored, profile_reference
from tidemill.drift.reference import SCORE
from tidemill.kernels import Floats

A_DAY = 200
LEARNT, JUDGED, LIVE = slice(0, 3_000), slice(3_000, 5_000), slice(5_000, 10_000)


def at_ms(rows: slice) -> np.ndarray:
    return np.arange(rows.start, rows.stop) * (DAY_MS // A_DAY)


def score_warnings(said: Floats, served: Floats, live: Floats) -> list[str]:
    """What is warned of when a version comes of a model that said `said` of the newest rows, and says `served` of them itself."""
    x = np.random.default_rng(1).normal(size=len(said))
    profile = profile_reference({"x": x}, said, at_ms(JUDGED), scored=Scored(at_ms(JUDGED), served))
    asked = {"x": np.random.default_rng(2).normal(size=len(live))}
    return [found.column for found in FeatureDrift(profile).update(asked, at_ms(LIVE), live) if found.column == SCORE]


def moved(scores: Floats) -> Floats:
    """As if each answer had come to twice the odds."""
    return 2 * scores / (1 + scores)


@pytest.fixture(scope="module")
def fits() -> tuple[Floats, Floats, Floats]:
    """Of rare outcomes: what a model said of rows it had not seen; what one that has learnt from them too says of them, and live."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(LIVE.stop, 6))
    y = rng.random(len(x)) < 1 / (1 + np.exp(5 - 2 * x[:, 0]))
    judged, again = (
        HistGradientBoostingClassifier(max_iter=80, learning_rate=0.08, min_samples_leaf=40, random_state=0).fit(x[:end], y[:end])
        for end in (LEARNT.stop, JUDGED.stop)
    )
    return judged.predict_proba(x[JUDGED])[:, 1], again.predict_proba(x[JUDGED])[:, 1], again.predict_proba(x[LIVE])[:, 1]


def test_a_version_that_was_fitted_again_is_not_held_to_what_the_fit_before_it_said(fits: tuple[Floats, Floats, Floats]) -> None:
    said, served, live = fits
    assert score_warnings(said, served, live) == []
    assert score_warnings(said, served, moved(live)) == [SCORE]


def test_rounding_moves_no_row_of_trees_to_another_bin() -> None:
    leaves = np.linspace(0.01, 0.6, 9)
    said, live = (np.random.default_rng(seed).choice(leaves, size=n) for seed, n in ((3, 2_000), (4, 5_000)))
    rounded = live * (1 + 1e-7)
    assert score_warnings(said, said.astype(np.float32).astype(np.float64), rounded) == []
    assert score_warnings(said, said, moved(rounded)) == [SCORE]


def test_models_that_agree_nowhere_are_no_reference_for_one_another() -> None:
    said, served = np.full(2_000, 0.2), np.full(2_000, 0.8)
    profile = profile_reference({"x": said}, said, at_ms(JUDGED), scored=Scored(at_ms(JUDGED), served))
    assert profile.score.edges == ()
    assert score_warnings(said, served, np.full(5_000, 0.8)) == []


def test_what_serves_must_have_been_asked_about_the_same_rows() -> None:
    with pytest.raises(ValueError, match="a reference needs rows"):
        profile_reference({"x": np.zeros(10)}, np.zeros(10), np.arange(10), scored=Scored(np.arange(10), np.zeros(9)))
